package storage

import (
	"errors"
	"fmt"
	"path/filepath"
)

// DeleteLog is [Store.DeleteLogs] for one log.
func (s *Store) DeleteLog(id TopicPartition) error { return s.DeleteLogs([]TopicPartition{id}) }

// DeleteLogs removes logs: their directories are renamed (durable on return),
// then the files are removed in the background. A log that is not there is no
// error. One that fails stays and does not keep the others from going.
func (s *Store) DeleteLogs(ids []TopicPartition) error {
	s.createMu.Lock()
	defer s.createMu.Unlock()
	if s.closed {
		return ErrClosed
	}
	var errs error
	var gone []TopicPartition
	var trash []string
	for _, id := range ids {
		l, ok := s.Log(id)
		if !ok {
			continue
		}
		to := filepath.Join(s.cfg.Dir, trashName(id))
		if err := l.remove(to); err != nil {
			errs = errors.Join(errs, fmt.Errorf("delete log %s: %w", id, err))
		}
		if l.Err() != nil && errors.Is(l.Err(), ErrDeleted) {
			gone, trash = append(gone, id), append(trash, to)
		}
	}
	if len(gone) == 0 {
		return errs
	}
	if err := s.fs.SyncDir(s.cfg.Dir); err != nil {
		errs = errors.Join(errs, fmt.Errorf("delete logs: %w", err))
	}
	s.change(func(all map[TopicPartition]*Log) {
		for _, id := range gone {
			delete(all, id)
		}
	})
	s.background.Go(func() { s.removeTrash(trash) })
	// A log of the same name must not find the old one's offsets.
	return errors.Join(errs, s.writeCheckpoints())
}

func (s *Store) removeTrash(dirs []string) {
	for _, dir := range dirs {
		if err := s.fs.RemoveAll(dir); err != nil {
			s.log.Warn("a deleted log's files could not be removed; the next start tries again", "dir", dir, "error", err)
		}
	}
}

// remove ends the log and moves its directory away. The rename is durable once
// the data directory is synced.
func (l *Log) remove(trash string) error {
	l.checkpointMu.Lock()
	defer l.checkpointMu.Unlock()
	l.flushMu.Lock()
	defer l.flushMu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.store.fs.Rename(l.dir, trash); err != nil {
		return err
	}
	l.store.grown.bytes.Add(-l.bytesSinceCheckpoint.Swap(0))
	l.delete()
	return l.closeFiles()
}
