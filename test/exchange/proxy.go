package exchange

import (
	"errors"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
)

// Proxy stands between clients and a broker, hands on every byte and keeps it.
// Its methods may be called from any goroutine.
type Proxy struct {
	target   string
	listener net.Listener
	open     sync.WaitGroup

	mu            sync.Mutex
	closed        bool
	conns         []net.Conn
	conversations []*Conversation
}

// Conversation is what one connection carried, in the order of its bytes.
type Conversation struct {
	// Requests are the bytes of the client.
	Requests []byte
	// Responses are the bytes of the broker.
	Responses []byte
	// Closed says that the broker was the first to close the connection.
	Closed bool

	clientDone bool
}

// NewProxy starts a proxy on a free loopback port, for as long as the test runs.
func NewProxy(t testing.TB, target string) *Proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("start a proxy: %v", err)
	}
	p := &Proxy{target: target, listener: l}
	p.open.Go(p.accept)
	t.Cleanup(p.stop)
	return p
}

// Addr is where clients connect to.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Latest returns what the newest connection has carried up to now.
func (p *Proxy) Latest() Conversation {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.conversations) == 0 {
		return Conversation{}
	}
	return p.conversations[len(p.conversations)-1].clone()
}

func (c *Conversation) clone() Conversation {
	return Conversation{Requests: slices.Clone(c.Requests), Responses: slices.Clone(c.Responses), Closed: c.Closed}
}

// Forget drops the conversations of connections that are no longer of interest.
func (p *Proxy) Forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conversations = nil
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return // closed by stop
		}
		broker, err := net.Dial("tcp", p.target)
		if err != nil {
			_ = client.Close() // the client sees that there is no broker
			continue
		}
		if !p.keep(client, broker) {
			return
		}
		c := &Conversation{}
		p.mu.Lock()
		p.conversations = append(p.conversations, c)
		p.mu.Unlock()
		p.open.Go(func() { p.relay(c, client, broker) })
	}
}

// keep notes connections that stop closes; it is false when stop was there before.
func (p *Proxy) keep(conns ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		closeAll(conns)
		return false
	}
	p.conns = append(p.conns, conns...)
	return true
}

// relay hands bytes on in both directions until either side is done.
func (p *Proxy) relay(c *Conversation, client, broker net.Conn) {
	var both sync.WaitGroup
	both.Go(func() {
		p.pump(broker, client, &c.Requests)
		p.mu.Lock()
		c.clientDone = true
		p.mu.Unlock()
		_ = broker.(*net.TCPConn).CloseWrite() // fails when the broker has closed it, which the other direction sees
	})
	both.Go(func() {
		p.pump(client, broker, &c.Responses)
		p.mu.Lock()
		c.Closed = !c.clientDone
		p.mu.Unlock()
		closeAll([]net.Conn{client, broker})
	})
	both.Wait()
}

// pump keeps bytes before it hands them on: what a client has seen is in the record.
func (p *Proxy) pump(to io.Writer, from io.Reader, record *[]byte) {
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		p.mu.Lock()
		*record = append(*record, buf[:n]...)
		p.mu.Unlock()
		if _, werr := to.Write(buf[:n]); errors.Join(err, werr) != nil {
			return
		}
	}
}

func (p *Proxy) stop() {
	_ = p.listener.Close() // nothing is lost with it
	p.mu.Lock()
	p.closed = true
	closeAll(p.conns)
	p.mu.Unlock()
	p.open.Wait()
}

func closeAll(conns []net.Conn) {
	for _, c := range conns {
		_ = c.Close() // what is still under way belongs to nobody
	}
}
