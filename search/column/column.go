// Package column holds the values of one field over the rows of a block, and
// the sets of rows that queries make of them.
//
// A block is up to [RowsMax] documents: a row group of a segment file, or a part
// of the memory buffer. Columns are written once, by one goroutine, and only
// appended to; a reader works on a [Column] whose slices were captured at a row
// count, so it needs no lock.
package column

// RowsMax is the largest number of rows in a block.
const RowsMax = 1 << 16

// Kind is the physical type of a column.
type Kind uint8

// Kinds of columns.
const (
	// Int holds longs, dates in milliseconds since 1970, and booleans as 0 and 1.
	Int Kind = iota + 1
	// Float holds doubles, floats rounded to 32 bits.
	Float
	// Bytes holds text, keywords, and addresses in their 16-byte form.
	Bytes
)

// Column is the values of one field. A row has any number of values.
// Readers must not change any slice.
type Column struct {
	Kind Kind
	// Offsets says which values belong to a row: row r has those from Offsets[r] up
	// to Offsets[r+1]; rows past its end have none. It is nil
	// where every row has exactly one value.
	Offsets []uint32
	Ints    []int64
	Floats  []float64
	// Data and Starts hold byte values: value i is Data[Starts[i]:Starts[i+1]].
	// With Codes they are the dictionary, and value i is entry Codes[i] of it.
	Data   []byte
	Starts []uint32
	Codes  []int32
}

// Range returns the first value of a row and the one after its last.
func (c *Column) Range(row int) (lo, hi int) {
	if c.Offsets == nil {
		return row, row + 1
	}
	if row+1 >= len(c.Offsets) {
		return 0, 0
	}
	return int(c.Offsets[row]), int(c.Offsets[row+1])
}

// Has reports whether the row has a value.
func (c *Column) Has(row int) bool {
	lo, hi := c.Range(row)
	return hi > lo
}

// Len returns the number of values.
func (c *Column) Len() int {
	switch {
	case c.Kind == Int:
		return len(c.Ints)
	case c.Kind == Float:
		return len(c.Floats)
	case c.Codes != nil:
		return len(c.Codes)
	default:
		return max(len(c.Starts)-1, 0)
	}
}

// Bytes returns byte value i.
func (c *Column) Bytes(i int) []byte {
	if c.Codes != nil {
		i = int(c.Codes[i])
	}
	return c.Data[c.Starts[i]:c.Starts[i+1]:c.Starts[i+1]]
}

// DictLen returns the number of dictionary entries, 0 where there is none.
func (c *Column) DictLen() int {
	if c.Codes == nil {
		return 0
	}
	return len(c.Starts) - 1
}

// DictEntry returns dictionary entry i.
func (c *Column) DictEntry(i int) []byte {
	return c.Data[c.Starts[i]:c.Starts[i+1]:c.Starts[i+1]]
}

// SizeBytes is the memory that the values take.
func (c *Column) SizeBytes() int64 {
	return int64(4*cap(c.Offsets) + 8*cap(c.Ints) + 8*cap(c.Floats) + cap(c.Data) + 4*cap(c.Starts) + 4*cap(c.Codes))
}
