package storage

import (
	"errors"
	"fmt"
	"time"

	"github.com/millrace/millrace/broker/batch"
)

// errCleanStopped ends a run because the cleaner is being stopped.
var errCleanStopped = errors.New("compaction was stopped")

// cleanResult is what one run did.
type cleanResult struct {
	// to is the offset below which the log is compacted now.
	to int64
	// readBytes and writtenBytes of segments; the dirty ones are read twice.
	readBytes, writtenBytes int64
	// records read, and kept of them, in the last pass.
	records, kept int64
	passes        int
}

// cleanRun compacts one log. The memory for the keys may not do for all
// records that are due: then it takes several passes.
type cleanRun struct {
	l        *Log
	target   cleanTarget
	bytesMax int64   // of the map of keys
	load     float64 // of it that may be used
	// pause is called with the bytes that were read or written; it may take
	// its time, or return errCleanStopped.
	pause  func(bytes int) error
	result cleanResult
	// truncations of the log before the run: after another one the keys may be of records that are gone.
	truncations int64
}

// run compacts the log up to target.to, or what it could do before an error.
func (r *cleanRun) run() (cleanResult, error) {
	l := r.l
	// Gaps in offsets may only be below the recovery point, and what is
	// replaced must have its indexes on disk.
	if err := errors.Join(l.checkpoint(), l.store.writeCheckpoints()); err != nil {
		return r.result, err
	}
	l.checkpointMu.Lock()
	r.truncations = l.truncations
	l.checkpointMu.Unlock()
	for r.result.to = r.target.from; r.result.to < r.target.to; {
		end, err := r.pass(r.result.to)
		if err == nil {
			err = l.setCleaned(end, r.truncations)
		}
		if err != nil {
			return r.result, err
		}
		r.result.to = end
		r.result.passes++
		if err := l.store.writeCheckpoints(); err != nil {
			return r.result, err
		}
	}
	return r.result, nil
}

// setCleaned advances the cleaner checkpoint, unless the log was truncated
// since the run began: then what is written there now was not compacted.
func (l *Log) setCleaned(end, truncations int64) error {
	l.checkpointMu.Lock()
	defer l.checkpointMu.Unlock()
	if err := l.Err(); err != nil {
		return err
	}
	if l.truncations != truncations {
		return errSegmentsChanged
	}
	l.cleaned.Store(end)
	l.store.checkpoints.stale.Store(true)
	return nil
}

// pass compacts the log with the keys from offset from on, as many as the map
// holds, and returns the offset up to which they were.
func (r *cleanRun) pass(from int64) (int64, error) {
	l := r.l
	keys := newOffsetMap(r.target.to-from, r.bytesMax, r.load)
	if err := r.collect(keys, from); err != nil {
		return 0, err
	}
	end := keys.latest + 1
	segs, ends := r.below(end)
	cfg, nowMs := l.cfg.Load(), l.store.nowMs()
	groups, err := groupSegments(segs, ends, cfg)
	if err != nil {
		return 0, err
	}
	f := &cleanFilter{keys: keys, txns: newCleanTxns(), nowMs: nowMs, horizonMs: addMs(nowMs, cfg.DeleteRetentionMs), last: l.lastRecords()}
	at := 0
	for _, group := range groups {
		at += len(group)
		f.end = ends[at-1]
		if err := r.rewrite(f, group, ends[at-len(group):at]); err != nil {
			return 0, err
		}
	}
	r.result.records, r.result.kept = f.read, f.kept
	return end, nil
}

// below returns the segments that begin before end, and where each ends.
func (r *cleanRun) below(end int64) (segs []*segment, ends []int64) {
	list := r.l.list()
	for i, seg := range list[:max(len(list)-1, 0)] {
		if seg.base >= end {
			break
		}
		segs, ends = append(segs, seg), append(ends, list[i+1].base)
	}
	return segs, ends
}

// collect fills the map with the keys from offset from on, without those of
// aborted transactions.
func (r *cleanRun) collect(keys *offsetMap, from int64) error {
	txns := newCleanTxns()
	segs, ends := r.below(r.target.to)
	for i, seg := range segs {
		if ends[i] <= from {
			continue
		}
		aborted, err := r.l.abortedBetween(max(from, seg.base), ends[i])
		if err != nil {
			return err
		}
		txns.expect(aborted)
		full := false
		err = r.scan(seg, max(from, seg.base), func(b *batch.Batch, _ int64) error {
			if b.LastOffset() < from {
				return nil
			}
			var err error
			if full, err = collectBatch(keys, txns, b, from); err != nil {
				return err
			}
			if full {
				return errFound
			}
			keys.cover(b.LastOffset())
			return nil
		})
		if err != nil || full {
			return err
		}
		keys.cover(ends[i] - 1) // what follows the last batch was compacted away
	}
	return nil
}

// collectBatch puts the keys of one batch into the map; full says that not all
// of them fitted.
func collectBatch(keys *offsetMap, txns *cleanTxns, b *batch.Batch, from int64) (full bool, err error) {
	opened, err := b.Open(cleanDecompressedMax)
	if err != nil {
		return false, err
	}
	if b.IsControl() {
		for e, err := range opened.Entries() {
			if err != nil {
				return false, err
			}
			if kind, ok := controlKindOf(e.Key); ok {
				txns.marker(&b.Header, kind)
			}
		}
		return false, nil
	}
	if txns.data(&b.Header) {
		return false, nil
	}
	for e, err := range opened.Entries() {
		if err != nil {
			return false, err
		}
		if e.Key != nil && e.Offset >= from && !keys.put(e.Key, e.Offset) {
			return true, nil
		}
	}
	return false, nil
}

// rewrite writes one segment in the place of a group of them.
func (r *cleanRun) rewrite(f *cleanFilter, group []*segment, ends []int64) error {
	if err := r.roomFor(group); err != nil {
		return err
	}
	w, err := r.l.newCleanWriter(group[0].base)
	if err != nil {
		return err
	}
	for i, seg := range group {
		aborted, err := r.l.abortedBetween(seg.base, ends[i])
		if err == nil {
			f.txns.expect(aborted)
			err = r.filter(f, w, seg)
		}
		if err != nil {
			return errors.Join(err, r.l.abandon(w))
		}
	}
	w.aborted = f.txns.takeKept()
	if err := w.finish(group); err != nil {
		return errors.Join(fmt.Errorf("write compacted segment: %w", err), r.l.abandon(w))
	}
	r.result.writtenBytes += w.size
	return r.l.swap(w, group, r.truncations)
}

// roomFor refuses to compact a group when the disk's reserve is too small for
// it while producers are refused: compaction must not take what is left.
func (r *cleanRun) roomFor(group []*segment) error {
	s := &r.l.store.space
	if !s.refusing.Load() {
		return nil
	}
	var size int64
	for _, seg := range group {
		size += seg.size.Load()
	}
	now, err := s.free(s.dir)
	if err != nil {
		return err
	}
	if now.FreeBytes-size < size {
		return fmt.Errorf("%w: %d bytes are free, compaction of segment %d may need %d", ErrNoSpace, now.FreeBytes, group[0].base, size)
	}
	return nil
}

// filter writes what stays of a segment.
func (r *cleanRun) filter(f *cleanFilter, w *cleanWriter, seg *segment) error {
	written := w.size
	return r.scan(seg, seg.base, func(b *batch.Batch, _ int64) error {
		before := len(w.buf)
		var err error
		if w.buf, err = f.batch(w.buf, b); err != nil {
			return err
		}
		if err := w.added(before); err != nil {
			return err
		}
		err = r.pause(int(w.size - written))
		written = w.size
		return err
	})
}

// scan yields the intact batches of a segment from about offset on. One that is
// not intact is a [*CorruptionError].
func (r *cleanRun) scan(seg *segment, offset int64, yield func(b *batch.Batch, position int64) error) error {
	position, next := int64(0), offset
	err := r.l.scanSegment(seg, offset, func(b batch.Batch, at int64) error {
		position, next = at, b.BaseOffset
		if err := b.CheckCRC(); err != nil {
			return err
		}
		if err := yield(&b, at); err != nil {
			return err
		}
		position, next = at+int64(len(b.Raw)), b.LastOffset()+1
		r.result.readBytes += int64(len(b.Raw))
		return r.pause(len(b.Raw))
	})
	if isDamage(err) || errors.Is(err, batch.ErrCodec) || errors.Is(err, batch.ErrTooLarge) {
		return &CorruptionError{File: seg.path(suffixLog), Position: position, Offset: next, Reason: err.Error()}
	}
	return err
}

// logValue describes a run for the operator.
func (r *cleanRun) logValues(took time.Duration) []any {
	return []any{
		"topic", r.l.id.Topic, "partition", r.l.id.Partition, "from", r.target.from, "to", r.result.to,
		"read_bytes", r.result.readBytes, "written_bytes", r.result.writtenBytes,
		"records", r.result.records, "kept", r.result.kept, "passes", r.result.passes, "seconds", took.Seconds(),
	}
}
