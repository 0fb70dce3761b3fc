package storage

import (
	"errors"
	"fmt"
	"slices"

	"github.com/millrace/millrace/broker/batch"
)

// errFound ends a scan early.
var errFound = errors.New("found")

// lookupDecompressedMax bounds the memory of a search in one batch. In a batch
// that is larger the answer is its first offset, which is never too late.
const lookupDecompressedMax = 64 << 20

// OffsetForTimestamp returns the first record at or after timestampMs, below
// the high watermark, with its timestamp and leader epoch; -1, -1, -1 when there
// is none.
func (l *Log) OffsetForTimestamp(timestampMs int64) (offset, timestamp int64, leaderEpoch int32, err error) {
	if err := l.Err(); err != nil {
		return -1, -1, -1, err
	}
	err = l.withSegments(func(list []*segment) error {
		offset, timestamp, leaderEpoch, err = l.offsetForTimestamp(list, timestampMs)
		return err
	})
	return offset, timestamp, leaderEpoch, err
}

func (l *Log) offsetForTimestamp(list []*segment, timestampMs int64) (offset, timestamp int64, leaderEpoch int32, err error) {
	hw, start := l.hw.Load(), l.logStart.Load()
	for i, seg := range list {
		if seg.base >= hw {
			break
		}
		if l.endOf(list, i) <= start {
			continue
		}
		top, _, err := seg.maxTimestamp()
		if err != nil {
			return -1, -1, -1, err
		}
		if top < timestampMs {
			continue
		}
		r, epoch, err := l.findTimestamp(seg, timestampMs, start, hw)
		if err != nil || r.Offset >= 0 {
			return r.Offset, r.Timestamp, epoch, err
		}
	}
	return -1, -1, -1, nil
}

// findTimestamp looks through one segment for the first record in [start, hw)
// at or after timestampMs. Its offset is -1 when there is none.
func (l *Log) findTimestamp(seg *segment, timestampMs, start, hw int64) (found batch.Record, epoch int32, err error) {
	found.Offset, found.Timestamp, epoch = -1, -1, -1
	entries, err := seg.timeEntries()
	if err != nil {
		return found, -1, err
	}
	from := max(floorTime(entries, seg.base, timestampMs), start)
	position, next := int64(0), seg.base // where damage would be
	err = l.scanSegment(seg, from, func(b batch.Batch, at int64) error {
		position, next = at+int64(len(b.Raw)), b.LastOffset()+1
		if b.BaseOffset >= hw {
			return errFound
		}
		if effectiveMaxTimestamp(&b.Header) < timestampMs || b.LastOffset() < start {
			return nil
		}
		r, ok := firstAt(&b, timestampMs, start)
		if !ok {
			return nil
		}
		found, epoch = r, b.LeaderEpoch
		return errFound
	})
	if isDamage(err) {
		err = l.damaged(seg, position, next, err)
	}
	return found, epoch, err
}

// firstAt returns the first record of a batch at or after timestampMs and start.
func firstAt(b *batch.Batch, timestampMs, start int64) (batch.Record, bool) {
	for r, err := range b.RecordsMax(lookupDecompressedMax) {
		if err != nil {
			// A producer's records are not opened when they arrive, so they
			// may be anything: answer by what the header says.
			return batch.Record{Offset: max(b.BaseOffset, start), Timestamp: effectiveMaxTimestamp(&b.Header)}, true
		}
		if r.Timestamp >= timestampMs && r.Offset >= start {
			return batch.Record{Offset: r.Offset, Timestamp: r.Timestamp}, true
		}
	}
	return batch.Record{}, false
}

// scanSegment yields the batches of a segment from about offset on. yield ends
// it with errFound.
func (l *Log) scanSegment(seg *segment, offset int64, yield func(batch.Batch, int64) error) error {
	h, err := seg.acquire(&l.store.handles)
	if err != nil {
		return err
	}
	from, err := seg.position(h, &l.store.handles, offset)
	if err == nil {
		err = scanFile(h.file, from, seg.size.Load(), yield)
	}
	if errors.Is(err, errFound) {
		err = nil
	}
	if err = errors.Join(err, h.release()); err != nil {
		return fmt.Errorf("scan %s: %w", seg.path(suffixLog), err)
	}
	return nil
}

// MaxTimestamp returns the first record with the largest timestamp below the
// high watermark, and its leader epoch; -1, -1, -1 when there is none (KIP-734).
func (l *Log) MaxTimestamp() (offset, timestamp int64, leaderEpoch int32, err error) {
	if err := l.Err(); err != nil {
		return -1, -1, -1, err
	}
	top := int64(-1)
	err = l.withSegments(func(list []*segment) error {
		top, err = l.largestTimestamp(list)
		return err
	})
	if err != nil || top < 0 {
		return -1, -1, -1, err
	}
	return l.OffsetForTimestamp(top)
}

// largestTimestamp returns the largest timestamp below the high watermark, -1 for none.
func (l *Log) largestTimestamp(list []*segment) (int64, error) {
	hw, start := l.hw.Load(), l.logStart.Load()
	top := int64(-1)
	for i, seg := range list {
		if seg.base >= hw {
			break
		}
		if l.endOf(list, i) <= start {
			continue
		}
		t, err := l.maxTimestampBelow(seg, hw, l.endOf(list, i))
		if err != nil {
			return -1, err
		}
		top = max(top, t)
	}
	return top, nil
}

// maxTimestampBelow returns the largest timestamp of a segment's batches below
// hw, -1 for none. end is where the segment ends.
func (l *Log) maxTimestampBelow(seg *segment, hw, end int64) (int64, error) {
	if end <= hw {
		t, _, err := seg.maxTimestamp()
		return t, err
	}
	entries, err := seg.timeEntries()
	if err != nil {
		return -1, err
	}
	top, from := int64(-1), seg.base
	for _, e := range slices.Backward(entries) {
		if offset := seg.base + int64(e.relative); offset < hw {
			top, from = e.timestamp, offset
			break
		}
	}
	err = l.scanSegment(seg, from, func(b batch.Batch, _ int64) error {
		if b.BaseOffset >= hw {
			return errFound
		}
		top = max(top, effectiveMaxTimestamp(&b.Header))
		return nil
	})
	return top, err
}
