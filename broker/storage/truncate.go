package storage

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/millrace/millrace/broker/batch"
)

// TruncateTo cuts the log so that it ends at offset, or before it where offset
// lies within a batch or in a gap (but never before the log start), and returns the new log end. It is for a follower whose log has diverged from its
// leader's (KIP-101); the result is durable on return. An offset at or beyond the log end
// only trims the leader epochs (KAFKA-10706). One before the log start is ErrOffsetOutOfRange.
func (l *Log) TruncateTo(offset int64) (int64, error) {
	l.checkpointMu.Lock()
	defer l.checkpointMu.Unlock()
	l.flushMu.Lock()
	defer l.flushMu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.Err(); err != nil {
		return -1, err
	}
	if offset < l.logStart.Load() {
		return -1, fmt.Errorf("%w: %d is before the log start %d", ErrOffsetOutOfRange, offset, l.logStart.Load())
	}
	if offset >= l.end.Load() {
		l.epochs.truncateEnd(offset)
		if !l.epochs.dirty.Load() {
			return l.end.Load(), nil
		}
		return l.end.Load(), errors.Join(l.writeEpochs(), l.store.fs.SyncDir(l.dir))
	}
	end, err := l.truncateLocked(offset)
	if err != nil {
		return -1, l.fail(fmt.Errorf("truncate to %d: %w", offset, err))
	}
	return end, nil
}

func (l *Log) truncateLocked(offset int64) (int64, error) {
	l.truncations++
	list := l.list()
	i := segmentAt(list, offset)
	position, end, err := l.cutPoint(list[i], offset)
	if err != nil {
		return -1, err
	}
	// The recovery point goes back first: a crash on the way must not find
	// fewer batches than it promises.
	point := max(end, l.logStart.Load())
	if l.recoveryPoint.Load() > point || l.cleaned.Load() > point {
		l.recoveryPoint.Store(min(l.recoveryPoint.Load(), point))
		l.cleaned.Store(min(l.cleaned.Load(), point))
		if err := l.store.writeCheckpoints(); err != nil {
			return -1, err
		}
	}
	if end < l.logStart.Load() {
		// The batch that goes holds the log start: nothing readable is left.
		end = l.logStart.Load()
		err = l.restartAt(list, end)
	} else {
		err = l.dropAfter(list, i, position, end)
	}
	if err != nil {
		return -1, err
	}
	l.tail.reset()
	l.end.Store(end)
	l.flushed.Store(end)
	l.hw.Store(min(l.hw.Load(), end))
	l.epochs.truncateEnd(end)
	l.pendingSnapshots = slices.DeleteFunc(l.pendingSnapshots, func(s pendingSnapshot) bool { return s.offset > end })
	// A guard that was given out must not become valid again.
	l.producers = &producers{byID: map[int64]*producer{}, verifications: verifications{last: l.producers.verifications.last}}
	r := &recovery{l: l, list: l.list()}
	if r.snapshots, err = l.snapshotOffsets(); err != nil {
		return -1, err
	}
	if err := r.restoreProducers(end); err != nil {
		return -1, err
	}
	l.grew(1)
	if err := l.writeEpochs(); err != nil {
		return -1, err
	}
	return end, l.store.fs.SyncDir(l.dir)
}

// cutPoint finds the position of the first batch that reaches offset, and where the batch before it ends, which
// becomes the log end: in a gap before it there is nothing that a start could find.
func (l *Log) cutPoint(seg *segment, offset int64) (position, end int64, err error) {
	position, end = seg.size.Load(), seg.base
	err = l.scanSegment(seg, max(offset-1, seg.base), func(b batch.Batch, at int64) error {
		if b.LastOffset() < offset {
			end = b.LastOffset() + 1
			return nil
		}
		position = at
		return errFound
	})
	return position, end, err
}

// removeNewestFirst removes segments so that what a crash leaves has no hole.
func (l *Log) removeNewestFirst(list []*segment) error {
	for _, seg := range slices.Backward(list) {
		if err := l.removeSegment(seg); err != nil {
			return err
		}
	}
	return nil
}

// restartAt replaces all segments by an empty one at offset.
func (l *Log) restartAt(list []*segment, offset int64) error {
	if err := l.removeNewestFirst(list); err != nil {
		return err
	}
	seg := newSegment(l.store.fs, l.dir, offset)
	if err := seg.create(&l.store.handles); err != nil {
		return err
	}
	l.segments.Store(&[]*segment{seg})
	return nil
}

// dropAfter removes the segments after i and opens segment i again, cut at
// position, where offset end would be. Its index files go, so that whoever looks at
// the files finds no entry for what was cut; the next checkpoint writes them anew.
func (l *Log) dropAfter(list []*segment, i int, position, end int64) error {
	old := list[i]
	aborted, err := l.abortedTxnsOf(old)
	if err != nil {
		return err
	}
	if err := l.removeNewestFirst(list[i+1:]); err != nil {
		return err
	}
	if err := l.store.closeSegment(old); err != nil {
		return err
	}
	f, err := l.store.fs.OpenReadWrite(old.path(suffixLog))
	if err != nil {
		return err
	}
	seg := newSegment(l.store.fs, l.dir, old.base)
	seg.times.known, seg.times.createdMs, seg.times.lastAppendMs = true, old.times.created(), old.times.lastAppend()
	if err := errors.Join(f.Truncate(position), f.Sync()); err != nil {
		return errors.Join(err, f.Close())
	}
	seg.size.Store(position)
	seg.synced.Store(position)
	x, err := seg.rebuildIndex()
	if err != nil {
		return errors.Join(err, f.Close())
	}
	seg.index.Store(x)
	seg.checked.appends(position)
	if err := seg.keep(newHandle(f, seg), &l.store.handles); err != nil {
		return err
	}
	if times := x.times.view(); len(times) > 0 {
		top := times[len(times)-1]
		seg.times.max, seg.times.maxOffset = top.timestamp, seg.base+int64(top.relative)
	}
	if err := seg.inheritAborted(old, aborted, end); err != nil {
		return err
	}
	next := append(slices.Clone(list[:i]), seg)
	l.segments.Store(&next)
	for _, suffix := range []string{suffixIndex, suffixTimeIndex} {
		if err := removeIfThere(l.store.fs, filepath.Join(l.dir, offsetName(seg.base, suffix))); err != nil {
			return err
		}
	}
	return nil
}
