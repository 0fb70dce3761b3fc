package storage

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"

	"github.com/millrace/millrace/internal/vfs"
)

// LogSpec names a log that is to be opened or made.
type LogSpec struct {
	ID      TopicPartition
	TopicID [16]byte
	// LeaderEpoch that appends will carry.
	LeaderEpoch int32
}

// CreateLog is [Store.CreateLogs] for one log.
func (s *Store) CreateLog(id TopicPartition, topicID [16]byte, cfg LogConfig, leaderEpoch int32) (*Log, error) {
	logs, err := s.CreateLogs([]LogSpec{{id, topicID, leaderEpoch}}, cfg)
	return logs[0], err
}

// CreateLogs opens or creates the logs of partitions and sets their
// configuration and leader epochs. A log on disk with another topic id is
// refused with ErrTopicID, a lower leader epoch with ErrFenced. On return the
// directories of new logs are durable. A log that is offline is returned too: see [Log.Err].
//
// The logs are returned in the order of specs, nil for those that failed; the
// error is the first one, and says how many more there were. New logs are made
// in parallel, so that the file system can commit the syncs of many with one
// write of its journal.
func (s *Store) CreateLogs(specs []LogSpec, cfg LogConfig) ([]*Log, error) {
	logs, errs := make([]*Log, len(specs)), make([]error, len(specs))
	if err := cfg.Validate(); err != nil {
		return logs, err
	}
	s.createMu.Lock()
	defer s.createMu.Unlock()
	if s.closed {
		return logs, ErrClosed
	}
	s.makeLogs(specs, logs, errs)
	for i, spec := range specs {
		if errs[i] == nil {
			errs[i] = logs[i].configure(spec, cfg)
		}
		if errs[i] != nil {
			logs[i] = nil
		}
	}
	return logs, summary(errs)
}

// summary joins errors that are likely the same: the first, and how many more.
func summary(errs []error) error {
	errs = slices.DeleteFunc(errs, func(err error) bool { return err == nil })
	if len(errs) <= 1 {
		return errors.Join(errs...)
	}
	return fmt.Errorf("%w (and %d more)", errs[0], len(errs)-1)
}

func (l *Log) configure(spec LogSpec, cfg LogConfig) error {
	if err := l.adopt(spec.TopicID); err != nil {
		return err
	}
	if err := l.SetConfig(cfg); err != nil {
		return err
	}
	return l.SetLeaderEpoch(spec.LeaderEpoch)
}

// makeLogs fills logs and errs, finding those that exist and making the others.
func (s *Store) makeLogs(specs []LogSpec, logs []*Log, errs []error) {
	var wg sync.WaitGroup
	slots := make(chan struct{}, createParallelMax)
	created := map[TopicPartition]int{} // position in specs
	for i, spec := range specs {
		if errs[i] = spec.ID.validate(); errs[i] != nil {
			continue
		}
		if l, ok := s.Log(spec.ID); ok {
			logs[i] = l
			continue
		}
		if _, ok := created[spec.ID]; ok {
			errs[i] = fmt.Errorf("create log %s: it is named twice", spec.ID)
			continue
		}
		created[spec.ID] = i
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			logs[i], errs[i] = s.makeLog(spec)
		})
	}
	wg.Wait()
	s.publish(created, logs, errs)
}

// makeLog makes a log that is durable once the data directory is synced. What
// it has made is removed when it fails, on a full disk for instance.
func (s *Store) makeLog(spec LogSpec) (*Log, error) {
	l := s.newLog(spec.ID, filepath.Join(s.cfg.Dir, spec.ID.String()))
	l.topicID = spec.TopicID
	if err := l.make(); err != nil {
		return nil, errors.Join(fmt.Errorf("create log %s: %w", spec.ID, err), l.closeFiles(), s.fs.RemoveAll(l.dir))
	}
	return l, nil
}

func (l *Log) make() error {
	fsys := l.store.fs
	if err := fsys.MkdirAll(l.dir); err != nil {
		return err
	}
	err := vfs.ReplaceFile(fsys, filepath.Join(l.dir, filePartitionMetadata), formatPartitionMetadata(l.topicID))
	if err != nil {
		return err
	}
	settled, err := l.recover(saved{clean: true}, new(scanner))
	if err == nil && !settled {
		err = l.settle()
	}
	if err != nil {
		return err
	}
	return fsys.SyncDir(l.dir)
}

// publish makes the names of the created logs durable, with one sync, and lets
// them be found.
func (s *Store) publish(created map[TopicPartition]int, logs []*Log, errs []error) {
	if len(created) == 0 {
		return
	}
	err := s.fs.SyncDir(s.cfg.Dir)
	s.change(func(all map[TopicPartition]*Log) {
		for id, i := range created {
			switch {
			case errs[i] != nil:
			case err != nil:
				errs[i] = errors.Join(fmt.Errorf("create log %s: %w", id, err), logs[i].closeFiles())
			default:
				all[id] = logs[i]
			}
		}
	})
}
