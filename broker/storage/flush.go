package storage

import (
	"fmt"
	"sync"
	"time"
)

// flusher forces dirty logs to disk, all that are dirty at a time together:
// while one round runs, appends gather for the next (group commit). Its queue
// is bounded by the number of logs.
type flusher struct {
	mu    sync.Mutex
	queue []*Log // protected by mu
	wake  chan struct{}
}

// mark asks for a log to be forced to disk.
func (f *flusher) mark(l *Log) {
	if !l.dirty.CompareAndSwap(false, true) {
		return
	}
	f.mu.Lock()
	f.queue = append(f.queue, l)
	f.mu.Unlock()
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

func (f *flusher) take(into []*Log) []*Log {
	f.mu.Lock()
	defer f.mu.Unlock()
	into = append(into[:0], f.queue...)
	clear(f.queue)
	f.queue = f.queue[:0]
	return into
}

// runFlusher serves until stop is closed; what is dirty then is left to Close.
func (s *Store) runFlusher(stop <-chan struct{}) {
	var round []*Log
	for {
		select {
		case <-stop:
			return
		case <-s.flusher.wake:
		}
		round = s.flusher.take(round)
		s.flushRound(round)
		clear(round)
	}
}

func (s *Store) flushRound(logs []*Log) {
	if len(logs) == 0 {
		return
	}
	begin := time.Now()
	if len(logs) == 1 {
		logs[0].flushMarked()
	} else {
		eachLog(logs, (*Log).flushMarked)
	}
	s.metrics.flushRound(len(logs), time.Since(begin))
}

// eachLog does with every log what waits for the disk, flushParallelMax of them at once.
func eachLog(logs []*Log, do func(*Log)) {
	var wg sync.WaitGroup
	slots := make(chan struct{}, flushParallelMax)
	for _, l := range logs {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			do(l)
		})
	}
	wg.Wait()
}

// flushDue forces the log to disk where flush.messages asks for it, under
// DurabilityOS. A failure that leaves the log online is repeated with the next append.
func (l *Log) flushDue(end int64, cfg *LogConfig) error {
	if cfg.FlushMessages <= 0 || end-l.flushed.Load() < cfg.FlushMessages {
		return nil
	}
	if err := l.flush(); err != nil && l.Err() != nil {
		return err
	}
	return nil
}

// flushMarked is flush for a log of the queue. An error has taken the log
// offline, which told its waiters and the operator.
func (l *Log) flushMarked() {
	l.dirty.Store(false)
	if err := l.flush(); err != nil {
		l.store.log.Debug("flush of a log that is not online", "topic", l.id.Topic, "partition", l.id.Partition, "error", err)
	}
}

// flush forces everything that is appended at this moment to disk and
// advances the flushed end, and under DurabilityFsync the high watermark. A
// failure takes the log offline: fdatasync is never tried again, because the kernel has
// dropped what it could not write and would report success.
func (l *Log) flush() error {
	l.flushMu.Lock()
	defer l.flushMu.Unlock()
	if err := l.Err(); err != nil {
		return err
	}
	return l.flushLocked()
}

// flushLocked is flush with flushMu held, for a log that may be closing.
func (l *Log) flushLocked() error {
	l.mu.Lock()
	end, list, dirChanged := l.end.Load(), l.list(), l.dirChanged
	l.dirChanged = false
	l.mu.Unlock()
	first := len(list) - 1
	for first > 0 && list[first-1].synced.Load() < list[first-1].size.Load() {
		first--
	}
	for _, seg := range list[max(first, 0):] {
		if err := seg.sync(&l.store.handles); err != nil {
			l.mu.Lock()
			l.dirChanged = l.dirChanged || dirChanged
			l.mu.Unlock()
			return l.syncFailed(seg, err)
		}
	}
	if dirChanged {
		if err := l.store.fs.SyncDir(l.dir); err != nil {
			return l.fail(fmt.Errorf("sync directory %s: %w", l.dir, err))
		}
	}
	hw := int64(0)
	if l.store.cfg.Durability == DurabilityFsync {
		hw = end
	}
	l.advance(end, hw)
	return nil
}
