package wire

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/millrace/millrace/broker/sasl"
)

// Reasons why a node closes a connection, besides ErrMalformed.
var (
	// ErrFrameTooLarge is a frame beyond RequestMax, or with a negative length.
	ErrFrameTooLarge = errors.New("request frame too large")
	// ErrUnsupported is an API or version that the node does not have.
	ErrUnsupported = errors.New("API or version not supported")
	// ErrIdle is a connection without requests for the idle timeout.
	ErrIdle = errors.New("no request within the idle timeout")
	// ErrSlow is a client that stopped in the middle of a request or response.
	ErrSlow = errors.New("client too slow")
)

// Conn is one client connection.
type Conn struct {
	server    *Server
	listener  *listener
	nc        net.Conn
	br        *bufio.Reader
	transport *transport // below TLS; nil on a plaintext connection
	host      string     // the client's address without the port

	// Only the reader uses these.
	principal string        // who the client is
	session   *sasl.Session // nil where clients need not authenticate
	authBy    time.Time     // when TLS and authentication must be done
	ended     bool          // nothing more is to be read

	tokens  chan struct{} // one per unanswered request
	queue   chan *Request // unanswered requests in order; as long as tokens
	free    chan *Request // for reuse
	wake    chan struct{} // see Wake
	pending atomic.Int32  // unanswered requests

	// out is what the writer is writing, which WriteTo consumes: here, so that it is
	// not allocated for each write.
	out net.Buffers

	mutedUntil atomic.Int64 // since the server's start: see Request.Throttle
	spent      atomic.Int64 // time spent on requests that is not counted yet

	closed    chan struct{}
	closeOnce sync.Once

	clientID       atomic.Pointer[string]
	clientSoftware atomic.Pointer[string]
}

func newConn(s *Server, l *listener, nc net.Conn) *Conn {
	c := &Conn{
		server: s, listener: l, nc: nc, host: hostOf(nc.RemoteAddr()), principal: AnonymousPrincipal,
		tokens: make(chan struct{}, inFlightMax),
		queue:  make(chan *Request, inFlightMax),
		free:   make(chan *Request, 4),
		wake:   make(chan struct{}, 1),
		closed: make(chan struct{}),
	}
	if l.TLS != nil {
		c.nc, c.transport = s.secure(l, nc)
	}
	if l.SASL != nil {
		c.session = l.SASL.NewSession()
	}
	if l.TLS != nil || l.SASL != nil {
		c.authBy = time.Now().Add(s.cfg.HandshakeTimeout)
	}
	c.br = bufio.NewReaderSize(c.nc, readBufferBytes)
	return c
}

// RemoteAddr returns the client's address.
func (c *Conn) RemoteAddr() string { return c.nc.RemoteAddr().String() }

// RemoteHost returns the client's address without the port.
func (c *Conn) RemoteHost() string { return c.host }

func hostOf(addr net.Addr) string {
	host, _, err := net.SplitHostPort(addr.String())
	if err != nil {
		return addr.String()
	}
	return host
}

// Listener returns the name of the listener that the client came by.
func (c *Conn) Listener() string { return c.listener.Name }

// LocalAddr returns the node's end of the connection.
func (c *Conn) LocalAddr() net.Addr { return c.nc.LocalAddr() }

// Closed is closed when the connection is.
func (c *Conn) Closed() <-chan struct{} { return c.closed }

// Draining is closed when the node stops: whoever waits to render a response
// answers with what there is.
func (c *Conn) Draining() <-chan struct{} { return c.server.draining }

// Wake is a channel of capacity 1 for whoever renders a response on this
// connection and has to wait for an event: nobody else uses it meanwhile. It may
// hold a signal from an earlier response.
func (c *Conn) Wake() chan struct{} { return c.wake }

// ClientID returns the client id of the latest request.
func (c *Conn) ClientID() string {
	if p := c.clientID.Load(); p != nil {
		return *p
	}
	return ""
}

// SetClientSoftware keeps what the client says about itself (KIP-511).
func (c *Conn) SetClientSoftware(name, version string) {
	s := name + " " + version
	c.clientSoftware.Store(&s)
}

// close ends the connection; err is logged unless it is nil.
func (c *Conn) close(err error) {
	c.closeOnce.Do(func() {
		close(c.closed)
		if err != nil {
			c.server.metrics.closed.WithLabelValues(closeReason(err)).Inc()
			if !errors.Is(err, ErrIdle) { // what clients are used to
				c.server.log.connectionClosed(c.RemoteHost(), c, err)
			}
		}
		if err := c.shut(); err != nil && !errors.Is(err, net.ErrClosed) {
			c.server.cfg.Logger.Debug("close connection failed", "error", err)
		}
	})
}

// shut closes the socket, after the alert that ends TLS unless the node waits for
// nobody any more.
func (c *Conn) shut() error {
	if c.transport == nil {
		return c.nc.Close()
	}
	select {
	case <-c.server.cut:
		return c.transport.Close()
	default:
	}
	c.transport.beginClose()
	return c.nc.Close()
}

func closeReason(err error) string {
	for _, r := range []struct {
		err  error
		name string
	}{
		{ErrFrameTooLarge, "too_large"},
		{ErrMalformed, "malformed"},
		{ErrUnsupported, "unsupported"},
		{ErrIdle, "idle"},
		{ErrSlow, "slow"},
		{ErrHandshake, "handshake"},
		{sasl.ErrExpired, "session_expired"},
		{sasl.ErrState, "unauthenticated"},
		{sasl.ErrMechanism, "authentication"},
	} {
		if errors.Is(err, r.err) {
			return r.name
		}
	}
	if _, ok := errors.AsType[*sasl.Failure](err); ok {
		return "authentication"
	}
	return "other"
}

// readLoop takes requests from the socket until the connection or the node ends.
func (c *Conn) readLoop() {
	defer close(c.queue)
	if err := c.handshake(); err != nil {
		c.endReading(err)
		return
	}
	for !c.ended {
		select {
		case c.tokens <- struct{}{}:
		case <-c.closed:
			return
		}
		r, err := c.readRequest()
		if err != nil {
			c.endReading(err)
			return
		}
		c.pending.Add(1)
		r.api.pending.Inc()
		c.queue <- r // has room: it is as long as tokens
		c.serve(r)
	}
}

// endReading closes the connection because of err: a client that has ended its side awaits no answers, and what
// waits for it, such as a long poll, ends at once. Only while the node is stopping is what is unanswered answered first.
func (c *Conn) endReading(err error) {
	switch {
	case c.server.isDraining():
	case errors.Is(err, io.EOF):
		c.close(nil)
	case isClosed(err) && !errors.Is(err, ErrHandshake):
		c.close(nil)
	default:
		c.close(err)
	}
}

// isClosed reports whether a connection is gone. Alerts of TLS are errors of the
// network package too, but say more.
func isClosed(err error) bool {
	var op *net.OpError
	return errors.Is(err, net.ErrClosed) || errors.As(err, &op) && !op.Timeout() && (op.Op == "read" || op.Op == "write")
}

// readRequest reads one frame. io.EOF means that there is none.
func (c *Conn) readRequest() (*Request, error) {
	size, err := c.awaitFrame()
	if err != nil {
		return nil, err
	}
	if err := c.awaitUnmuted(); err != nil {
		return nil, err
	}
	choose, parse := c.frameAPI, c.parseFrame
	if c.session != nil && c.session.AwaitsRawToken() {
		choose, parse = c.tokenAPI, c.parseToken
	}
	a, err := choose(size)
	if err != nil {
		return nil, err
	}
	r := c.takeRequest()
	r.api = a
	if err := c.readFrame(r, size); err != nil {
		c.dropRequest(r)
		return nil, err
	}
	if err := parse(r); err != nil {
		c.dropRequest(r)
		return nil, err
	}
	return r, nil
}

// awaitFrame waits for the next frame's length, as long as the idle timeout and
// while requests are unanswered. A client that has to authenticate does not get longer
// for it.
func (c *Conn) awaitFrame() (int, error) {
	for {
		if err := c.nc.SetReadDeadline(c.waitUntil(time.Now())); err != nil {
			return 0, err
		}
		if c.server.isDraining() { // after the deadline is set: drain sets it to now
			return 0, io.EOF
		}
		head, err := c.br.Peek(4)
		switch {
		case err == nil:
			return int(int32(binary.BigEndian.Uint32(head))), nil
		case errors.Is(err, os.ErrDeadlineExceeded) && !c.server.isDraining():
			if c.unknown() && !time.Now().Before(c.authBy) {
				return 0, fmt.Errorf("%w: not authenticated in time", ErrSlow)
			}
			if c.pending.Load() > 0 {
				continue
			}
			return 0, ErrIdle
		case errors.Is(err, io.EOF) && len(head) > 0:
			return 0, transferError(err)
		default:
			return 0, err
		}
	}
}

// frameAPI looks at the first bytes of a frame, checks its length and returns the
// API that it is for. A version beyond ours is only let through for ApiVersions,
// whose handler answers it with the versions that there are (KIP-511).
func (c *Conn) frameAPI(size int) (*api, error) {
	if size < headerBytesMin || int64(size) > c.server.cfg.RequestMax {
		head, _ := c.br.Peek(4) // awaitFrame has seen them
		return nil, fmt.Errorf("%w: %d bytes%s", ErrFrameTooLarge, size, foreign(head))
	}
	if err := c.nc.SetReadDeadline(time.Now().Add(transferTime(size, frameRateBytesMin))); err != nil {
		return nil, err
	}
	head, err := c.br.Peek(8)
	if err != nil {
		return nil, transferError(err)
	}
	key, version := int16(binary.BigEndian.Uint16(head[4:])), int16(binary.BigEndian.Uint16(head[6:]))
	a := c.server.apis[key]
	if a == nil || version < a.Min || version > a.Max && key != apiKeyApiVersions {
		return nil, fmt.Errorf("%w: API key %d version %d", ErrUnsupported, key, version)
	}
	if !a.Large && int64(size) > c.server.smallMax {
		return nil, fmt.Errorf("%w: %s of %d bytes", ErrFrameTooLarge, a.name, size)
	}
	return a, c.admit(a, size)
}

// readFrame reserves memory and reads the frame's body.
func (c *Conn) readFrame(r *Request, size int) error {
	reserve := int64(size)
	if !r.api.Large {
		r.costMax = max(int64(size)*decodeFactor, decodeFloorBytes)
		reserve += r.costMax
	} else {
		r.costMax = int64(size) * decodeFactor // by hand, in reused structures
	}
	if !c.server.budget.Reserve(reserve, c.closed) {
		return net.ErrClosed
	}
	r.reserved = c.server.budget.Cap(reserve)
	r.frame = c.server.buffers.Get(size)
	frame := r.frame.B[:size]
	if _, err := c.br.Discard(4); err != nil {
		return err
	}
	// The wait for memory does not count as the client's.
	if err := c.nc.SetReadDeadline(time.Now().Add(transferTime(size, frameRateBytesMin))); err != nil {
		return err
	}
	if _, err := io.ReadFull(c.br, frame); err != nil {
		return transferError(err)
	}
	r.Received, r.size = time.Now(), size+4
	c.server.metrics.bytesIn.Add(float64(size + 4))
	return nil
}

func transferTime(bytes int, rateMin int) time.Duration {
	return transferGrace + time.Duration(bytes/rateMin)*time.Second
}

// transferError says whether a client went away or stopped in the middle.
func transferError(err error) error {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("%w: request not complete", ErrSlow)
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return fmt.Errorf("%w: the connection ended in the middle of a frame", ErrMalformed)
	}
	return err
}

func (c *Conn) parseFrame(r *Request) error {
	h, err := parseHeader(r.frame.B[:r.size-4])
	if err != nil {
		return err
	}
	r.Key, r.Version, r.CorrelationID = h.key, h.version, h.correlation
	r.ClientID = c.internClientID(h.clientID)
	r.principal = c.principal
	r.Body = h.rest
	if r.Version <= r.api.Max && r.Flexible() {
		r.Body, err = skipHeaderTags(h.rest)
	}
	return err
}

// internClientID avoids a copy per request of a name that does not change.
func (c *Conn) internClientID(id []byte) string {
	id = id[:min(len(id), clientIDBytesMax)]
	if p := c.clientID.Load(); p != nil && *p == string(id) {
		return *p
	}
	s := string(id)
	c.clientID.Store(&s)
	return s
}

func (c *Conn) takeRequest() *Request {
	select {
	case r := <-c.free:
		r.served.Store(0)
		return r
	default:
		return &Request{Conn: c, done: make(chan struct{}, 1)}
	}
}

// dropRequest releases what r holds and keeps it for reuse.
func (c *Conn) dropRequest(r *Request) {
	r.ReleaseBody()
	r.reset()
	select {
	case c.free <- r:
	default:
	}
}
