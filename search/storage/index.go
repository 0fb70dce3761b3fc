package storage

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"path"
	"sync"
	"sync/atomic"
	"time"

	"github.com/millrace/millrace/search/mapping"
)

// UUID identifies an index for ever; a new index of the same name has another.
type UUID [16]byte

// String returns the 22 characters that Elasticsearch shows.
func (u UUID) String() string { return base64.RawURLEncoding.EncodeToString(u[:]) }

func parseUUID(s string) (UUID, error) {
	raw, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil || len(raw) != 16 {
		return UUID{}, fmt.Errorf("%q is no index id", s)
	}
	return UUID(raw), nil
}

// Index is one index. Its methods may be called from any goroutine.
type Index struct {
	// Name, UUID, Created and Settings never change.
	Name     string
	UUID     UUID
	Created  time.Time
	Settings map[string]any

	store   *Store
	dir     string
	mapping atomic.Pointer[mapping.Mapping]

	// commitMu is held while a manifest is made, and by what leads to one.
	commitMu    sync.Mutex
	nextSegment int64 // protected by commitMu

	mu sync.Mutex
	// active takes new documents; flushing is being written as a segment, nil
	// where none is.
	active, flushing *memtable
	// Invariant: in order of sequence numbers, which do not overlap.
	segments   []*segmentState
	nextSeq    int64
	flushedSeq int64
	// logged counts the records of the log since the start, flushedLog those that
	// the manifest covers; dirtySince is when the two parted.
	logged, flushedLog int64
	flushingLog        int64 // logged when flushing was frozen
	dirtySince         time.Time
	written            time.Time
	deleted            bool
	// cached is the latest snapshot; changed says that there is something newer.
	cached   *Snapshot
	cachedAt time.Time
	changed  bool
}

// Mapping returns the current mapping.
func (ix *Index) Mapping() *mapping.Mapping { return ix.mapping.Load() }

// PutMapping adds to the mapping and returns when it is on disk.
func (ix *Index) PutMapping(body map[string]any) error {
	position, err := ix.changeMapping(func(m *mapping.Mapping) (*mapping.Mapping, error) { return m.Merge(body) })
	if err != nil {
		return err
	}
	return ix.store.Sync(position)
}

// changeMapping publishes a new mapping; documents that need it follow it in the log.
func (ix *Index) changeMapping(change func(*mapping.Mapping) (*mapping.Mapping, error)) (int64, error) {
	ix.mu.Lock()
	defer ix.mu.Unlock()
	if ix.deleted {
		return 0, ErrClosed
	}
	next, err := change(ix.mapping.Load())
	if err != nil {
		return 0, err
	}
	content, err := json.Marshal(next)
	if err != nil {
		return 0, err
	}
	position, err := ix.append(walMapping, content)
	if err == nil {
		ix.mapping.Store(next)
	}
	return position, err
}

// append writes a record to the log; mu is held.
func (ix *Index) append(kind byte, parts ...[]byte) (int64, error) {
	position, err := ix.store.wal.append(kind, ix.UUID, ix.logged+1, parts...)
	if err == nil {
		ix.note()
	}
	return position, err
}

// note counts a record of the log; mu is held.
func (ix *Index) note() {
	if ix.logged == ix.flushedLog {
		ix.dirtySince = ix.store.clock()
	}
	ix.logged++
}

// Stats describes an index for people.
type Stats struct {
	Documents, Deleted int64
	Bytes              int64
	Segments           int
	Newest             time.Time
}

// Stats returns the present figures; documents that are not refreshed yet count.
func (ix *Index) Stats() Stats {
	ix.mu.Lock()
	defer ix.mu.Unlock()
	var s Stats
	for _, st := range ix.segments {
		s.Documents += st.seg.meta.Rows - st.deletedCount
		s.Deleted += st.deletedCount
		s.Bytes += st.seg.meta.Bytes
	}
	s.Segments = len(ix.segments)
	for _, t := range []*memtable{ix.active, ix.flushing} {
		if t != nil {
			s.Documents += int64(t.live)
			s.Deleted += int64(t.rows() - t.live)
			s.Bytes += t.bytes
		}
	}
	return s
}

// newest returns the time that retention counts from: that of the newest event, or of
// the latest write where this is later.
func (ix *Index) newest() time.Time {
	ix.mu.Lock()
	defer ix.mu.Unlock()
	latest := ix.written
	for _, st := range ix.segments {
		if bounds, ok := st.seg.meta.Bounds["@timestamp"]; ok {
			if t := time.UnixMilli(bounds[1]); t.After(latest) {
				latest = t
			}
		}
	}
	return latest
}

// manifest describes the index as it is; commitMu and mu are held.
func (ix *Index) manifest() (manifest, error) {
	content, err := json.Marshal(ix.mapping.Load())
	m := manifest{
		Name: ix.Name, UUID: ix.UUID.String(), CreatedMs: ix.Created.UnixMilli(), WrittenMs: ix.written.UnixMilli(),
		Settings: ix.Settings, Mapping: content, FlushedSeq: ix.flushedSeq, NextSegment: ix.nextSegment,
	}
	for _, st := range ix.segments {
		meta := st.seg.meta
		meta.Deleted, meta.DeletedGeneration = st.savedCount, st.generation
		m.Segments = append(m.Segments, meta)
	}
	return m, err
}

// loadIndex opens the index in dir. Its buffer is empty; the log fills it.
func loadIndex(s *Store, dir string) (*Index, error) {
	m, err := readManifest(s.fs, dir)
	if err != nil {
		return nil, err
	}
	id, err := parseUUID(m.UUID)
	if err != nil {
		return nil, &CorruptionError{File: path.Join(dir, manifestName), Reason: err.Error()}
	}
	fields, err := mapping.Parse(m.Mapping)
	if err != nil {
		return nil, fmt.Errorf("mapping of index %s: %w", m.Name, err)
	}
	ix := &Index{
		Name: m.Name, UUID: id, Created: time.UnixMilli(m.CreatedMs), Settings: m.Settings, store: s, dir: dir,
		nextSegment: m.NextSegment, nextSeq: m.FlushedSeq + 1, flushedSeq: m.FlushedSeq,
		written: time.UnixMilli(m.WrittenMs), active: newMemtable(), changed: true,
	}
	ix.mapping.Store(fields)
	for _, meta := range m.Segments {
		st := &segmentState{
			seg: newSegment(s.fs, dir, meta, s.logger), deletedCount: meta.Deleted,
			savedCount: meta.Deleted, generation: meta.DeletedGeneration,
		}
		if meta.Deleted > 0 {
			if st.deleted, err = readDeletions(s.fs, deletionsName(dir, meta.ID, meta.DeletedGeneration), meta.Groups); err != nil {
				return nil, err
			}
		}
		ix.segments = append(ix.segments, st)
	}
	return ix, ix.removeStrays(m)
}

// removeStrays deletes files that the manifest does not know: what a crash left behind.
func (ix *Index) removeStrays(m manifest) error {
	known := map[string]bool{manifestName: true}
	for _, meta := range m.Segments {
		for _, extension := range []string{"parquet", "ids", "tokens"} {
			known[path.Base(segmentPath(ix.dir, meta.ID, extension))] = true
		}
		if meta.Deleted > 0 {
			known[path.Base(deletionsName(ix.dir, meta.ID, meta.DeletedGeneration))] = true
		}
	}
	entries, err := ix.store.fs.ReadDir(ix.dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if !known[entry.Name()] {
			if err := ix.store.fs.Remove(path.Join(ix.dir, entry.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}
