package wire

import (
	"fmt"
	"net"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/sasl"
)

const apiKeySaslAuthenticate = 36

// Session returns the connection's SASL authentication, nil where the listener
// has none. Only handlers that answer at once may use it, on the reader.
func (c *Conn) Session() *sasl.Session { return c.session }

// Authenticated takes the session's principal for the requests that follow. The
// handler of the last token calls it before it returns.
func (c *Conn) Authenticated() { c.principal = c.session.Principal() }

// Compute runs fn, which takes much processor time for a client who is not known
// yet. Only as many run at the same time as there are processors.
func (c *Conn) Compute(fn func()) {
	c.server.places <- struct{}{}
	defer func() { <-c.server.places }()
	fn()
}

// Refuse answers with resp, after a delay that makes guessing slow
// (connection.failed.authentication.delay.ms), and closes the connection because
// of err. Nothing more is read. The handler calls it before it returns.
func (r *Request) Refuse(mechanism string, resp kmsg.Response, err error) {
	r.Conn.ended = true
	r.Conn.authenticationFailed(mechanism)
	a := answer{response: resp, refusal: err}
	if r.raw {
		a.response = nil // there is no way to say it
	}
	r.finish(a)
}

// Raw reports whether the request is a token without a header, as it follows
// SaslHandshake v0. Body is the token, and ReplyToken answers it.
func (r *Request) Raw() bool { return r.raw }

// ReplyToken answers a raw token.
func (r *Request) ReplyToken(token []byte) {
	r.ReplyRender(func(w *ResponseWriter) error {
		w.Append(func(b []byte) []byte { return append(b, token...) })
		return nil
	})
}

func (c *Conn) authenticationFailed(mechanism string) {
	c.server.metrics.authFailures.WithLabelValues(c.listener.Name, mechanism).Inc()
}

// refuse writes the answer to a failed authentication after its delay.
func (c *Conn) refuse(w *ResponseWriter, r *Request) error {
	if err := w.flush(); err != nil {
		return err
	}
	timer := time.NewTimer(refusalDelay)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-c.closed:
		return net.ErrClosed
	case <-c.server.draining:
	}
	if r.answer.response != nil {
		if err := c.encodeResponse(w, r); err != nil {
			return err
		}
		if err := w.flush(); err != nil {
			return err
		}
	}
	return r.answer.refusal
}

// admit reports whether a client may send a request now that it has begun.
func (c *Conn) admit(a *api, size int) error {
	if c.session == nil {
		return nil
	}
	if !c.session.Authenticated() && size > sasl.TokenBytesMax {
		return fmt.Errorf("%w: %s of %d bytes before authentication", ErrFrameTooLarge, a.name, size)
	}
	return c.session.Admit(a.Key, time.Now())
}

// tokenAPI checks the length of a raw token, which is for the handler of SaslAuthenticate.
func (c *Conn) tokenAPI(size int) (*api, error) {
	if size < 0 || size > sasl.TokenBytesMax {
		return nil, fmt.Errorf("%w: a token of %d bytes", ErrFrameTooLarge, size)
	}
	a := c.server.apis[apiKeySaslAuthenticate]
	if a == nil {
		return nil, fmt.Errorf("%w: API key %d", ErrUnsupported, apiKeySaslAuthenticate)
	}
	return a, nil
}

// parseToken makes a request of a raw token.
func (c *Conn) parseToken(r *Request) error {
	r.raw, r.Key, r.principal = true, apiKeySaslAuthenticate, c.principal
	r.ClientID = c.ClientID()
	r.Body = r.frame.B[:r.size-4]
	return nil
}

// waitUntil is how long the next frame is waited for: as long as the idle
// timeout, and no longer than a client may take to authenticate.
func (c *Conn) waitUntil(now time.Time) time.Time {
	at := now.Add(c.server.cfg.IdleTimeout)
	if c.unknown() && c.authBy.Before(at) {
		return c.authBy
	}
	return at
}

// unknown reports whether the client still has to authenticate.
func (c *Conn) unknown() bool { return c.session != nil && !c.session.Authenticated() }
