package storage

import (
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/millrace/millrace/internal/vfs"
	"github.com/millrace/millrace/search/column"
)

// segmentMeta is what the manifest knows of a segment.
type segmentMeta struct {
	ID     int64 `json:"id"`
	Rows   int64 `json:"rows"`
	Groups int   `json:"groups"`
	// Counts is the number of rows of each group.
	Counts []int `json:"counts"`
	Bytes  int64 `json:"bytes"`
	SeqMin int64 `json:"seq_min"`
	SeqMax int64 `json:"seq_max"`
	// Bounds holds the least and the greatest value of whole-number columns, dates among them.
	Bounds map[string][2]int64 `json:"bounds,omitempty"`
	// Deleted is the number of rows in the file of generation DeletedGeneration; 0 has no file.
	Deleted           int64 `json:"deleted,omitempty"`
	DeletedGeneration int64 `json:"deleted_generation,omitempty"`
}

// segment is one segment. Its files never change. It lives as long as the index lists
// it or a snapshot holds it.
type segment struct {
	meta   segmentMeta
	fs     vfs.FS
	dir    string
	logger *slog.Logger

	refs     atomic.Int64
	obsolete atomic.Bool // remove the files with the last reference

	mu     sync.Mutex // protects the two below, which are opened when first needed
	reader *segmentReader
	ids    *idsReader
}

// segmentState is a segment as an index lists it, with what changes. It is
// protected by Index.mu.
type segmentState struct {
	seg *segment
	// deleted is by row group; bitmaps and the slice are replaced, never changed.
	deleted      []column.Bitmap
	deletedCount int64
	// savedCount is the number of deletions that the manifest knows.
	savedCount int64
	generation int64
}

func newSegment(fs vfs.FS, dir string, meta segmentMeta, logger *slog.Logger) *segment {
	s := &segment{meta: meta, fs: fs, dir: dir, logger: logger}
	s.refs.Store(1)
	return s
}

func (s *segment) acquire() { s.refs.Add(1) }

// release gives up a reference; the last one closes and, where the segment is
// obsolete, removes the files.
func (s *segment) release() {
	if s.refs.Add(-1) > 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	if s.reader != nil {
		errs = append(errs, s.reader.close())
		s.reader = nil
	}
	if s.ids != nil {
		errs = append(errs, s.ids.close())
		s.ids = nil
	}
	if s.obsolete.Load() {
		for _, extension := range []string{"parquet", "ids", "tokens"} {
			errs = append(errs, s.fs.Remove(segmentPath(s.dir, s.meta.ID, extension)))
		}
	}
	if err := errors.Join(errs...); err != nil {
		s.logger.Warn("segment not removed; the next start does it", "dir", s.dir, "segment", s.meta.ID, "error", err)
	}
}

// discard gives up the index's reference and has the files removed.
func (s *segment) discard() {
	s.obsolete.Store(true)
	s.release()
}

// open returns the reader of the columns.
func (s *segment) open() (*segmentReader, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reader == nil {
		r, err := openSegment(s.fs, s.dir, s.meta.ID)
		if err != nil {
			return nil, err
		}
		s.reader = r
	}
	return s.reader, nil
}

// opened returns the reader where it is open, nil otherwise.
func (s *segment) opened() *segmentReader {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reader
}

// openAll opens every file.
func (s *segment) openAll() error {
	if _, err := s.open(); err != nil {
		return err
	}
	_, _, err := s.find("")
	return err
}

// find returns the row of the latest document with the _id, deleted or not.
func (s *segment) find(id string) (address, bool, error) {
	s.mu.Lock()
	if s.ids == nil {
		r, err := openIDs(s.fs, segmentPath(s.dir, s.meta.ID, "ids"))
		if err != nil {
			s.mu.Unlock()
			return 0, false, err
		}
		s.ids = r
	}
	r := s.ids
	s.mu.Unlock()
	return r.find(id)
}

// version returns the version of the document in a row.
func (s *segment) version(at address) (int64, error) {
	r, err := s.open()
	if err != nil {
		return 0, err
	}
	c, err := r.column(at.block(), columnVersion)
	if err != nil || c == nil {
		return 1, err
	}
	return versionOf(c, at.row()), nil
}

func (st *segmentState) isDeleted(at address) bool {
	return at.block() < len(st.deleted) && st.deleted[at.block()].Has(at.row())
}

// remove marks a row as deleted.
func (st *segmentState) remove(at address) {
	next := make([]column.Bitmap, st.seg.meta.Groups)
	copy(next, st.deleted)
	next[at.block()] = withRow(next[at.block()], at.row())
	st.deleted = next
	st.deletedCount++
}
