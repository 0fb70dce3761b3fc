package transactions

import (
	"fmt"

	"github.com/millrace/millrace/broker/batch"
	"github.com/millrace/millrace/broker/storage"
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
	sh.raiseDurable(end - 1)
	stats, err := sh.replay(end)
	if err != nil {
		return err
	}
	if stats.broken > 0 {
		sh.logger.Warn("records of transactions could not be read and were skipped", "records", stats.broken, "first_error", stats.firstBroken)
	}
	out := sh.state.Loaded(c.nowMs())
	if stats.records > 0 {
		sh.logger.Info("transaction coordinator loaded its partition", "records", stats.records,
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
				return errStopped
			}
		}
	}
}

type loadStats struct {
	records, broken int
	firstBroken     error
}

func (sh *shard) replay(end int64) (loadStats, error) {
	var stats loadStats
	for at := sh.log.LogStart(); at < end; {
		if sh.isStopping() {
			return stats, errStopped
		}
		res, err := sh.log.Read(at, loadBytes, storage.ReadOptions{MinOneBatch: true})
		if err != nil {
			return stats, fmt.Errorf("read transaction records at offset %d: %w", at, err)
		}
		if len(res.Data) == 0 {
			return stats, fmt.Errorf("read transaction records at offset %d: nothing there before the log end %d", at, end)
		}
		err = sh.replayBatches(res.Data, at, &stats)
		at = res.NextOffset
		res.Release()
		if err != nil {
			return stats, err
		}
	}
	return stats, nil
}

func (sh *shard) replayBatches(data []byte, from int64, stats *loadStats) error {
	for b, err := range batch.All(data) {
		if err != nil {
			return fmt.Errorf("parse transaction records from offset %d on: %w", from, err)
		}
		if b.IsControl() {
			continue
		}
		for r, err := range b.Records() {
			if err != nil {
				return fmt.Errorf("read transaction records in the batch at offset %d: %w", b.BaseOffset, err)
			}
			if r.Offset < from {
				continue
			}
			stats.records++
			if err := sh.state.Replay(r.Key, r.Value); err != nil {
				if stats.broken++; stats.firstBroken == nil {
					stats.firstBroken = fmt.Errorf("offset %d: %w", r.Offset, err)
				}
			}
		}
	}
	return nil
}
