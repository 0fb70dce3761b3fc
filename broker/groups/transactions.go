package groups

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/batch"
	"github.com/millrace/millrace/broker/groups/core"
	"github.com/millrace/millrace/broker/storage"
)

// CommitInTransaction answers a TxnOffsetCommit by calling reply once. That the
// group's partition of __consumer_offsets is in the transaction was verified
// before; guard is what the partition's log gave for it.
func (c *Coordinator) CommitInTransaction(client ClientInfo, req *kmsg.TxnOffsetCommitRequest, guard storage.VerificationGuard, reply func(kmsg.Response)) {
	sh, code := c.shards.Of(req.Group)
	if code != 0 {
		reply(core.ErrorResponse(req, code))
		return
	}
	sh.submit(op{client: client, request: req, reply: reply, guard: guard})
}

// EndTransaction appends a transaction's marker to a partition of
// __consumer_offsets and makes the offsets of the transaction visible, or
// drops them. done is called once, when the marker is durable or was not written;
// a *kerr.Error says that the partition is not coordinated here at the moment.
func (c *Coordinator) EndTransaction(partition int32, m storage.Marker, done func(error)) {
	sh, ok := c.shards.Get(partition)
	if !ok {
		done(kerr.NotCoordinator)
		return
	}
	if code, ok := sh.Submit(op{marker: &m, marked: done}); !ok {
		done(kerr.ErrorForCode(code))
	}
}

// commitInTransaction appends offsets of an open transaction.
func (sh *shard) commitInTransaction(o op, req *kmsg.TxnOffsetCommitRequest) {
	out := sh.state.Step(core.Input{
		NowMs: sh.nowMs(), Token: sh.waiting.Add(o.reply), Client: o.client, Request: req, Topics: sh.coordinator.options.Topics,
	})
	if len(out.Records) == 0 {
		sh.emit(out)
		return
	}
	sh.tell(out.Events)
	if err := sh.appendInTransaction(out.Records, req, o.guard); err != nil {
		sh.appendFailed(out, err)
		return
	}
	sh.state.AppendedTransactional(req.ProducerID, out.Records)
	sh.answer(out.Replies)
}

func (sh *shard) appendInTransaction(records []core.Record, req *kmsg.TxnOffsetCommitRequest, guard storage.VerificationGuard) error {
	data, err := batch.Build(batch.Options{
		LeaderEpoch: sh.Log.LeaderEpoch(), Transactional: true,
		Producer: &batch.Producer{ID: req.ProducerID, Epoch: req.ProducerEpoch, Sequence: -1},
	}, batchRecords(records, sh.nowMs()))
	if err != nil {
		return fmt.Errorf("build a batch of offsets in a transaction: %w", err)
	}
	res, err := sh.Log.Append(data, storage.AppendOptions{
		LeaderEpoch: sh.Log.LeaderEpoch(), Origin: storage.OriginCoordinator, Guard: guard,
	})
	if err != nil {
		return fmt.Errorf("append offsets in a transaction: %w", err)
	}
	sh.Appended(res.LastOffset, len(records))
	return nil
}

// endTransaction appends a marker and does what it says.
func (sh *shard) endTransaction(m storage.Marker, done func(error)) {
	res, err := sh.log.AppendMarker(m)
	if err != nil {
		done(err)
		return
	}
	sh.Appended(res.LastOffset, 1)
	sh.state.ReplayMarker(m.ProducerID, m.Commit)
	sh.Log.OnFlushed(res.LastOffset, done)
}
