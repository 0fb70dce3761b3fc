package wire

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// startServer serves APIs that answer with an empty response.
func startServer(t testing.TB, change func(*Config)) *Server {
	t.Helper()
	metrics, err := NewMetrics(nil)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{
		Listeners: []Listener{{Name: "PLAINTEXT", Net: listener}}, RequestMax: 1 << 20, Budget: NewBudget(4 << 20), ConnectionsMax: 100, IdleTimeout: time.Minute,
		Logger: slog.New(slog.DiscardHandler), Metrics: metrics,
	}
	for _, key := range requestKeys() {
		cfg.APIs = append(cfg.APIs, API{Key: key, Max: kmsg.RequestForKey(key).MaxVersion(), Large: key == 0, Serve: func(r *Request) {
			if r.Key < 2 {
				if err := r.Check(); err != nil {
					r.Fail(err)
					return
				}
				r.NoReply()
				return
			}
			req, err := r.Decode()
			if err != nil {
				r.Fail(err)
				return
			}
			r.Reply(req.ResponseKind())
		}})
	}
	if change != nil {
		change(&cfg)
	}
	s, err := NewServer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if used := cfg.Budget.Used(); used != 0 {
			t.Errorf("%d bytes are still reserved", used)
		}
	})
	return s
}

// FuzzConnection sends bytes to a whole connection: whatever they are, it ends,
// and the server goes on with nothing reserved.
func FuzzConnection(f *testing.F) {
	s := startServer(f, nil)
	format := kmsg.NewRequestFormatter()
	f.Add(format.AppendRequest(nil, kmsg.NewPtrMetadataRequest(), 1))
	f.Add(format.AppendRequest(format.AppendRequest(nil, kmsg.NewPtrApiVersionsRequest(), 1), kmsg.NewPtrProduceRequest(), 2))
	f.Add(binary.BigEndian.AppendUint32(nil, 1<<31))
	f.Fuzz(func(t *testing.T, input []byte) {
		c, err := net.Dial("tcp", s.listeners[0].Net.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if err := c.SetDeadline(time.Now().Add(60 * time.Second)); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write(input); err != nil {
			return // closed already
		}
		if err := c.(*net.TCPConn).CloseWrite(); err != nil {
			return
		}
		if _, err := io.Copy(io.Discard, c); err != nil {
			if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
				t.Fatal("the connection does not end")
			}
		}
	})
}

func TestAStopAnswersWhatWasReadAndClosesWhatWaits(t *testing.T) {
	metrics, err := NewMetrics(nil)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	taken := make(chan *Request, 2)
	s, err := NewServer(Config{
		Listeners: []Listener{{Name: "PLAINTEXT", Net: listener}}, RequestMax: 1 << 20, Budget: NewBudget(4 << 20), ConnectionsMax: 10, IdleTimeout: time.Minute,
		Logger: slog.New(slog.DiscardHandler), Metrics: metrics,
		APIs: []API{{Key: 3, Max: 13, Serve: func(r *Request) { taken <- r }}},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	frame := kmsg.NewRequestFormatter().AppendRequest(nil, kmsg.NewPtrMetadataRequest(), 1)
	var conns []net.Conn
	for range 2 {
		c, err := net.Dial("tcp", s.listeners[0].Net.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := c.Write(frame); err != nil {
			t.Fatal(err)
		}
		conns = append(conns, c)
	}
	answered, left := <-taken, <-taken
	cancel()
	answered.Reply(&kmsg.MetadataResponse{})
	start := time.Now()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if took := time.Since(start); took > 20*drainTimeout {
		t.Errorf("the stop took %s", took)
	}
	left.Reply(&kmsg.MetadataResponse{}) // too late, but no harm
	if used := s.budget.Used(); used != 0 {
		t.Errorf("%d bytes are still reserved", used)
	}
	total := 0
	for _, c := range conns {
		b, _ := io.ReadAll(c)
		total += len(b)
	}
	if want := 4 + 4 + len((&kmsg.MetadataResponse{}).AppendTo(nil)); total != want {
		t.Errorf("%d bytes of responses, want %d", total, want)
	}
}

func TestARequestSaysWhoSentItAndByWhichListener(t *testing.T) {
	seen := make(chan [3]string, 1)
	s := startServer(t, func(cfg *Config) {
		cfg.Listeners[0].Name = "INSIDE"
		cfg.APIs = []API{{Key: 3, Max: 13, Serve: func(r *Request) {
			seen <- [3]string{r.Principal(), r.Listener(), r.ClientHost()}
			r.NoReply()
		}}}
	})
	c, err := net.Dial("tcp", s.listeners[0].Net.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write(kmsg.NewRequestFormatter().AppendRequest(nil, kmsg.NewPtrMetadataRequest(), 1)); err != nil {
		t.Fatal(err)
	}
	if got, want := <-seen, [3]string{AnonymousPrincipal, "INSIDE", "127.0.0.1"}; got != want {
		t.Errorf("request of %q, want %q", got, want)
	}
}
