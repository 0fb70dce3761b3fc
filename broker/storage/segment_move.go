package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"sync"
)

// segmentSuffixes are the files of a segment, the log first.
func segmentSuffixes() []string {
	return []string{suffixLog, suffixIndex, suffixTimeIndex, suffixTxnIndex}
}

func (s *segment) extraSuffix() string {
	if p := s.renamed.Load(); p != nil {
		return *p
	}
	return ""
}

// pathAs is the path that a file of the segment has under another extra suffix.
func (s *segment) pathAs(suffix, extra string) string {
	return filepath.Join(s.dir, offsetName(s.base, suffix)+extra)
}

func (s *segment) goneError() error {
	return fmt.Errorf("%s: %w", s.pathAs(suffixLog, ""), fs.ErrNotExist)
}

// move renames the segment's files so that their names end in extra. Readers
// that have the file open go on with it, others open it under its new name. The
// directory is the caller's to sync; after an error some files may be renamed.
func (s *segment) move(extra string) error {
	s.openMu.Lock()
	defer s.openMu.Unlock()
	old := s.extraSuffix()
	for _, suffix := range segmentSuffixes() {
		err := s.fs.Rename(s.pathAs(suffix, old), s.pathAs(suffix, extra))
		if errors.Is(err, fs.ErrNotExist) && suffix != suffixLog {
			continue // an index may be missing, and most segments have no aborted transactions
		}
		if err != nil {
			return err
		}
	}
	s.renamed.Store(&extra)
	return nil
}

// discard removes the segment's files. Readers that have the log open go on
// with it; who comes later gets fs.ErrNotExist and looks at the log's segments anew.
func (s *segment) discard(c *handleCache) error {
	s.openMu.Lock()
	defer s.openMu.Unlock()
	s.gone = true
	if err := c.drop(s); err != nil {
		return err
	}
	for _, suffix := range segmentSuffixes() {
		if err := removeIfThere(s.fs, s.path(suffix)); err != nil {
			return err
		}
	}
	return nil
}

// trashed is a segment that was replaced or has expired, and when its files go.
type trashed struct {
	seg   *segment
	dueMs int64
}

// throwAway takes the files of a segment that is out of the list, or about to
// be replaced there, out of the way, and has them removed after the topic's
// file.delete.delay.ms. It is called with checkpointMu held.
func (l *Log) throwAway(seg *segment, delayMs int64) error {
	// A predecessor with the same base has the names that this one needs.
	for i, t := range slices.Backward(l.trash) {
		if t.seg.base == seg.base {
			if err := t.seg.discard(&l.store.handles); err != nil {
				return err
			}
			l.trash = slices.Delete(l.trash, i, i+1)
		}
	}
	if err := seg.move(suffixDeleted); err != nil {
		return err
	}
	if l.store.space.refusing.Load() {
		delayMs = 0 // the room is needed
	}
	l.trash = append(l.trash, trashed{seg, addMs(l.store.nowMs(), delayMs)})
	l.store.trash.add(l)
	return nil
}

// trashLogs are the logs that have something in their trash.
type trashLogs struct {
	mu   sync.Mutex
	logs map[*Log]struct{} // protected by mu
}

func (t *trashLogs) add(l *Log) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.logs == nil {
		t.logs = map[*Log]struct{}{}
	}
	t.logs[l] = struct{}{}
}

func (t *trashLogs) remove(l *Log) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.logs, l)
}

func (t *trashLogs) all() []*Log {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Collect(maps.Keys(t.logs))
}

// addMs adds two times in ms and stops at the largest.
func addMs(a, b int64) int64 {
	if sum := a + b; sum >= a {
		return sum
	}
	return math.MaxInt64
}

// emptyTrash removes the files whose time has come. What a crash leaves is
// removed when the log is opened.
func (s *Store) emptyTrash(nowMs int64) error {
	if s.space.refusing.Load() {
		nowMs = math.MaxInt64 // the room is needed
	}
	var errs error
	for _, l := range s.trash.all() {
		l.checkpointMu.Lock()
		errs = errors.Join(errs, l.emptyTrash(nowMs))
		l.checkpointMu.Unlock()
	}
	return errs
}

// emptyTrash is called with checkpointMu held.
func (l *Log) emptyTrash(nowMs int64) error {
	if !l.usable() {
		l.store.trash.remove(l) // deleted logs go as a whole; what is offline stays as it is
		return nil
	}
	var kept []trashed
	var errs error
	for _, t := range l.trash {
		if t.dueMs > nowMs {
			kept = append(kept, t)
			continue
		}
		if err := t.seg.discard(&l.store.handles); err != nil {
			errs = errors.Join(errs, fmt.Errorf("remove %s: %w", t.seg.path(suffixLog), err))
			kept = append(kept, t)
		}
	}
	if l.trash = kept; len(kept) == 0 {
		l.store.trash.remove(l)
	}
	return errs
}
