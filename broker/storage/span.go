package storage

import (
	"errors"
	"fmt"
	"io"
	"math"
	"sort"
	"sync"
	"syscall"

	"github.com/millrace/millrace/broker/batch"
	"github.com/millrace/millrace/internal/buffers"
)

// SpanFile is a segment's open file that bytes can be sent from.
type SpanFile interface {
	io.ReaderAt
	syscall.Conn
	// SendFailed says that the file did not give what the span promised: it is read, and its
	// checksums looked at, the next time, so that the reader is told what is wrong.
	SendFailed()
}

// FileSpan is a run of whole batches in a segment's file, for a reader that hands
// them on as they are (sendfile). Until it is released the file is open, and its bytes
// do not change: nothing below the high watermark is ever written again, and
// retention and compaction take away a file's name only.
type FileSpan struct {
	// File holds the batches in Size bytes from At on; nil for no span.
	File     SpanFile
	At, Size int64

	handle *handle
}

// ReadInFile is Read without reading: it finds out where the batches lie. It
// reports false where Read has to be called: for less than spanBytesMin bytes, for
// batches whose checksums this process has not seen to be right (when they were
// appended, or by a Read since), for files that are not the operating system's, and for whatever
// Read would return an error for.
func (l *Log) ReadInFile(startOffset int64, maxBytes int, o ReadOptions) (ReadResult, bool) {
	hw := l.hw.Load() // first: everything below is then published
	res := ReadResult{NextOffset: startOffset, HighWatermark: hw, LastStableOffset: l.stableBelow(hw), LogStartOffset: l.logStart.Load()}
	limit := res.limit(o)
	if startOffset < res.LogStartOffset || startOffset >= limit || maxBytes < spanBytesMin || l.Err() != nil {
		return res, false
	}
	swaps := l.swaps.Load()
	found, err := l.findSpan(startOffset, limit, int64(min(maxBytes, readBytesMax)))
	if err != nil || found.file.File == nil {
		return res, false // Read meets the error again, and returns it
	}
	if o.Isolation == ReadCommitted {
		res.Aborted, err = l.abortedWithin(startOffset, found.next)
	}
	if err != nil || l.swaps.Load() != swaps { // as in Read
		l.unpin(found.file.handle)
		return res, false
	}
	l.store.metrics.read(int(found.file.Size), fromFile)
	l.traffic.read.Add(found.file.Size)
	res.File, res.NextOffset, res.log = found.file, found.next, l
	return res, true
}

// foundSpan is a span and the offset after it.
type foundSpan struct {
	file FileSpan
	next int64
}

// findSpan pins the segment's file if it returns a span.
func (l *Log) findSpan(start, limit, bytesMax int64) (found foundSpan, err error) {
	list := l.segments.Load()
	if list == nil {
		return foundSpan{}, nil
	}
	i := segmentAt(*list, start)
	if i < 0 {
		return foundSpan{}, nil
	}
	seg := (*list)[i]
	h, err := l.pin(seg)
	if h == nil || err != nil {
		return foundSpan{}, err
	}
	if _, ok := h.file.(syscall.Conn); ok && l.Err() == nil { // a log of the same name may have taken the path since
		s := l.search(seg, h)
		found, err = s.find(start, limit, bytesMax)
		s.window.Release()
		found.file.File, found.file.handle = h, h
	}
	if err != nil || found.file.Size < spanBytesMin || !seg.checked.covers(found.file.At, found.file.At+found.file.Size) {
		l.unpin(h)
		return foundSpan{}, err
	}
	h.cursors.keep(found.next, found.file.At+found.file.Size)
	return found, nil
}

// pin opens the segment's file for a span. It returns nil when half of the open files
// that there may be are pinned: a client that takes its time must not keep others from theirs.
func (l *Log) pin(seg *segment) (*handle, error) {
	if n := l.store.pinned.Add(1); n > int64(l.store.handles.openMax/2) {
		l.store.pinned.Add(-1)
		return nil, nil
	}
	h, err := seg.acquire(&l.store.handles)
	if err != nil {
		l.store.pinned.Add(-1)
		return nil, err
	}
	return h, nil
}

func (l *Log) unpin(h *handle) {
	l.store.pinned.Add(-1)
	l.store.released(h.release())
}

// spanSearch looks for the ends of a span in one segment, by index and headers.
type spanSearch struct {
	seg    *segment
	h      *handle
	files  *handleCache
	size   int64
	window *buffers.Buffer // bytes of the file from at on
	at     int64
	filled int
	steps  int
}

func (l *Log) search(seg *segment, h *handle) spanSearch {
	return spanSearch{seg: seg, h: h, files: &l.store.handles, size: seg.size.Load(), window: l.store.cfg.Buffers.Get(spanWindowBytes)}
}

// nearest returns where the batch begins that contains start, or a place before it where
// that cannot be told by headers.
func (l *Log) nearest(seg *segment, h *handle, start, limit int64) (int64, error) {
	s := l.search(seg, h)
	defer s.window.Release()
	if at, ok, err := s.begin(start, limit); ok && err == nil {
		return at, nil
	}
	return seg.position(h, &l.store.handles, start)
}

// find returns the batches from the one that contains start, up to bytesMax bytes and
// to limit. The span is empty where it cannot tell.
func (s *spanSearch) find(start, limit, bytesMax int64) (foundSpan, error) {
	from, ok, err := s.begin(start, limit)
	if !ok || err != nil || s.size-from < spanBytesMin {
		return foundSpan{}, err
	}
	w := spanWalk{to: from, next: start, positionMax: min(from+bytesMax, s.size), limit: limit}
	err = s.walk(&w, s.steps+1)
	if few := (w.to-from)*spanStepsFew >= w.positionMax-from; few && err == nil {
		// A few large batches are found sooner by their headers than by the index, which may be a file.
		err = s.walk(&w, s.steps+spanStepsFew)
	}
	if w.ended || err != nil {
		return foundSpan{FileSpan{At: from, Size: w.to - from}, w.next}, err
	}
	if e, ok := s.entryBefore(from+bytesMax, limit); ok && int64(e.position) > w.to {
		w.to = int64(e.position)
		h, err := s.header(w.to)
		if err != nil || h.LastOffset() != s.seg.base+int64(e.relative) {
			return foundSpan{}, err
		}
		w.next = h.BaseOffset
	}
	err = s.walk(&w, spanStepsMax)
	return foundSpan{FileSpan{At: from, Size: w.to - from}, w.next}, err
}

// spanWalk goes from batch to batch, up to positionMax and limit.
type spanWalk struct {
	to, next           int64 // where the batches that were passed end
	positionMax, limit int64
	ended              bool // the next batch does not belong to the span
}

// walk passes batches until one does not belong to the span any more, or as many steps have been
// made in this search.
func (s *spanSearch) walk(w *spanWalk, stepsMax int) error {
	for w.to < s.size && s.steps < stepsMax {
		h, err := s.header(w.to)
		if err != nil {
			return err
		}
		end := w.to + int64(h.Size())
		if h.BaseOffset >= w.limit || end > w.positionMax {
			w.ended = true
			return nil
		}
		w.to, w.next = end, h.LastOffset()+1
		s.steps++
	}
	w.ended = w.to >= s.size
	return nil
}

// begin returns where the batch begins that contains start.
func (s *spanSearch) begin(start, limit int64) (int64, bool, error) {
	at, known := s.h.cursors.find(start)
	if !known {
		var err error
		if at, err = s.seg.position(s.h, s.files, start); err != nil {
			return 0, false, err
		}
	}
	for at < s.size && s.steps < spanStepsMax {
		h, err := s.header(at)
		if err != nil {
			return 0, false, err
		}
		if h.LastOffset() >= start {
			return at, h.BaseOffset < limit, nil
		}
		at += int64(h.Size())
		s.steps++
	}
	return 0, false, nil
}

// entryBefore returns the last index entry of a batch that begins at or before position
// and ends before limit. Without one headers alone tell.
func (s *spanSearch) entryBefore(position, limit int64) (last offsetEntry, ok bool) {
	beyond := func(e offsetEntry) bool {
		return int64(e.position) > position || s.seg.base+int64(e.relative) >= limit
	}
	filed := math.MaxInt
	if x := s.seg.index.Load(); x != nil {
		recent := x.offsets.view()
		if x.filedOffsets == 0 || len(recent) > 0 && !beyond(recent[0]) {
			return lastBefore(recent, beyond)
		}
		filed = x.filedOffsets
	}
	if rebuilt := s.h.index.Load(); rebuilt != nil {
		return lastBefore(*rebuilt, beyond)
	}
	f, n, err := s.seg.openIndexFile(s.files, suffixIndex, offsetEntrySize)
	if err != nil {
		return offsetEntry{}, false
	}
	count, last, err := lastInFile(f, min(n, filed), beyond)
	return last, errors.Join(err, f.Close()) == nil && count > 0
}

// lastBefore returns the last entry before those that are beyond.
func lastBefore(entries []offsetEntry, beyond func(offsetEntry) bool) (last offsetEntry, ok bool) {
	i := sort.Search(len(entries), func(i int) bool { return beyond(entries[i]) })
	if i == 0 {
		return offsetEntry{}, false
	}
	return entries[i-1], true
}

// header reads the header of the batch at a position.
func (s *spanSearch) header(at int64) (batch.Header, error) {
	from := at - s.at
	if s.filled == 0 || from < 0 || from+batch.HeaderSize > int64(s.filled) {
		n := min(spanWindowBytes, s.size-at)
		if err := readFull(s.h.file, s.window.B[:n], at); err != nil {
			return batch.Header{}, fmt.Errorf("read %s: %w", s.seg.path(suffixLog), err)
		}
		s.at, s.filled, from = at, int(n), 0
	}
	return batch.ParseHeader(s.window.B[from:s.filled])
}

// spanCursors remember where the last spans of a file ended, which is where their readers
// go on. Readers of the same batches share one.
type spanCursors struct {
	mu   sync.Mutex
	last [spanCursorsMax]struct{ offset, position int64 }
	next int
}

func (c *spanCursors) keep(offset, position int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.last {
		if c.last[i].offset == offset {
			c.last[i].position = position
			return
		}
	}
	c.last[c.next].offset, c.last[c.next].position = offset, position
	c.next = (c.next + 1) % len(c.last)
}

func (c *spanCursors) find(offset int64) (position int64, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range c.last {
		if e.offset == offset && e.position > 0 {
			return e.position, true
		}
	}
	return 0, false
}
