package storage

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/millrace/millrace/broker/batch"
	"github.com/millrace/millrace/internal/buffers"
)

// Isolation says which records a reader sees.
type Isolation int8

const (
	// ReadUncommitted reads up to the high watermark.
	ReadUncommitted Isolation = iota
	// ReadCommitted reads up to the last stable offset and names the aborted
	// transactions, whose records the reader leaves out. Without transactions the
	// last stable offset is the high watermark.
	ReadCommitted
)

// ReadOptions go with a read.
type ReadOptions struct {
	// Isolation is ReadUncommitted by default.
	Isolation Isolation
	// MinOneBatch returns the first batch even if it is larger than the
	// limit (KIP-74).
	MinOneBatch bool
	// MaxOffset bounds the read to batches that begin before it; 0 has no bound
	// but the high watermark.
	MaxOffset int64
}

// ReadResult holds whole batches.
type ReadResult struct {
	// Data are whole batches as they are stored; the first contains the wanted
	// offset and may begin before it. It is empty at the high watermark. It
	// must not be written to and is valid until Release.
	Data []byte
	// File holds the batches instead of Data in a result of ReadInFile.
	File FileSpan
	// NextOffset is the offset after the last batch; the wanted offset when there
	// is none.
	NextOffset int64
	// HighWatermark, LastStableOffset and LogStartOffset at the time of the read.
	HighWatermark, LastStableOffset, LogStartOffset int64
	// Aborted are, under ReadCommitted, the aborted transactions with records in
	// Data, in the order of their markers; nil for none.
	Aborted []AbortedTransaction

	buffer *buffers.Buffer
	log    *Log // that File is pinned by
}

// Size is the number of bytes of the batches.
func (r *ReadResult) Size() int64 { return int64(len(r.Data)) + r.File.Size }

// limit is the offset that a read ends before.
func (r *ReadResult) limit(o ReadOptions) int64 {
	limit := r.HighWatermark
	if o.Isolation == ReadCommitted {
		limit = r.LastStableOffset
	}
	if o.MaxOffset > 0 {
		limit = min(limit, o.MaxOffset)
	}
	return limit
}

// Release gives the memory of Data back and lets go of File; neither must be used any more. A
// result of Read that is never released is left to the garbage collector.
func (r *ReadResult) Release() {
	if r.buffer != nil {
		r.buffer.Release()
		r.buffer, r.Data = nil, nil
	}
	if r.log != nil {
		r.log.unpin(r.File.handle)
		r.log, r.File = nil, FileSpan{}
	}
}

// Read returns whole batches from the one that contains startOffset, at most
// maxBytes of them, never beyond the high watermark (or last stable offset).
// Records of the first batch before startOffset are the caller's to skip.
//
// Errors: ErrOffsetOutOfRange before the log start and after the log end (the result
// then still has the three offsets); [*CorruptionError] when what is on disk fails
// its checksum; ErrOffline, ErrDeleted, ErrClosed.
func (l *Log) Read(startOffset int64, maxBytes int, o ReadOptions) (ReadResult, error) {
	if err := l.Err(); err != nil {
		return ReadResult{}, err
	}
	hw := l.hw.Load() // first: everything below is then published
	res := ReadResult{NextOffset: startOffset, HighWatermark: hw, LastStableOffset: l.stableBelow(hw), LogStartOffset: l.logStart.Load()}
	if end := l.end.Load(); startOffset < res.LogStartOffset || startOffset > end {
		return res, fmt.Errorf("%w: %d is not within %d to %d", ErrOffsetOutOfRange, startOffset, res.LogStartOffset, end)
	}
	limit := res.limit(o)
	if startOffset >= limit {
		l.tail.follow(l.store.nowMs())
		return res, nil
	}
	if maxBytes <= 0 && !o.MinOneBatch {
		return res, nil
	}
	maxBytes = min(max(maxBytes, 0), readBytesMax)
	swaps := l.swaps.Load()
	var span readSpan
	hit := startOffset >= l.tailFrom.Load()
	if hit {
		span, hit = l.tail.read(startOffset, limit, maxBytes, o.MinOneBatch)
	}
	if !hit {
		var err error
		if span, err = l.readDisk(startOffset, limit, maxBytes, o.MinOneBatch); err != nil {
			return res, err
		}
	}
	if o.Isolation == ReadCommitted && len(span.data) > 0 {
		// After the data: a segment that is gone by now took its index along.
		var err error
		res.Aborted, err = l.abortedWithin(startOffset, span.next)
		// Compaction forgets aborted transactions together with their data: what
		// was read before it must not meet an index from after it.
		swapped := l.swaps.Load() != swaps
		if (err != nil || swapped) && span.buffer != nil {
			span.buffer.Release()
		}
		if err != nil {
			return res, err
		}
		if swapped {
			return l.Read(startOffset, maxBytes, o)
		}
	}
	source := fromDisk
	if hit {
		source = fromTail
		l.tail.follow(l.store.nowMs())
	}
	l.store.metrics.read(len(span.data), source)
	l.traffic.read.Add(int64(len(span.data)))
	res.Data, res.NextOffset, res.buffer = span.data, span.next, span.buffer
	return res, nil
}

func (l *Log) readDisk(start, limit int64, bytesMax int, minOne bool) (span readSpan, err error) {
	err = l.withSegments(func(list []*segment) error {
		span, err = l.readSegments(list, start, limit, bytesMax, minOne)
		return err
	})
	return span, err
}

// withSegments calls do with the segments of this moment. Compaction may
// replace one and remove its file before do has opened it: then do is called again
// with the segments that are there now.
func (l *Log) withSegments(do func([]*segment) error) error {
	for {
		at := l.segments.Load()
		if at == nil {
			return do(nil)
		}
		err := do(*at)
		if !errors.Is(err, fs.ErrNotExist) || l.segments.Load() == at {
			return err
		}
	}
}

func (l *Log) readSegments(list []*segment, start, limit int64, bytesMax int, minOne bool) (readSpan, error) {
	i := segmentAt(list, start)
	if i < 0 {
		return readSpan{}, fmt.Errorf("%w: %d was deleted", ErrOffsetOutOfRange, start)
	}
	// A compacted segment may end before start; the next one then has it.
	for ; i < len(list) && list[i].base < limit; i++ {
		span, found, err := l.readSegment(list[i], start, limit, bytesMax, minOne)
		if errors.Is(err, fs.ErrNotExist) && l.Err() != nil {
			return readSpan{}, l.Err()
		}
		if errors.Is(err, fs.ErrNotExist) && l.logStart.Load() > start {
			return readSpan{}, fmt.Errorf("%w: %d was deleted", ErrOffsetOutOfRange, start)
		}
		if found || err != nil {
			return span, err
		}
		if i+1 < len(list) && start < list[i+1].base && start >= l.cleaned.Load() && l.Config().CleanupPolicy&CleanupCompact == 0 {
			return readSpan{}, l.damaged(list[i], list[i].size.Load(), start, errEndsEarly)
		}
	}
	return readSpan{next: start}, nil
}

// errEndsEarly says that a segment of a log without compaction, which has no
// gaps, ends before the next one begins.
var errEndsEarly = fmt.Errorf("%w: the segment ends before the next one begins", batch.ErrShort)

// readSlack is read beyond the wanted bytes, so that the header of the batch after
// them is there, or a small one whole.
const readSlack = 8 << 10

// readSegment reads from one segment. found is false when all its batches lie
// before start.
func (l *Log) readSegment(seg *segment, start, limit int64, bytesMax int, minOne bool) (span readSpan, found bool, err error) {
	h, err := seg.acquire(&l.store.handles)
	if err != nil {
		return readSpan{}, false, err
	}
	defer func() { err = errors.Join(err, h.release()) }()
	// A log of the same name may have taken the path since.
	if err := l.Err(); err != nil {
		return readSpan{}, false, err
	}
	size := seg.size.Load()
	at, err := l.nearest(seg, h, start, limit)
	if err != nil {
		return readSpan{}, false, err
	}
	want := int64(bytesMax) + readSlack
	for at < size {
		n := min(size-at, want)
		buf := l.store.cfg.Buffers.Get(int(n))
		b := buf.B[:n]
		if err := readFull(h.file, b, at); err != nil {
			buf.Release()
			return readSpan{}, false, fmt.Errorf("read %s: %w", seg.path(suffixLog), err)
		}
		w := walk(b, start, limit, bytesMax, minOne)
		if w.next > 0 {
			span, err := l.checked(seg, at, b, w)
			if err == nil {
				h.cursors.keep(span.next, at+int64(w.from+len(span.data)))
			}
			span.buffer = buf
			return span, true, err
		}
		buf.Release()
		switch {
		case w.err != nil:
			return readSpan{}, false, l.damaged(seg, at+int64(w.to), start, w.err)
		case w.short > 0 && int64(w.short) > size-at-int64(w.to):
			return readSpan{}, false, l.damaged(seg, at+int64(w.to), start, batch.ErrShort)
		case w.found && (w.short == 0 || w.short > bytesMax && !minOne && w.short > batch.HeaderSize):
			return readSpan{next: start}, true, nil
		}
		at += int64(w.to)
		want = max(want, int64(w.short))
	}
	return readSpan{}, false, nil
}

// checked verifies the checksums of what came from disk, so that damage is
// never served. The batches before a damaged one are.
func (l *Log) checked(seg *segment, at int64, b []byte, w walkResult) (readSpan, error) {
	span := readSpan{}
	to := w.from
	for p, err := range batch.All(b[w.from:w.to]) {
		if err == nil {
			err = p.CheckCRC()
		}
		if err != nil && to == w.from {
			return readSpan{}, l.damaged(seg, at+int64(to), p.BaseOffset, err)
		}
		if err != nil {
			break
		}
		to += len(p.Raw)
		span.next = p.LastOffset() + 1
	}
	span.data = b[w.from:to:to]
	seg.checked.read(at+int64(w.from), at+int64(to))
	return span, nil
}

// damageToldMs is how long a log says nothing more of damage that is read again.
const damageToldMs = 10_000

// damaged reports stored bytes that do not parse, at most once in damageToldMs to the
// operator. The log stays online: what is intact can still be read.
func (l *Log) damaged(seg *segment, position, offset int64, err error) error {
	l.store.metrics.corruptions.Inc()
	damage := &CorruptionError{File: seg.path(suffixLog), Position: position, Offset: offset, Reason: err.Error()}
	now, told := l.store.nowMs(), l.damageTold.Load()
	if (told == 0 || now-told >= damageToldMs) && l.damageTold.CompareAndSwap(told, now) {
		l.store.log.Error("stored records are damaged and cannot be read", "topic", l.id.Topic, "partition", l.id.Partition, "error", damage)
	}
	return damage
}
