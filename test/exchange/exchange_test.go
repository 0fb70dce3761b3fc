package exchange

import (
	"io"
	"net"
	"path/filepath"
	"reflect"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// echo is a broker that sends back what it gets, until it gets a zero.
func echo(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			b := make([]byte, 1)
			for {
				if _, err := c.Read(b); err != nil || b[0] == 0 {
					break
				}
				if _, err := c.Write(b); err != nil {
					break
				}
			}
			c.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return l.Addr().String()
}

func TestTheProxyKeepsBothDirectionsAndWhoClosed(t *testing.T) {
	p := NewProxy(t, echo(t))
	say := func(what string) {
		t.Helper()
		c, err := net.Dial("tcp", p.Addr())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := c.Write([]byte(what)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(c); err != nil {
			t.Fatal(err)
		}
	}
	say("abc\x00")
	if got := p.Latest(); !reflect.DeepEqual(got, Conversation{Requests: []byte("abc\x00"), Responses: []byte("abc"), Closed: true}) {
		t.Errorf("%+v", got)
	}
	say("\x00")
	if got := p.Latest(); len(got.Responses) != 0 || !got.Closed {
		t.Errorf("%+v", got)
	}
	c, err := net.Dial("tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	if got := p.Latest(); string(got.Responses) != "x" || got.Closed {
		t.Errorf("%+v", got)
	}
	p.Forget()
	if got := p.Latest(); got.Requests != nil {
		t.Errorf("%+v", got)
	}
}

func TestAProxyWithoutABrokerClosesItsConnections(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	c, err := net.Dial("tcp", NewProxy(t, addr).Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if n, err := c.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("%d bytes, %v", n, err)
	}
}

func TestGoldenFilesAreReadAsTheyWereWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "deeper", "x.jsonl")
	want := []Step{
		{Name: "a <b>", Key: 3, Version: 12, Mask: []string{"Host"}, Errors: []string{"INVALID_REQUEST"}, Request: []byte{0, 1}, Response: []byte{2}},
		{Name: "closed", Raw: true, Request: []byte{0}},
	}
	if err := Write(path, want); err != nil {
		t.Fatal(err)
	}
	got, err := Read(path)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v %v, want %+v", got, err, want)
	}
	if _, err := Read(path + "x"); err == nil {
		t.Error("a file that is not there was read")
	}
}
