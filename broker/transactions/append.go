package transactions

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/millrace/millrace/broker/batch"
	"github.com/millrace/millrace/broker/statelog"
	"github.com/millrace/millrace/broker/transactions/core"
)

// emit does what the core asks: append, make visible, answer and write markers
// when flushed; and the same with what follows from that.
func (sh *shard) emit(out core.Output) {
	for {
		sh.tell(out.Events)
		var next core.Output
		if len(out.Records) > 0 {
			if err := sh.append(out.Records); err != nil {
				sh.appendFailed(out, err)
				return
			}
			next = sh.state.Appended(out.Records)
		}
		sh.settle(out.Replies, out.Endings)
		if len(next.Records) == 0 && len(next.Replies) == 0 {
			return
		}
		out = next
	}
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

// appendFailed answers with an error what needed the records. Nothing has
// changed: a transaction that was to be aborted for its timeout still is.
func (sh *shard) appendFailed(out core.Output, err error) {
	sh.logger.Error("transaction coordinator could not append to its partition", "records", len(out.Records), "error", err)
	sh.coordinator.metrics.appendErrors.Inc()
	code := statelog.ErrorCode(err)
	for i := range out.Replies {
		out.Replies[i].Result = out.Replies[i].Result.WithError(code)
	}
	sh.settle(out.Replies, nil)
}

// settle sends replies and begins endings when everything that was appended before is durable.
func (sh *shard) settle(replies []core.Reply, endings []core.Ending) {
	if len(replies) == 0 && len(endings) == 0 {
		return
	}
	if sh.appended <= sh.durable.Load() {
		for _, r := range replies {
			sh.resolve(r)(r.Result)
		}
		for _, e := range endings {
			sh.deliver(e)
		}
		return
	}
	type answer struct {
		reply  func(core.Result)
		result core.Result
	}
	answers := make([]answer, len(replies))
	for i, r := range replies {
		answers[i] = answer{sh.resolve(r), r.Result}
	}
	offset, life := sh.appended, sh.life
	sh.log.OnFlushed(offset, func(err error) {
		if err != nil {
			for _, a := range answers {
				a.reply(a.result.WithError(kerr.NotCoordinator.Code))
			}
			sh.control(op{flushError: fmt.Errorf("flush transaction records: %w", err), life: life})
			return
		}
		statelog.RaiseTo(&sh.durable, offset)
		if len(endings) > 0 {
			sh.control(op{endings: endings, life: life})
		}
		for _, a := range answers {
			a.reply(a.result)
		}
	})
}

// tell writes the history of transactions to the log.
func (sh *shard) tell(events []core.Event) {
	for _, e := range events {
		log := sh.logger.With("transactional_id", e.ID, "producer_id", e.ProducerID, "producer_epoch", e.Epoch)
		switch e.Kind {
		case core.EventTimedOut:
			sh.coordinator.metrics.timedOut.Inc()
			log.Info("transaction ran into its timeout and is aborted")
		case core.EventFenced:
			log.Info("transaction of a producer that was initialized anew is aborted")
		case core.EventExpired:
			log.Info("transactional id expired")
		case core.EventRotated:
			log.Info("epochs of a transactional id ran out, it has a new producer id")
		}
	}
}
