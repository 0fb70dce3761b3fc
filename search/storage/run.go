package storage

import (
	"context"
	"errors"
	"time"
)

// Run writes buffers as segments, merges segments and removes what is too old,
// until ctx ends; then it writes what is left and closes the store.
func (s *Store) Run(ctx context.Context) error {
	merged := make(chan struct{})
	go func() {
		defer close(merged)
		s.mergeLoop(ctx)
	}()
	s.flushLoop(ctx)
	<-merged
	return s.Close()
}

// retryAfter is the pause after a failed write.
const retryAfter = time.Second

func (s *Store) flushLoop(ctx context.Context) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.kick:
		case <-ticker.C:
		}
		for ix := s.due(); ix != nil && ctx.Err() == nil; ix = s.due() {
			if err := ix.Flush(); err != nil && !errors.Is(err, ErrClosed) {
				s.logger.Error("buffer not written; trying again", "index", ix.Name, "error", err)
				s.metrics.flushFailures.Inc()
				pause(ctx, retryAfter)
				continue
			}
			s.releaseLog()
		}
	}
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// due returns the index whose buffer is to be written next, nil where none is.
func (s *Store) due() *Index {
	var largest, oldest *Index
	var largestBytes int64
	var since time.Time
	for _, ix := range s.Indices() {
		bytes, dirty := ix.pending()
		if dirty.IsZero() {
			continue
		}
		if largest == nil || bytes > largestBytes {
			largest, largestBytes = ix, bytes
		}
		if oldest == nil || dirty.Before(since) {
			oldest, since = ix, dirty
		}
	}
	switch {
	case oldest == nil:
		return nil
	case s.buffered.Load() >= s.memoryBuffer/2:
		return largest
	case s.clock().Sub(since) >= bufferAgeMax, s.wal.bytes() > 2*s.memoryBuffer:
		return oldest
	default:
		return nil
	}
}

// pending returns the bytes of the buffers and since when something is not in the
// manifest; zero where all is.
func (ix *Index) pending() (bytes int64, since time.Time) {
	ix.mu.Lock()
	defer ix.mu.Unlock()
	if ix.deleted || ix.logged == ix.flushedLog {
		return 0, time.Time{}
	}
	bytes = ix.active.bytes
	if ix.flushing != nil {
		bytes += ix.flushing.bytes
	}
	return bytes, ix.dirtySince
}

// releaseLog removes log files that nobody needs.
func (s *Store) releaseLog() {
	flushed := map[UUID]int64{}
	for _, ix := range s.Indices() {
		ix.mu.Lock()
		flushed[ix.UUID] = ix.flushedLog
		ix.mu.Unlock()
	}
	err := s.wal.release(func(id UUID) (int64, bool) {
		number, ok := flushed[id]
		return number, ok
	})
	if err != nil {
		s.logger.Warn("old log file not removed", "error", err)
	}
}

// Close writes all buffers and closes the files. What cannot be written is in the log.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	s.mu.Unlock()
	var errs []error
	for _, ix := range s.Indices() {
		errs = append(errs, ix.Flush())
	}
	if errors.Join(errs...) == nil {
		s.wal.detach()
		s.releaseLog()
	}
	errs = append(errs, s.wal.close())
	for _, ix := range s.Indices() {
		ix.shut()
	}
	return errors.Join(append(errs, s.lock.Close())...)
}

// shut closes the files of an index that stays.
func (ix *Index) shut() {
	ix.mu.Lock()
	defer ix.mu.Unlock()
	ix.deleted = true
	ix.dropCached()
	for _, st := range ix.segments {
		st.seg.release()
	}
	ix.segments = nil
}
