package storage

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	iofs "io/fs"
	"log/slog"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/millrace/millrace/internal/vfs"
	"github.com/millrace/millrace/search/mapping"
)

// Config says how a store works.
type Config struct {
	// Dir is the data directory; FS is where it is, the operating system's when nil.
	Dir    string
	FS     vfs.FS
	Logger *slog.Logger
	// Registerer takes the metrics; nil counts without showing them.
	Registerer prometheus.Registerer
	// MemoryBuffer bounds the bytes of documents that are not in a segment.
	MemoryBuffer int64
	// RefreshInterval is the longest age of a snapshot.
	RefreshInterval time.Duration
	// RetentionTime and RetentionBytes bound the age and the size of what is kept; 0 has no bound.
	RetentionTime  time.Duration
	RetentionBytes int64
	// Clock is time.Now when nil.
	Clock func() time.Time
}

// Store is all indices of a node. Its methods may be called from any goroutine.
type Store struct {
	fs              vfs.FS
	dir             string
	logger          *slog.Logger
	clock           func() time.Time
	refreshInterval time.Duration
	memoryBuffer    int64
	retentionTime   time.Duration
	retentionBytes  int64
	metrics         *metrics
	lock            io.Closer
	wal             *wal

	// buffered is the bytes of documents in all buffers.
	buffered atomic.Int64
	// kick wakes the writer of segments; its capacity of 1 is enough, for it looks
	// at everything.
	kick chan struct{}

	roomMu sync.Mutex
	room   chan struct{} // closed and replaced when a buffer has been written

	mu      sync.RWMutex
	indices map[string]*Index
	closed  bool
	state   State
}

// State is what the node keeps beside its indices.
type State struct {
	// NodeID and ClusterUUID are made once.
	NodeID      string `json:"node_id"`
	ClusterUUID string `json:"cluster_uuid"`
	// Templates are the index templates as they were put, by name.
	Templates map[string]json.RawMessage `json:"templates"`
}

const stateName = "node.json"

// Open opens the directory, which is created when missing, and recovers what the log
// holds. The time it takes depends on the log, which MemoryBuffer bounds, not on the
// segments.
func Open(cfg Config) (*Store, error) {
	s := &Store{
		fs: cfg.FS, dir: cfg.Dir, logger: cfg.Logger, clock: cfg.Clock, refreshInterval: cfg.RefreshInterval,
		memoryBuffer: max(cfg.MemoryBuffer, 1<<20), retentionTime: cfg.RetentionTime, retentionBytes: cfg.RetentionBytes,
		kick: make(chan struct{}, 1), room: make(chan struct{}), indices: map[string]*Index{},
	}
	if s.fs == nil {
		s.fs = vfs.OS()
	}
	if s.clock == nil {
		s.clock = time.Now
	}
	if s.logger == nil {
		s.logger = slog.New(slog.DiscardHandler)
	}
	s.metrics = newMetrics(cfg.Registerer, s)
	for _, dir := range []string{s.dir, s.indicesDir(), s.logDir()} {
		if err := s.fs.MkdirAll(dir); err != nil {
			return nil, err
		}
	}
	for _, dir := range []string{path.Dir(path.Clean(s.dir)), s.dir} {
		if err := s.fs.SyncDir(dir); err != nil {
			return nil, err
		}
	}
	lock, err := s.fs.Lock(path.Join(s.dir, "LOCK"))
	if err != nil {
		return nil, fmt.Errorf("search data directory %s is in use by another process: %w", s.dir, err)
	}
	s.lock = lock
	if err := s.recover(); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return s, nil
}

func (s *Store) recover() error {
	if err := s.checkFormat(); err != nil {
		return err
	}
	if err := s.loadState(); err != nil {
		return err
	}
	byID, err := s.loadIndices()
	if err != nil {
		return err
	}
	var parser mapping.Parser
	s.wal, err = openWAL(s.fs, s.logDir(), s.logger, func(r walRecord) (int64, error) {
		ix := byID[r.index]
		switch {
		case ix == nil:
			return 0, nil
		case r.kind == walDocument:
			return ix.replayDocument(&parser, r.payload)
		case r.kind == walMapping:
			return ix.replayMapping(r.payload)
		default:
			return 0, fmt.Errorf("record of unknown type %d: written by a newer Millrace", r.kind)
		}
	})
	if err != nil {
		return err
	}
	s.wal.onSync = s.metrics.synced
	return nil
}

func (s *Store) checkFormat() error {
	name := path.Join(s.dir, "FORMAT")
	content, err := readFile(s.fs, name)
	if errors.Is(err, iofs.ErrNotExist) {
		return replaceFile(s.fs, s.dir, "FORMAT", []byte(strconv.Itoa(formatVersion)+"\n"))
	}
	if err != nil {
		return err
	}
	version, err := strconv.Atoi(strings.TrimSpace(string(content)))
	if err != nil {
		return &CorruptionError{File: name, Reason: "not a number"}
	}
	if version > formatVersion {
		return fmt.Errorf("%s has format %d, written by a newer Millrace; this one reads up to %d", s.dir, version, formatVersion)
	}
	return nil
}

func (s *Store) loadState() error {
	content, err := readFile(s.fs, path.Join(s.dir, stateName))
	if errors.Is(err, iofs.ErrNotExist) {
		s.state = State{NodeID: newUUID().String(), ClusterUUID: newUUID().String(), Templates: map[string]json.RawMessage{}}
		return s.saveState(s.state)
	}
	if err != nil {
		return err
	}
	if err := json.Unmarshal(content, &s.state); err != nil {
		return fmt.Errorf("%w: %w", &CorruptionError{File: stateName, Reason: "not JSON"}, err)
	}
	if s.state.Templates == nil {
		s.state.Templates = map[string]json.RawMessage{}
	}
	return nil
}

func (s *Store) saveState(state State) error {
	content, err := json.Marshal(state)
	if err != nil {
		return err
	}
	return replaceFile(s.fs, s.dir, stateName, content)
}

func (s *Store) indicesDir() string { return path.Join(s.dir, "indices") }
func (s *Store) logDir() string     { return path.Join(s.dir, "wal") }

func (s *Store) loadIndices() (map[UUID]*Index, error) {
	byID := map[UUID]*Index{}
	entries, err := s.fs.ReadDir(s.indicesDir())
	if err != nil {
		return nil, err
	}
	for _, entry := range entries {
		dir := path.Join(s.indicesDir(), entry.Name())
		ix, err := loadIndex(s, dir)
		if errors.Is(err, iofs.ErrNotExist) && !s.hasManifest(dir) {
			// Creation or deletion was under way: nothing in it counts.
			if err := s.fs.RemoveAll(dir); err != nil {
				return nil, err
			}
			continue
		}
		if err != nil {
			return nil, err
		}
		s.indices[ix.Name] = ix
		byID[ix.UUID] = ix
	}
	return byID, nil
}

func (s *Store) hasManifest(dir string) bool {
	_, err := s.fs.Stat(path.Join(dir, manifestName))
	return err == nil
}

func newUUID() UUID {
	var id UUID
	_, _ = rand.Read(id[:]) // it never fails: crypto/rand ends the program instead
	return id
}

// Sync returns when everything up to the position of a [Result] is on disk.
func (s *Store) Sync(position int64) error { return s.wal.sync(position) }

// End returns the position of all that has been written so far.
func (s *Store) End() int64 { return s.wal.end() }

// WaitForRoom returns when the buffers have room, or with the context's error.
func (s *Store) WaitForRoom(ctx context.Context) error {
	for s.buffered.Load() >= s.memoryBuffer {
		s.wake()
		s.roomMu.Lock()
		room := s.room
		s.roomMu.Unlock()
		if s.buffered.Load() < s.memoryBuffer {
			return nil
		}
		select {
		case <-room:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if s.buffered.Load() >= s.memoryBuffer/2 {
		s.wake()
	}
	return nil
}

func (s *Store) madeRoom() {
	s.roomMu.Lock()
	defer s.roomMu.Unlock()
	close(s.room)
	s.room = make(chan struct{})
}

func (s *Store) wake() {
	select {
	case s.kick <- struct{}{}:
	default:
	}
}

// State returns a copy of what the node keeps.
func (s *Store) State() State {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.state.clone()
}

func (st State) clone() State {
	c := st
	c.Templates = make(map[string]json.RawMessage, len(st.Templates))
	maps.Copy(c.Templates, st.Templates)
	return c
}

// UpdateState changes what the node keeps and returns when it is on disk.
func (s *Store) UpdateState(change func(*State) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := s.state.clone()
	if err := change(&next); err != nil {
		return err
	}
	if err := s.saveState(next); err != nil {
		return err
	}
	s.state = next
	return nil
}

// Index returns the index of the name, nil where there is none.
func (s *Store) Index(name string) *Index {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.indices[name]
}

// Indices returns all indices, ordered by name.
func (s *Store) Indices() []*Index {
	s.mu.RLock()
	defer s.mu.RUnlock()
	all := make([]*Index, 0, len(s.indices))
	for _, ix := range s.indices {
		all = append(all, ix)
	}
	slices.SortFunc(all, func(a, b *Index) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// CreateIndex makes an index and returns when it is on disk. Where the name is taken, it
// returns that index and ErrExists.
func (s *Store) CreateIndex(name string, fields *mapping.Mapping, settings map[string]any) (*Index, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ix := s.indices[name]; ix != nil {
		return ix, ErrExists
	}
	if s.closed {
		return nil, ErrClosed
	}
	now := s.clock()
	ix := &Index{
		Name: name, UUID: newUUID(), Created: now, Settings: settings, store: s,
		flushedSeq: -1, written: now, active: newMemtable(), changed: true,
	}
	ix.dir = path.Join(s.indicesDir(), ix.UUID.String())
	ix.mapping.Store(fields)
	m, err := ix.manifest()
	if err == nil {
		err = s.fs.MkdirAll(ix.dir)
	}
	if err == nil {
		err = writeManifest(s.fs, ix.dir, m)
	}
	if err == nil {
		err = s.fs.SyncDir(s.indicesDir())
	}
	if err != nil {
		return nil, fmt.Errorf("create index %s: %w", name, err)
	}
	s.indices[name] = ix
	return ix, nil
}

// DeleteIndex removes an index for good. Searches that are under way go on.
func (s *Store) DeleteIndex(name string) error {
	s.mu.Lock()
	ix := s.indices[name]
	if ix == nil {
		s.mu.Unlock()
		return ErrNotFound
	}
	delete(s.indices, name)
	s.mu.Unlock()
	return ix.destroy()
}

// destroy removes the files of an index that is no longer listed.
func (ix *Index) destroy() error {
	ix.commitMu.Lock()
	defer ix.commitMu.Unlock()
	ix.mu.Lock()
	ix.deleted = true
	ix.dropCached()
	for _, t := range []*memtable{ix.active, ix.flushing} {
		if t != nil {
			ix.store.buffered.Add(-t.bytes)
		}
	}
	segments := ix.segments
	ix.active, ix.flushing, ix.segments = newMemtable(), nil, nil
	ix.mu.Unlock()
	ix.store.madeRoom()
	// Without its manifest the directory is rubbish, whatever happens next.
	fs := ix.store.fs
	if err := fs.Remove(path.Join(ix.dir, manifestName)); err != nil {
		return err
	}
	if err := fs.SyncDir(ix.dir); err != nil {
		return err
	}
	for _, st := range segments {
		defer st.seg.release()
		if st.seg.refs.Load() > 1 {
			// A search holds the segment and reads on: its files are opened
			// before their names go. One that is not there fails that search.
			if err := st.seg.openAll(); err != nil {
				ix.store.logger.Warn("segment of a deleted index not opened for searches under way", "index", ix.Name, "error", err)
			}
		}
	}
	if err := fs.RemoveAll(ix.dir); err != nil {
		return err
	}
	return fs.SyncDir(ix.store.indicesDir())
}
