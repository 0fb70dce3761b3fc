package groups

import (
	"errors"
	"fmt"
	"math"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/batch"
	"github.com/millrace/millrace/broker/groups/core"
	"github.com/millrace/millrace/broker/storage"
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

// append writes the records to the log, in as many batches as their size asks for, all or none.
func (sh *shard) append(records []core.Record) error {
	batchMax := min(appendBytesMax, int(min(sh.log.Config().MaxMessageBytes, math.MaxInt32))-batch.HeaderSize)
	nowMs := sh.coordinator.nowMs()
	var data []byte
	var err error
	for from := 0; from < len(records); {
		var some []batch.Record
		for size := 0; from < len(records); from++ {
			r := records[from]
			size += len(r.Key) + len(r.Value) + recordOverheadMax
			if len(some) > 0 && size > batchMax {
				break
			}
			some = append(some, batch.Record{Timestamp: nowMs, Key: r.Key, Value: r.Value})
		}
		if data, err = batch.Append(data, batch.Options{LeaderEpoch: sh.log.LeaderEpoch()}, some); err != nil {
			return fmt.Errorf("build a batch of group records: %w", err)
		}
	}
	res, err := sh.log.Append(data, storage.AppendOptions{LeaderEpoch: sh.log.LeaderEpoch(), Origin: storage.OriginCoordinator})
	if err != nil {
		return fmt.Errorf("append group records: %w", err)
	}
	sh.appended = res.LastOffset
	sh.coordinator.metrics.appends.Inc()
	sh.coordinator.metrics.records.Add(float64(len(records)))
	return nil
}

// appendFailed answers with an error what needed the records.
func (sh *shard) appendFailed(out core.Output, err error) {
	sh.logger.Error("group coordinator could not append to its partition", "records", len(out.Records), "error", err)
	sh.coordinator.metrics.appendErrors.Inc()
	code := codeOf(err)
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
		sh.raiseDurable(offset)
		for _, a := range answers {
			a.reply(a.response)
		}
	})
}

func (sh *shard) raiseDurable(offset int64) {
	for {
		now := sh.durable.Load()
		if now >= offset || sh.durable.CompareAndSwap(now, offset) {
			return
		}
	}
}

// codeOf is the error code with which Kafka answers when a coordinator's append fails.
func codeOf(err error) int16 {
	if errors.Is(err, storage.ErrTooLarge) {
		return kerr.UnknownServerError.Code
	}
	if errors.Is(err, storage.ErrNoSpace) {
		return kerr.CoordinatorNotAvailable.Code
	}
	return kerr.NotCoordinator.Code
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
