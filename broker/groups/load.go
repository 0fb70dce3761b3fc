package groups

import (
	"encoding/binary"
	"fmt"

	"github.com/millrace/millrace/broker/batch"
	"github.com/millrace/millrace/broker/groups/core"
	"github.com/millrace/millrace/broker/statelog"
)

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
	statelog.RaiseTo(&sh.durable, end-1)
	loaded, err := statelog.Replay(sh.log, recordKind, end, sh.isStopping, sh.replayRecord)
	if err != nil {
		return err
	}
	sh.state.Loaded(c.nowMs())
	if loaded.Broken > 0 {
		sh.logger.Warn("records of groups could not be read and were skipped", "records", loaded.Broken, "first_error", loaded.FirstBroken)
	}
	if loaded.Records > 0 {
		sh.logger.Info("group coordinator loaded its partition", "records", loaded.Records, "duration_ms", c.nowMs()-begunMs)
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
				return statelog.ErrStopped
			}
		}
	}
}

func (sh *shard) isStopping() bool {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return sh.stopping
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
