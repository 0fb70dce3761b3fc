package column

import "math/bits"

// Bitmap is a set of rows of one block.
type Bitmap []uint64

// NewBitmap returns an empty set over rows rows.
func NewBitmap(rows int) Bitmap { return make(Bitmap, (rows+63)/64) }

// FullBitmap returns the set of all rows.
func FullBitmap(rows int) Bitmap {
	b := NewBitmap(rows)
	b.Fill(rows)
	return b
}

// Fill makes b the set of the first rows rows.
func (b Bitmap) Fill(rows int) {
	for i := range b {
		b[i] = ^uint64(0)
	}
	if tail := rows % 64; tail != 0 && len(b) > 0 {
		b[len(b)-1] = 1<<tail - 1
	}
}

// Set adds a row.
func (b Bitmap) Set(row int) { b[row>>6] |= 1 << (row & 63) }

// Clear removes a row.
func (b Bitmap) Clear(row int) { b[row>>6] &^= 1 << (row & 63) }

// Has reports whether the row is in the set; rows past its end are not.
func (b Bitmap) Has(row int) bool {
	return row>>6 < len(b) && b[row>>6]&(1<<(row&63)) != 0
}

// And keeps the rows that are in o too. Both cover the same block.
func (b Bitmap) And(o Bitmap) {
	for i := range b {
		b[i] &= o[i]
	}
}

// Or adds the rows of o.
func (b Bitmap) Or(o Bitmap) {
	for i := range b {
		b[i] |= o[i]
	}
}

// AndNot removes the rows of o, which may be shorter.
func (b Bitmap) AndNot(o Bitmap) {
	for i := range min(len(b), len(o)) {
		b[i] &^= o[i]
	}
}

// Empty reports whether no row is in the set.
func (b Bitmap) Empty() bool {
	for _, w := range b {
		if w != 0 {
			return false
		}
	}
	return true
}

// Count returns the number of rows in the set.
func (b Bitmap) Count() int {
	n := 0
	for _, w := range b {
		n += bits.OnesCount64(w)
	}
	return n
}

// Clone returns a copy.
func (b Bitmap) Clone() Bitmap { return append(Bitmap(nil), b...) }

// Rows iterates over the set in ascending order.
func (b Bitmap) Rows(yield func(row int) bool) {
	for i, w := range b {
		for w != 0 {
			row := i<<6 + bits.TrailingZeros64(w)
			w &= w - 1
			if !yield(row) {
				return
			}
		}
	}
}
