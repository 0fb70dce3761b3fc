package wire

import (
	"io"
	"net"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Throttling follows KIP-219: a response that tells its client to be silent for a
// while is sent at once, and the connection is not read meanwhile, whether the client
// keeps to it or not. Requests that have been read already are still answered.

// Quota counts what requests cost.
type Quota interface {
	// TimesRequests reports whether anyone has a limit for the time of requests;
	// it is asked for each request, so that time is measured only if someone has.
	TimesRequests() bool
	// RequestTime counts the time that the requests of r's connection have taken
	// since it was asked last, and returns for how long the client has to be silent.
	RequestTime(r *Request, spent time.Duration) time.Duration
	// ConnectionDelay counts a new connection from an address, unless there are too
	// many: then it returns how long the client has to wait.
	ConnectionDelay(host string) time.Duration
}

// Throttle makes the response tell the client to be silent for d, and the
// connection be deaf for as long. The longest of several counts.
func (r *Request) Throttle(d time.Duration) {
	if d <= 0 {
		return
	}
	r.throttle = max(r.throttle, d)
	until := time.Since(r.Conn.server.started) + d
	for {
		now := r.Conn.mutedUntil.Load()
		if now >= int64(until) || r.Conn.mutedUntil.CompareAndSwap(now, int64(until)) {
			break
		}
	}
	r.Conn.server.metrics.throttled.Add(d.Seconds())
}

// ThrottleMillis is what the response tells.
func (r *Request) ThrottleMillis() int32 {
	return int32((r.throttle + time.Millisecond - 1) / time.Millisecond)
}

// Size is the number of bytes of the request on the wire.
func (r *Request) Size() int { return r.size }

// Spend counts time that the node has spent on the connection's requests outside of
// [API.Serve].
func (c *Conn) Spend(d time.Duration) { c.spent.Add(int64(d)) }

// TimesRequests reports whether time is to be counted with [Conn.Spend].
func (c *Conn) TimesRequests() bool {
	return c.server.cfg.Quota != nil && c.server.cfg.Quota.TimesRequests()
}

// serve gives a request to its handler. The request may be answered and used
// again when it returns.
func (c *Conn) serve(r *Request) {
	a, start := r.api, r.Received
	a.Serve(r)
	served := time.Now()
	// Only this goroutine makes a new request of an answered one, so the next one does
	// not get this.
	r.served.Store(int64(served.Sub(c.server.started)))
	took := served.Sub(start)
	a.times().local.Observe(took.Seconds())
	if c.TimesRequests() {
		c.Spend(took)
	}
}

// throttleTime throttles the client for the time that its requests have taken.
func (c *Conn) throttleTime(r *Request) {
	if c.TimesRequests() {
		r.Throttle(c.server.cfg.Quota.RequestTime(r, time.Duration(c.spent.Swap(0))))
	}
}

// awaitUnmuted waits until the client may be heard again.
func (c *Conn) awaitUnmuted() error {
	for {
		left := time.Duration(c.mutedUntil.Load()) - time.Since(c.server.started)
		if left <= 0 {
			return nil
		}
		timer := time.NewTimer(left)
		select {
		case <-timer.C:
		case <-c.closed:
			timer.Stop()
			return net.ErrClosed
		case <-c.server.draining:
			timer.Stop()
			return io.EOF
		}
	}
}

// tellThrottle puts the time to be silent into a response that has a place for it.
func tellThrottle(r *Request, resp kmsg.Response) {
	if r.throttle <= 0 {
		return
	}
	if to, ok := resp.(kmsg.SetThrottleResponse); ok {
		to.SetThrottle(r.ThrottleMillis())
	}
}
