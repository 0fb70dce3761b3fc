package storage

import (
	"fmt"
	"sync"
	"time"
)

// flusher forces dirty logs to disk, all that are dirty at a time together:
// while one round runs, appends gather for the next (group commit). Its queue
// is bounded by the number of logs.
//
// Logs that nobody waits for gather in later, until the first of them has been there for
// flushLaterMax. Who begins to wait for one of them has it moved to the queue.
type flusher struct {
	mu        sync.Mutex
	queue     []*Log // protected by mu
	later     []*Log // protected by mu; as long as their postponed is true
	wake      chan struct{}
	postponed chan struct{} // later has got its first log
}

func newFlusher() flusher {
	return flusher{wake: make(chan struct{}, 1), postponed: make(chan struct{}, 1)}
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

// markLater asks for a log to be forced to disk within flushLaterMax.
func (f *flusher) markLater(l *Log) {
	if !l.postponed.CompareAndSwap(false, true) {
		return
	}
	f.mu.Lock()
	f.later = append(f.later, l)
	first := len(f.later) == 1
	f.mu.Unlock()
	if first {
		select {
		case f.postponed <- struct{}{}:
		default:
		}
	}
}

// markPostponed ends the time of those that were to be flushed later.
func (f *flusher) markPostponed() {
	f.mu.Lock()
	due := f.later
	f.later = nil
	f.mu.Unlock()
	for _, l := range due {
		l.postponed.Store(false)
		f.mark(l)
	}
}

// flushSoon asks for what an append has written to be forced to disk: at once, or, where nobody
// waits for it, when more has gathered.
func (l *Log) flushSoon(unawaited bool) {
	if unawaited && l.unflushedBytes() < flushLaterBytes {
		// First it can be seen that the log was postponed, then who waits is looked
		// at; those who wait do it the other way round (hurry).
		l.store.flusher.markLater(l)
		if !l.waiters.any() {
			return
		}
	}
	l.store.flusher.mark(l)
}

// hurry has a postponed log forced to disk, because somebody has begun to wait for it.
func (l *Log) hurry() {
	if l.postponed.Load() {
		l.store.flusher.mark(l)
	}
}

// unflushedBytes of the segment that is written; under DurabilityFsync there are no others.
func (l *Log) unflushedBytes() int64 {
	list := l.list()
	seg := list[len(list)-1]
	return seg.size.Load() - seg.synced.Load()
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
	var due <-chan time.Time // of those that are to be flushed later
	for {
		select {
		case <-stop:
			return
		case <-s.flusher.postponed:
			due = time.After(flushLaterMax)
			continue
		case <-due:
			s.flusher.markPostponed()
			continue
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
