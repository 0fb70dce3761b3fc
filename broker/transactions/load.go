package transactions

import (
	"fmt"

	"github.com/millrace/millrace/broker/batch"
	"github.com/millrace/millrace/broker/statelog"
	"github.com/millrace/millrace/broker/transactions/core"
)

// load makes the shard's state from its log, up to the log end, which is
// waited for to be flushed: what is told from it must not vanish again.
func (sh *shard) load() error {
	c := sh.coordinator
	begunMs := c.nowMs()
	sh.life++
	sh.state = core.New(c.cfg)
	end := sh.log.LogEnd()
	if end > 0 {
		if err := sh.awaitFlushed(end - 1); err != nil {
			return err
		}
	}
	sh.appended = end - 1
	statelog.RaiseTo(&sh.durable, end-1)
	loaded, err := statelog.Replay(sh.log, recordKind, end, sh.isStopping, sh.replayRecord)
	if err != nil {
		return err
	}
	if loaded.Broken > 0 {
		sh.logger.Warn("records of transactions could not be read and were skipped", "records", loaded.Broken, "first_error", loaded.FirstBroken)
	}
	out := sh.state.Loaded(c.nowMs())
	if loaded.Records > 0 {
		sh.logger.Info("transaction coordinator loaded its partition", "records", loaded.Records,
			"undelivered", len(out.Endings), "duration_ms", c.nowMs()-begunMs)
	}
	sh.emit(out)
	return nil
}

// awaitFlushed blocks until the offset is flushed, or the shard is stopped.
func (sh *shard) awaitFlushed(offset int64) error {
	flushed := make(chan error, 1)
	sh.log.OnFlushed(offset, func(err error) { flushed <- err })
	for {
		select {
		case err := <-flushed:
			if err != nil {
				return fmt.Errorf("flush transaction records before loading: %w", err)
			}
			return nil
		case <-sh.wake:
			if sh.isStopping() {
				return statelog.ErrStopped
			}
		}
	}
}

// replayRecord applies a record; markers are of no meaning here.
func (sh *shard) replayRecord(b *batch.Batch, r batch.Record) error {
	if b.IsControl() {
		return nil
	}
	return sh.state.Replay(r.Key, r.Value)
}
