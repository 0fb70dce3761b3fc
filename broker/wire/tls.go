package wire

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// ErrHandshake is a TLS handshake that failed.
var ErrHandshake = errors.New("TLS handshake failed")

// transport is the TCP connection below TLS.
//
// While a handshake is under way it holds one of the server's places for
// computing, except while it waits for the client: so handshakes cannot take
// all processors, and slow clients keep nobody waiting. Later it gathers the
// records of one write, so that they leave together.
type transport struct {
	net.Conn
	places      chan struct{}
	pool        *sync.Pool // of *[]byte with room for tlsWriteBytes
	handshaking bool       // only the reader uses it

	mu        sync.Mutex // the reader may write too: alerts, key updates
	gathering bool
	gathered  []byte // from the pool, while gathering
	closing   bool
}

// Read implements [net.Conn].
func (t *transport) Read(b []byte) (int, error) {
	if !t.handshaking {
		return t.Conn.Read(b)
	}
	<-t.places
	n, err := t.Conn.Read(b)
	t.places <- struct{}{}
	return n, err
}

// Write implements [net.Conn].
func (t *transport) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.gathering {
		return t.Conn.Write(b)
	}
	if len(t.gathered)+len(b) > tlsWriteBytes {
		if err := t.flush(); err != nil {
			return 0, err
		}
	}
	t.gathered = append(t.gathered, b...)
	return len(b), nil
}

func (t *transport) flush() error {
	_, err := t.Conn.Write(t.gathered)
	t.gathered = t.gathered[:0]
	return err
}

// SetWriteDeadline implements [net.Conn]. A connection that is being closed does not
// wait long for a client to take the last alert.
func (t *transport) SetWriteDeadline(at time.Time) error {
	t.mu.Lock()
	closing := t.closing
	t.mu.Unlock()
	if limit := time.Now().Add(closeNotifyTimeout); closing && at.After(limit) {
		at = limit
	}
	return t.Conn.SetWriteDeadline(at)
}

// gather writes out to the TLS connection above and sends its records together.
func (t *transport) gather(above net.Conn, out net.Buffers) error {
	buffer := t.pool.Get().(*[]byte)
	t.mu.Lock()
	t.gathering, t.gathered = true, (*buffer)[:0]
	t.mu.Unlock()
	_, err := out.WriteTo(above)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.gathering = false
	if err == nil {
		err = t.flush()
	}
	t.gathered = nil
	t.pool.Put(buffer)
	return err
}

func (t *transport) beginClose() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closing = true
}

// secure makes nc a TLS connection; the handshake comes later, on the reader.
func (s *Server) secure(l *listener, nc net.Conn) (net.Conn, *transport) {
	t := &transport{Conn: nc, places: s.places, pool: &s.tlsBuffers}
	return tls.Server(t, l.TLS), t
}

// handshake negotiates TLS and learns from the client's certificate who it is.
func (c *Conn) handshake() error {
	nc, ok := c.nc.(*tls.Conn)
	if !ok {
		return nil
	}
	if err := nc.SetDeadline(c.authBy); err != nil {
		return err
	}
	if c.server.isDraining() { // after the deadline is set: drain sets it to now
		return io.EOF
	}
	c.transport.handshaking = true
	c.server.places <- struct{}{}
	err := nc.Handshake()
	<-c.server.places
	c.transport.handshaking = false
	if err != nil {
		return c.handshakeError(err)
	}
	if certs := nc.ConnectionState().PeerCertificates; len(certs) > 0 && c.session == nil {
		return c.identify(certs[0])
	}
	return nil
}

func (c *Conn) identify(cert *x509.Certificate) error {
	principal, err := c.listener.Principal(cert)
	if err != nil {
		c.authenticationFailed("TLS")
		return fmt.Errorf("%w: %w", ErrHandshake, err)
	}
	c.principal = principal
	return nil
}

// handshakeError says why a handshake failed; io.EOF is a client that went away
// without a word.
func (c *Conn) handshakeError(err error) error {
	var header tls.RecordHeaderError
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, net.ErrClosed), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return io.EOF
	case c.server.isDraining():
		return io.EOF
	case errors.Is(err, os.ErrDeadlineExceeded):
		err = fmt.Errorf("%w: TLS handshake not complete", ErrSlow)
	case errors.As(err, &header):
		err = fmt.Errorf("%w: listener %s uses TLS, the client does not", ErrHandshake, c.listener.Name)
	default:
		err = fmt.Errorf("%w: %w", ErrHandshake, err)
	}
	c.authenticationFailed("TLS")
	return err
}

// foreign says what a first frame of an impossible length really is.
func foreign(head []byte) string {
	switch {
	case len(head) >= 2 && head[0] == 22 && head[1] == 3:
		return ": the client speaks TLS, this listener does not"
	case len(head) >= 4 && (string(head[:4]) == "GET " || string(head[:4]) == "POST" || string(head[:4]) == "HEAD"):
		return ": the client speaks HTTP"
	}
	return ""
}
