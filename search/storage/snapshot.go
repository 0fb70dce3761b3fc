package storage

import (
	"sync/atomic"

	"github.com/millrace/millrace/search/mapping"
)

// Snapshot is the documents of an index at one moment. It must be released.
type Snapshot struct {
	Index   *Index
	Mapping *mapping.Mapping
	// Blocks are in index order.
	Blocks   []*Block
	segments []*segment
	refs     atomic.Int64
}

// Release gives the snapshot up.
func (s *Snapshot) Release() {
	if s.refs.Add(-1) == 0 {
		for _, seg := range s.segments {
			seg.release()
		}
	}
}

// Snapshot returns the documents as they were at most a refresh interval ago.
func (ix *Index) Snapshot() (*Snapshot, error) {
	ix.mu.Lock()
	defer ix.mu.Unlock()
	if ix.deleted {
		return nil, ErrClosed
	}
	now := ix.store.clock()
	if ix.cached == nil || ix.changed && now.Sub(ix.cachedAt) >= ix.store.refreshInterval {
		ix.renew()
		ix.cachedAt = now
	}
	ix.cached.refs.Add(1)
	return ix.cached, nil
}

// Refresh makes all documents visible to the searches that begin from now on.
func (ix *Index) Refresh() {
	ix.mu.Lock()
	defer ix.mu.Unlock()
	if ix.deleted || !ix.changed && ix.cached != nil {
		return
	}
	ix.renew()
	ix.cachedAt = ix.store.clock()
}

// renew makes a new snapshot; mu is held.
func (ix *Index) renew() {
	s := &Snapshot{Index: ix, Mapping: ix.mapping.Load()}
	s.refs.Store(1)
	for _, st := range ix.segments {
		st.seg.acquire()
		s.segments = append(s.segments, st.seg)
		for group := range st.seg.meta.Groups {
			b := &Block{Rows: st.seg.meta.Counts[group], seg: st.seg, group: group}
			if group < len(st.deleted) {
				b.deleted = st.deleted[group]
			}
			s.Blocks = append(s.Blocks, b)
		}
	}
	for _, t := range []*memtable{ix.flushing, ix.active} {
		if t == nil {
			continue
		}
		for i, block := range t.blocks {
			s.Blocks = append(s.Blocks, &Block{Rows: block.rows, mem: block.view(), deleted: t.deleted[i]})
		}
	}
	ix.dropCached()
	ix.cached, ix.changed = s, false
}

func (ix *Index) dropCached() {
	if ix.cached != nil {
		ix.cached.Release()
		ix.cached = nil
	}
}
