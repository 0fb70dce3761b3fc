package broker

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/acl"
	"github.com/millrace/millrace/broker/groups"
	"github.com/millrace/millrace/broker/transactions/core"
	"github.com/millrace/millrace/broker/wire"
)

// AddOffsetsToTxn: v0-4
//
// Behaviour:
// * Puts the partition of __consumer_offsets that the group belongs to into the
//   transaction. Clients of transaction version 2 leave that to TxnOffsetCommit.
// * For who may write with the transactional id and read the group.
//
// KIPs:
// * KIP-98: the API
// * KIP-588: PRODUCER_FENCED (v2)
// * KIP-890: TRANSACTION_ABORTABLE (v4)

func (n *Node) addOffsetsToTxn(r *wire.Request, req *kmsg.AddOffsetsToTxnRequest) {
	resp := newResponse[*kmsg.AddOffsetsToTxnResponse](req)
	switch {
	case !n.mayTransact(r, req.TransactionalID):
		resp.ErrorCode = kerr.TransactionalIDAuthorizationFailed.Code
	case !n.authorize(r, acl.Read, acl.Group(req.Group)):
		resp.ErrorCode = kerr.GroupAuthorizationFailed.Code
	}
	if resp.ErrorCode != 0 {
		r.Reply(resp)
		return
	}
	partition, err := n.offsetsPartition(req.Group)
	if err != nil {
		n.log.Warn("offsets topic not created", "error", err)
		resp.ErrorCode = kerr.CoordinatorNotAvailable.Code
		r.Reply(resp)
		return
	}
	n.transactions.Do(req.TransactionalID, &core.AddPartitions{
		ID: req.TransactionalID, ProducerID: req.ProducerID, Epoch: req.ProducerEpoch, Partitions: []core.Partition{partition},
	}, func(result core.Result) {
		resp.ErrorCode = fencedCode(result.Code, req.Version >= 2)
		r.Reply(resp)
	})
}

// offsetsPartition returns the partition that the offsets of a group are in.
func (n *Node) offsetsPartition(group string) (core.Partition, error) {
	if err := n.ensureOffsetsTopic(); err != nil {
		return core.Partition{}, err
	}
	count := int32(len(n.topics.byName(offsetsTopic).logs))
	return core.Partition{Topic: offsetsTopic, Partition: groups.PartitionFor(group, count)}, nil
}
