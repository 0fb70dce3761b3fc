//go:build linux

package wire

import (
	"bytes"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"
)

// sentFile counts failures.
type sentFile struct {
	*os.File
	failed atomic.Int32
}

func (f *sentFile) SendFailed() { f.failed.Add(1) }

func randomFile(t *testing.T, size int) (*sentFile, []byte) {
	t.Helper()
	content := make([]byte, size)
	random := rand.NewChaCha8([32]byte{1})
	if _, err := random.Read(content); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, content, 0o644); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return &sentFile{File: f}, content
}

// renderServer answers every ApiVersions request with what render makes.
func renderServer(t *testing.T, render func(*ResponseWriter) error) net.Conn {
	t.Helper()
	s := startServer(t, func(c *Config) {
		for i := range c.APIs {
			if c.APIs[i].Key == apiKeyApiVersions {
				c.APIs[i].Serve = func(r *Request) { r.ReplyRender(render) }
			}
		}
	})
	nc, err := net.Dial("tcp", s.listeners[0].Net.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() }) // the test has read what it wants
	if err := nc.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	return nc
}

// askVersions sends n requests at once.
func askVersions(t *testing.T, nc net.Conn, n int) {
	t.Helper()
	one := []byte{0, 0, 0, 10, 0, apiKeyApiVersions, 0, 0, 0, 0, 0, 7, 0xff, 0xff}
	if _, err := nc.Write(bytes.Repeat(one, n)); err != nil {
		t.Fatal(err)
	}
}

func TestAResponseOfMemoryAndFiles(t *testing.T) {
	f, content := randomFile(t, 9<<20)
	var written atomic.Int32
	nc := renderServer(t, func(w *ResponseWriter) error {
		if !w.SendsFiles() {
			t.Error("a plain connection does not send files")
		}
		w.Append(func(b []byte) []byte { return append(b, "head"...) })
		w.AppendFile(f, 100, 8<<20)
		w.AppendFile(f, 0, 1)
		w.Append(func(b []byte) []byte { return append(b, "middle"...) })
		w.AppendData([]byte("data"))
		w.AppendFile(f, 5, 70_000)
		w.Append(func(b []byte) []byte { return append(b, "end"...) })
		w.OnWritten(func() { written.Add(1) })
		return nil
	})
	var want bytes.Buffer
	want.WriteString("head")
	want.Write(content[100 : 100+8<<20])
	want.Write(content[:1])
	want.WriteString("middledata")
	want.Write(content[5 : 5+70_000])
	want.WriteString("end")
	const requests = 3
	askVersions(t, nc, requests)
	for range requests {
		head := make([]byte, 8)
		if _, err := io.ReadFull(nc, head); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, binary.BigEndian.Uint32(head)-4)
		if _, err := io.ReadFull(nc, got); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want.Bytes()) {
			t.Fatalf("%d bytes came, not the %d that were sent", len(got), want.Len())
		}
	}
	if n := f.failed.Load(); n != 0 {
		t.Fatalf("%d failures", n)
	}
}

// TestAFileThatIsCutEndsTheConnection: the length of the response was told already.
func TestAFileThatIsCutEndsTheConnection(t *testing.T) {
	f, content := randomFile(t, 1<<20)
	done := make(chan struct{})
	nc := renderServer(t, func(w *ResponseWriter) error {
		w.AppendFile(f, 0, 2<<20)
		w.OnWritten(func() { close(done) })
		return nil
	})
	askVersions(t, nc, 1)
	got, err := io.ReadAll(nc)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) < 8 || !bytes.Equal(got[8:], content) {
		t.Fatalf("%d bytes came", len(got))
	}
	<-done
	if n := f.failed.Load(); n != 1 {
		t.Fatalf("%d failures", n)
	}
}

func TestConsumeBuffers(t *testing.T) {
	for n := range 7 {
		left := consume(net.Buffers{[]byte("ab"), nil, []byte("c"), []byte("def")}, n)
		if got := string(bytes.Join(left, nil)); got != "abcdef"[n:] {
			t.Fatalf("after %d bytes: %q", n, got)
		}
	}
}
