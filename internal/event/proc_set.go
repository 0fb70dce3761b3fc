package event

import (
	"strings"

	"gopkg.in/yaml.v3"
)

// setProcessor sets fields to constants, or to texts in which %{name} stands
// for the value of another field.
type setProcessor struct{ fields []setField }

type setField struct {
	name     string
	constant Value
	// parts is literal, field, literal, field, …, literal; nil for a constant.
	parts []string
}

func newSet(s *settings) processor {
	p := &setProcessor{}
	names, values := s.rest()
	for i := range names {
		f := setField{name: s.fieldName(names[i])}
		v, ok := yamlValue(values[i])
		switch {
		case !ok:
			s.failAt(values[i], "the value of %s must be text, a number, true, false or a list of them", f.name)
		case f.name == FieldTimestamp && v.kind == KindString && !strings.Contains(v.str, "%{"):
			if _, ok := parseISO(v.str, nil); !ok {
				s.failAt(values[i], "%s must be a time in ISO 8601", FieldTimestamp)
			}
		}
		f.constant = v
		if v.kind == KindString && strings.Contains(v.str, "%{") {
			f.parts = s.template(values[i])
		}
		p.fields = append(p.fields, f)
	}
	if len(p.fields) == 0 {
		s.fail("write fields and their values, for instance \"set: {service.name: shop}\"")
	}
	return p
}

// template splits "a %{b} c" into "a ", "b", " c".
func (s *settings) template(n *yaml.Node) []string {
	var parts []string
	rest := n.Value
	for {
		literal, after, ok := strings.Cut(rest, "%{")
		parts = append(parts, literal)
		if !ok {
			return parts
		}
		name, next, ok := strings.Cut(after, "}")
		if clean, valid := CleanName(name); !ok || !valid || clean != name {
			s.failAt(n, "%%{ begins the name of a field, and } ends it")
			return parts
		}
		parts = append(parts, name)
		rest = next
	}
}

// yamlValue makes a value of a YAML scalar or list of scalars.
func yamlValue(n *yaml.Node) (Value, bool) {
	n = resolved(n)
	if n.Kind == yaml.SequenceNode {
		list := make([]Value, len(n.Content))
		for i, item := range n.Content {
			v, ok := yamlValue(item)
			if !ok || v.kind == KindList {
				return Value{}, false
			}
			list[i] = v
		}
		return List(list...), true
	}
	if n.Kind != yaml.ScalarNode {
		return Value{}, false
	}
	switch n.Tag {
	case "!!int":
		var i int64
		if n.Decode(&i) == nil {
			return Int(i), true
		}
	case "!!float":
		var f float64
		if n.Decode(&f) == nil {
			return Float(f), true
		}
	case "!!bool":
		var b bool
		if n.Decode(&b) == nil {
			return Bool(b), true
		}
	case "!!null":
		return Null(), true
	}
	return String(n.Value), true
}

func (p *setProcessor) process(e *Event) bool {
	for i := range p.fields {
		f := &p.fields[i]
		v := f.constant
		if f.parts != nil {
			v = expand(e, f.parts)
		}
		if !e.Set(f.name, v) {
			e.Fail("set: " + v.Text() + " is not a time in ISO 8601, so it cannot become " + f.name)
		}
	}
	return false
}

// expand fills a template. One that is nothing but a reference keeps the
// kind of the value.
func expand(e *Event, parts []string) Value {
	if len(parts) == 3 && parts[0] == "" && parts[2] == "" {
		if v := e.Get(parts[1]); !v.Missing() {
			return v
		}
		return String("")
	}
	var b strings.Builder
	for i, part := range parts {
		if i%2 == 1 {
			part = e.Text(part)
		}
		b.WriteString(part)
	}
	return String(b.String())
}
