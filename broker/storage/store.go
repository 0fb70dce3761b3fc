package storage

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/millrace/millrace/internal/vfs"
)

// Store is all logs of one broker, under one data directory that it has locked.
type Store struct {
	cfg     Config
	fs      vfs.FS
	log     *slog.Logger
	metrics *metrics
	lock    io.Closer

	flusher flusher
	handles handleCache
	tails   tailCache
	buffers bufferPools

	// createMu serialises creation, deletion and closing of logs.
	createMu sync.Mutex
	closed   bool // protected by createMu
	mu       sync.RWMutex
	logs     map[TopicPartition]*Log // protected by mu

	checkpoints checkpointWriter

	maintain   chan struct{} // holds one wake-up
	stop       chan struct{}
	background sync.WaitGroup
}

// CreateLog opens or creates the log of a partition and sets its
// configuration and leader epoch. A log on disk with another topic id is
// refused with ErrTopicID, a lower leader epoch with ErrFenced. On return a new log's directory is
// durable. A log that is offline is returned too: see [Log.Err].
func (s *Store) CreateLog(id TopicPartition, topicID [16]byte, cfg LogConfig, leaderEpoch int32) (*Log, error) {
	if err := errors.Join(id.validate(), cfg.Validate()); err != nil {
		return nil, err
	}
	s.createMu.Lock()
	defer s.createMu.Unlock()
	if s.closed {
		return nil, ErrClosed
	}
	l, ok := s.Log(id)
	if !ok {
		var err error
		if l, err = s.makeLog(id, topicID); err != nil {
			return nil, fmt.Errorf("create log %s: %w", id, err)
		}
	}
	if err := l.adopt(topicID); err != nil {
		return nil, err
	}
	if err := l.SetConfig(cfg); err != nil {
		return nil, err
	}
	return l, l.SetLeaderEpoch(leaderEpoch)
}

// adopt checks the topic id; a log without one, as Kafka before 2.8 left
// them, takes it.
func (l *Log) adopt(topicID [16]byte) error {
	if l.topicID == topicID {
		return nil
	}
	if l.topicID != [16]byte{} {
		return fmt.Errorf("%w: %s", ErrTopicID, l.id)
	}
	name := filepath.Join(l.dir, filePartitionMetadata)
	if err := writeFile(l.store.fs, name, formatPartitionMetadata(topicID), true); err != nil {
		return err
	}
	l.topicID = topicID
	return nil
}

func (s *Store) makeLog(id TopicPartition, topicID [16]byte) (*Log, error) {
	dir := filepath.Join(s.cfg.Dir, id.String())
	if err := s.fs.MkdirAll(dir); err != nil {
		return nil, err
	}
	if err := writeFile(s.fs, filepath.Join(dir, filePartitionMetadata), formatPartitionMetadata(topicID), false); err != nil {
		return nil, err
	}
	l := s.newLog(id, dir)
	l.topicID = topicID
	if err := l.recover(saved{clean: true}); err != nil {
		return nil, err
	}
	if err := errors.Join(s.fs.SyncDir(dir), s.fs.SyncDir(s.cfg.Dir)); err != nil {
		return nil, errors.Join(err, l.closeFiles())
	}
	s.mu.Lock()
	s.logs[id] = l
	s.metrics.logs.Set(float64(len(s.logs)))
	s.mu.Unlock()
	return l, nil
}

func (s *Store) newLog(id TopicPartition, dir string) *Log {
	l := &Log{store: s, id: id, dir: dir, producers: newProducers()}
	l.tail.cache = &s.tails
	cfg := DefaultLogConfig()
	l.cfg.Store(&cfg)
	return l
}

// Log returns a log that exists.
func (s *Store) Log(id TopicPartition) (*Log, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	l, ok := s.logs[id]
	return l, ok
}

// Logs returns all logs, in the order of topic and partition.
func (s *Store) Logs() []*Log {
	s.mu.RLock()
	out := make([]*Log, 0, len(s.logs))
	for _, l := range s.logs {
		out = append(out, l)
	}
	s.mu.RUnlock()
	slices.SortFunc(out, func(a, b *Log) int {
		if c := strings.Compare(a.id.Topic, b.id.Topic); c != 0 {
			return c
		}
		return int(a.id.Partition) - int(b.id.Partition)
	})
	return out
}

// DeleteLog removes a log: its directory is renamed (durable on return), then
// its files are removed in the background. A log that is not there is no error.
func (s *Store) DeleteLog(id TopicPartition) error {
	s.createMu.Lock()
	defer s.createMu.Unlock()
	if s.closed {
		return ErrClosed
	}
	l, ok := s.Log(id)
	if !ok {
		return nil
	}
	trash := filepath.Join(s.cfg.Dir, trashName(id))
	if err := l.remove(trash); err != nil {
		return fmt.Errorf("delete log %s: %w", id, err)
	}
	s.mu.Lock()
	delete(s.logs, id)
	s.metrics.logs.Set(float64(len(s.logs)))
	s.mu.Unlock()
	s.background.Go(func() {
		if err := s.fs.RemoveAll(trash); err != nil {
			s.log.Warn("a deleted log's files could not be removed; the next start tries again", "dir", trash, "error", err)
		}
	})
	// A log of the same name must not find the old one's offsets.
	return s.writeCheckpoints()
}

// remove ends the log and moves its directory away.
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
	l.retire(ErrDeleted)
	return errors.Join(l.closeFiles(), l.store.fs.SyncDir(l.store.cfg.Dir))
}

// closeFiles closes all descriptors and gives up the tail buffer.
func (l *Log) closeFiles() error {
	var err error
	for _, seg := range l.list() {
		err = errors.Join(err, l.store.closeSegment(seg))
	}
	l.store.tails.forget(&l.tail)
	return err
}

// closeSegment closes a segment's descriptor, if it has one.
func (s *Store) closeSegment(seg *segment) error { return s.handles.drop(seg) }

func (s *Store) nowMs() int64 { return s.cfg.Clock().UnixMilli() }

func (s *Store) wakeMaintenance() {
	select {
	case s.maintain <- struct{}{}:
	default:
	}
}

// runMaintenance advances recovery points, writes checkpoints and enforces
// retention until stop is closed.
func (s *Store) runMaintenance(stop <-chan struct{}) {
	checkpoint, stopCheckpoint := newTicker(s.cfg.CheckpointInterval)
	defer stopCheckpoint()
	retention, stopRetention := newTicker(s.cfg.RetentionCheckInterval)
	defer stopRetention()
	for {
		var err error
		select {
		case <-stop:
			return
		case <-s.maintain:
			err = s.checkpointDue()
		case <-checkpoint:
			err = s.checkpointDue()
		case <-retention:
			err = s.EnforceRetention()
		}
		if err != nil {
			s.log.Error("maintenance of logs failed and will be repeated", "error", err)
		}
	}
}

// newTicker returns a ticker's channel; none for an interval that is not positive.
func newTicker(interval time.Duration) (<-chan time.Time, func()) {
	if interval <= 0 {
		return nil, func() {}
	}
	t := time.NewTicker(interval)
	return t.C, t.Stop
}

// checkpointDue advances the recovery points of the logs that have grown
// enough and writes the checkpoint files if anything in them has changed.
func (s *Store) checkpointDue() error {
	var errs error
	nowMs := s.nowMs()
	for _, l := range s.Logs() {
		if l.Err() != nil || !l.due(nowMs) {
			continue
		}
		if err := l.checkpoint(); err != nil && l.Err() == nil {
			errs = errors.Join(errs, fmt.Errorf("checkpoint %s: %w", l.id, err))
		}
	}
	return errors.Join(errs, s.writeCheckpoints())
}

// Close flushes all logs, writes checkpoints and the clean-shutdown marker and
// ends the store's goroutines. Appends from now on get ErrClosed; so do waiters for
// what could not be flushed. Without an error, the next Open reads nothing again.
func (s *Store) Close() error {
	s.createMu.Lock()
	defer s.createMu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	close(s.stop)
	s.background.Wait()
	clean := true
	var errs error
	for _, l := range s.Logs() {
		if err := l.close(); err != nil {
			clean = false
			errs = errors.Join(errs, fmt.Errorf("close %s: %w", l.id, err))
		}
	}
	if err := s.writeCheckpoints(); err != nil {
		clean, errs = false, errors.Join(errs, err)
	}
	if clean {
		marker := filepath.Join(s.cfg.Dir, fileCleanShutdown)
		errs = errors.Join(errs, writeFile(s.fs, marker, []byte(`{"version":0,"brokerEpoch":-1}`), true))
	}
	s.metrics.unregister()
	return errors.Join(errs, s.handles.closeAll(), s.lock.Close())
}

// close ends a log in order. A log that is offline stays as it is, and makes
// the next start recover.
func (l *Log) close() error {
	l.checkpointMu.Lock()
	defer l.checkpointMu.Unlock()
	l.flushMu.Lock()
	defer l.flushMu.Unlock()
	if err := l.Err(); err != nil {
		return errors.Join(err, l.closeFiles())
	}
	l.mu.Lock()
	l.closing = true
	if list := l.list(); len(list) > 0 {
		list[len(list)-1].seal()
	}
	l.mu.Unlock()
	err := l.checkpointLocked(l.flushLocked)
	l.retire(ErrClosed)
	return errors.Join(err, l.closeFiles())
}

// exists says whether a file is there.
func exists(fsys vfs.FS, name string) (bool, error) {
	_, err := fsys.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}
