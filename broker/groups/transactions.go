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
	sh, code := c.shardOf(req.Group)
	if sh == nil {
		reply(core.ErrorResponse(req, code))
		return
	}
	o := op{client: client, request: req, reply: reply, guard: guard}
	if code, ok := sh.enqueue(o); !ok {
		reply(core.ErrorResponse(req, code))
	}
}

// EndTransaction appends a transaction's marker to a partition of
// __consumer_offsets and makes the offsets of the transaction visible, or
// drops them. done is called once, when the marker is durable or was not written;
// a *kerr.Error says that the partition is not coordinated here at the moment.
func (c *Coordinator) EndTransaction(partition int32, m storage.Marker, done func(error)) {
	c.mu.RLock()
	sh := c.shards[partition]
	c.mu.RUnlock()
	if sh == nil {
		done(kerr.NotCoordinator)
		return
	}
	if code, ok := sh.enqueue(op{marker: &m, marked: done}); !ok {
		done(kerr.ErrorForCode(code))
	}
}

// commitInTransaction appends offsets of an open transaction.
func (sh *shard) commitInTransaction(o op, req *kmsg.TxnOffsetCommitRequest) {
	sh.token++
	sh.waiting[sh.token] = o
	out := sh.state.Step(core.Input{
		NowMs: sh.coordinator.nowMs(), Token: sh.token, Client: o.client, Request: req, Topics: sh.coordinator.options.Topics,
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
	nowMs := sh.coordinator.nowMs()
	all := make([]batch.Record, len(records))
	for i, r := range records {
		all[i] = batch.Record{Timestamp: nowMs, Key: r.Key, Value: r.Value}
	}
	data, err := batch.Build(batch.Options{
		LeaderEpoch: sh.log.LeaderEpoch(), Transactional: true,
		Producer: &batch.Producer{ID: req.ProducerID, Epoch: req.ProducerEpoch, Sequence: -1},
	}, all)
	if err != nil {
		return fmt.Errorf("build a batch of offsets in a transaction: %w", err)
	}
	res, err := sh.log.Append(data, storage.AppendOptions{
		LeaderEpoch: sh.log.LeaderEpoch(), Origin: storage.OriginCoordinator, Guard: guard,
	})
	if err != nil {
		return fmt.Errorf("append offsets in a transaction: %w", err)
	}
	sh.appended = res.LastOffset
	sh.coordinator.metrics.appends.Inc()
	sh.coordinator.metrics.records.Add(float64(len(records)))
	return nil
}

// endTransaction appends a marker and does what it says.
func (sh *shard) endTransaction(m storage.Marker, done func(error)) {
	res, err := sh.log.AppendMarker(m)
	if err != nil {
		done(err)
		return
	}
	sh.appended = max(sh.appended, res.LastOffset)
	sh.state.ReplayMarker(m.ProducerID, m.Commit)
	sh.log.OnFlushed(res.LastOffset, done)
}
