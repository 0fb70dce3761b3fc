package broker

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/transactions/core"
	"github.com/millrace/millrace/broker/wire"
)

// EndTxn: v0-5
//
// Behaviour:
// * Answered when the decision is durable; the markers follow.
// * Version 5 is transaction version 2: the epoch goes up with each transaction
//   and is in the answer, with a new producer id when the epochs ran out; an abort
//   without a transaction is allowed; a repetition is told by its epoch.
// * For who may write with the transactional id.
//
// KIPs:
// * KIP-98: the API
// * KIP-588: PRODUCER_FENCED (v2)
// * KIP-890: TRANSACTION_ABORTABLE (v4), producer id and epoch (v5)

func (n *Node) endTxn(r *wire.Request, req *kmsg.EndTxnRequest) {
	reply := func(result core.Result) {
		resp := newResponse[*kmsg.EndTxnResponse](req)
		resp.ErrorCode = fencedCode(result.Code, req.Version >= 2)
		resp.ProducerID, resp.ProducerEpoch = result.ProducerID, result.Epoch
		r.Reply(resp)
	}
	if !n.mayTransact(r, req.TransactionalID) {
		reply(core.Failed(kerr.TransactionalIDAuthorizationFailed.Code))
		return
	}
	version := int16(0)
	if req.Version >= 5 {
		version = txnVersion2
	}
	n.transactions.Do(req.TransactionalID, &core.EndTransaction{
		ID: req.TransactionalID, ProducerID: req.ProducerID, Epoch: req.ProducerEpoch, Commit: req.Commit, Version: version,
	}, reply)
}
