package storage

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/bits"
	"slices"
	"time"

	"github.com/millrace/millrace/search/column"
)

// mergeInterval is how often the store looks for segments to merge and for what is
// too old.
const mergeInterval = time.Second

func (s *Store) mergeLoop(ctx context.Context) {
	ticker := time.NewTicker(mergeInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		s.retain()
		for _, ix := range s.Indices() {
			for ctx.Err() == nil {
				merged, err := ix.Merge(ctx)
				if err != nil && !errors.Is(err, ErrClosed) && ctx.Err() == nil {
					s.logger.Error("segments not merged; trying again", "index", ix.Name, "error", err)
					s.metrics.mergeFailures.Inc()
					pause(ctx, retryAfter)
				}
				if err != nil || !merged {
					break
				}
				s.metrics.merges.Inc()
			}
		}
	}
}

// Merge joins a run of neighbouring segments of like size into one, where there is
// one, leaving out deleted documents. It reports whether there was.
func (ix *Index) Merge(ctx context.Context) (bool, error) {
	sources := ix.chooseMerge()
	if sources == nil {
		return false, nil
	}
	defer func() {
		for _, src := range sources {
			src.seg.release()
		}
	}()
	m := &merger{index: ix, sources: sources}
	if err := m.write(ctx); err != nil {
		return false, fmt.Errorf("merge segments of %s: %w", ix.Name, err)
	}
	return true, m.commit()
}

// mergeSource is a segment to be merged and the rows that were live at the start.
type mergeSource struct {
	state *segmentState
	seg   *segment
	// removed is the deletions at the start.
	removed []column.Bitmap
	// firsts is the number of rows of the new segment before each row group.
	firsts []int64
}

// level is the size class of a segment: each is eight times the one below.
func (m segmentMeta) level() int { return (bits.Len64(uint64(m.Rows)>>13) + 2) / 3 }

// chooseMerge picks neighbours of a level or below, at least mergeFanIn of them.
func (ix *Index) chooseMerge() []mergeSource {
	ix.mu.Lock()
	defer ix.mu.Unlock()
	if ix.deleted {
		return nil
	}
	highest := 0
	for _, st := range ix.segments {
		highest = max(highest, st.seg.meta.level())
	}
	for level := range highest + 1 {
		if run := runOf(ix.segments, level); run != nil {
			return ix.sourcesOf(run)
		}
	}
	return nil
}

// runOf finds the first run of neighbours up to the level that one merge can take.
func runOf(states []*segmentState, level int) []*segmentState {
	start := 0
	var rows, bytes int64
	for i := range len(states) + 1 {
		if i < len(states) && states[i].seg.meta.level() <= level {
			meta := states[i].seg.meta
			if i-start < mergeWidthMax && rows+meta.Rows <= mergeRowsMax && bytes+meta.Bytes <= mergeBytesMax {
				rows, bytes = rows+meta.Rows, bytes+meta.Bytes
				continue
			}
		}
		if i-start >= mergeFanIn {
			return states[start:i]
		}
		start, rows, bytes = i+1, 0, 0
		if i < len(states) && states[i].seg.meta.level() <= level {
			start, rows, bytes = i, states[i].seg.meta.Rows, states[i].seg.meta.Bytes
		}
	}
	return nil
}

func (ix *Index) sourcesOf(states []*segmentState) []mergeSource {
	var sources []mergeSource
	for _, st := range states {
		st.seg.acquire()
		sources = append(sources, mergeSource{state: st, seg: st.seg, removed: st.deleted})
	}
	return sources
}

// merger writes one merge.
type merger struct {
	index   *Index
	sources []mergeSource
	specs   []columnSpec
	out     *segmentWriter
	block   *mergeBlock
	rows    int64
	meta    segmentMeta
}

// mergeBlock gathers the rows of the next row group.
type mergeBlock struct {
	rows    int
	bytes   int64
	columns []*column.Builder
}

func (m *merger) newBlock() *mergeBlock {
	b := &mergeBlock{}
	for _, spec := range m.specs {
		b.columns = append(b.columns, column.NewBuilder(spec.kind))
	}
	return b
}

func (m *merger) write(ctx context.Context) error {
	if err := m.chooseSpecs(); err != nil {
		return err
	}
	ix := m.index
	ix.commitMu.Lock()
	id := ix.nextSegment
	ix.nextSegment++
	ix.commitMu.Unlock()
	var err error
	if m.out, err = newSegmentWriter(ix.store.fs, ix.dir, id, m.specs); err != nil {
		return err
	}
	m.block = m.newBlock()
	for i := range m.sources {
		src := &m.sources[i]
		for group := range src.seg.meta.Groups {
			src.firsts = append(src.firsts, m.rows)
			if err := ctx.Err(); err != nil {
				m.out.abort()
				return err
			}
			if err := m.copyGroup(src, group); err != nil {
				m.out.abort()
				return err
			}
		}
	}
	if err = m.flushBlock(); err == nil {
		m.meta, err = m.out.finish()
	}
	if err != nil {
		m.out.abort()
	}
	return err
}

// chooseSpecs makes the union of the columns.
func (m *merger) chooseSpecs() error {
	found := map[string]columnSpec{}
	for _, src := range m.sources {
		r, err := src.seg.open()
		if err != nil {
			return err
		}
		for name, leaf := range r.leaves {
			spec := r.spec(name, leaf)
			if before, ok := found[name]; ok {
				spec.rep = max(spec.rep, before.rep)
				spec.dict = spec.dict && before.dict
			}
			found[name] = spec
		}
	}
	_, versions := found[columnVersion]
	m.specs = systemSpecs(versions)
	for _, spec := range m.specs {
		delete(found, spec.name)
	}
	for _, name := range slices.Sorted(maps.Keys(found)) {
		m.specs = append(m.specs, found[name])
	}
	return nil
}

func (m *merger) copyGroup(src *mergeSource, group int) error {
	r, err := src.seg.open()
	if err != nil {
		return err
	}
	var removed column.Bitmap
	if group < len(src.removed) {
		removed = src.removed[group]
	}
	columns := make([]*column.Column, len(m.specs))
	for i, spec := range m.specs {
		if columns[i], err = r.column(group, spec.name); err != nil {
			return err
		}
	}
	if err := restoreColumn(r, group, m.specs, columns); err != nil {
		return err
	}
	for row := range src.seg.meta.Counts[group] {
		if removed.Has(row) {
			continue
		}
		if m.block.rows >= column.RowsMax || m.block.bytes >= blockBytesMax {
			if err := m.flushBlock(); err != nil {
				return err
			}
		}
		m.copyRow(columns, row)
	}
	return nil
}

// restoreColumn puts back what is cut out of the sources of a row group.
func restoreColumn(r *segmentReader, group int, specs []columnSpec, columns []*column.Column) error {
	at := func(name string) *column.Column {
		return columns[slices.IndexFunc(specs, func(s columnSpec) bool { return s.name == name })]
	}
	short := at(columnSource)
	whole := &column.Column{Kind: column.Bytes, Starts: []uint32{0}, Data: make([]byte, 0, 2*len(short.Data))}
	for row := range short.Len() {
		var err error
		whole.Data, err = restore(whole.Data, short.Bytes(row), func(cut int) ([]byte, error) {
			if cut < len(r.cuts) {
				if c := at(r.cuts[cut]); c != nil && c.Has(row) {
					lo, _ := c.Range(row)
					return c.Bytes(lo), nil
				}
			}
			return nil, &CorruptionError{File: r.file.Name(), Reason: fmt.Sprintf("source of row %d of group %d", row, group)}
		})
		if err != nil {
			return err
		}
		whole.Starts = append(whole.Starts, uint32(len(whole.Data)))
	}
	*short = *whole
	return nil
}

func (m *merger) copyRow(columns []*column.Column, row int) {
	b := m.block
	for i, c := range columns {
		if c == nil {
			continue
		}
		lo, hi := c.Range(row)
		for v := lo; v < hi; v++ {
			switch c.Kind {
			case column.Int:
				b.columns[i].AppendInt(b.rows, c.Ints[v])
			case column.Float:
				b.columns[i].AppendFloat(b.rows, c.Floats[v])
			case column.Bytes:
				value := c.Bytes(v)
				b.columns[i].AppendBytes(b.rows, value)
				b.bytes += int64(len(value))
			}
			b.bytes += 8
		}
	}
	b.rows++
	m.rows++
}

func (m *merger) flushBlock() error {
	b := m.block
	if b.rows == 0 {
		return nil
	}
	g := group{rows: b.rows}
	for _, c := range b.columns {
		if c.Len() == 0 {
			g.columns = append(g.columns, nil)
			continue
		}
		g.columns = append(g.columns, c.View(b.rows))
	}
	if err := m.out.write(g); err != nil {
		return err
	}
	m.block = m.newBlock()
	return nil
}

// commit puts the new segment into the place of the old ones, with the rows that have been
// deleted in the meantime.
func (m *merger) commit() error {
	ix := m.index
	ix.commitMu.Lock()
	defer ix.commitMu.Unlock()
	next := &segmentState{seg: newSegment(ix.store.fs, ix.dir, m.meta, ix.store.logger)}
	var before []*segmentState
	err := ix.commit(func() {
		before = ix.segments
		at := slices.Index(ix.segments, m.sources[0].state)
		m.carryDeletions(next)
		segments := slices.Clone(ix.segments[:at])
		if m.meta.Rows > 0 {
			segments = append(segments, next)
		}
		ix.segments = append(segments, before[at+len(m.sources):]...)
		ix.changed = true
		ix.dropCached() // or it would keep the old files until the next search
	}, func() {
		m.returnDeletions(next)
		ix.segments, ix.changed = before, true
	})
	if err != nil || m.meta.Rows == 0 {
		next.seg.discard()
	}
	if err != nil {
		return err
	}
	for _, src := range m.sources {
		if src.state.savedCount > 0 {
			if err := ix.store.fs.Remove(deletionsName(ix.dir, src.seg.meta.ID, src.state.generation)); err != nil {
				ix.store.logger.Warn("old deletions not removed; the next start does it", "index", ix.Name, "error", err)
			}
		}
		src.seg.discard()
	}
	return nil
}

// carryDeletions marks in the new segment what was deleted in the old ones since the
// merge began.
func (m *merger) carryDeletions(next *segmentState) {
	for _, src := range m.sources {
		for group, now := range src.state.deleted {
			var then column.Bitmap
			if group < len(src.removed) {
				then = src.removed[group]
			}
			fresh := now.Clone()
			fresh.AndNot(then)
			for row := range fresh.Rows {
				next.remove(m.newAddress(src, group, row, then))
			}
		}
	}
}

// newAddress returns where a row went.
func (m *merger) newAddress(src mergeSource, group, row int, removed column.Bitmap) address {
	ordinal := src.firsts[group] + int64(row)
	for gone := range removed.Rows {
		if gone >= row {
			break
		}
		ordinal--
	}
	block := 0
	for ordinal >= int64(m.meta.Counts[block]) {
		ordinal -= int64(m.meta.Counts[block])
		block++
	}
	return makeAddress(block, int(ordinal))
}

// returnDeletions marks in the old segments what was deleted in the new one while its
// manifest could not be written. The rows are found by their place.
func (m *merger) returnDeletions(next *segmentState) {
	for _, src := range m.sources {
		for group, count := range src.seg.meta.Counts {
			var then column.Bitmap
			if group < len(src.removed) {
				then = src.removed[group]
			}
			for row := range count {
				at := makeAddress(group, row)
				if !then.Has(row) && !src.state.isDeleted(at) && next.isDeleted(m.newAddress(src, group, row, then)) {
					src.state.remove(at)
				}
			}
		}
	}
}
