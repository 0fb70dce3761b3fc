package storage

import (
	"slices"

	"github.com/millrace/millrace/search/column"
	"github.com/millrace/millrace/search/mapping"
)

// Block is up to column.RowsMax documents of a snapshot. It may be used by several
// goroutines as long as the snapshot is held.
type Block struct {
	// Rows is the number of rows, deleted ones included.
	Rows    int
	deleted column.Bitmap
	mem     *memView // one of mem and seg is set
	seg     *segment
	group   int
}

// memView is a block of the buffer at one row count.
type memView struct {
	rows                         int
	columns                      []*column.Column // by slot
	ids, sources, seqs, versions *column.Column
}

// view captures the block as it is; Index.mu is held.
func (b *memBlock) view() *memView {
	if b.whole != nil && b.whole.rows == b.rows {
		return b.whole
	}
	v := &memView{
		rows: b.rows, ids: b.ids.View(b.rows), sources: b.sources.View(b.rows), seqs: b.seqs.View(b.rows),
		columns: make([]*column.Column, len(b.columns)),
	}
	if b.versions.Len() > 0 {
		v.versions = b.versions.View(b.rows)
	}
	for slot, c := range b.columns {
		if c != nil {
			v.columns[slot] = c.View(b.rows)
		}
	}
	b.whole = v
	return v
}

// Live returns the rows that are not deleted. The caller may change it.
func (b *Block) Live() column.Bitmap {
	live := column.FullBitmap(b.Rows)
	live.AndNot(b.deleted)
	return live
}

// Column returns the values of a field, nil where no row has one. Nothing may be changed.
func (b *Block) Column(f *mapping.Field) (*column.Column, error) {
	if b.mem != nil {
		if f.Slot >= len(b.mem.columns) {
			return nil, nil
		}
		return b.mem.columns[f.Slot], nil
	}
	r, err := b.seg.open()
	if err != nil {
		return nil, err
	}
	return r.column(b.group, f.Column)
}

// SeqNos returns the sequence numbers of all rows.
func (b *Block) SeqNos() (*column.Column, error) { return b.system(columnSeqNo) }

// IDs returns the _ids of all rows.
func (b *Block) IDs() (*column.Column, error) { return b.system(columnID) }

func (b *Block) system(name string) (*column.Column, error) {
	if b.mem != nil {
		switch name {
		case columnID:
			return b.mem.ids, nil
		case columnSeqNo:
			return b.mem.seqs, nil
		default:
			return b.mem.versions, nil
		}
	}
	r, err := b.seg.open()
	if err != nil {
		return nil, err
	}
	return r.column(b.group, name)
}

// Bounds returns the least and the greatest value of a whole-number or date field; ok is
// false where they are not known.
func (b *Block) Bounds(f *mapping.Field) (low, high int64, ok bool, err error) {
	if b.mem != nil {
		return 0, 0, false, nil
	}
	// The segment's bounds are in the manifest: no file is opened for them.
	bounds, known := b.seg.meta.Bounds[f.Column]
	if !known || b.seg.meta.Groups == 1 {
		return bounds[0], bounds[1], known, nil
	}
	r, err := b.seg.open()
	if err != nil {
		return 0, 0, false, err
	}
	low, high, ok = r.bounds(b.group, f.Column)
	return low, high, ok, nil
}

// KnownBounds returns bounds of a whole-number or date field without reading: those of
// the block where its file is open, and of the whole segment otherwise.
func (b *Block) KnownBounds(f *mapping.Field) (low, high int64, ok bool) {
	if b.mem != nil {
		return 0, 0, false
	}
	if r := b.seg.opened(); r != nil {
		if low, high, ok = r.bounds(b.group, f.Column); ok {
			return low, high, true
		}
	}
	bounds, ok := b.seg.meta.Bounds[f.Column]
	return bounds[0], bounds[1], ok
}

// MayHave reports whether a field of text may have the term, by its [TermHash].
func (b *Block) MayHave(f *mapping.Field, hash uint64) (bool, error) {
	if b.mem != nil {
		return f.Slot < len(b.mem.columns) && b.mem.columns[f.Slot] != nil, nil
	}
	r, err := b.seg.open()
	if err != nil {
		return false, err
	}
	return r.tokens.mayHave(b.group, f.Column, hash)
}

// MayHaveID reports whether a document with the _id may be in the segment.
func (b *Block) MayHaveID(id string) (bool, error) {
	if b.mem != nil {
		return true, nil
	}
	at, ok, err := b.seg.find(id)
	return ok && at.block() == b.group, err
}

// Fetch reads the documents in the rows, which must ascend. use gets the position in rows.
// What it is given is its own.
func (b *Block) Fetch(rows []int, use func(i int, d Document) error) error {
	documents := make([]Document, len(rows))
	versions, err := b.system(columnVersion)
	if err != nil {
		return err
	}
	if b.mem != nil {
		for i, row := range rows {
			documents[i] = Document{ID: string(b.mem.ids.Bytes(row)), Source: slices.Clone(b.mem.sources.Bytes(row)), SeqNo: b.mem.seqs.Ints[row]}
		}
	} else if err := b.fetchSegment(rows, documents); err != nil {
		return err
	}
	for i, row := range rows {
		documents[i].Version = 1
		if versions != nil {
			documents[i].Version = versionOf(versions, row)
		}
		if err := use(i, documents[i]); err != nil {
			return err
		}
	}
	return nil
}

func (b *Block) fetchSegment(rows []int, documents []Document) error {
	r, err := b.seg.open()
	if err != nil {
		return err
	}
	i := 0
	err = r.rows(b.group, columnID, rows, func(_ int, v []byte) {
		documents[i].ID = string(v)
		i++
	})
	if err != nil {
		return err
	}
	err = r.sources(b.group, rows, func(i int, source []byte) { documents[i].Source = source })
	if err != nil {
		return err
	}
	seqs, err := r.column(b.group, columnSeqNo)
	if err != nil {
		return err
	}
	for i, row := range rows {
		documents[i].SeqNo = seqs.Ints[row]
	}
	return nil
}

// InMemory reports whether the block is part of the buffer, so that its columns cost
// nothing to read.
func (b *Block) InMemory() bool { return b.mem != nil }
