package wire

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/millrace/millrace/broker/sasl"
)

// Listener is an address at which a server accepts connections.
type Listener struct {
	// Name of the listener, unique in its server, for instance PLAINTEXT.
	Name string
	// Net accepts the connections; the server closes it.
	Net net.Listener
	// ConnectionsMax is the number of open connections of this listener, 0 for any.
	ConnectionsMax int
	// TLS encrypts the connections; nil leaves them plain.
	TLS *tls.Config
	// Principal returns who the owner of a verified client certificate is, in
	// Kafka's form. It is needed where TLS asks for certificates.
	Principal func(*x509.Certificate) (string, error)
	// SASL authenticates the clients; nil lets them in as they are.
	SASL *sasl.Policy
}

// listener is a Listener with what its connections share.
type listener struct {
	Listener
	connections prometheus.Gauge
}

func newListener(l Listener, m *Metrics) *listener {
	return &listener{Listener: l, connections: m.connections.WithLabelValues(l.Name)}
}

// acceptLoops accepts at all listeners until they are closed. When one fails,
// the others are closed too.
func (s *Server) acceptLoops() error {
	ended := make(chan error, len(s.listeners))
	for _, l := range s.listeners {
		go func() { ended <- s.acceptLoop(l) }()
	}
	var errs []error
	for range s.listeners {
		if err := <-ended; err != nil {
			errs = append(errs, err)
			s.drain()
		}
	}
	return errors.Join(errs...)
}

func (s *Server) acceptLoop(l *listener) error {
	backoff := time.Duration(0)
	for {
		nc, err := l.Net.Accept()
		if err == nil {
			backoff = 0
			s.serveConn(l, nc)
			continue
		}
		if s.isDraining() {
			return nil
		}
		if errors.Is(err, net.ErrClosed) {
			return fmt.Errorf("accept at %s: %w", l.Name, err)
		}
		// Out of descriptors, for instance: others may be closed meanwhile.
		backoff = min(max(2*backoff, 5*time.Millisecond), time.Second)
		s.cfg.Logger.Warn("accept failed", "listener", l.Name, "error", err, "retry_in", backoff)
		timer := time.NewTimer(backoff)
		select {
		case <-timer.C:
		case <-s.draining:
			timer.Stop()
		}
	}
}

// closeListeners ends the accept loops.
func (s *Server) closeListeners() {
	for _, l := range s.listeners {
		if err := l.Net.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			s.cfg.Logger.Debug("close listener failed", "listener", l.Name, "error", err)
		}
	}
}

// Run serves until ctx ends; then it stops accepting and reading, answers what
// can be answered within a few seconds and closes all connections. All
// goroutines have ended when it returns.
func (s *Server) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, s.drain)
	defer stop()
	err := s.acceptLoops()
	s.drain()
	s.awaitConns()
	if ctx.Err() != nil {
		return nil
	}
	return err
}
