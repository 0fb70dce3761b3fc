package clusterview

import (
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/millrace/millrace/configs"
	"github.com/millrace/millrace/internal/kafka"
	"github.com/millrace/millrace/test/peers"
)

// answering listens, and to each client that has begun to send says the answer and no more.
func answering(t *testing.T, answer string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		running.Wait()
	})
	running.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return // closed by the cleanup
			}
			running.Go(func() {
				if err := sayOnce(conn.(*net.TCPConn), answer); err != nil {
					t.Log("the client left:", err)
				}
			})
		}
	})
	return l.Addr().String()
}

// sayOnce reads on until the client closes: to close first would reset the connection, and
// the answer would be lost with it.
func sayOnce(conn *net.TCPConn, answer string) error {
	_, begun := io.ReadFull(conn, make([]byte, 4))
	_, said := io.WriteString(conn, answer)
	ended := conn.CloseWrite()
	_, left := io.Copy(io.Discard, conn)
	return errors.Join(begun, said, ended, left, conn.Close())
}

// TestConnectTellsClosedFromNobodyThere: only where nothing listens is a broker to be started.
func TestConnectTellsClosedFromNobodyThere(t *testing.T) {
	closed := peers.FreeAddr(t)
	alert := "\x15\x03\x03\x00\x02\x02\x28" // of TLS: handshake_failure
	for name, c := range map[string]struct {
		brokers []string
		tls     bool
		other   bool
		why     string
	}{
		"nobody there":         {[]string{closed}, false, false, "connection refused"},
		"nobody there, TLS":    {[]string{closed}, true, false, "connection refused"},
		"closes":               {[]string{answering(t, "")}, false, true, "the connection was closed"},
		"one of two closes":    {[]string{closed, answering(t, "")}, false, true, "the connection was closed"},
		"answers HTTP":         {[]string{answering(t, "HTTP/1.1 400 Bad Request\r\n\r\n")}, false, true, "unexpected EOF"},
		"answers with alerts":  {[]string{answering(t, alert+alert)}, false, true, "unexpected EOF"},
		"answers another":      {[]string{answering(t, strings.Repeat("\x00\x00\x00\x08\x00\x00\x00\x63\xff\xff\xff\xff", 3))}, false, true, "not of Kafka's protocol"},
		"HTTP to TLS":          {[]string{answering(t, "HTTP/1.1 400 Bad Request\r\n\r\n")}, true, true, "not of Kafka's protocol"},
		"an alert to TLS":      {[]string{answering(t, alert)}, true, true, "remote error: tls: handshake failure"},
		"closes a TLS attempt": {[]string{answering(t, "")}, true, true, "the connection was closed"},
	} {
		t.Run(name, func(t *testing.T) {
			conf, err := kafka.ClientConfig(configs.Kafka{Brokers: c.brokers, TLS: configs.TLS{Enabled: c.tls}})
			if err != nil {
				t.Fatal(err)
			}
			conf.Metadata.Retry.Max = 0
			client, err := Connect(c.brokers, conf)
			if err == nil {
				t.Fatal("connected", client.Close())
			}
			if !errors.Is(err, ErrUnreachable) || errors.Is(err, ErrOtherListener) != c.other || !strings.Contains(err.Error(), c.why) {
				t.Errorf("%v, want %q", err, c.why)
			}
		})
	}
}
