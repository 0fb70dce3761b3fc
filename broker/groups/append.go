package groups

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/batch"
	"github.com/millrace/millrace/broker/coordinator"
	"github.com/millrace/millrace/broker/groups/core"
)

// emit does what the core asks: append, make visible, answer when flushed.
func (sh *shard) emit(out core.Output) {
	sh.tell(out.Events)
	if len(out.Records) > 0 {
		if err := sh.append(out.Records); err != nil {
			sh.appendFailed(out, err)
			return
		}
		sh.state.Appended(out.Records)
	}
	sh.answer(out.Replies)
}

// append writes the records to the log, all or none.
func (sh *shard) append(records []core.Record) error {
	return sh.Append(batchRecords(records, sh.nowMs()))
}

func batchRecords(records []core.Record, nowMs int64) []batch.Record {
	all := make([]batch.Record, len(records))
	for i, r := range records {
		all[i] = batch.Record{Timestamp: nowMs, Key: r.Key, Value: r.Value}
	}
	return all
}

// appendFailed answers with an error what needed the records.
func (sh *shard) appendFailed(out core.Output, err error) {
	sh.AppendFailed(len(out.Records), err)
	code := coordinator.ErrorCode(err)
	for i := range out.Replies {
		out.Replies[i].Response = core.WithError(out.Replies[i].Response, code)
	}
	sh.answer(out.Replies)
	after := sh.state.AppendFailed(sh.nowMs(), out.Records)
	if len(after.Records) > 0 {
		panic("a group shard wants to append because it could not append")
	}
	sh.emit(after)
}

// answer sends replies when everything that was appended before is durable.
func (sh *shard) answer(replies []core.Reply) {
	if len(replies) == 0 {
		return
	}
	to := make([]func(kmsg.Response), len(replies))
	for i, r := range replies {
		to[i] = sh.waiting.Take(r.Token)
	}
	sh.WhenDurable(func(err error) {
		for i, r := range replies {
			if err != nil {
				r.Response = core.WithError(r.Response, kerr.NotCoordinator.Code)
			}
			to[i](r.Response)
		}
	})
}

// tell writes the history of groups to the log.
func (sh *shard) tell(events []core.Event) {
	for _, e := range events {
		switch e.Kind {
		case core.EventRebalance:
			sh.coordinator.metrics.rebalances.Inc()
			sh.Logger.Info("group rebalances", "group", e.Group, "generation", e.Generation, "members", e.Members, "reason", e.Reason)
		case core.EventGeneration:
			sh.Logger.Info("group began a generation", "group", e.Group, "generation", e.Generation, "members", e.Members)
		case core.EventMemberExpired:
			sh.Logger.Info("session of a group member ended", "group", e.Group, "generation", e.Generation, "member", e.Member)
		case core.EventUpgraded:
			sh.Logger.Info("group changed to the consumer protocol", "group", e.Group, "epoch", e.Generation, "members", e.Members)
		case core.EventDowngraded:
			sh.Logger.Info("group changed back to the classic protocol", "group", e.Group, "generation", e.Generation, "members", e.Members)
		case core.EventOffsetsExpired:
			sh.Logger.Info("committed offsets of a group expired", "group", e.Group, "offsets", e.Count)
		}
	}
}
