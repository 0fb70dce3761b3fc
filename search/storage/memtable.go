package storage

import (
	"github.com/millrace/millrace/search/column"
	"github.com/millrace/millrace/search/mapping"
)

// address names a row of a buffer or a segment: the block, and the row in it.
type address uint32

func makeAddress(block, row int) address { return address(block<<16 | row) }

func (a address) block() int { return int(a >> 16) }
func (a address) row() int   { return int(a & 0xFFFF) }

// memtable is the buffer of an index: the documents since its last segment. It is
// protected by Index.mu; once it is being flushed only its deletions change.
type memtable struct {
	blocks []*memBlock
	// ids holds the rows of the live documents.
	ids map[string]address
	// tombstones holds the version of deleted documents, so that one that is
	// created again gets the next.
	tombstones map[string]int64
	// deleted has the overwritten and deleted rows, by block. The bitmaps never
	// change; they are replaced.
	deleted []column.Bitmap
	// live is the number of documents that are not deleted.
	live   int
	bytes  int64
	maxSeq int64
}

// memBlock is one block of a buffer; on disk it becomes a row group.
type memBlock struct {
	rows    int
	bytes   int64
	columns []*column.Builder // by slot, nil where no row has a value
	ids     *column.Builder
	sources *column.Builder
	seqs    *column.Builder
	// versions holds only versions other than 1.
	versions *column.Builder
	// whole is the view of a block that is full.
	whole *memView
}

func newMemtable() *memtable {
	return &memtable{ids: map[string]address{}, tombstones: map[string]int64{}, maxSeq: -1}
}

func newMemBlock() *memBlock {
	return &memBlock{
		ids:      column.NewBuilder(column.Bytes),
		sources:  column.NewBuilder(column.Bytes),
		seqs:     column.NewBuilder(column.Int),
		versions: column.NewBuilder(column.Int),
	}
}

// rows returns the number of rows, deleted ones included.
func (t *memtable) rows() int {
	n := 0
	for _, b := range t.blocks {
		n += b.rows
	}
	return n
}

// append adds a document and returns its row.
func (t *memtable) append(id string, source []byte, seq, version int64, values []mapping.Value) address {
	last := len(t.blocks) - 1
	if last < 0 || t.blocks[last].rows >= column.RowsMax || t.blocks[last].bytes >= blockBytesMax {
		t.blocks = append(t.blocks, newMemBlock())
		t.deleted = append(t.deleted, nil)
		last++
	}
	b := t.blocks[last]
	size := b.append(id, source, seq, version, values)
	t.bytes += size
	at := makeAddress(last, b.rows-1)
	t.ids[id] = at
	delete(t.tombstones, id)
	t.live++
	t.maxSeq = max(t.maxSeq, seq)
	return at
}

func (b *memBlock) append(id string, source []byte, seq, version int64, values []mapping.Value) int64 {
	row := b.rows
	size := int64(len(source) + 2*len(id) + documentOverheadBytes)
	for i := range values {
		v := &values[i]
		for v.Slot >= len(b.columns) {
			b.columns = append(b.columns, nil)
		}
		if b.columns[v.Slot] == nil {
			b.columns[v.Slot] = column.NewBuilder(v.Kind)
		}
		c := b.columns[v.Slot]
		switch v.Kind {
		case column.Int:
			c.AppendInt(row, v.Int)
		case column.Float:
			c.AppendFloat(row, v.Float)
		case column.Bytes:
			c.AppendBytes(row, v.Bytes)
		}
		size += int64(len(v.Bytes)) + 8
	}
	b.ids.AppendBytes(row, []byte(id))
	b.sources.AppendBytes(row, source)
	b.seqs.AppendInt(row, seq)
	if version != 1 {
		b.versions.AppendInt(row, version)
	}
	b.rows++
	b.bytes += size
	return size
}

// remove marks a row as deleted.
func (t *memtable) remove(at address) {
	t.deleted[at.block()] = withRow(t.deleted[at.block()], at.row())
	t.live--
}

// withRow returns a copy of the bitmap with a row added.
func withRow(b column.Bitmap, row int) column.Bitmap {
	next := make(column.Bitmap, max(len(b), row/64+1))
	copy(next, b)
	next.Set(row)
	return next
}

// version returns the version of a document.
func (t *memtable) version(at address) int64 {
	versions := t.blocks[at.block()].versions
	if versions.Len() == 0 {
		return 1
	}
	return versionOf(versions.View(at.row()+1), at.row())
}

func versionOf(versions *column.Column, row int) int64 {
	lo, hi := versions.Range(row)
	if versions.Len() == 0 || hi <= lo || lo >= versions.Len() {
		return 1
	}
	return versions.Ints[lo]
}
