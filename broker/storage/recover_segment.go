package storage

import (
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/millrace/millrace/broker/batch"
)

// scanSegment opens a segment for writing, checks its batches from the last
// trusted index entry on and makes its index complete. It returns the offset
// after the last good batch, and the damage that follows it, if any; the
// segment's size is then that of the good part.
func (r *recovery) scanSegment(seg *segment) (next int64, damage *CorruptionError, err error) {
	seg.index.Store(newSegmentIndex()) // it is opened for writing
	h, err := seg.acquire(&r.l.store.handles)
	if err != nil {
		return 0, nil, err
	}
	defer func() { err = errors.Join(err, h.release()) }()
	f := h.file
	fileSize := seg.size.Load()
	position, next, err := r.loadIndex(seg, f)
	if err != nil {
		return 0, nil, err
	}
	r.replay.start(next, seg == r.list[0] && position == 0)
	x := seg.index.Load()
	// Until the index entries below position are confirmed by the batch there,
	// offsets are not known; loadIndex has done so.
	err = r.scanner.scan(f, position, fileSize, func(b batch.Batch, at int64) error {
		if err := r.checkStored(&b, seg, next); err != nil {
			return err
		}
		if b.BaseOffset >= r.saved.point {
			r.scanned = true
		}
		next, position = b.LastOffset()+1, at+int64(len(b.Raw))
		seg.times.note(effectiveMaxTimestamp(&b.Header), b.LastOffset(), seg.times.lastAppendMs)
		top, topOffset := seg.times.get()
		x.add(seg.base, b.LastOffset(), at, int64(len(b.Raw)), DefaultLogConfig().IndexIntervalBytes, top, topOffset)
		r.l.epochs.assign(b.LeaderEpoch, b.BaseOffset)
		r.follow(&b, seg)
		return nil
	})
	seg.size.Store(position)
	seg.synced.Store(position)
	seg.checked.appends(position)
	if err == nil {
		return next, nil, r.setCreated(seg, f)
	}
	if !isDamage(err) {
		return 0, nil, err
	}
	seg.times.known = true
	return next, &CorruptionError{File: seg.path(suffixLog), Position: position, Offset: next, Reason: err.Error()}, r.setCreated(seg, f)
}

// checkStored checks a batch that should follow in a segment. Base offset and
// leader epoch are not under the checksum, so they are held against what came
// before; offsets may have gaps only where compaction can have been: below the
// recovery point, below the cleaner checkpoint, and in segments that are no
// longer written. A torn write leaves no gap between intact batches.
func (r *recovery) checkStored(b *batch.Batch, seg *segment, next int64) error {
	base, compacted := seg.base, b.BaseOffset > next && (b.BaseOffset <= r.saved.cleaned || seg != r.list[len(r.list)-1])
	switch {
	case next >= r.saved.point && b.BaseOffset != next && !compacted:
		return fmt.Errorf("%w: base offset %d, expected %d", batch.ErrCorrupt, b.BaseOffset, next)
	case next >= r.saved.point && b.LeaderEpoch < r.l.epochs.latest():
		return fmt.Errorf("%w: leader epoch %d after %d", batch.ErrCorrupt, b.LeaderEpoch, r.l.epochs.latest())
	case b.BaseOffset < next:
		return fmt.Errorf("%w: base offset %d, expected %d or more", batch.ErrCorrupt, b.BaseOffset, next)
	case next < r.saved.point && b.BaseOffset > r.saved.point:
		// A batch begins at the recovery point: this one cannot be the first
		// after a gap that spans it.
		return fmt.Errorf("%w: base offset %d, expected %d, and a batch at the recovery point %d", batch.ErrCorrupt, b.BaseOffset, next, r.saved.point)
	case b.LastOffset()-base > math.MaxInt32:
		return fmt.Errorf("%w: offset %d is too far from the segment's base %d", batch.ErrCorrupt, b.LastOffset(), base)
	}
	return b.CheckCRC()
}

// setCreated finds out about when the segment was begun, for rolling by age:
// the first batch's timestamp, but not later than the file's last change.
func (r *recovery) setCreated(seg *segment, f io.ReaderAt) error {
	seg.times.known = true
	if seg.size.Load() < batch.HeaderSize {
		seg.times.createdMs = 0
		return nil
	}
	head := make([]byte, batch.HeaderSize)
	if err := readFull(f, head, 0); err != nil {
		return err
	}
	h, err := batch.ParseHeader(head)
	seg.times.createdMs = seg.times.lastAppendMs
	if err == nil && h.MaxTimestamp > 0 {
		seg.times.createdMs = min(h.MaxTimestamp, seg.times.lastAppendMs)
	}
	return nil
}

// loadIndex finds the last entry of the index that lies below the recovery point and the
// time entries up to there, if they fit each other and the log, and returns the position
// of its batch and the least offset that can be there. Otherwise, as
// where there is none, it returns the beginning of the segment.
func (r *recovery) loadIndex(seg *segment, f io.ReaderAt) (position, next int64, err error) {
	if r.saved.point <= seg.base || !r.files[offsetName(seg.base, suffixIndex)] || !r.files[offsetName(seg.base, suffixTimeIndex)] {
		return 0, seg.base, nil
	}
	offsets, last, err := r.lastEntry(seg)
	if err != nil || offsets == 0 {
		return 0, seg.base, r.unlessDamaged(err)
	}
	times, lastTime, err := r.lastTime(seg, last.relative)
	if err != nil {
		return 0, seg.base, r.unlessDamaged(err)
	}
	base, ok := seg.batchOf(f, last)
	if !ok {
		return 0, seg.base, nil
	}
	x := newSegmentIndex()
	x.filedOffsets, x.filedTimes = offsets, times
	if times > 0 {
		x.lastTime = lastTime
		seg.times.max, seg.times.maxOffset = lastTime.timestamp, seg.base+int64(lastTime.relative)
	}
	seg.index.Store(x)
	seg.persistedOffsets, seg.persistedTimes = offsets, times
	return int64(last.position), base, nil
}

// unlessDamaged keeps errors that say nothing about what is in an index file.
func (r *recovery) unlessDamaged(err error) error {
	if errors.Is(err, errIndexDamaged) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil
	}
	return err
}

func (r *recovery) lastEntry(seg *segment) (n int, last offsetEntry, err error) {
	f, n, err := seg.openIndexFile(&r.l.store.handles, suffixIndex, offsetEntrySize)
	if err != nil {
		return 0, last, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return floorInFile(f, n, min(r.saved.point-1-seg.base, math.MaxInt32))
}

func (r *recovery) lastTime(seg *segment, relative uint32) (n int, last timeEntry, err error) {
	f, n, err := seg.openIndexFile(&r.l.store.handles, suffixTimeIndex, timeEntrySize)
	if err != nil {
		return 0, last, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return timesInFile(f, n, relative)
}

// cut decides about damage in segment i: it is cut off, or it is returned.
func (r *recovery) cut(i int, damage *CorruptionError) (err error) {
	seg, l := r.list[i], r.l
	if damage.Offset < r.saved.point || r.saved.clean {
		return damage
	}
	h, err := seg.acquire(&l.store.handles)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.release()) }()
	info, err := h.file.Stat()
	if err != nil {
		return err
	}
	strict := l.store.cfg.Durability == DurabilityFsync
	if strict && i < len(r.list)-1 {
		return damage
	}
	if strict {
		at, err := findBatch(h.file, damage.Position+1, info.Size(), damage.Offset)
		if err != nil {
			return err
		}
		if at >= 0 {
			damage.Reason += fmt.Sprintf("; a valid batch follows at byte %d", at)
			return damage
		}
	}
	l.store.log.Warn("torn tail of a log cut", "topic", l.id.Topic, "partition", l.id.Partition,
		"file", damage.File, "position", damage.Position, "offset", damage.Offset,
		"bytes", info.Size()-damage.Position, "segments", len(r.list)-1-i, "reason", damage.Reason)
	l.store.metrics.tornTails.Inc()
	h.dirty.Store(true)
	if err := h.file.Truncate(damage.Position); err != nil {
		return err
	}
	r.scanned = true
	return r.removeFrom(i + 1)
}

// findBatch looks for an intact batch with a base offset after offset, at any
// byte between from and to; -1 when there is none.
func findBatch(f io.ReaderAt, from, to, offset int64) (int64, error) {
	buf := make([]byte, scanBytes)
	for from+batch.HeaderSize <= to {
		window := buf[:min(int64(len(buf)), to-from)]
		if err := readFull(f, window, from); err != nil {
			return -1, err
		}
		step := len(window) - batch.HeaderSize + 1
		for i := range step {
			if !plausible(window[i:], to-from-int64(i), offset) {
				continue
			}
			ok, err := intactAt(f, from+int64(i))
			if err != nil {
				return -1, err
			}
			if ok {
				return from + int64(i), nil
			}
		}
		from += int64(step)
	}
	return -1, nil
}

// plausible says whether b may begin with a header of a batch after offset,
// within the bytes that are left.
func plausible(b []byte, left, offset int64) bool {
	h, err := batch.ParseHeader(b)
	return err == nil && int64(h.Size()) <= left && h.BaseOffset > offset && h.BaseOffset-offset <= math.MaxInt32 &&
		h.Count >= 0 && h.LastOffsetDelta+1 >= h.Count && h.Codec().Valid()
}

func intactAt(f io.ReaderAt, at int64) (bool, error) {
	head := make([]byte, batch.HeaderSize)
	if err := readFull(f, head, at); err != nil {
		return false, err
	}
	h, err := batch.ParseHeader(head)
	if err != nil {
		return false, nil //nolint:nilerr // not a batch, which is an answer
	}
	raw := make([]byte, h.Size())
	if err := readFull(f, raw, at); err != nil {
		if errors.Is(err, io.ErrUnexpectedEOF) {
			return false, nil
		}
		return false, err
	}
	b := batch.Batch{Header: h, Raw: raw}
	return b.CheckCRC() == nil, nil
}
