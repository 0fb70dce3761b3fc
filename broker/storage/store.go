package storage

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
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

	flusher   flusher
	grown     grownLogs
	converter converter
	space     space
	trash     trashLogs
	cleaner   cleaner
	handles   handleCache
	tails     tailCache
	// pinned counts the files that results of ReadInFile hold open.
	pinned atomic.Int64

	// createMu serialises creation, deletion and closing of logs.
	createMu sync.Mutex
	closed   bool // protected by createMu
	mu       sync.RWMutex
	logs     map[TopicPartition]*Log // protected by mu
	inOrder  []*Log                  // all logs, sorted; nil after a change; protected by mu

	checkpoints checkpointWriter
	missing     map[TopicPartition]int64 // see Missing

	maintain   chan struct{} // holds one wake-up
	stop       chan struct{}
	background sync.WaitGroup
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
	if err := vfs.WriteFile(l.store.fs, name, formatPartitionMetadata(topicID)); err != nil {
		return err
	}
	l.topicID = topicID
	return nil
}

func (s *Store) newLog(id TopicPartition, dir string) *Log {
	l := &Log{store: s, id: id, dir: dir, producers: newProducers(), stable: newStability()}
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

// Logs returns all logs, in the order of topic and partition. The slice is the
// caller's.
func (s *Store) Logs() []*Log { return slices.Clone(s.sorted()) }

// sorted is Logs without a copy: it must not be written to.
func (s *Store) sorted() []*Log {
	s.mu.RLock()
	out := s.inOrder
	s.mu.RUnlock()
	if out != nil {
		return out
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.inOrder == nil {
		s.inOrder = slices.SortedFunc(maps.Values(s.logs), func(a, b *Log) int {
			return cmp.Or(strings.Compare(a.id.Topic, b.id.Topic), cmp.Compare(a.id.Partition, b.id.Partition))
		})
	}
	return s.inOrder
}

// change changes the set of logs.
func (s *Store) change(do func(map[TopicPartition]*Log)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	do(s.logs)
	s.inOrder = nil
	s.metrics.logs.Set(float64(len(s.logs)))
	s.checkpoints.stale.Store(true)
}

// closeFiles closes all descriptors and gives up the tail buffer.
func (l *Log) closeFiles() error {
	var err error
	for _, seg := range l.list() {
		err = errors.Join(err, l.store.closeSegment(seg))
	}
	for _, t := range l.trash {
		err = errors.Join(err, l.store.closeSegment(t.seg))
	}
	l.store.tails.forget(&l.tail)
	return err
}

// closeSegment closes a segment's descriptor, if it has one.
func (s *Store) closeSegment(seg *segment) error { return s.handles.drop(seg) }

// released takes note of a file that could not be closed after reading, which loses nothing.
func (s *Store) released(err error) {
	if err != nil {
		s.log.Debug("close segment failed", "error", err)
	}
}

func (s *Store) nowMs() int64 { return s.cfg.Clock().UnixMilli() }

func (s *Store) wakeMaintenance() {
	select {
	case s.maintain <- struct{}{}:
	default:
	}
}

// runMaintenance advances recovery points, writes checkpoints, removes the
// files of old segments and enforces retention until stop is closed.
func (s *Store) runMaintenance(stop <-chan struct{}) {
	checkpoint, stopCheckpoint := newTicker(s.cfg.CheckpointInterval)
	defer stopCheckpoint()
	retention, stopRetention := newTicker(s.cfg.RetentionCheckInterval)
	defer stopRetention()
	room, stopRoom := newTicker(spaceInterval)
	defer stopRoom()
	soon := s.maintain
	if s.cfg.CheckpointInterval < 0 {
		soon = nil
	}
	for {
		var err error
		select {
		case <-stop:
			return
		case <-soon:
			err = s.checkpointDue()
		case <-checkpoint:
			err = errors.Join(s.checkpointDue(), s.emptyTrash(s.nowMs()))
		case <-retention:
			err = s.EnforceRetention()
		case <-room:
			err = s.space.look()
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

// Close flushes all logs, writes checkpoints and the clean-shutdown marker and
// ends the store's goroutines. Appends from now on get ErrClosed; so do waiters for
// what could not be flushed. When all logs were online and there is no error, the next Open
// reads nothing again. A log that went offline before is no error here: that was told
// when it happened, by its requests, the log line and the metric.
func (s *Store) Close() error {
	s.createMu.Lock()
	defer s.createMu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	s.cleaner.halt()
	close(s.stop)
	s.background.Wait()
	clean := true
	var errs error
	for _, l := range s.Logs() {
		inOrder, err := l.close()
		clean = clean && inOrder
		if err != nil {
			errs = errors.Join(errs, fmt.Errorf("close %s: %w", l.id, err))
		}
	}
	if err := s.writeCheckpoints(); err != nil {
		clean, errs = false, errors.Join(errs, err)
	}
	if clean {
		marker := filepath.Join(s.cfg.Dir, fileCleanShutdown)
		errs = errors.Join(errs, vfs.WriteFile(s.fs, marker, []byte(`{"version":0,"brokerEpoch":-1}`)))
	}
	s.metrics.unregister()
	return errors.Join(errs, s.handles.closeAll(), s.lock.Close())
}

// close ends a log. A log that is offline stays as it is, which is not in
// order, and makes the next start recover.
func (l *Log) close() (inOrder bool, err error) {
	l.checkpointMu.Lock()
	defer l.checkpointMu.Unlock()
	l.flushMu.Lock()
	defer l.flushMu.Unlock()
	if l.Err() != nil {
		return false, l.closeFiles()
	}
	l.mu.Lock()
	l.closing = true
	if list := l.list(); len(list) > 0 {
		list[len(list)-1].seal()
	}
	l.mu.Unlock()
	err = l.checkpointLocked(l.flushLocked)
	l.retire(ErrClosed)
	return err == nil, errors.Join(err, l.closeFiles())
}

// exists says whether a file is there.
func exists(fsys vfs.FS, name string) (bool, error) {
	_, err := fsys.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}
