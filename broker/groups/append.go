package groups

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/batch"
	"github.com/millrace/millrace/broker/groups/core"
	"github.com/millrace/millrace/broker/statelog"
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
	nowMs := sh.coordinator.nowMs()
	some := make([]batch.Record, len(records))
	for i, r := range records {
		some[i] = batch.Record{Timestamp: nowMs, Key: r.Key, Value: r.Value}
	}
	lastOffset, err := statelog.Append(sh.log, recordKind, some)
	if err != nil {
		return err
	}
	sh.appended = lastOffset
	sh.coordinator.metrics.appends.Inc()
	sh.coordinator.metrics.records.Add(float64(len(records)))
	return nil
}

// appendFailed answers with an error what needed the records.
func (sh *shard) appendFailed(out core.Output, err error) {
	sh.logger.Error("group coordinator could not append to its partition", "records", len(out.Records), "error", err)
	sh.coordinator.metrics.appendErrors.Inc()
	code := statelog.ErrorCode(err)
	for i := range out.Replies {
		out.Replies[i].Response = core.WithError(out.Replies[i].Response, code)
	}
	sh.answer(out.Replies)
	after := sh.state.AppendFailed(sh.coordinator.nowMs(), out.Records)
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
	if sh.appended <= sh.durable.Load() {
		for _, r := range replies {
			sh.resolve(r)(r.Response)
		}
		return
	}
	type answer struct {
		reply    func(kmsg.Response)
		response kmsg.Response
	}
	answers := make([]answer, len(replies))
	for i, r := range replies {
		answers[i] = answer{sh.resolve(r), r.Response}
	}
	offset, life := sh.appended, sh.life
	sh.log.OnFlushed(offset, func(err error) {
		if err != nil {
			for _, a := range answers {
				a.reply(core.WithError(a.response, kerr.NotCoordinator.Code))
			}
			sh.control(op{flushError: fmt.Errorf("flush group records: %w", err), life: life})
			return
		}
		statelog.RaiseTo(&sh.durable, offset)
		for _, a := range answers {
			a.reply(a.response)
		}
	})
}

// tell writes the history of groups to the log.
func (sh *shard) tell(events []core.Event) {
	for _, e := range events {
		switch e.Kind {
		case core.EventRebalance:
			sh.coordinator.metrics.rebalances.Inc()
			sh.logger.Info("group rebalances", "group", e.Group, "generation", e.Generation, "members", e.Members, "reason", e.Reason)
		case core.EventGeneration:
			sh.logger.Info("group began a generation", "group", e.Group, "generation", e.Generation, "members", e.Members)
		case core.EventMemberExpired:
			sh.logger.Info("session of a group member ended", "group", e.Group, "generation", e.Generation, "member", e.Member)
		case core.EventUpgraded:
			sh.logger.Info("group changed to the consumer protocol", "group", e.Group, "epoch", e.Generation, "members", e.Members)
		case core.EventDowngraded:
			sh.logger.Info("group changed back to the classic protocol", "group", e.Group, "generation", e.Generation, "members", e.Members)
		case core.EventOffsetsExpired:
			sh.logger.Info("committed offsets of a group expired", "group", e.Group, "offsets", e.Count)
		}
	}
}
