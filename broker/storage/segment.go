package storage

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/millrace/millrace/broker/batch"
	"github.com/millrace/millrace/internal/vfs"
)

// segment is one .log file and its indexes.
//
// The writer (under the log's lock) changes size, index and timestamps; readers
// use them without a lock. A segment that is no longer written first keeps its index and
// descriptor until both index files are on disk (finish), then opens lazily.
type segment struct {
	dir  string
	base int64
	fs   vfs.FS

	// size is the length of the valid, published part of the file.
	size atomic.Int64
	// synced is the part of size that was forced to disk.
	synced atomic.Int64
	// syncMu serialises fdatasync, whose error the kernel reports only once;
	// syncErr keeps it for all later calls.
	syncMu  sync.Mutex
	syncErr error
	// index is there while the segment is written; nil afterwards.
	index atomic.Pointer[segmentIndex]
	// handle is nil while the file is not open.
	handle atomic.Pointer[handle]
	// openMu serialises lazy opening with renaming and removal of the files.
	openMu sync.Mutex
	// renamed is what the files' names end in beyond the usual; nil is nothing.
	// It changes under openMu.
	renamed atomic.Pointer[string]
	gone    bool // the files were removed; protected by openMu

	times   segmentTimes
	checked checkedParts

	// abortedTxns counts the entries of the transaction index; abortedChecked says
	// that those in its file were found to be good.
	abortedTxns    atomic.Int64
	abortedChecked atomic.Bool

	// persistedOffsets, persistedTimes and persistedAborted count the index
	// entries that are in the files. Only a checkpoint, one at a time, uses them.
	persistedOffsets, persistedTimes, persistedAborted int
}

// segmentTimes are the timestamps of a segment.
type segmentTimes struct {
	mu sync.Mutex
	// known says that max and maxOffset are loaded.
	known bool
	// max is the largest record timestamp (-1: none), maxOffset the last
	// offset of the batch that holds it.
	max, maxOffset int64
	// createdMs is when the first batch was written, lastAppendMs when the
	// last one was, by the broker's clock; 0 when nothing was written yet.
	createdMs, lastAppendMs int64
}

func (t *segmentTimes) get() (maxTimestamp, maxOffset int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.max, t.maxOffset
}

func (t *segmentTimes) note(timestamp, lastOffset, nowMs int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if timestamp > t.max {
		t.max, t.maxOffset = timestamp, lastOffset
	}
	if t.createdMs == 0 {
		t.createdMs = nowMs
	}
	t.lastAppendMs = nowMs
}

func (t *segmentTimes) created() int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.createdMs
}

func (t *segmentTimes) lastAppend() int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.lastAppendMs
}

func newSegment(fsys vfs.FS, dir string, base int64) *segment {
	return &segment{dir: dir, base: base, fs: fsys, times: segmentTimes{max: batch.NoTimestamp, maxOffset: -1}}
}

func (s *segment) path(suffix string) string {
	return s.pathAs(suffix, s.extraSuffix())
}

// create makes the file of a new active segment. Its name is not durable yet.
func (s *segment) create(c *handleCache) error {
	f, err := c.open(func() (vfs.File, error) { return s.fs.Create(s.path(suffixLog)) })
	if err != nil {
		return err
	}
	s.times.known = true
	s.checked.appends(0)
	s.index.Store(newSegmentIndex())
	return s.keep(newHandle(f, s), c)
}

// keep makes h the segment's handle and gives the cache the owner's reference.
func (s *segment) keep(h *handle, c *handleCache) error {
	s.handle.Store(h)
	return c.add(h)
}

// openFile opens the log file, for writing too while the segment is written.
func (s *segment) openFile() (vfs.File, error) {
	if s.index.Load() != nil {
		return s.fs.OpenReadWrite(s.path(suffixLog))
	}
	return s.fs.Open(s.path(suffixLog))
}

// acquire returns an open handle with a reference that the caller releases.
func (s *segment) acquire(c *handleCache) (*handle, error) {
	if h := s.handle.Load(); h != nil && h.acquire() {
		h.used.Store(true)
		return h, nil
	}
	s.openMu.Lock()
	defer s.openMu.Unlock()
	if h := s.handle.Load(); h != nil && h.acquire() {
		h.used.Store(true)
		return h, nil
	}
	if s.gone {
		return nil, s.goneError()
	}
	f, err := c.open(s.openFile)
	if err != nil {
		return nil, err
	}
	h := newHandle(f, s)
	h.acquire()
	if err := s.keep(h, c); err != nil {
		return nil, errors.Join(err, h.release())
	}
	return h, nil
}

// maxTimestamp returns the largest timestamp of the segment, -1 for none, and
// the last offset of the batch that holds it.
func (s *segment) maxTimestamp() (timestamp, lastOffset int64, err error) {
	s.times.mu.Lock()
	defer s.times.mu.Unlock()
	if s.times.known {
		return s.times.max, s.times.maxOffset, nil
	}
	entries, err := s.timeEntries()
	if err != nil {
		return 0, 0, err
	}
	if n := len(entries); n > 0 {
		s.times.max, s.times.maxOffset = entries[n-1].timestamp, s.base+int64(entries[n-1].relative)
	}
	s.times.known = true
	return s.times.max, s.times.maxOffset, nil
}

// rebuildIndex makes both indexes from the batches of the log file. With a
// [*CorruptionError] come the entries before the damage.
func (s *segment) rebuildIndex() (_ *segmentIndex, err error) {
	f, err := s.fs.Open(s.path(suffixLog))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	x := newSegmentIndex()
	top, topOffset := int64(batch.NoTimestamp), int64(-1)
	next, end := s.base, int64(0)
	err = scanFile(f, 0, s.size.Load(), func(b batch.Batch, position int64) error {
		if t := effectiveMaxTimestamp(&b.Header); t > top {
			top, topOffset = t, b.LastOffset()
		}
		x.add(s.base, b.LastOffset(), position, int64(len(b.Raw)), DefaultLogConfig().IndexIntervalBytes, top, topOffset)
		next, end = b.LastOffset()+1, position+int64(len(b.Raw))
		return nil
	})
	x.addTime(s.base, top, topOffset)
	if isDamage(err) {
		return x, &CorruptionError{File: s.path(suffixLog), Position: end, Offset: next, Reason: err.Error()}
	}
	if err != nil {
		return nil, fmt.Errorf("rebuild index of %s: %w", s.path(suffixLog), err)
	}
	return x, nil
}

// effectiveMaxTimestamp is the largest timestamp of a batch, also where its
// producer wrote a largest one that is smaller than the first. The base
// timestamp of a compacted batch may be a delete horizon.
func effectiveMaxTimestamp(h *batch.Header) int64 {
	if h.IsLogAppendTime() || h.HasDeleteHorizon() {
		return h.MaxTimestamp
	}
	return max(h.BaseTimestamp, h.MaxTimestamp)
}

// seal adds the last time entry, which holds the segment's largest
// timestamp. Only the writer may call it.
func (s *segment) seal() {
	if x := s.index.Load(); x != nil {
		timestamp, offset := s.times.get()
		x.addTime(s.base, timestamp, offset)
	}
}

// persistIndex writes the index entries that are not in the files yet and
// forces them to disk. created is true when a transaction index was, whose name
// is not durable before the directory is.
func (s *segment) persistIndex() (created bool, err error) {
	x := s.index.Load()
	if x == nil {
		return false, nil
	}
	offsets, times, aborted := x.offsets.view(), x.times.view(), x.aborted.view()
	err = s.extendFile(suffixIndex, appendOffsetEntries(nil, offsets[s.persistedOffsets-x.filedOffsets:]), int64(s.persistedOffsets)*offsetEntrySize)
	if err != nil {
		return false, err
	}
	s.persistedOffsets = x.filedOffsets + len(offsets)
	if err := s.extendFile(suffixTimeIndex, appendTimeEntries(nil, times[s.persistedTimes-x.filedTimes:]), int64(s.persistedTimes)*timeEntrySize); err != nil {
		return false, err
	}
	s.persistedTimes = x.filedTimes + len(times)
	if len(aborted) == s.persistedAborted {
		return false, nil
	}
	created = s.persistedAborted == 0
	if err := s.extendFile(suffixTxnIndex, appendAbortedTxns(nil, aborted[s.persistedAborted:]), int64(s.persistedAborted)*abortedTxnSize); err != nil {
		return false, err
	}
	s.persistedAborted = len(aborted)
	s.abortedChecked.Store(true)
	return created, nil
}

func (s *segment) extendFile(suffix string, content []byte, at int64) (err error) {
	f, err := s.fs.OpenReadWrite(s.path(suffix))
	if errors.Is(err, fs.ErrNotExist) {
		f, err = s.fs.Create(s.path(suffix))
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if info.Size() != at {
		if err := f.Truncate(at); err != nil {
			return err
		}
	}
	if len(content) > 0 {
		if _, err := f.WriteAt(content, at); err != nil {
			return err
		}
	}
	return f.Sync()
}

// trimIndex lets go of the index entries that are in the files. It is called with
// the lock of the log, because the writer adds to the index, and with that of the
// checkpoint, which wrote them.
func (s *segment) trimIndex() {
	x := s.index.Load()
	if x != nil && (s.persistedOffsets > x.filedOffsets || s.persistedTimes > x.filedTimes) {
		s.index.Store(x.trim(s.persistedOffsets, s.persistedTimes))
	}
}

// finish lets go of what only the active segment keeps: the index in memory.
// The index files must be on disk.
func (s *segment) finish() {
	s.openMu.Lock() // who opens the file looks at whether there is an index
	defer s.openMu.Unlock()
	x := s.index.Load()
	if x == nil {
		return
	}
	if h := s.handle.Load(); h != nil {
		if aborted := x.aborted.view(); len(aborted) <= sampledEntriesMax {
			aborted = slices.Clone(aborted) // without the room to grow
			h.aborted.Store(&aborted)
		}
	}
	s.index.Store(nil)
}

// sync forces the log file to disk up to its present size. An error that
// satisfies isNoFiles says that it was not tried.
func (s *segment) sync(c *handleCache) error {
	s.syncMu.Lock()
	defer s.syncMu.Unlock()
	if s.syncErr != nil {
		return s.syncErr
	}
	if s.synced.Load() >= s.size.Load() {
		return nil
	}
	h, err := s.acquire(c)
	if err != nil {
		return err
	}
	return errors.Join(s.syncLocked(h), h.release())
}

// syncLocked is called with syncMu held, for a segment without a failed sync.
func (s *segment) syncLocked(h *handle) error {
	size := s.size.Load()
	h.dirty.Store(false) // first: a write from now on counts as unsynced
	if err := h.file.Sync(); err != nil {
		s.syncErr = err
		return err
	}
	s.synced.Store(size)
	return nil
}

// syncBeforeClose forces to disk what was written through a handle that is
// about to be closed. A failure is kept: the next sync returns it.
func (s *segment) syncBeforeClose(h *handle) {
	s.syncMu.Lock()
	defer s.syncMu.Unlock()
	if s.syncErr == nil {
		s.syncErr = s.syncLocked(h)
	}
}

func readFull(f io.ReaderAt, b []byte, at int64) error {
	n, err := f.ReadAt(b, at)
	if n == len(b) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return err
}
