package search

import (
	"cmp"
	"slices"
)

// candidate is a hit that may be among the first.
type candidate struct {
	values []sortValue
	// part and position order hits with equal values: the index and the row in it.
	part, position int
	block, row     int
}

// top keeps the first hits of a sort. It is a heap whose root is the last of them.
type top struct {
	sorter *sorter
	limit  int
	list   []candidate
}

func (t *top) order(a, b *candidate) int {
	for i := range a.values {
		if c := t.sorter.compare(i, a.values[i], b.values[i]); c != 0 {
			return c
		}
	}
	return cmp.Or(cmp.Compare(a.part, b.part), cmp.Compare(a.position, b.position))
}

// full reports whether a further hit would push another out.
func (t *top) full() bool { return len(t.list) >= t.limit }

// worst is the last of the kept hits.
func (t *top) worst() *candidate { return &t.list[0] }

func (t *top) push(c candidate) {
	if t.limit == 0 {
		return
	}
	if t.full() {
		if t.order(&c, t.worst()) < 0 {
			t.list[0] = c
			t.down(0)
		}
		return
	}
	t.list = append(t.list, c)
	for i := len(t.list) - 1; i > 0; {
		parent := (i - 1) / 2
		if t.order(&t.list[i], &t.list[parent]) <= 0 {
			break
		}
		t.list[i], t.list[parent] = t.list[parent], t.list[i]
		i = parent
	}
}

func (t *top) down(i int) {
	for {
		largest := i
		for _, child := range [2]int{2*i + 1, 2*i + 2} {
			if child < len(t.list) && t.order(&t.list[child], &t.list[largest]) > 0 {
				largest = child
			}
		}
		if largest == i {
			return
		}
		t.list[i], t.list[largest] = t.list[largest], t.list[i]
		i = largest
	}
}

// sorted returns the hits in their order.
func (t *top) sorted() []candidate {
	slices.SortFunc(t.list, func(a, b candidate) int { return t.order(&a, &b) })
	return t.list
}
