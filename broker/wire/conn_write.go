package wire

import (
	"errors"
	"fmt"
	"net"
	"os"
	"time"
)

// writeLoop answers the connection's requests in their order. Responses that
// are ready one after the other leave with one write.
func (c *Conn) writeLoop() {
	w := &ResponseWriter{conn: c}
	err := c.writeResponses(w)
	if errors.Is(err, net.ErrClosed) {
		err = nil
	}
	c.close(err)
	w.reset()
	c.abandonQueue()
}

func (c *Conn) writeResponses(w *ResponseWriter) error {
	for {
		r, err := c.nextRequest(w)
		if r == nil || err != nil {
			return err
		}
		if err := c.awaitAnswer(w, r); err != nil {
			return err
		}
		turn := time.Now()
		err = c.writeResponse(w, r)
		c.answered(r, turn)
		if err != nil {
			return err
		}
		if w.bytes >= writeBatchBytes {
			if err := w.flush(); err != nil {
				return err
			}
		}
	}
}

// nextRequest returns the oldest unanswered request, and writes what is gathered
// before it waits for one. It returns nil when there will be no more.
func (c *Conn) nextRequest(w *ResponseWriter) (*Request, error) {
	select {
	case r := <-c.queue:
		if r != nil {
			return r, nil
		}
	default:
	}
	if err := w.flush(); err != nil {
		return nil, err
	}
	return <-c.queue, nil
}

// awaitAnswer waits until r is answered.
func (c *Conn) awaitAnswer(w *ResponseWriter, r *Request) error {
	select {
	case <-r.done:
		return nil
	default:
	}
	if err := w.flush(); err != nil {
		r.api.pending.Dec()
		r.abandon()
		return err
	}
	select {
	case <-r.done:
		return nil
	case <-c.closed:
	case <-c.server.cut:
	}
	r.api.pending.Dec()
	r.abandon()
	return net.ErrClosed
}

func (c *Conn) writeResponse(w *ResponseWriter, r *Request) error {
	a := &r.answer
	switch {
	case a.err != nil:
		if err := w.flush(); err != nil {
			return err
		}
		return a.err
	case a.refusal != nil:
		return c.refuse(w, r)
	case a.none:
	case a.render != nil:
		c.throttleTime(r)
		r.ReleaseBody()
		w.begin(r)
		if err := a.render(w); err != nil {
			return err
		}
		w.end()
	default:
		return c.encodeResponse(w, r)
	}
	return nil
}

// encodeResponse encodes a kmsg response and reserves its bytes. Only a few
// responses are encoded and unreserved at any time.
func (c *Conn) encodeResponse(w *ResponseWriter, r *Request) error {
	select {
	case c.server.encoders <- struct{}{}:
	case <-c.closed:
		return net.ErrClosed
	}
	defer func() { <-c.server.encoders }()
	resp := r.answer.response
	if r.answer.build != nil {
		start := time.Now()
		resp = r.answer.build()
		c.Spend(time.Since(start))
	}
	c.throttleTime(r)
	tellThrottle(r, resp)
	r.countErrors(resp)
	r.ReleaseBody()
	before := w.bytes
	w.appendResponse(r, resp)
	size := int64(w.bytes - before)
	if w.TryReserve(size) {
		return nil
	}
	// Write what is encoded now, so that nothing is held while waiting: this
	// response is one of encodersMax that are not accounted for.
	return w.flush()
}

// answered counts a request and makes room for the next one.
func (c *Conn) answered(r *Request, turn time.Time) {
	r.api.requests.Inc()
	r.api.pending.Dec()
	r.api.times().observe(r, turn, time.Now())
	c.dropRequest(r)
	c.pending.Add(-1)
	<-c.tokens
}

// abandonQueue waits until the reader has ended and lets go of what is unanswered.
func (c *Conn) abandonQueue() {
	for r := range c.queue {
		r.api.pending.Dec()
		r.abandon()
		<-c.tokens
	}
}

// startWrite gives responses that are bytes long together the time that they may take.
func (c *Conn) startWrite(bytes int) error {
	c.server.metrics.bytesOut.Add(float64(bytes))
	return c.nc.SetWriteDeadline(time.Now().Add(transferTime(bytes, responseRateBytesMin)))
}

func (c *Conn) writeBuffers(out net.Buffers) error {
	if c.transport == nil {
		c.out = out
		_, err := c.out.WriteTo(c.nc)
		return err
	}
	return c.transport.gather(c.nc, out)
}

// writeError maps a failed write: a client that went away is not worth a log line.
func writeError(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("%w: response not taken", ErrSlow)
	}
	if errors.Is(err, ErrSlow) || errors.Is(err, errFile) {
		return err
	}
	return net.ErrClosed
}
