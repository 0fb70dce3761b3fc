package broker

import (
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/sasl"
	"github.com/millrace/millrace/broker/wire"
)

// SaslAuthenticate: v0-2
//
// Behaviour:
// * Takes a token of the mechanism that SaslHandshake chose and answers with
//   the next one. After the last, requests have the user as their principal.
// * A failure is SASL_AUTHENTICATION_FAILED after a delay, then the connection is
//   closed. The message does not say whether there is such a user.
// * Tokens without headers (SaslHandshake v0) come here too; their failures close the
//   connection without an answer.
// * Without a handshake: ILLEGAL_SASL_STATE.
//
// KIPs:
// * KIP-152: the API
// * KIP-368: how long the session lasts (v1); the user cannot change in it

func (n *Node) serveSaslAuthenticate(r *wire.Request) {
	if r.Raw() {
		n.authenticate(r, r.Body, nil)
		return
	}
	decoded, err := r.Decode()
	if err != nil {
		r.Fail(err)
		return
	}
	req := decoded.(*kmsg.SASLAuthenticateRequest)
	resp := newResponse[*kmsg.SASLAuthenticateResponse](req)
	resp.SASLAuthBytes, resp.ErrorMessage = []byte{}, new("") // as Kafka: not null
	if r.Conn.Session() == nil {
		refuseToken(r, resp)
		return
	}
	n.authenticate(r, req.SASLAuthBytes, resp)
}

// authenticate takes a token; resp is nil for one without a header.
func (n *Node) authenticate(r *wire.Request, token []byte, resp *kmsg.SASLAuthenticateResponse) {
	session := r.Conn.Session()
	var result sasl.Result
	var err error
	r.Conn.Compute(func() { result, err = session.Authenticate(token, time.Now()) })
	switch {
	case errors.Is(err, sasl.ErrAlready):
		refuseToken(r, resp)
		return
	case err != nil:
		n.refuseUser(r, session, resp, err)
		return
	case result.Done:
		r.Conn.Authenticated()
	}
	if resp == nil {
		r.ReplyToken(result.Token)
		return
	}
	resp.SASLAuthBytes, resp.SessionLifetimeMillis = result.Token, result.Lifetime.Milliseconds()
	r.Reply(resp)
}

// refuseToken answers a token that nothing has announced.
func refuseToken(r *wire.Request, resp *kmsg.SASLAuthenticateResponse) {
	message := "SaslAuthenticate request received after successful authentication"
	resp.ErrorCode, resp.ErrorMessage = kerr.IllegalSaslState.Code, &message
	r.Reply(resp)
}

func (n *Node) refuseUser(r *wire.Request, session *sasl.Session, resp *kmsg.SASLAuthenticateResponse, err error) {
	logged := fmt.Errorf("user %q at listener %s: %w", session.User(), r.Listener(), err)
	if resp == nil {
		r.Refuse(session.Mechanism(), nil, logged)
		return
	}
	message := "Authentication failed"
	if failure, ok := errors.AsType[*sasl.Failure](err); ok {
		message = failure.Message
	}
	resp.ErrorCode, resp.ErrorMessage = kerr.SaslAuthenticationFailed.Code, &message
	r.Refuse(session.Mechanism(), resp, logged)
}
