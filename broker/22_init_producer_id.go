package broker

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/transactions/core"
	"github.com/millrace/millrace/broker/wire"
)

// InitProducerId: v0-5
//
// Behaviour:
// * Without a transactional id every request gets a producer id that was never
//   given out before, with epoch 0. The ids that have been given out are
//   durable, in blocks.
// * With one, the coordinator gives its producer the next epoch. A transaction
//   that an earlier producer left undecided is aborted first: the answer is
//   CONCURRENT_TRANSACTIONS until that is done.
// * A timeout beyond transaction.max.timeout.ms is INVALID_TRANSACTION_TIMEOUT.
// * For who may write to the transactional id; without one, for who may write
//   idempotently to the cluster, or may write to any topic (KIP-679).
//
// KIPs:
// * KIP-98: the API
// * KIP-360: id and epoch in the request (v3): a producer goes on after an error
// * KIP-588: PRODUCER_FENCED (v4)
// * KIP-890: (v5) TRANSACTION_ABORTABLE

func (n *Node) initProducerID(r *wire.Request, req *kmsg.InitProducerIDRequest) {
	resp := newResponse[*kmsg.InitProducerIDResponse](req)
	reply := func(result core.Result) {
		resp.ProducerID, resp.ProducerEpoch = result.ProducerID, result.Epoch
		resp.ErrorCode = fencedCode(result.Code, req.Version >= 4)
		r.Reply(resp)
	}
	if err := n.authorizeProducerID(r, req.TransactionalID); err != nil {
		reply(core.Failed(codeOf(err)))
		return
	}
	switch {
	case (req.ProducerID < 0) != (req.ProducerEpoch < 0):
		reply(core.Failed(kerr.InvalidRequest.Code))
	case req.TransactionalID != nil:
		n.transactions.Do(*req.TransactionalID, &core.InitProducerID{
			ID: *req.TransactionalID, TimeoutMs: req.TransactionTimeoutMillis, ProducerID: req.ProducerID, Epoch: req.ProducerEpoch,
		}, reply)
	default:
		reply(n.newProducer())
	}
}

func (n *Node) newProducer() core.Result {
	id, err := n.ids.take(n.meta)
	if err != nil {
		n.log.Error("no producer id given out", "error", err)
		return core.Failed(kerr.CoordinatorNotAvailable.Code)
	}
	return core.Result{ProducerID: id}
}
