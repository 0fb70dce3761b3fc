package wire

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/internal/buffers"
)

const apiKeyApiVersions = 18

// Request is one request of a connection, from its frame to its answer.
//
// Exactly one of Reply, ReplyFunc, ReplyRender, ReplyToken, NoReply, Refuse and Fail must be
// called, once, from any goroutine. After that the Request must not be touched.
type Request struct {
	// Conn is the connection that the request came by.
	Conn *Conn
	// Key and Version are those of the request header.
	Key, Version int16
	// CorrelationID is echoed in the response.
	CorrelationID int32
	// ClientID is the client's name for itself; empty when it is null.
	ClientID string
	// Body is the request after its header. It belongs to the frame's buffer
	// and is valid until ReleaseBody or the answer.
	Body []byte
	// Received is when the frame was complete.
	Received time.Time

	api       *api
	principal string
	raw       bool // a token without header
	frame     *buffers.Buffer
	reserved  int64 // bytes of the budget that frame and decoding hold
	costMax   int64
	size      int
	throttle  time.Duration
	answer    answer
	done      chan struct{} // one signal when answer is set; capacity 1
	state     atomic.Int32
	// For the times of its phases: when it was answered, when its handler returned (since
	// the server's start, 0 while it runs), and what the response waited for.
	answeredAt time.Time
	served     atomic.Int64
	waited     time.Duration
}

// States of a request: whoever comes second, the one who answers or the writer
// who gives up, releases it.
const (
	stateOpen = iota
	stateAnswered
	stateAbandoned
)

// answer is what the writer does for a request.
type answer struct {
	response kmsg.Response
	build    func() kmsg.Response
	render   func(*ResponseWriter) error
	none     bool
	err      error // closes the connection
	refusal  error // closes the connection after the response, which comes late
}

// Decode checks the body against the API's schema and decodes it with kmsg.
// Byte slices in the result belong to the frame; strings are copies.
func (r *Request) Decode() (kmsg.Request, error) {
	if _, err := r.api.schema.check(r.Body, r.Version, r.Flexible(), r.costMax); err != nil {
		return nil, err
	}
	req := kmsg.RequestForKey(r.Key)
	req.SetVersion(r.Version)
	if err := req.ReadFrom(r.Body); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return req, nil
}

// Check walks the body of a request that the handler decodes by itself.
func (r *Request) Check() error {
	_, err := r.api.schema.check(r.Body, r.Version, r.Flexible(), r.costMax)
	return err
}

// Flexible reports whether the request's version has tagged fields (KIP-482).
func (r *Request) Flexible() bool { return r.api.flexible(r.Version) }

// AnonymousPrincipal is who a client is that has not said so.
const AnonymousPrincipal = "User:ANONYMOUS"

// Principal returns who sent the request, in Kafka's form "User:name":
// [AnonymousPrincipal] unless the listener authenticates its clients.
func (r *Request) Principal() string { return r.principal }

// Listener returns the name of the listener that the client came by.
func (r *Request) Listener() string { return r.Conn.Listener() }

// ClientHost returns the client's address without the port.
func (r *Request) ClientHost() string { return r.Conn.RemoteHost() }

// ReleaseBody gives the frame's buffer and its part of the budget back before
// the request is answered. Body, and slices of it, must not be used afterwards.
func (r *Request) ReleaseBody() {
	if r.frame != nil {
		r.frame.Release()
		r.frame, r.Body = nil, nil
	}
	if r.reserved > 0 {
		r.Conn.server.budget.Release(r.reserved)
		r.reserved = 0
	}
}

// Reply answers with resp, whose version is set to the request's.
func (r *Request) Reply(resp kmsg.Response) { r.finish(answer{response: resp}) }

// ReplyFunc answers with what build returns; it is called by the connection's
// writer, when all earlier requests are answered and few other responses are
// being made. For responses that may be large.
func (r *Request) ReplyFunc(build func() kmsg.Response) { r.finish(answer{build: build}) }

// ReplyRender lets render write the response, on the connection's writer, when
// all earlier requests are answered. It may wait there, for no longer than
// [Conn.Closed] and [Conn.Draining] stay open.
func (r *Request) ReplyRender(render func(*ResponseWriter) error) { r.finish(answer{render: render}) }

// NoReply ends a request that has no response (acks=0).
func (r *Request) NoReply() { r.finish(answer{none: true}) }

// Fail closes the connection because of err, after earlier requests are answered.
func (r *Request) Fail(err error) { r.finish(answer{err: err}) }

func (r *Request) finish(a answer) {
	r.answer, r.answeredAt = a, time.Now()
	switch {
	case r.state.CompareAndSwap(stateOpen, stateAnswered):
		r.done <- struct{}{}
	case r.state.CompareAndSwap(stateAbandoned, stateAnswered):
		r.ReleaseBody()
	default:
		panic("wire: request answered twice")
	}
}

// abandon leaves a request that nobody waits for any more to whoever still has
// to answer it.
func (r *Request) abandon() {
	if !r.state.CompareAndSwap(stateOpen, stateAbandoned) {
		r.ReleaseBody()
	}
}

// reset makes a request ready for the next frame.
func (r *Request) reset() {
	r.Key, r.Version, r.CorrelationID, r.ClientID, r.Body = 0, 0, 0, "", nil
	r.api, r.principal, r.raw, r.frame, r.reserved, r.costMax, r.answer = nil, "", false, nil, 0, 0, answer{}
	r.size, r.throttle, r.waited = 0, 0, 0
	r.state.Store(stateOpen)
}

// header is what every request begins with.
type header struct {
	key, version int16
	correlation  int32
	clientID     []byte
	rest         []byte
}

// parseHeader reads key, version, correlation id and client id. What follows in
// a flexible version, the header's tagged fields, is left in rest.
func parseHeader(b []byte) (header, error) {
	if len(b) < headerBytesMin {
		return header{}, fmt.Errorf("%w: a header of %d bytes", ErrMalformed, len(b))
	}
	h := header{
		key:         int16(binary.BigEndian.Uint16(b)),
		version:     int16(binary.BigEndian.Uint16(b[2:])),
		correlation: int32(binary.BigEndian.Uint32(b[4:])),
	}
	n := int(int16(binary.BigEndian.Uint16(b[8:])))
	b = b[10:]
	switch {
	case n == -1:
	case n < 0 || n > len(b):
		return header{}, fmt.Errorf("%w: a client id that goes beyond its end", ErrMalformed)
	default:
		h.clientID, b = b[:n], b[n:]
	}
	h.rest = b
	return h, nil
}

// skipHeaderTags returns what follows the tagged fields of a flexible header.
func skipHeaderTags(b []byte) ([]byte, error) {
	c := checker{src: b, flexible: true, costMax: decodeFloorBytes}
	c.tags()
	return c.src, c.err
}

// DetachBody moves Body out of the frame's buffer into memory of its own, for
// requests of which parts are kept for longer than the answer. Its reservation
// stays until the answer.
func (r *Request) DetachBody() {
	if r.frame == nil {
		return
	}
	body := bytes.Clone(r.Body)
	r.frame.Release()
	r.frame, r.Body = nil, body
}
