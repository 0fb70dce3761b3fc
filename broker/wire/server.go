package wire

import (
	"fmt"
	"log/slog"
	"net"
	"runtime"
	"sync"
	"time"

	"github.com/millrace/millrace/internal/buffers"
)

// Config of a Server.
type Config struct {
	// Listeners accept the connections; there is at least one.
	Listeners []Listener
	// APIs that are answered.
	APIs []API
	// RequestMax is the largest frame; Budget bounds what is in work.
	RequestMax int64
	Budget     *Budget
	// Buffers lends the memory of requests; nil is a pool of the server's own.
	// Whoever shares it calls its Trim.
	Buffers *buffers.Pool
	// ConnectionsMax is the number of open connections; more are closed at once.
	ConnectionsMax int
	// ConnectionsPerHost is the number of open connections from one address, 0 for
	// any; ConnectionsPerHostOf has the addresses with another limit.
	ConnectionsPerHost   int
	ConnectionsPerHostOf map[string]int
	// HandshakeTimeout is how long TLS and authentication of a new connection may
	// take together.
	HandshakeTimeout time.Duration
	// IdleTimeout closes a connection without requests.
	IdleTimeout time.Duration
	// Quota throttles clients; nil throttles none.
	Quota   Quota
	Logger  *slog.Logger
	Metrics *Metrics
}

// Server accepts connections and serves them. Run may be called once.
type Server struct {
	cfg       Config
	listeners []*listener
	apis      map[int16]*api
	budget    *Budget
	buffers   *buffers.Pool
	metrics   *Metrics
	log       *ThrottledLog
	smallMax  int64 // largest frame of an API that is not Large
	encoders  chan struct{}
	places    chan struct{} // for computing on behalf of clients who are not known yet
	// tlsBuffers are for the encrypted records of one write.
	tlsBuffers sync.Pool

	started time.Time // what mutedUntil counts from

	draining chan struct{} // closed when the node stops
	cut      chan struct{} // closed when it no longer waits for answers

	mu    sync.Mutex
	conns map[*Conn]struct{}

	admission admission
	wg        sync.WaitGroup
}

// NewServer checks the table of APIs.
func NewServer(cfg Config) (*Server, error) {
	s := &Server{
		cfg: cfg, budget: cfg.Budget, buffers: cfg.Buffers, metrics: cfg.Metrics, log: NewThrottledLog(cfg.Logger),
		apis: make(map[int16]*api), conns: make(map[*Conn]struct{}), admission: newAdmission(),
		encoders: make(chan struct{}, encodersMax), places: make(chan struct{}, runtime.GOMAXPROCS(0)),
		started: time.Now(), draining: make(chan struct{}), cut: make(chan struct{}),
		tlsBuffers: sync.Pool{New: func() any { return new(make([]byte, 0, tlsWriteBytes)) }},
		smallMax:   max(cfg.Budget.Max()/(decodeFactor+1), decodeFloorBytes),
	}
	if s.buffers == nil {
		s.buffers = buffers.New(cfg.Budget.Max() / 4)
	}
	if cfg.RequestMax > cfg.Budget.Max() {
		return nil, fmt.Errorf("request_max (%d bytes) must not be larger than request_memory (%d bytes)", cfg.RequestMax, cfg.Budget.Max())
	}
	for _, l := range cfg.Listeners {
		s.listeners = append(s.listeners, newListener(l, cfg.Metrics))
	}
	for _, a := range cfg.APIs {
		if s.apis[a.Key] != nil {
			return nil, fmt.Errorf("API key %d is given twice", a.Key)
		}
		known, err := newAPI(a, cfg.Metrics)
		if err != nil {
			return nil, err
		}
		s.apis[a.Key] = known
	}
	return s, nil
}

func (s *Server) serveConn(l *listener, nc net.Conn) {
	c := newConn(s, l, nc)
	s.mu.Lock()
	if s.hold(c) {
		s.mu.Unlock()
		return
	}
	err := s.admit(c)
	s.mu.Unlock()
	if err != nil {
		s.metrics.refused.Inc()
		c.close(err)
		return
	}
	l.connections.Inc()
	s.wg.Add(2)
	go func() {
		defer s.wg.Done()
		c.readLoop()
	}()
	go func() {
		defer s.wg.Done()
		c.writeLoop()
		s.leave(c)
		l.connections.Dec()
	}()
}

func (s *Server) isDraining() bool {
	select {
	case <-s.draining:
		return true
	default:
		return false
	}
}

// drain stops accepting and wakes readers and long polls.
func (s *Server) drain() {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.draining:
		return
	default:
	}
	close(s.draining)
	s.closeListeners()
	s.letGo()
	for c := range s.conns {
		c.stopReading()
	}
}

// stopReading wakes a reader that waits for a frame.
func (c *Conn) stopReading() {
	if err := c.nc.SetReadDeadline(time.Unix(1, 0)); err != nil {
		c.close(nil)
	}
}

// awaitConns waits for the connections to end by themselves, then closes them.
func (s *Server) awaitConns() {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.wg.Wait()
	}()
	timer := time.NewTimer(drainTimeout)
	defer timer.Stop()
	select {
	case <-ended:
		return
	case <-timer.C:
	}
	close(s.cut)
	s.mu.Lock()
	for c := range s.conns {
		c.close(nil)
	}
	s.mu.Unlock()
	<-ended
}
