package acl

import "maps"

// Index answers which bindings apply. It is immutable; the zero value is empty.
type Index struct {
	types [resourceTypes]typeIndex
	count int
}

// typeIndex holds the bindings of one kind of resource.
type typeIndex struct {
	literals   map[string]pattern // by name, without the wildcard
	wildcard   pattern
	prefixed   map[string]pattern
	prefixes   prefixes                        // of prefixed
	principals map[string]map[Binding]struct{} // all bindings, by principal
}

// Len returns the number of bindings.
func (x *Index) Len() int { return x.count }

// Change is a binding that is added or removed.
type Change struct {
	Binding Binding
	Removed bool
}

// With returns the index after changes, in their order. A binding that is there
// already is not added again; one that is not there is not removed. Its cost
// grows with the number of patterns of the types that change.
func (x *Index) With(changes []Change) *Index {
	next := *x
	edits := make(map[ResourceType]*typeEdit)
	for _, c := range changes {
		t := c.Binding.Type
		e := edits[t]
		if e == nil {
			e = newTypeEdit(&next.types[t])
			edits[t] = e
		}
		next.count += e.change(c)
	}
	for _, e := range edits {
		e.finish()
	}
	return &next
}

// typeEdit makes changes to a copy of a typeIndex. What is shared with the older
// index is copied when it is changed first.
type typeEdit struct {
	*typeIndex
	owned           map[Pattern]bool
	ownedPrincipals map[string]bool
	prefixesChanged bool
}

func newTypeEdit(t *typeIndex) *typeEdit {
	t.literals, t.prefixed, t.principals = cloneMap(t.literals), cloneMap(t.prefixed), cloneMap(t.principals)
	return &typeEdit{typeIndex: t, owned: make(map[Pattern]bool), ownedPrincipals: make(map[string]bool)}
}

func cloneMap[K comparable, V any](m map[K]V) map[K]V {
	if m == nil {
		return make(map[K]V)
	}
	return maps.Clone(m)
}

// change applies one change and returns by how much the number of bindings grew.
func (e *typeEdit) change(c Change) int {
	b := c.Binding
	if _, there := e.principals[b.Principal][b]; there != c.Removed {
		return 0
	}
	e.changePrincipal(b, !c.Removed)
	p := e.own(b.Pattern)
	p.change(b, !c.Removed)
	e.put(b.Pattern, p)
	if c.Removed {
		return -1
	}
	return 1
}

func (e *typeEdit) changePrincipal(b Binding, add bool) {
	if !e.ownedPrincipals[b.Principal] {
		e.principals[b.Principal] = cloneMap(e.principals[b.Principal])
		e.ownedPrincipals[b.Principal] = true
	}
	if add {
		e.principals[b.Principal][b] = struct{}{}
		return
	}
	delete(e.principals[b.Principal], b)
	if len(e.principals[b.Principal]) == 0 {
		delete(e.principals, b.Principal)
		delete(e.ownedPrincipals, b.Principal)
	}
}

// own returns the rules of a pattern in a form that may be changed.
func (e *typeEdit) own(at Pattern) pattern {
	var p pattern
	switch {
	case at.Kind == PatternPrefixed:
		p = e.prefixed[at.Name]
	case at.Name == Wildcard:
		p = e.wildcard
	default:
		p = e.literals[at.Name]
	}
	if !e.owned[at] {
		e.owned[at] = true
		p = cloneMap(p)
	}
	return p
}

// put keeps the rules of a pattern, or drops it when there are none left.
func (e *typeEdit) put(at Pattern, p pattern) {
	if len(p) == 0 {
		p = nil
		delete(e.owned, at)
	}
	var in map[string]pattern
	switch {
	case at.Kind == PatternPrefixed:
		in, e.prefixesChanged = e.prefixed, true
	case at.Name == Wildcard:
		e.wildcard = p
		return
	default:
		in = e.literals
	}
	if p == nil {
		delete(in, at.Name)
	} else {
		in[at.Name] = p
	}
}

func (e *typeEdit) finish() {
	if e.prefixesChanged {
		e.prefixes = newPrefixes(e.prefixed)
	}
}

// decision is what the bindings say about a request.
type decision uint8

const (
	undecided decision = iota // no binding for the resource at all
	allowed
	denied
)

// decide follows StandardAuthorizer: a binding that denies wins, then one
// that allows. A resource that has bindings, none of which matches, is denied.
func (x *Index) decide(principal, host string, op Operation, r Resource) decision {
	t := &x.types[r.Type]
	var m masks
	found := false
	if p := t.literals[r.Name]; p != nil {
		m, found = p.forClient(principal, host), true
	}
	if t.wildcard != nil {
		m, found = m.with(t.wildcard.forClient(principal, host)), true
	}
	for i := t.prefixes.longest(r.Name); i >= 0; i = t.prefixes.parents[i] {
		m, found = m.with(t.prefixes.patterns[i].forClient(principal, host)), true
	}
	switch bit := uint32(1) << op; {
	case m.deny&bit != 0:
		return denied
	case m.allow&bit != 0:
		return allowed
	case found:
		return denied
	}
	return undecided
}
