package transactions

import (
	"errors"
	"fmt"
	"math"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/millrace/millrace/broker/batch"
	"github.com/millrace/millrace/broker/storage"
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
			return fmt.Errorf("build a batch of transaction records: %w", err)
		}
	}
	res, err := sh.log.Append(data, storage.AppendOptions{LeaderEpoch: sh.log.LeaderEpoch(), Origin: storage.OriginCoordinator})
	if err != nil {
		return fmt.Errorf("append transaction records: %w", err)
	}
	sh.appended = res.LastOffset
	sh.coordinator.metrics.appends.Inc()
	sh.coordinator.metrics.records.Add(float64(len(records)))
	return nil
}

// appendFailed answers with an error what needed the records. Nothing has
// changed: a transaction that was to be aborted for its timeout still is.
func (sh *shard) appendFailed(out core.Output, err error) {
	sh.logger.Error("transaction coordinator could not append to its partition", "records", len(out.Records), "error", err)
	sh.coordinator.metrics.appendErrors.Inc()
	code := codeOf(err)
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
		sh.raiseDurable(offset)
		if len(endings) > 0 {
			sh.control(op{endings: endings, life: life})
		}
		for _, a := range answers {
			a.reply(a.result)
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
