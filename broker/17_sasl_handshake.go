package broker

import (
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/sasl"
	"github.com/millrace/millrace/broker/wire"
)

// SaslHandshake: v0-1
//
// Behaviour:
// * Chooses the mechanism; the answer lists those of the listener. Another one
//   is UNSUPPORTED_SASL_MECHANISM, and the connection is closed after a delay.
// * After version 0 tokens follow without headers, each with its length; after
//   version 1 they come in SaslAuthenticate.
// * On a listener without SASL, and after authentication unless sessions end
//   there: ILLEGAL_SASL_STATE.
//
// KIPs:
// * KIP-43: the API
// * KIP-152: SaslAuthenticate (v1)
// * KIP-368: authenticating again, at most once a second

func (n *Node) serveSaslHandshake(r *wire.Request) {
	decoded, err := r.Decode()
	if err != nil {
		r.Fail(err)
		return
	}
	req := decoded.(*kmsg.SASLHandshakeRequest)
	resp := newResponse[*kmsg.SASLHandshakeResponse](req)
	resp.SupportedMechanisms = []string{}
	session := r.Conn.Session()
	if session == nil {
		resp.ErrorCode = kerr.IllegalSaslState.Code
		r.Reply(resp)
		return
	}
	err = session.Handshake(req.Version, req.Mechanism, time.Now())
	switch {
	case errors.Is(err, sasl.ErrAlready):
		resp.ErrorCode = kerr.IllegalSaslState.Code
	case err != nil:
		resp.ErrorCode, resp.SupportedMechanisms = kerr.UnsupportedSaslMechanism.Code, session.Mechanisms()
		r.Refuse("unknown", resp, err)
		return
	default:
		resp.SupportedMechanisms = session.Mechanisms()
	}
	r.Reply(resp)
}
