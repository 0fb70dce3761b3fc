package coordinator

import (
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/millrace/millrace/broker/batch"
	"github.com/millrace/millrace/broker/storage"
)

// Append writes the records to the partition, all or none. They are durable when
// [Shard.WhenDurable] says so.
func (sh *Shard[Op]) Append(records []batch.Record) error {
	last, err := appendRecords(sh.Log, sh.options.Kind, records)
	if err == nil {
		sh.Appended(last, len(records))
	}
	return err
}

// Appended counts records that the machine has appended to the log by itself, up to offset last.
func (sh *Shard[Op]) Appended(last int64, records int) {
	sh.appended = max(sh.appended, last)
	sh.options.Metrics.appends.Inc()
	sh.options.Metrics.records.Add(float64(records))
}

// AppendFailed logs and counts an append that failed. That the log refuses a fenced producer is
// neither: its client is told so.
func (sh *Shard[Op]) AppendFailed(records int, err error) {
	if errors.Is(err, storage.ErrInvalidProducerEpoch) {
		return
	}
	sh.Logger.Error("coordinator could not append to its partition", "coordinator", sh.options.Kind, "records", records, "error", err)
	sh.options.Metrics.appendErrors.Inc()
}

// WhenDurable calls done(nil) when all that was appended before is flushed: at
// once where it is, otherwise on a goroutine of the storage engine, which must not be
// blocked. When it will never be, it calls done with the error, and the life ends.
func (sh *Shard[Op]) WhenDurable(done func(error)) {
	if sh.appended <= sh.durable.Load() {
		done(nil)
		return
	}
	offset, life := sh.appended, sh.life
	sh.Log.OnFlushed(offset, func(err error) {
		if err != nil {
			done(err)
			sh.fail(life, fmt.Errorf("flush %s records: %w", sh.options.Kind, err))
			return
		}
		raiseTo(&sh.durable, offset)
		done(nil)
	})
}

// raiseTo sets v to an offset, unless it is there or beyond already.
func raiseTo(v *atomic.Int64, offset int64) {
	for {
		now := v.Load()
		if now >= offset || v.CompareAndSwap(now, offset) {
			return
		}
	}
}

// Life returns which life of the state this is, for [Shard.After].
func (sh *Shard[Op]) Life() int { return sh.life }

// load makes the state from the log, up to the log end, which is waited for to be
// flushed: what is told from it must not vanish again.
func (sh *Shard[Op]) load() error {
	begunMs := sh.options.Clock.NowMs()
	sh.life++
	sh.machine.Reset()
	end := sh.Log.LogEnd()
	if end > 0 {
		if err := sh.awaitFlushed(end - 1); err != nil {
			return err
		}
	}
	sh.appended = end - 1
	raiseTo(&sh.durable, end-1)
	done, err := replay(sh.Log, sh.options.Kind, end, sh.isStopping, sh.machine.Replay)
	if err != nil {
		return err
	}
	if done.broken > 0 {
		sh.Logger.Warn("records of a coordinator could not be read and were skipped", "coordinator", sh.options.Kind,
			"records", done.broken, "first_error", done.firstBroken)
	}
	if done.records > 0 {
		sh.Logger.Info("coordinator loaded its partition", "coordinator", sh.options.Kind,
			"records", done.records, "duration_ms", sh.options.Clock.NowMs()-begunMs)
	}
	sh.machine.Loaded()
	return nil
}

// awaitFlushed blocks until the offset is flushed, or the shard is stopped.
func (sh *Shard[Op]) awaitFlushed(offset int64) error {
	flushed := make(chan error, 1)
	sh.Log.OnFlushed(offset, func(err error) { flushed <- err })
	for {
		select {
		case err := <-flushed:
			if err != nil {
				return fmt.Errorf("flush %s records before loading: %w", sh.options.Kind, err)
			}
			return nil
		case <-sh.wake:
			if sh.isStopping() {
				return errStopped
			}
		}
	}
}
