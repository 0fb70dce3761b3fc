package metadata

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"syscall"
)

// snapshotOrLater takes a snapshot. For want of space the log goes on growing
// and the snapshot is tried again later; another failure ends writing.
func (s *Store) snapshotOrLater(i *Image) {
	err := s.takeSnapshot(i)
	if err == nil {
		return
	}
	if isNoSpace(err) && s.logIndex != i.Index {
		s.cfg.Logger.Warn("no space for a snapshot of the metadata, it is taken later", "error", err)
		if err = s.undoSnapshot(i.Index); err == nil {
			s.snapshotAfter = s.end + snapshotBytes
			return
		}
	}
	s.err = fmt.Errorf("%w: %w", ErrFailed, err)
	s.cfg.Logger.Error("metadata snapshot failed", "error", err)
}

// undoSnapshot removes what a failed snapshot has left. It must be gone before
// the old log goes on: the next start would take the snapshot for the end of that log.
func (s *Store) undoSnapshot(index int64) error {
	for _, suffix := range []string{logSuffix, snapshotSuffix} {
		err := s.cfg.FS.Remove(filepath.Join(s.cfg.Dir, fileName(index, suffix)))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return s.cfg.FS.SyncDir(s.cfg.Dir)
}

// takeSnapshot writes the image and begins a new log after it.
func (s *Store) takeSnapshot(i *Image) error {
	payload, err := encodeRecords([]Record{i.snapshot()})
	if err != nil {
		return err
	}
	name := filepath.Join(s.cfg.Dir, fileName(i.Index, snapshotSuffix))
	frame := encodeFrame(i.Index, payload)
	if err := s.writeFile(name, frame); err != nil {
		return err
	}
	old, oldIndex := s.file, s.logIndex
	if err := s.createLog(i.Index); err != nil {
		return err
	}
	s.snapshotBytes, s.snapshotAfter = int64(len(frame)), 0
	if err := old.Close(); err != nil {
		return err
	}
	return s.removeBefore(i.Index, oldIndex)
}

// writeFile makes a file that is there whole or not at all.
func (s *Store) writeFile(name string, content []byte) error {
	temp := name + tempSuffix
	f, err := s.cfg.FS.Create(temp)
	if err != nil {
		return err
	}
	if _, err = f.WriteAt(content, 0); err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, s.cfg.FS.Remove(temp))
	}
	if err := s.cfg.FS.Rename(temp, name); err != nil {
		return err
	}
	return s.cfg.FS.SyncDir(s.cfg.Dir)
}

// createLog begins an empty log for the commits after index.
func (s *Store) createLog(index int64) error {
	f, err := s.cfg.FS.Create(filepath.Join(s.cfg.Dir, fileName(index, logSuffix)))
	if err != nil {
		return err
	}
	if err := errors.Join(f.Sync(), s.cfg.FS.SyncDir(s.cfg.Dir)); err != nil {
		return errors.Join(err, f.Close())
	}
	s.file, s.end, s.logIndex = f, 0, index
	return nil
}

// isNoSpace says whether a write failed for want of space or quota.
func isNoSpace(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// isOnlyNoSpace says that no other error is joined to it.
func isOnlyNoSpace(err error) bool {
	joined, ok := err.(interface{ Unwrap() []error })
	return isNoSpace(err) && (!ok || len(joined.Unwrap()) == 1)
}
