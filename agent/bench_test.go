package agent_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hpcloud/tail"

	"github.com/millrace/millrace/agent/batch"
)

// benchLines is the size of the file that is read: lines of 150 bytes.
const benchLines = 400_000

// benchFile writes a file of numbered lines.
func benchFile(b *testing.B, dir string) (path string, size int64) {
	b.Helper()
	path = filepath.Join(dir, "bench.log")
	f, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	var buf bytes.Buffer
	for i := range benchLines {
		fmt.Fprintf(&buf, "2026-01-31T10:00:00.%06dZ INFO %s\n", i%1_000_000, strings.Repeat("request handled ", 8)[:117])
		if buf.Len() > 1<<20 || i == benchLines-1 {
			n, err := buf.WriteTo(f)
			if err != nil {
				b.Fatal(err)
			}
			size += n
		}
	}
	return path, size
}

// cpu is the processor time that this process has used.
func cpu(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// measured runs one pass over the file b.N times and reports lines and processor time.
func measured(b *testing.B, size int64, pass func()) {
	b.Helper()
	b.SetBytes(size)
	before := cpu(b)
	for b.Loop() {
		pass()
	}
	used := cpu(b) - before
	b.ReportMetric(float64(b.N)*benchLines/b.Elapsed().Seconds(), "lines/s")
	b.ReportMetric(used.Seconds()/(float64(b.N)*float64(size)/(1<<30)), "cpu-s/GiB")
}

// BenchmarkReaders is what reading lines costs: blocks without lines (the base), our reader into record
// batches, and github.com/hpcloud/tail.
func BenchmarkReaders(b *testing.B) {
	path, size := benchFile(b, b.TempDir())
	b.Run("blocks", func(b *testing.B) {
		buf := make([]byte, batch.BlockSize)
		measured(b, size, func() { countBlocks(b, path, buf) })
	})
	b.Run("millrace", func(b *testing.B) { measured(b, size, func() { readBatches(b, path, size) }) })
	b.Run("hpcloud_tail", func(b *testing.B) { measured(b, size, func() { tailOnce(b, path) }) })
}

func countBlocks(b *testing.B, path string, buf []byte) {
	f, err := os.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	lines := 0
	for {
		n, err := f.Read(buf)
		lines += bytes.Count(buf[:n], []byte{'\n'})
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			b.Fatal(err)
		}
	}
	if lines != benchLines {
		b.Fatalf("%d lines", lines)
	}
}

func readBatches(b *testing.B, path string, size int64) {
	f, err := os.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	s := &batch.Settings{Agent: "a", Host: "h", Topic: "t", Codec: "raw", Encoding: "utf-8", LineMax: 1_000_000, Compression: "lz4"}
	framer, err := batch.NewFramer(s)
	if err != nil {
		b.Fatal(err)
	}
	src := batch.NewSource(1, "a-1", path, 0, s, framer)
	var sc batch.Scanner
	var cursor batch.Cursor
	var out batch.Batch
	lines := 0
	for more := true; more; {
		more, err = sc.Scan(f, framer, &cursor, batch.Range{Size: size}, func(ev batch.Event) bool {
			if !out.Fits(src, len(ev.Value), 900<<10) {
				out.Reset()
			}
			out.Add(src, ev, 1, false, 0)
			lines++
			return true
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	if lines != benchLines {
		b.Fatalf("%d lines", lines)
	}
}

func tailOnce(b *testing.B, path string) {
	tl, err := tail.TailFile(path, tail.Config{Logger: tail.DiscardingLogger})
	if err != nil {
		b.Fatal(err)
	}
	lines := 0
	for range tl.Lines {
		lines++
	}
	tl.Cleanup()
	if lines != benchLines {
		b.Fatalf("%d lines", lines)
	}
}

// BenchmarkAgent is the whole way: files, registry, record batches with lz4,
// acks=all from our broker in a process of its own, whose processor time is not counted.
func BenchmarkAgent(b *testing.B) {
	to := ourBroker(b)
	r := newRig(b, to.bootstrap)
	r.start()
	master, size := benchFile(b, b.TempDir())
	pass := 0
	measured(b, size, func() {
		pass++
		// Copied outside the folder and moved in: one new, whole file.
		tmp := fmt.Sprintf("%s.%d", master, pass)
		if err := copyFile(master, tmp); err != nil {
			b.Fatal(err)
		}
		if err := os.Rename(tmp, r.path(fmt.Sprintf("%d.log", pass))); err != nil {
			b.Fatal(err)
		}
		eventually(b, 120*time.Second, "all lines are acknowledged", func() bool {
			return r.metric("millrace_agent_lines_acked_total") >= float64(pass*benchLines)
		})
	})
}
