package broker

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/wire"
)

// InitProducerId: v0-5
//
// Behaviour:
// * Every request gets a producer id that was never given out before, with
//   epoch 0. The ids that have been given out are durable, in blocks.
// * Transactional ids are refused with INVALID_REQUEST.
// * For who may write to the transactional id; without one, for who may write
//   idempotently to the cluster, or may write to any topic (KIP-679).
//
// KIPs:
// * KIP-98: the API
// * KIP-360: id and epoch in the request (v3), which matter to transactions only
// * KIP-890: (v5) no change here

func (n *Node) initProducerID(r *wire.Request, req *kmsg.InitProducerIDRequest) *kmsg.InitProducerIDResponse {
	resp := newResponse[*kmsg.InitProducerIDResponse](req)
	resp.ProducerID, resp.ProducerEpoch = -1, -1
	if err := n.authorizeProducerID(r, req.TransactionalID); err != nil {
		resp.ErrorCode = codeOf(err)
		return resp
	}
	if req.TransactionalID != nil {
		resp.ErrorCode = kerr.InvalidRequest.Code
		return resp
	}
	id, err := n.ids.take(n.meta)
	if err != nil {
		n.log.Error("no producer id given out", "error", err)
		resp.ErrorCode = kerr.CoordinatorNotAvailable.Code
		return resp
	}
	resp.ProducerID, resp.ProducerEpoch = id, 0
	return resp
}
