package transactions

import (
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/millrace/millrace/broker/batch"
	"github.com/millrace/millrace/broker/coordinator"
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
	nowMs := sh.nowMs()
	all := make([]batch.Record, len(records))
	for i, r := range records {
		all[i] = batch.Record{Timestamp: nowMs, Key: r.Key, Value: r.Value}
	}
	return sh.Append(all)
}

// appendFailed answers with an error what needed the records. Nothing has
// changed: a transaction that was to be aborted for its timeout still is.
func (sh *shard) appendFailed(out core.Output, err error) {
	sh.AppendFailed(len(out.Records), err)
	code := coordinator.ErrorCode(err)
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
	to := make([]func(core.Result), len(replies))
	for i, r := range replies {
		to[i] = sh.waiting.Take(r.Token)
	}
	life := sh.Life()
	sh.WhenDurable(func(err error) {
		if err == nil && len(endings) > 0 {
			sh.After(life, op{endings: endings})
		}
		for i, r := range replies {
			if err != nil {
				r.Result = r.Result.WithError(kerr.NotCoordinator.Code)
			}
			to[i](r.Result)
		}
	})
}

// tell writes the history of transactions to the log.
func (sh *shard) tell(events []core.Event) {
	for _, e := range events {
		log := sh.Logger.With("transactional_id", e.ID, "producer_id", e.ProducerID, "producer_epoch", e.Epoch)
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
