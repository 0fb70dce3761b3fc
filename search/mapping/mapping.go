// Package mapping knows the fields of an index: it reads and writes
// Elasticsearch's mappings and index templates, and turns a JSON document into typed
// values, adding fields as Elasticsearch's dynamic mapping does.
//
// A [Mapping] never changes; every update returns a new one that shares the
// fields of the old, so that documents are parsed and queries compiled without
// a lock. Its owner is the index, which publishes the latest.
//
// Source: Elasticsearch 8.19, "Mapping" and "Dynamic mapping" of its manual, and
// the answers of a real node, which test/searchcompat compares.
package mapping

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/millrace/millrace/search/apierror"
	"github.com/millrace/millrace/search/column"
)

// Limits of a mapping, Elasticsearch's defaults.
const (
	// FieldsMax is index.mapping.total_fields.limit.
	FieldsMax = 1000
	// DepthMax is index.mapping.depth.limit.
	DepthMax = 20
)

// Dynamic says what becomes of fields that are not mapped.
type Dynamic string

// Values of Dynamic.
const (
	DynamicTrue   Dynamic = "true"
	DynamicFalse  Dynamic = "false"
	DynamicStrict Dynamic = "strict"
)

// Mapping is the fields of an index.
type Mapping struct {
	root             *object
	fields           map[string]*Field
	columns          []*Field
	count            int
	dynamicTemplates []dynamicTemplate
	dateDetection    bool
	numericDetection bool
	extra            map[string]any // _meta, dynamic_templates and switches as they are shown
}

// object is an inner node of the tree. It never changes once published.
type object struct {
	dynamic  Dynamic // empty: as the parent
	disabled bool
	children map[string]node
}

// node is one of a field and an object.
type node struct {
	field  *Field
	object *object
}

// Empty returns the mapping of an index without any field.
func Empty() *Mapping {
	return &Mapping{
		root:          &object{children: map[string]node{}},
		fields:        map[string]*Field{},
		dateDetection: true,
		extra:         map[string]any{},
	}
}

// Lookup returns the field with the path, nil where there is none. Multi-fields
// are found under their own path.
func (m *Mapping) Lookup(path string) *Field { return m.fields[path] }

// Fields returns all fields and multi-fields, ordered by path.
func (m *Mapping) Fields() []*Field {
	fields := make([]*Field, 0, len(m.fields))
	for _, f := range m.fields {
		fields = append(fields, f)
	}
	slices.SortFunc(fields, func(a, b *Field) int { return strings.Compare(a.Path, b.Path) })
	return fields
}

// Expand returns the fields whose path matches the pattern with *, ordered by path.
func (m *Mapping) Expand(pattern string) []*Field {
	if !strings.Contains(pattern, "*") {
		if f := m.fields[pattern]; f != nil {
			return []*Field{f}
		}
		return nil
	}
	return slices.DeleteFunc(m.Fields(), func(f *Field) bool { return !MatchSimple(pattern, f.Path) })
}

// Under returns the leaves below an object.
func (m *Mapping) Under(path string) []*Field {
	prefix := path + "."
	return slices.DeleteFunc(m.Fields(), func(f *Field) bool {
		return f.Path != f.Column || !strings.HasPrefix(f.Path, prefix)
	})
}

// Objects returns the paths of all objects, in order.
func (m *Mapping) Objects() []string {
	var paths []string
	var walk func(o *object, prefix string)
	walk = func(o *object, prefix string) {
		for name, n := range o.children {
			if n.object != nil {
				paths = append(paths, prefix+name)
				walk(n.object, prefix+name+".")
			}
		}
	}
	walk(m.root, "")
	slices.Sort(paths)
	return paths
}

// Columns returns the fields that have a column of their own, by slot.
func (m *Mapping) Columns() []*Field { return m.columns }

// KindOf returns the physical kind of the column in a slot.
func (m *Mapping) KindOf(slot int) column.Kind { return m.columns[slot].Type.Kind() }

// clone copies the tree so that it can be changed.
func (m *Mapping) clone() *Mapping {
	c := *m
	c.root = m.root.clone()
	c.fields = make(map[string]*Field, len(m.fields)+8)
	maps.Copy(c.fields, m.fields)
	c.columns = slices.Clone(m.columns)
	c.extra = maps.Clone(m.extra)
	return &c
}

func (o *object) clone() *object {
	c := *o
	c.children = make(map[string]node, len(o.children)+1)
	for name, n := range o.children {
		if n.object != nil {
			n.object = n.object.clone()
		}
		c.children[name] = n
	}
	return &c
}

// MarshalJSON writes the mapping as GET _mapping shows it.
func (m *Mapping) MarshalJSON() ([]byte, error) { return json.Marshal(m.render()) }

func (m *Mapping) render() map[string]any {
	out := m.root.render()
	delete(out, "type")
	maps.Copy(out, m.extra)
	return out
}

func (o *object) render() map[string]any {
	out := map[string]any{}
	if o.dynamic != "" {
		out["dynamic"] = string(o.dynamic)
	}
	if o.disabled {
		out["enabled"] = false
	}
	if len(o.children) == 0 {
		out["type"] = "object"
		return out
	}
	properties := map[string]any{}
	for name, n := range o.children {
		if n.field != nil {
			properties[name] = n.field.spec
		} else {
			properties[name] = n.object.render()
		}
	}
	out["properties"] = properties
	return out
}

// register enters a new field and its multi-fields into the tables.
func (m *Mapping) register(f *Field) error {
	m.count += 1 + len(f.Subs)
	if m.count > FieldsMax {
		return apierror.Illegal("Limit of total fields [%d] has been exceeded", FieldsMax)
	}
	f.Slot = len(m.columns)
	m.columns = append(m.columns, f)
	m.fields[f.Path] = f
	for _, sub := range f.Subs {
		sub.Slot = f.Slot
		m.fields[sub.Path] = sub
	}
	return nil
}

// MatchSimple matches a name against a pattern in which * stands for any
// number of characters.
func MatchSimple(pattern, name string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == name
	}
	if !strings.HasPrefix(name, parts[0]) {
		return false
	}
	name = name[len(parts[0]):]
	last := len(parts) - 1
	for _, part := range parts[1:last] {
		i := strings.Index(name, part)
		if i < 0 {
			return false
		}
		name = name[i+len(part):]
	}
	return strings.HasSuffix(name, parts[last])
}
