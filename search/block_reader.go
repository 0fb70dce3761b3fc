package search

import (
	"encoding/binary"

	"github.com/millrace/millrace/search/column"
	"github.com/millrace/millrace/search/mapping"
	"github.com/millrace/millrace/search/storage"
)

// blockReader reads a block for one search: every column at most once, and accounted for. It
// belongs to one goroutine.
type blockReader struct {
	*storage.Block
	account *account
	held    int64
	columns map[string]*column.Column
	lower   map[string]lowered
}

type lowered struct {
	bytes []byte
	ascii bool
}

func newBlockReader(b *storage.Block, a *account) *blockReader {
	return &blockReader{Block: b, account: a, columns: map[string]*column.Column{}, lower: map[string]lowered{}}
}

// release gives the memory of the columns back.
func (r *blockReader) release() {
	r.account.shrink(r.held)
	r.held = 0
}

func (r *blockReader) hold(bytes int64) error {
	if err := r.account.Grow(bytes); err != nil {
		return err
	}
	r.held += bytes
	return nil
}

// RowCount implements [query.Rows].
func (r *blockReader) RowCount() int { return r.Rows }

// Column implements [query.Rows].
func (r *blockReader) Column(f *mapping.Field) (*column.Column, error) {
	return r.cached(f.Column, func() (*column.Column, error) { return r.Block.Column(f) })
}

// IDs implements [query.Rows].
func (r *blockReader) IDs() (*column.Column, error) { return r.cached("_id", r.Block.IDs) }

// SeqNos returns the sequence numbers of the rows.
func (r *blockReader) SeqNos() (*column.Column, error) { return r.cached("_seq_no", r.Block.SeqNos) }

func (r *blockReader) cached(name string, read func() (*column.Column, error)) (*column.Column, error) {
	if c, ok := r.columns[name]; ok {
		return c, nil
	}
	c, err := read()
	if err != nil {
		return nil, err
	}
	if c != nil && !r.InMemory() {
		if err := r.hold(c.SizeBytes()); err != nil {
			return nil, err
		}
	}
	r.columns[name] = c
	return c, nil
}

// Lower implements [query.Rows].
func (r *blockReader) Lower(f *mapping.Field, c *column.Column) ([]byte, bool) {
	if l, ok := r.lower[f.Column]; ok {
		return l.bytes, l.ascii
	}
	l := lowered{bytes: make([]byte, len(c.Data))}
	l.ascii = lowerASCII(l.bytes, c.Data)
	r.lower[f.Column] = l
	return l.bytes, l.ascii
}

// lowerASCII copies src to dst with A to Z in lower case and reports whether all of it is
// ASCII. Eight bytes are done at a time: adding to their lower seven bits sets the top
// bit of those from A on, and of those past Z.
func lowerASCII(dst, src []byte) bool {
	const (
		top   = 0x8080808080808080
		fromA = 0x3f3f3f3f3f3f3f3f // 0x80 - 'A'
		pastZ = 0x2525252525252525 // 0x80 - 'Z' - 1
	)
	var high uint64
	i := 0
	for ; i+8 <= len(src); i += 8 {
		v := binary.LittleEndian.Uint64(src[i:])
		high |= v
		low := v &^ top
		upper := (low + fromA) &^ (low + pastZ) &^ v & top
		binary.LittleEndian.PutUint64(dst[i:], v|upper>>2)
	}
	for ; i < len(src); i++ {
		c := src[i]
		high |= uint64(c)
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		dst[i] = c
	}
	return high&top == 0
}

// MayHave implements [query.Rows].
func (r *blockReader) MayHave(f *mapping.Field, term []byte, whole bool) (bool, error) {
	return r.Block.MayHave(f, storage.TermHash(term, whole))
}
