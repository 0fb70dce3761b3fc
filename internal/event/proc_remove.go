package event

import "gopkg.in/yaml.v3"

// removeProcessor removes fields with everything below them.
type removeProcessor struct{ fields []string }

func newRemove(s *settings) processor {
	var names []*yaml.Node
	if s.node.Kind == yaml.MappingNode {
		names = s.texts("fields")
		names = append(names, s.texts("field")...)
	} else if !isNull(s.node) {
		s.known = append(s.known, "")
		names = s.textList(s.node)
	}
	if len(names) == 0 {
		s.fail("name the fields to remove, for instance \"remove: [a, b]\" or \"remove: {fields: [a], when: ...}\"")
	}
	p := &removeProcessor{}
	for _, n := range names {
		if n.Value == FieldTimestamp || n.Value == FieldMessage {
			s.failAt(n, "%s cannot be removed: without it a line is not found", n.Value)
		}
		p.fields = append(p.fields, s.fieldName(n))
	}
	return p
}

func (p *removeProcessor) process(e *Event) bool {
	for _, name := range p.fields {
		e.Remove(name)
	}
	return false
}
