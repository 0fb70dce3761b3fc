package storage

import (
	"errors"
	"fmt"
	"path/filepath"
)

// EnforceRetention deletes what has expired, in all logs that CreateLog was
// called for, and forgets expired producer ids. The store also does so by itself.
//
// Only whole segments go, oldest first, never beyond the last stable offset. The
// log start is durable before the first file is removed.
func (s *Store) EnforceRetention() error {
	var errs error
	nowMs := s.nowMs()
	expired := map[*Log]int64{}
	for _, l := range s.Logs() {
		if l.Err() != nil || !l.configured.Load() {
			continue
		}
		l.expireProducers(nowMs)
		start, err := l.expiredBefore(nowMs)
		if err != nil {
			errs = errors.Join(errs, fmt.Errorf("retention of %s: %w", l.id, err))
			continue
		}
		if list := l.list(); start > list[0].base {
			raise(&l.pendingLogStart, start)
			expired[l] = start
		}
	}
	if len(expired) == 0 {
		return errs
	}
	if err := s.writeCheckpoints(); err != nil {
		return errors.Join(errs, err)
	}
	for l, start := range expired {
		if err := l.deleteBefore(start); err != nil {
			errs = errors.Join(errs, fmt.Errorf("delete segments of %s: %w", l.id, err))
		}
	}
	return errs
}

func (l *Log) expireProducers(nowMs int64) {
	cfg := l.Config()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.producers.expire(nowMs, cfg.ProducerIDExpirationMs)
}

// expiredBefore returns the base of the first segment that is to be kept. If
// even the active segment has expired it is rolled first.
func (l *Log) expiredBefore(nowMs int64) (int64, error) {
	cfg := l.Config()
	list := l.list()
	keep := 0
	// What lies below the log start was deleted by request, whatever the policy.
	for keep < len(list)-1 && list[keep+1].base <= l.logStart.Load() {
		keep++
	}
	if cfg.CleanupPolicy&CleanupDelete != 0 {
		var err error
		if keep, err = l.expiredByTime(list, keep, cfg, nowMs); err != nil {
			return 0, err
		}
		if keep == len(list) {
			keep--
			next, err := l.rollExpired(list[keep])
			if err != nil {
				return 0, err
			}
			if next != nil {
				return next.base, nil
			}
		}
		keep = expiredBySize(list, keep, cfg)
	}
	// Kafka goes up to the high watermark; so a reader would get part of a transaction.
	stable := l.LastStableOffset()
	for keep > 0 && list[keep].base > stable {
		keep--
	}
	return list[keep].base, nil
}

// expiredByTime counts the segments from the oldest whose newest record is
// older than the retention time. It is len(list) when the active one, not empty, is too.
func (l *Log) expiredByTime(list []*segment, keep int, cfg LogConfig, nowMs int64) (int, error) {
	if cfg.RetentionMs < 0 {
		return keep, nil
	}
	for ; keep < len(list) && list[keep].size.Load() > 0; keep++ {
		timestamp, _, err := list[keep].maxTimestamp()
		if err != nil {
			return 0, err
		}
		// A record cannot be newer than its append: a timestamp from the
		// future, or in microseconds, must not keep a segment for ever.
		appended := list[keep].times.lastAppend()
		if timestamp < 0 || timestamp > appended {
			timestamp = appended
		}
		if nowMs-timestamp <= cfg.RetentionMs {
			return keep, nil
		}
	}
	return keep, nil
}

func expiredBySize(list []*segment, keep int, cfg LogConfig) int {
	if cfg.RetentionBytes < 0 {
		return keep
	}
	var total int64
	for _, seg := range list[keep:] {
		total += seg.size.Load()
	}
	for ; keep < len(list)-1; keep++ {
		total -= list[keep].size.Load()
		if total < cfg.RetentionBytes {
			break
		}
	}
	return keep
}

// rollExpired begins a new segment after the active one, so that this can be
// deleted, and returns it; nil if the active one has grown meanwhile or not all of it is
// stable.
func (l *Log) rollExpired(active *segment) (*segment, error) {
	if err := l.flush(); err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	list := l.list()
	if list[len(list)-1] != active || l.end.Load() > l.LastStableOffset() {
		return nil, nil
	}
	return l.roll()
}

// DeleteRecords moves the log start to beforeOffset (-1: the last stable
// offset), durably, and returns the new log start. Segments that lie before it are
// removed with the next retention. ErrOffsetOutOfRange beyond the last stable
// offset: Kafka takes anything up to the high watermark, but an undecided
// transaction must not be cut in two.
func (l *Log) DeleteRecords(beforeOffset int64) (int64, error) {
	if err := l.Err(); err != nil {
		return -1, err
	}
	stable := l.LastStableOffset()
	if beforeOffset == -1 {
		beforeOffset = stable
	}
	if beforeOffset < 0 || beforeOffset > stable {
		return -1, fmt.Errorf("%w: %d is beyond the last stable offset %d", ErrOffsetOutOfRange, beforeOffset, stable)
	}
	// Under DurabilityOS the records before the new start may not be on disk yet.
	if err := l.flush(); err != nil {
		return -1, err
	}
	raise(&l.pendingLogStart, beforeOffset)
	if err := l.store.writeCheckpoints(); err != nil {
		return -1, err
	}
	l.startAt(beforeOffset)
	return l.logStart.Load(), nil
}

// startAt raises the log start, which is durable already.
func (l *Log) startAt(offset int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if raise(&l.logStart, offset) {
		l.store.checkpoints.stale.Store(true)
		l.epochs.truncateStart(offset)
	}
}

// deleteBefore removes the segments that lie before start, whose durability
// as log start is the caller's.
func (l *Log) deleteBefore(start int64) error {
	l.startAt(start)
	l.checkpointMu.Lock()
	defer l.checkpointMu.Unlock()
	// The producers of the batches that go must be in a snapshot that stays.
	if err := l.checkpointLocked(l.flush); err != nil {
		return err
	}
	l.flushMu.Lock()
	defer l.flushMu.Unlock()
	if err := l.Err(); err != nil {
		return err
	}
	l.mu.Lock()
	list := l.list()
	n := 0
	for n < len(list)-1 && list[n+1].base <= start {
		n++
	}
	kept := append([]*segment(nil), list[n:]...)
	l.segments.Store(&kept)
	l.mu.Unlock()
	delayMs := l.Config().FileDeleteDelayMs
	for _, seg := range list[:n] {
		if err := l.throwAway(seg, delayMs); err != nil {
			return err
		}
		l.store.metrics.deletedSegments.Inc()
		l.store.metrics.deletedBytes.Add(float64(seg.size.Load()))
		if err := removeIfThere(l.store.fs, filepath.Join(l.dir, offsetName(seg.base, suffixSnapshot))); err != nil {
			return err
		}
	}
	if err := l.emptyTrash(l.store.nowMs()); err != nil {
		return err
	}
	if n > 0 {
		l.store.log.Info("old segments deleted", "topic", l.id.Topic, "partition", l.id.Partition, "segments", n, "log_start", start)
		return l.store.fs.SyncDir(l.dir)
	}
	return nil
}

// removeSegment removes the files of a segment that is out of the list at
// once. It is called with checkpointMu held.
func (l *Log) removeSegment(seg *segment) error {
	if err := l.throwAway(seg, 0); err != nil {
		return err
	}
	return errors.Join(
		l.emptyTrash(l.store.nowMs()),
		removeIfThere(l.store.fs, filepath.Join(l.dir, offsetName(seg.base, suffixSnapshot))))
}
