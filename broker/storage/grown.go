package storage

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
)

// grownLogs are the logs whose recovery point lies behind their end, so that
// what the checkpointer does does not grow with the logs that are idle. Its
// length is bounded by the number of logs.
type grownLogs struct {
	// bytes of all logs after their recovery points: about what a start after
	// a crash has to read.
	bytes atomic.Int64
	mu    sync.Mutex
	queue []*Log // protected by mu
}

func (g *grownLogs) add(l *Log) {
	if !l.grown.CompareAndSwap(false, true) {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.queue = append(g.queue, l)
}

// take empties the queue.
func (g *grownLogs) take() []*Log {
	g.mu.Lock()
	defer g.mu.Unlock()
	out := g.queue
	g.queue = nil
	for _, l := range out {
		l.grown.Store(false)
	}
	return out
}

// grew notes bytes that a crash would make the next start read.
func (l *Log) grew(bytes int64) {
	l.bytesSinceCheckpoint.Add(bytes)
	l.store.grown.add(l)
	if all := l.store.grown.bytes.Add(bytes); all > unsavedBytesMax && all-bytes <= unsavedBytesMax {
		l.store.wakeMaintenance()
	}
}

// checkpointSoon lets the log be checkpointed at the next look.
func (l *Log) checkpointSoon() {
	l.rolled.Store(true)
	l.store.grown.add(l)
}

// checkpointDue advances the recovery points of the logs that have grown
// enough, and of the largest others where all together have grown too much, and
// writes the checkpoint files if anything in them has changed.
func (s *Store) checkpointDue() error {
	var errs error
	var due, later []*Log
	nowMs := s.nowMs()
	for _, l := range s.grown.take() {
		switch {
		case !l.usable(): // deleted or offline: it will not be checkpointed any more
			s.grown.bytes.Add(-l.bytesSinceCheckpoint.Swap(0))
		case l.due(nowMs):
			due = append(due, l)
		default:
			later = append(later, l)
		}
	}
	pressed := s.grown.bytes.Load() > unsavedBytesMax
	if pressed {
		slices.SortFunc(later, func(a, b *Log) int {
			return cmp.Compare(b.bytesSinceCheckpoint.Load(), a.bytesSinceCheckpoint.Load())
		})
	}
	for _, l := range due {
		errs = errors.Join(errs, l.checkpointOnline())
	}
	for _, l := range later {
		if pressed && s.grown.bytes.Load() > unsavedBytesMax/2 {
			errs = errors.Join(errs, l.checkpointOnline())
			continue
		}
		s.grown.add(l)
	}
	if !s.checkpoints.stale.Load() {
		return errs
	}
	return errors.Join(errs, s.writeCheckpoints())
}

// checkpointOnline advances the recovery point of a log that is in use. After
// a failure it waits for its next turn.
func (l *Log) checkpointOnline() error {
	if !l.usable() {
		return nil
	}
	if err := l.checkpoint(); err != nil && l.usable() { // a log that went offline has said so
		return fmt.Errorf("checkpoint %s: %w", l.id, err)
	}
	return nil
}
