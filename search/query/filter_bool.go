package query

import (
	"slices"

	"github.com/millrace/millrace/search/column"
)

type allFilter struct{}

// Apply implements [Filter].
func (allFilter) Apply(Rows, column.Bitmap) error { return nil }
func (allFilter) cost() int                       { return 0 }

type noneFilter struct{}

// Apply implements [Filter].
func (noneFilter) Apply(_ Rows, rows column.Bitmap) error {
	clear(rows)
	return nil
}
func (noneFilter) cost() int { return 0 }

// IsAll reports whether the filter keeps every row.
func IsAll(f Filter) bool {
	_, ok := f.(allFilter)
	return ok
}

// boolFilter is a conjunction of filters, with filters of which some must match and
// filters that must not.
type boolFilter struct {
	must, should, not []Filter
	// atLeast is how many of should must match.
	atLeast int
}

// newBool returns the simplest filter of the kind.
func newBool(must, should, not []Filter, atLeast int) Filter {
	if atLeast > len(should) {
		return noneFilter{}
	}
	if atLeast <= 0 {
		should = nil
	}
	must = slices.DeleteFunc(must, IsAll)
	if atLeast == len(should) && len(should) > 0 {
		must, should, atLeast = append(must, should...), nil, 0
	}
	if len(should) == 0 && len(not) == 0 {
		switch len(must) {
		case 0:
			return allFilter{}
		case 1:
			return must[0]
		}
	}
	byCost := func(a, b Filter) int { return a.cost() - b.cost() }
	slices.SortStableFunc(must, byCost)
	slices.SortStableFunc(should, byCost)
	slices.SortStableFunc(not, byCost)
	return &boolFilter{must: must, should: should, not: not, atLeast: atLeast}
}

func anyOf(filters []Filter) Filter {
	if len(filters) == 0 {
		return noneFilter{}
	}
	return newBool(nil, filters, nil, 1)
}

// Apply implements [Filter].
func (f *boolFilter) Apply(b Rows, rows column.Bitmap) error {
	for _, m := range f.must {
		if rows.Empty() {
			return nil
		}
		if err := m.Apply(b, rows); err != nil {
			return err
		}
	}
	if err := f.applyShould(b, rows); err != nil {
		return err
	}
	for _, n := range f.not {
		if rows.Empty() {
			return nil
		}
		hit := rows.Clone()
		if err := n.Apply(b, hit); err != nil {
			return err
		}
		rows.AndNot(hit)
	}
	return nil
}

func (f *boolFilter) applyShould(b Rows, rows column.Bitmap) error {
	if len(f.should) == 0 || rows.Empty() {
		return nil
	}
	if f.atLeast > 1 {
		return f.applyCount(b, rows)
	}
	found := column.NewBitmap(b.RowCount())
	rest := rows.Clone()
	for _, s := range f.should {
		if rest.Empty() {
			break
		}
		hit := rest.Clone()
		if err := s.Apply(b, hit); err != nil {
			return err
		}
		found.Or(hit)
		rest.AndNot(hit)
	}
	rows.And(found)
	return nil
}

func (f *boolFilter) applyCount(b Rows, rows column.Bitmap) error {
	counts := make([]uint16, b.RowCount())
	for _, s := range f.should {
		hit := rows.Clone()
		if err := s.Apply(b, hit); err != nil {
			return err
		}
		for row := range hit.Rows {
			counts[row]++
		}
	}
	for row := range rows.Rows {
		if int(counts[row]) < f.atLeast {
			rows.Clear(row)
		}
	}
	return nil
}

func (f *boolFilter) cost() int {
	total := 1
	for _, list := range [][]Filter{f.must, f.should, f.not} {
		for _, x := range list {
			total += x.cost()
		}
	}
	return total
}
