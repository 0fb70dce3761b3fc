package agg

// typed is implemented by aggregations whose name in a typed answer is not their kind.
type typed interface{ typeName() string }

func (t *terms) typeName() string {
	switch t.kind {
	case kindUnknown, kindText:
		return "sterms"
	case kindDouble:
		return "dterms"
	default:
		return "lterms"
	}
}

// nameOf returns the member that an aggregation is rendered under: with typed_keys, its
// type stands before the name.
func (r *Run) nameOf(s *spec, a aggregator) string {
	if !r.TypedKeys {
		return s.name
	}
	if t, ok := a.(typed); ok {
		return t.typeName() + "#" + s.name
	}
	return s.kind + "#" + s.name
}
