package column

import "slices"

// Builder appends values row by row. Rows come in ascending order; the values of
// one row come together. What [Builder.View] returned stays unchanged.
type Builder struct {
	kind    Kind
	offsets []uint32
	ints    []int64
	floats  []float64
	data    []byte
	starts  []uint32
	count   uint32
	// sparse is set once a row had no value or several.
	sparse bool
	multi  bool
	rows   int // rows that have a value or were passed over
}

// NewBuilder returns a builder of an empty column.
func NewBuilder(kind Kind) *Builder {
	b := &Builder{kind: kind}
	if kind == Bytes {
		b.starts = append(b.starts, 0)
	}
	return b
}

// Kind returns the kind of the column.
func (b *Builder) Kind() Kind { return b.kind }

// Multi reports whether any row has several values.
func (b *Builder) Multi() bool { return b.multi }

// begin accounts for one value of the row.
func (b *Builder) begin(row int) {
	switch {
	case row == b.rows && !b.sparse:
		b.rows++
		b.count++
		return
	case !b.sparse:
		b.spread()
	}
	if row < b.rows { // a further value of the latest row
		b.multi = true
		b.count++
		b.offsets[len(b.offsets)-1] = b.count
		return
	}
	for b.rows < row {
		b.offsets = append(b.offsets, b.count)
		b.rows++
	}
	b.rows++
	b.count++
	b.offsets = append(b.offsets, b.count)
}

// spread makes explicit offsets of what was one value for each row.
func (b *Builder) spread() {
	b.sparse = true
	b.offsets = make([]uint32, 0, max(64, 2*b.rows))
	for i := range b.rows + 1 {
		b.offsets = append(b.offsets, uint32(i))
	}
}

// AppendInt adds a value to the row.
func (b *Builder) AppendInt(row int, v int64) {
	b.begin(row)
	b.ints = append(b.ints, v)
}

// AppendFloat adds a value to the row.
func (b *Builder) AppendFloat(row int, v float64) {
	b.begin(row)
	b.floats = append(b.floats, v)
}

// AppendBytes adds a copy of a value to the row.
func (b *Builder) AppendBytes(row int, v []byte) {
	b.begin(row)
	b.data = append(b.data, v...)
	b.starts = append(b.starts, uint32(len(b.data)))
}

// View returns the column as it is over the first rows rows, which must all be complete.
// Later appends do not change it.
func (b *Builder) View(rows int) *Column {
	c := &Column{Kind: b.kind, Ints: b.ints, Floats: b.floats, Data: b.data, Starts: b.starts}
	switch {
	case b.sparse:
		c.Offsets = slices.Clip(b.offsets)
	case b.rows < rows:
		c.Offsets = make([]uint32, b.rows+1)
		for i := range c.Offsets {
			c.Offsets[i] = uint32(i)
		}
	}
	return c
}

// SizeBytes is the memory that the values take.
func (b *Builder) SizeBytes() int64 {
	return int64(4*cap(b.offsets) + 8*cap(b.ints) + 8*cap(b.floats) + cap(b.data) + 4*cap(b.starts))
}

// Len returns the number of values.
func (b *Builder) Len() int { return int(b.count) }
