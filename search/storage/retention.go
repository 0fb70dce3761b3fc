package storage

import (
	"slices"
	"time"
)

// retain deletes indices that are too old, and the oldest ones where all together are too large.
// The age of an index counts from its newest event or its latest write,
// whichever is later, so that old logs that are read in late are kept as long as new ones.
func (s *Store) retain() {
	if s.retentionTime <= 0 && s.retentionBytes <= 0 {
		return
	}
	type aged struct {
		ix     *Index
		newest time.Time
		bytes  int64
	}
	var all []aged
	var total int64
	for _, ix := range s.Indices() {
		a := aged{ix, ix.newest(), ix.Stats().Bytes}
		all = append(all, a)
		total += a.bytes
	}
	slices.SortFunc(all, func(a, b aged) int { return a.newest.Compare(b.newest) })
	for i, a := range all {
		old := s.retentionTime > 0 && s.clock().Sub(a.newest) > s.retentionTime
		large := s.retentionBytes > 0 && total > s.retentionBytes
		switch {
		case old, large && i < len(all)-1:
			s.retire(a.ix, a.newest, a.bytes)
			total -= a.bytes
		case large:
			// What is being written to loses its oldest segments only.
			a.ix.dropOldest(total - s.retentionBytes)
		}
	}
}

func (s *Store) retire(ix *Index, newest time.Time, bytes int64) {
	if err := s.DeleteIndex(ix.Name); err != nil {
		s.logger.Error("index not deleted by retention", "index", ix.Name, "error", err)
		return
	}
	s.metrics.deletedIndices.Inc()
	s.logger.Info("index deleted by retention", "index", ix.Name, "newest", newest, "bytes", bytes)
}

// dropOldest removes segments of at least the given size from the old end, but never the last.
func (ix *Index) dropOldest(bytes int64) {
	ix.commitMu.Lock()
	defer ix.commitMu.Unlock()
	var before, dropped []*segmentState
	err := ix.commit(func() {
		before = ix.segments
		n := 0
		for n < len(before)-1 && bytes > 0 {
			bytes -= before[n].seg.meta.Bytes
			n++
		}
		dropped = before[:n]
		ix.segments = slices.Clone(before[n:])
		ix.changed = true
	}, func() {
		ix.segments, ix.changed = before, true
	})
	if err != nil {
		ix.store.logger.Error("segments not dropped by retention", "index", ix.Name, "error", err)
		return
	}
	for _, st := range dropped {
		st.seg.discard()
		ix.store.metrics.deletedIndices.Inc()
		ix.store.logger.Info("segment deleted by retention", "index", ix.Name, "segment", st.seg.meta.ID, "bytes", st.seg.meta.Bytes)
	}
}
