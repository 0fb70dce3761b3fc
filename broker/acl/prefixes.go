package acl

import (
	"maps"
	"slices"
	"strings"
)

// prefixes finds all prefixes of a name among many, without allocating. It is
// immutable.
//
// Names are sorted; parent[i] is the longest other name that is a prefix of
// names[i], -1 if there is none. All prefixes of a name are in the chain of parents of the
// last name that does not come after it: what sorts between a prefix and the
// name begins with that prefix too.
type prefixes struct {
	names    []string
	parents  []int32
	patterns []pattern
}

func newPrefixes(by map[string]pattern) prefixes {
	p := prefixes{names: slices.Sorted(maps.Keys(by))}
	p.parents, p.patterns = make([]int32, len(p.names)), make([]pattern, len(p.names))
	for i, name := range p.names {
		parent := int32(i) - 1
		for parent >= 0 && !strings.HasPrefix(name, p.names[parent]) {
			parent = p.parents[parent]
		}
		p.parents[i], p.patterns[i] = parent, by[name]
	}
	return p
}

// longest returns the longest prefix of name, -1 if there is none.
func (p *prefixes) longest(name string) int32 {
	at, found := slices.BinarySearch(p.names, name)
	if !found {
		at--
	}
	i := int32(at)
	for i >= 0 && !strings.HasPrefix(name, p.names[i]) {
		i = p.parents[i]
	}
	return i
}
