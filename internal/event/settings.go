package event

import (
	"fmt"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/millrace/millrace/configs"
)

// settings reads the YAML under a processor's name. Each setting is taken
// once; what is left at the end is unknown. Problems are collected with their
// places.
type settings struct {
	processor string
	file      string
	node      *yaml.Node
	// keys and values are the mapping's members that were not yet taken.
	keys, values []*yaml.Node
	// known are the names that were asked for.
	known    []string
	problems configs.Errors
}

func newSettings(p *configs.Processor) *settings {
	node := resolved(&p.Settings)
	s := &settings{processor: p.Name, file: p.File, node: node}
	if node.Kind != yaml.MappingNode {
		return s
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key := node.Content[i]
		if slices.ContainsFunc(s.keys, func(k *yaml.Node) bool { return k.Value == key.Value }) {
			s.failAt(key, "%s is given twice", key.Value)
			continue
		}
		s.keys = append(s.keys, key)
		s.values = append(s.values, resolved(node.Content[i+1]))
	}
	return s
}

// resolved follows YAML aliases.
func resolved(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode && n.Alias != nil {
		n = n.Alias
	}
	return n
}

func (s *settings) failAt(n *yaml.Node, format string, args ...any) {
	s.problems = append(s.problems, &configs.FieldError{
		File: s.file, Line: n.Line, Column: n.Column, Msg: s.processor + ": " + fmt.Sprintf(format, args...),
	})
}

// failInText reports a problem at a position inside a text, given in bytes. It
// is exact where the text is written on one line without escapes.
func (s *settings) failInText(n *yaml.Node, offset int, err error) {
	at := *n
	switch n.Style &^ yaml.TaggedStyle {
	case 0:
		at.Column += offset
	case yaml.SingleQuotedStyle, yaml.DoubleQuotedStyle:
		at.Column += 1 + offset
	}
	s.failAt(&at, "%s", err)
}

// fail reports a problem of the settings as a whole.
func (s *settings) fail(format string, args ...any) { s.failAt(s.node, format, args...) }

// take returns a setting and marks it as read; nil when it is not given.
func (s *settings) take(name string) *yaml.Node {
	s.known = append(s.known, name)
	for i, k := range s.keys {
		if k.Value == name {
			v := s.values[i]
			s.keys = slices.Delete(s.keys, i, i+1)
			s.values = slices.Delete(s.values, i, i+1)
			return v
		}
	}
	return nil
}

// rest takes all members that are left: the settings are a mapping of fields.
func (s *settings) rest() (keys, values []*yaml.Node) {
	keys, values = s.keys, s.values
	s.keys, s.values = nil, nil
	return keys, values
}

// finish reports what was not taken.
func (s *settings) finish() {
	if s.node.Kind != yaml.MappingNode && !isNull(s.node) && s.keys == nil && s.node.Kind != 0 && !s.taken() {
		s.fail("the settings must be a mapping")
	}
	for _, k := range s.keys {
		s.failAt(k, "unknown setting %q%s: there are %s", k.Value, nearest(k.Value, s.known), strings.Join(s.known, ", "))
	}
}

// taken reports whether the whole node was read as something that is not a
// mapping.
func (s *settings) taken() bool { return slices.Contains(s.known, "") }

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

// choice reads a setting that is one of some texts.
func (s *settings) choice(name, def string, of ...string) string {
	n := s.take(name)
	if n == nil {
		return def
	}
	if n.Kind != yaml.ScalarNode || !slices.Contains(of, n.Value) {
		s.failAt(n, "%s must be one of %s", name, strings.Join(of, ", "))
		return def
	}
	return n.Value
}

// field reads a setting that names a field.
func (s *settings) field(name, def string) string {
	n := s.take(name)
	if n == nil {
		return def
	}
	return s.fieldName(n)
}

// fieldName checks that a node names a field.
func (s *settings) fieldName(n *yaml.Node) string {
	n = resolved(n)
	if n.Kind != yaml.ScalarNode || n.Value == "" {
		s.failAt(n, "the name of a field is missing here")
		return ""
	}
	clean, ok := CleanName(n.Value)
	if !ok || clean != n.Value {
		s.failAt(n, "%q is not the name of a field", n.Value)
	}
	return n.Value
}

// flag reads a setting that is true or false.
func (s *settings) flag(name string, def bool) bool {
	n := s.take(name)
	if n == nil {
		return def
	}
	var v bool
	if n.Kind != yaml.ScalarNode || n.Tag != "!!bool" || n.Decode(&v) != nil {
		s.failAt(n, "%s must be true or false", name)
		return def
	}
	return v
}

// texts reads a setting that is one text or a list of them.
func (s *settings) texts(name string) []*yaml.Node {
	n := s.take(name)
	if n == nil {
		return nil
	}
	return s.textList(n)
}

func (s *settings) textList(n *yaml.Node) []*yaml.Node {
	items := []*yaml.Node{n}
	if n.Kind == yaml.SequenceNode {
		items = n.Content
	}
	var out []*yaml.Node
	for _, item := range items {
		item = resolved(item)
		if item.Kind != yaml.ScalarNode || isNull(item) {
			s.failAt(item, "a text or a list of texts is expected here")
			continue
		}
		out = append(out, item)
	}
	return out
}

// nearest suggests a name that was probably meant.
func nearest(name string, of []string) string {
	best, distance := "", len(name)/2+1
	for _, candidate := range of {
		if d := editDistance(name, candidate); d < distance {
			best, distance = candidate, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(" (did you mean %q?)", best)
}

// editDistance is Levenshtein's.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j]+1, row[j+1]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}
