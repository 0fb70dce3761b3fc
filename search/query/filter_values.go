package query

import (
	"bytes"
	"unicode/utf8"

	"github.com/millrace/millrace/search/column"
	"github.com/millrace/millrace/search/mapping"
)

// existsFilter keeps the rows in which one of the fields has a value.
type existsFilter struct{ fields []*mapping.Field }

// Apply implements [Filter].
func (f *existsFilter) Apply(b Rows, rows column.Bitmap) error {
	found := column.NewBitmap(b.RowCount())
	for _, field := range f.fields {
		c, err := b.Column(field)
		if err != nil {
			return err
		}
		if c == nil {
			continue
		}
		for row := range rows.Rows {
			lo, hi := c.Range(row)
			for i := lo; i < hi; i++ {
				if c.Kind != column.Bytes || withinLength(field, c.Bytes(i)) {
					found.Set(row)
					break
				}
			}
		}
	}
	rows.And(found)
	return nil
}

func (f *existsFilter) cost() int { return 4 * len(f.fields) }

// withinLength is false for a value that a keyword with ignore_above does not hold.
func withinLength(f *mapping.Field, v []byte) bool {
	return f.IgnoreAbove == 0 || len(v) <= f.IgnoreAbove || utf8.RuneCount(v) <= f.IgnoreAbove
}

// valueFilter keeps the rows that have a byte value which matches as a whole.
type valueFilter struct {
	field *mapping.Field
	match func(v []byte) bool
	// exact, where it is not nil, lists the values that match; a block that has none
	// of them is passed over.
	exact [][]byte
}

// Apply implements [Filter].
func (f *valueFilter) Apply(b Rows, rows column.Bitmap) error {
	if f.exact != nil {
		may, err := mayHaveAny(b, f.field, f.exact, true)
		if err != nil {
			return err
		}
		if !may {
			clear(rows)
			return nil
		}
	}
	c, err := b.Column(f.field)
	if err != nil {
		return err
	}
	matchValues(c, rows, func(v []byte) bool { return withinLength(f.field, v) && f.match(v) })
	return nil
}

func (f *valueFilter) cost() int { return 6 }

// bloomProbesMax bounds the terms that are looked up before a block is read.
const bloomProbesMax = 64

func mayHaveAny(b Rows, field *mapping.Field, terms [][]byte, whole bool) (bool, error) {
	if len(terms) > bloomProbesMax {
		return true, nil
	}
	for _, term := range terms {
		may, err := b.MayHave(field, term, whole)
		if may || err != nil {
			return may, err
		}
	}
	return false, nil
}

// matchValues keeps the rows with a value that matches. Each entry of a dictionary is
// asked about once.
func matchValues(c *column.Column, rows column.Bitmap, match func(v []byte) bool) {
	if c == nil {
		clear(rows)
		return
	}
	test := func(i int) bool { return match(c.Bytes(i)) }
	if c.Codes != nil {
		hits := make([]bool, c.DictLen())
		any := false
		for i := range hits {
			hits[i] = match(c.DictEntry(i))
			any = any || hits[i]
		}
		if !any {
			clear(rows)
			return
		}
		test = func(i int) bool { return hits[c.Codes[i]] }
	}
	for row := range rows.Rows {
		if !anyValue(c, row, test) {
			rows.Clear(row)
		}
	}
}

func anyValue(c *column.Column, row int, test func(i int) bool) bool {
	lo, hi := c.Range(row)
	for i := lo; i < hi; i++ {
		if test(i) {
			return true
		}
	}
	return false
}

// keepRows clears the rows that have no value of a field that passes the test.
func keepRows(b Rows, field *mapping.Field, rows column.Bitmap, test func(*column.Column) func(i int) bool) error {
	c, err := b.Column(field)
	if err != nil {
		return err
	}
	if c == nil {
		clear(rows)
		return nil
	}
	passes := test(c)
	for row := range rows.Rows {
		if !anyValue(c, row, passes) {
			rows.Clear(row)
		}
	}
	return nil
}

// exactFilter matches any of the values.
func exactFilter(field *mapping.Field, values [][]byte) Filter {
	if len(values) == 1 {
		only := values[0]
		return &valueFilter{field: field, exact: values, match: func(v []byte) bool { return bytes.Equal(v, only) }}
	}
	set := make(map[string]struct{}, len(values))
	for _, v := range values {
		set[string(v)] = struct{}{}
	}
	return &valueFilter{field: field, exact: values, match: func(v []byte) bool {
		_, ok := set[string(v)]
		return ok
	}}
}

// intFilter keeps the rows with a value in one of the ranges, ends included.
type intFilter struct {
	field  *mapping.Field
	ranges [][2]int64
	// set, where it is not nil, holds single values instead.
	set map[int64]struct{}
	// low and high bound everything that matches.
	low, high int64
}

func newIntFilter(field *mapping.Field, ranges [][2]int64) Filter {
	kept := ranges[:0:0]
	for _, r := range ranges {
		if r[0] <= r[1] {
			kept = append(kept, r)
		}
	}
	if len(kept) == 0 {
		return noneFilter{}
	}
	f := &intFilter{field: field, ranges: kept, low: kept[0][0], high: kept[0][1]}
	single := true
	for _, r := range kept {
		f.low, f.high = min(f.low, r[0]), max(f.high, r[1])
		single = single && r[0] == r[1]
	}
	if single && len(kept) > 4 {
		f.set = make(map[int64]struct{}, len(kept))
		for _, r := range kept {
			f.set[r[0]] = struct{}{}
		}
	}
	return f
}

// Apply implements [Filter].
func (f *intFilter) Apply(b Rows, rows column.Bitmap) error {
	low, high, ok, err := b.Bounds(f.field)
	if err != nil {
		return err
	}
	if ok && (high < f.low || low > f.high) {
		clear(rows)
		return nil
	}
	if ok && len(f.ranges) == 1 && f.low <= low && high <= f.high {
		return (&existsFilter{fields: []*mapping.Field{f.field}}).Apply(b, rows)
	}
	return keepRows(b, f.field, rows, func(c *column.Column) func(int) bool {
		return func(i int) bool { return f.matches(c.Ints[i]) }
	})
}

func (f *intFilter) matches(v int64) bool {
	if v < f.low || v > f.high {
		return false
	}
	if f.set != nil {
		_, ok := f.set[v]
		return ok
	}
	for _, r := range f.ranges {
		if r[0] <= v && v <= r[1] {
			return true
		}
	}
	return false
}

func (f *intFilter) cost() int { return 2 }

// floatFilter keeps the rows with a value that matches.
type floatFilter struct {
	field *mapping.Field
	match func(v float64) bool
}

// Apply implements [Filter].
func (f *floatFilter) Apply(b Rows, rows column.Bitmap) error {
	return keepRows(b, f.field, rows, func(c *column.Column) func(int) bool {
		return func(i int) bool { return f.match(c.Floats[i]) }
	})
}

func (f *floatFilter) cost() int { return 3 }

// idsFilter keeps the rows with one of the _ids.
type idsFilter struct{ ids map[string]struct{} }

// Apply implements [Filter].
func (f *idsFilter) Apply(b Rows, rows column.Bitmap) error {
	may := len(f.ids) > bloomProbesMax
	for id := range f.ids {
		if may {
			break
		}
		has, err := b.MayHaveID(id)
		if err != nil {
			return err
		}
		may = has
	}
	if !may {
		clear(rows)
		return nil
	}
	c, err := b.IDs()
	if err != nil {
		return err
	}
	matchValues(c, rows, func(v []byte) bool {
		_, ok := f.ids[string(v)]
		return ok
	})
	return nil
}

func (f *idsFilter) cost() int { return 1 }
