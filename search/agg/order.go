package agg

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/millrace/millrace/search/apierror"
)

// sortable is an aggregation that buckets can be sorted by.
type sortable interface {
	number(owner int, name string) (float64, bool)
}

// order is one key that buckets are sorted by.
type order struct {
	path string // _count, _key, or an aggregation and a name in it
	desc bool
}

func parseOrder(value any) ([]order, error) {
	items, ok := value.([]any)
	if !ok {
		items = []any{value}
	}
	var list []order
	for _, item := range items {
		body, ok := item.(map[string]any)
		if !ok || len(body) != 1 {
			return nil, apierror.Parsing("Must specify at least one field for [order]")
		}
		for _, path := range slices.Collect(maps.Keys(body)) {
			direction, _ := body[path].(string)
			switch strings.ToLower(direction) {
			case "asc", "desc":
			default:
				return nil, apierror.Parsing("Unknown order direction [%v]", body[path])
			}
			if path == "_term" || path == "_time" {
				path = "_key"
			}
			list = append(list, order{path, strings.EqualFold(direction, "desc")})
		}
	}
	return list, nil
}

// bucketOf is a bucket to be sorted.
type bucketOf struct {
	number int
	count  int64
	text   string
	value  float64
	whole  int64
}

// sorter compares buckets by a list of orders and then by key.
type sorter struct {
	orders  []order
	byKey   func(a, b *bucketOf) int
	numbers []func(b *bucketOf) float64
}

func newSorter(orders []order, subs *level, byKey func(a, b *bucketOf) int) (*sorter, error) {
	s := &sorter{orders: orders, byKey: byKey}
	for _, o := range orders {
		if o.path == "_count" || o.path == "_key" {
			s.numbers = append(s.numbers, nil)
			continue
		}
		name, inner, _ := strings.Cut(o.path, ".")
		i := slices.IndexFunc(subs.specs, func(x *spec) bool { return x.name == name })
		if i < 0 {
			return nil, apierror.OnShard("invalid_path", "Invalid aggregation order path [%s]. The provided aggregation [%s] either does not exist, or is a pipeline aggregation and cannot be used to sort the buckets.", o.path, name)
		}
		by, ok := subs.aggregators[i].(sortable)
		if ok {
			_, ok = by.number(-1, inner)
		}
		if !ok {
			return nil, apierror.OnShard("invalid_path", "Invalid aggregation order path [%s]", o.path)
		}
		s.numbers = append(s.numbers, func(b *bucketOf) float64 {
			v, _ := by.number(b.number, inner)
			return v
		})
	}
	return s, nil
}

func (s *sorter) compare(a, b *bucketOf) int {
	for i, o := range s.orders {
		var c int
		switch o.path {
		case "_count":
			c = cmp.Compare(a.count, b.count)
		case "_key":
			c = s.byKey(a, b)
		default:
			x, y := s.numbers[i](a), s.numbers[i](b)
			if math.IsNaN(x) || math.IsNaN(y) { // last, whatever the direction
				if c = compareNaN(x, y); c != 0 {
					return c
				}
				continue
			}
			c = cmp.Compare(x, y)
		}
		if o.desc {
			c = -c
		}
		if c != 0 {
			return c
		}
	}
	return s.byKey(a, b)
}

func compareNaN(x, y float64) int {
	switch {
	case math.IsNaN(x) && math.IsNaN(y):
		return 0
	case math.IsNaN(x):
		return 1
	default:
		return -1
	}
}
