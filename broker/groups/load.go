package groups

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/millrace/millrace/broker/batch"
	"github.com/millrace/millrace/broker/groups/core"
	"github.com/millrace/millrace/broker/storage"
)

var errStopped = errors.New("shard was stopped")

// load makes the shard's state from its log, up to the log end, which is
// waited for to be flushed: what is told from it must not vanish again.
func (sh *shard) load() error {
	c := sh.coordinator
	begunMs := c.nowMs()
	sh.life++
	sh.state = core.New(c.cfg, newRandom(), c.options.Image)
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
	sh.state.Loaded(c.nowMs())
	if stats.broken > 0 {
		sh.logger.Warn("records of groups could not be read and were skipped", "records", stats.broken, "first_error", stats.firstBroken)
	}
	if stats.records > 0 {
		sh.logger.Info("group coordinator loaded its partition", "records", stats.records, "duration_ms", c.nowMs()-begunMs)
	}
	if topics := c.options.Topics; topics != nil {
		sh.emit(sh.state.DeleteTopics(c.nowMs(), func(name string, id [16]byte) bool {
			t, ok := topics(name)
			return !ok || (id != [16]byte{} && id != t.ID)
		}))
	}
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
				return fmt.Errorf("flush group records before loading: %w", err)
			}
			return nil
		case <-sh.wake:
			if sh.isStopping() {
				return errStopped
			}
		}
	}
}

func (sh *shard) isStopping() bool {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return sh.stopping
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
			return stats, fmt.Errorf("read group records at offset %d: %w", at, err)
		}
		if len(res.Data) == 0 {
			return stats, fmt.Errorf("read group records at offset %d: nothing there before the log end %d", at, end)
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
			return fmt.Errorf("parse group records from offset %d on: %w", from, err)
		}
		for r, err := range b.Records() {
			if err != nil {
				return fmt.Errorf("read group records in the batch at offset %d: %w", b.BaseOffset, err)
			}
			if r.Offset < from {
				continue
			}
			stats.records++
			if err := sh.replayRecord(&b, r); err != nil {
				if stats.broken++; stats.firstBroken == nil {
					stats.firstBroken = fmt.Errorf("offset %d: %w", r.Offset, err)
				}
			}
		}
	}
	return nil
}

func (sh *shard) replayRecord(b *batch.Batch, r batch.Record) error {
	switch {
	case b.IsControl():
		if len(r.Key) < 4 {
			return fmt.Errorf("a transaction marker has a key of %d bytes: it takes 4", len(r.Key))
		}
		// ControlRecordType: version, then type, 0 abort, 1 commit.
		if kind := binary.BigEndian.Uint16(r.Key[2:]); kind <= 1 {
			sh.state.ReplayMarker(b.ProducerID, kind == 1)
		}
		return nil
	case b.IsTransactional():
		return sh.state.ReplayTransactional(b.ProducerID, r.Key, r.Value)
	}
	return sh.state.Replay(r.Key, r.Value)
}
