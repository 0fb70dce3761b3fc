package storage

import (
	"fmt"

	"github.com/millrace/millrace/search/column"
)

// Flush writes the buffer as a segment and records it in the manifest.
func (ix *Index) Flush() error {
	ix.commitMu.Lock()
	defer ix.commitMu.Unlock()
	t, logged := ix.freeze()
	if t == nil {
		return nil
	}
	var meta *segmentMeta
	if t.rows() > 0 {
		written, err := ix.writeTable(t)
		if err != nil {
			return fmt.Errorf("write a segment of %s: %w", ix.Name, err)
		}
		meta = &written
	}
	var next *segmentState
	if meta != nil {
		next = &segmentState{seg: newSegment(ix.store.fs, ix.dir, *meta, ix.store.logger)}
	}
	err := ix.commit(func() {
		if next != nil {
			next.deleted, next.deletedCount = t.deleted, int64(t.rows()-t.live)
			ix.segments = append(ix.segments, next)
		}
		ix.flushing = nil
		ix.flushedSeq = max(ix.flushedSeq, t.maxSeq)
		ix.flushedLog = logged
		ix.changed = true
		ix.dropCached() // or it would keep the buffer in memory until the next search
	}, func() {
		if next != nil {
			ix.segments = ix.segments[:len(ix.segments)-1]
			t.deleted, t.live = next.deleted, t.rows()-int(next.deletedCount)
		}
		ix.flushing, ix.changed = t, true
	})
	if err != nil {
		if next != nil {
			next.seg.discard()
		}
		return fmt.Errorf("commit a segment of %s: %w", ix.Name, err)
	}
	ix.store.buffered.Add(-t.bytes)
	ix.store.madeRoom()
	ix.store.metrics.flushed(meta)
	return nil
}

// freeze takes the buffer out of use. It returns nil where there is nothing to write. A
// buffer that could not be written stays where it is, still searched, and is
// returned again.
func (ix *Index) freeze() (*memtable, int64) {
	ix.mu.Lock()
	defer ix.mu.Unlock()
	if ix.deleted || ix.logged == ix.flushedLog && ix.flushing == nil {
		return nil, 0
	}
	if ix.flushing == nil {
		ix.flushing, ix.active = ix.active, newMemtable()
		ix.flushingLog = ix.logged
		ix.dirtySince = ix.store.clock()
	}
	return ix.flushing, ix.flushingLog
}

// writeTable writes a frozen buffer, deleted rows included, so that addresses stay.
func (ix *Index) writeTable(t *memtable) (segmentMeta, error) {
	m := ix.mapping.Load()
	ix.mu.Lock()
	deleted := append([]column.Bitmap(nil), t.deleted...)
	views := make([]*memView, len(t.blocks))
	for i, b := range t.blocks {
		views[i] = b.view()
	}
	ix.mu.Unlock()
	specs := specsOf(t.blocks, func(slot int) string { return m.Columns()[slot].Path })
	slots := map[string]int{}
	for slot, f := range m.Columns() {
		slots[f.Path] = slot
	}
	id := ix.nextSegment
	ix.nextSegment++
	w, err := newSegmentWriter(ix.store.fs, ix.dir, id, specs)
	if err != nil {
		return segmentMeta{}, err
	}
	for i, v := range views {
		g := group{rows: v.rows, deleted: deleted[i]}
		for _, spec := range specs {
			g.columns = append(g.columns, v.named(spec.name, slots))
		}
		if err := w.write(g); err != nil {
			w.abort()
			return segmentMeta{}, err
		}
	}
	meta, err := w.finish()
	if err != nil {
		w.abort()
	}
	return meta, err
}

// named returns the column of the name.
func (v *memView) named(name string, slots map[string]int) *column.Column {
	switch name {
	case columnID:
		return v.ids
	case columnSource:
		return v.sources
	case columnSeqNo:
		return v.seqs
	case columnVersion:
		return v.versions
	}
	if slot := slots[name]; slot < len(v.columns) {
		return v.columns[slot]
	}
	return nil
}

// commit changes the list of segments and replaces the manifest. change is called with
// mu held, and undo where the manifest could not be written. commitMu is held.
func (ix *Index) commit(change, undo func()) error {
	ix.mu.Lock()
	if ix.deleted {
		ix.mu.Unlock()
		return ErrClosed
	}
	flushedSeq, flushedLog := ix.flushedSeq, ix.flushedLog
	change()
	saves := ix.stageDeletions()
	m, err := ix.manifest()
	ix.mu.Unlock()
	if err == nil {
		// Deletions that are saved here belong to documents in the log: those
		// must not be lost when the deletions are not.
		err = ix.store.wal.sync(ix.store.wal.end())
	}
	if err == nil {
		err = ix.saveDeletions(saves)
	}
	if err == nil {
		err = ix.store.fs.SyncDir(ix.dir)
	}
	if err == nil {
		err = writeManifest(ix.store.fs, ix.dir, m)
	}
	if err != nil {
		ix.mu.Lock()
		undo()
		ix.flushedSeq, ix.flushedLog = flushedSeq, flushedLog
		for _, save := range saves {
			save.state.savedCount, save.state.generation = save.oldCount, save.oldGeneration
		}
		ix.mu.Unlock()
		return err
	}
	for _, save := range saves {
		if save.oldCount > 0 {
			if err := ix.store.fs.Remove(deletionsName(ix.dir, save.state.seg.meta.ID, save.oldGeneration)); err != nil {
				ix.store.logger.Warn("old deletions not removed; the next start does it", "index", ix.Name, "error", err)
			}
		}
	}
	return nil
}

// stagedDeletions is a deletions file to be written.
type stagedDeletions struct {
	state                   *segmentState
	content                 []byte
	oldCount, oldGeneration int64
}

// stageDeletions encodes what the manifest does not know yet; mu is held.
func (ix *Index) stageDeletions() []stagedDeletions {
	var saves []stagedDeletions
	for _, st := range ix.segments {
		if st.deletedCount == st.savedCount {
			continue
		}
		full := make([]column.Bitmap, st.seg.meta.Groups)
		copy(full, st.deleted)
		saves = append(saves, stagedDeletions{st, encodeDeletions(full), st.savedCount, st.generation})
		st.savedCount = st.deletedCount
		st.generation++
	}
	return saves
}

func (ix *Index) saveDeletions(saves []stagedDeletions) error {
	for _, save := range saves {
		name := deletionsName(ix.dir, save.state.seg.meta.ID, save.state.generation)
		if err := writeFile(ix.store.fs, name, save.content); err != nil {
			return err
		}
	}
	return nil
}
