package broker

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/groups"
	groupscore "github.com/millrace/millrace/broker/groups/core"
	"github.com/millrace/millrace/broker/storage"
	"github.com/millrace/millrace/broker/transactions/core"
	"github.com/millrace/millrace/broker/wire"
)

// TxnOffsetCommit: v0-5
//
// Behaviour:
// * Offsets are appended to __consumer_offsets as part of the transaction and
//   become visible with its commit. Until it is decided, an OffsetFetch that
//   requires stable offsets has UNSTABLE_OFFSET_COMMIT for them.
// * That the transaction has the group's partition is verified before it
//   begins there; from version 5 on the partition is put into it (transaction version 2).
// * For who may write with the transactional id, and read the group and the topic.
//
// KIPs:
// * KIP-98: the API
// * KIP-447: member, generation and instance in the request fence zombies (v3)
// * KIP-890: TRANSACTION_ABORTABLE (v4), the broker adds the partition (v5)

func (n *Node) txnOffsetCommit(r *wire.Request, req *kmsg.TxnOffsetCommitRequest) {
	req, complete := n.authorizeTxnOffsetCommit(r, req)
	if req == nil {
		r.Reply(complete(nil))
		return
	}
	client := groups.ClientInfo{ID: r.ClientID, Host: "/" + r.ClientHost()}
	reply := func(resp kmsg.Response) { r.Reply(complete(resp)) }
	commit := func(guard storage.VerificationGuard) { n.groups.CommitInTransaction(client, req, guard, reply) }
	fail := func(code int16) { reply(groupscore.ErrorResponse(req, code)) }
	if !n.anyTopicKnown(req) {
		commit(storage.VerificationGuard{}) // to be told so: nothing will be appended
		return
	}
	if req.Group == "" {
		fail(kerr.InvalidGroupID.Code)
		return
	}
	partition, err := n.offsetsPartition(req.Group)
	if err != nil {
		n.log.Warn("offsets topic not created", "error", err)
		fail(kerr.CoordinatorNotAvailable.Code)
		return
	}
	log, _ := n.topics.byName(offsetsTopic).log(partition.Partition)
	if log == nil {
		fail(kerr.NotCoordinator.Code)
		return
	}
	c := &txnCommit{node: n, req: req, log: log, partition: partition, commit: commit, fail: fail}
	c.begin()
}

// txnCommit is a TxnOffsetCommit until its offsets may be appended.
type txnCommit struct {
	node      *Node
	req       *kmsg.TxnOffsetCommitRequest
	log       *storage.Log
	partition core.Partition
	commit    func(storage.VerificationGuard)
	fail      func(code int16)
}

func (c *txnCommit) begin() {
	guard, ongoing := c.log.BeginVerification(c.req.ProducerID, c.req.ProducerEpoch, -1)
	if ongoing {
		c.commit(guard)
		return
	}
	c.join(guard, 1)
}

// join asks the coordinator; see joinRoundsMax for why more than once.
func (c *txnCommit) join(guard storage.VerificationGuard, round int) {
	by := txnProducer{id: c.req.ProducerID, epoch: c.req.ProducerEpoch, transactID: c.req.TransactionalID}
	c.node.joinTransaction(by, commitDialect(c.req.Version), []core.Partition{c.partition}, func(errs []*apiError) {
		switch {
		case errs[0] == nil:
			now, ongoing := c.log.BeginVerification(by.id, by.epoch, -1)
			if !ongoing && now != guard && round < joinRoundsMax {
				c.join(now, round+1)
				return
			}
			c.commit(now)
		case errs[0].code == kerr.NotEnoughReplicas:
			c.fail(kerr.CoordinatorNotAvailable.Code)
		default:
			c.fail(errs[0].code.Code)
		}
	})
}

func commitDialect(version int16) txnDialect {
	switch {
	case version >= 5:
		return dialectAdds
	case version == 4:
		return dialectAbortable
	}
	return dialectOld
}

func (n *Node) anyTopicKnown(req *kmsg.TxnOffsetCommitRequest) bool {
	for _, t := range req.Topics {
		state := n.topics.byName(t.Topic)
		for _, p := range t.Partitions {
			if _, ok := state.log(p.Partition); ok {
				return true
			}
		}
	}
	return false
}
