package event

import (
	"errors"
	"slices"
	"strconv"

	"gopkg.in/yaml.v3"

	"github.com/millrace/millrace/internal/grok"
)

// grokProcessor matches a field against patterns, the first that matches
// counting, and sets their captures. The regex processor is the same with
// regular expressions.
type grokProcessor struct {
	kind, field string
	patterns    []*grok.Pattern
}

func newGrok(s *settings) processor {
	p := &grokProcessor{kind: "grok", field: s.field("field", FieldMessage)}
	patterns, naming := s.texts("pattern"), s.choice("naming", "ecs", "ecs", "legacy")
	lib := grok.ECS()
	if naming == "legacy" {
		lib = grok.Legacy()
	}
	if own := s.definitions(); own != nil {
		extended, err := lib.With(own)
		if err != nil {
			s.fail("definitions: %s", err)
			return p
		}
		lib = extended
	}
	p.compile(s, patterns, lib.Compile, "%{COMBINEDAPACHELOG}")
	return p
}

func newRegex(s *settings) processor {
	p := &grokProcessor{kind: "regex", field: s.field("field", FieldMessage)}
	p.compile(s, s.texts("pattern"), grok.CompileRegexp, `user=(?<user.name>\w+)`)
	return p
}

func (p *grokProcessor) compile(s *settings, patterns []*yaml.Node, compile func(string) (*grok.Pattern, error), example string) {
	if len(patterns) == 0 {
		s.fail("pattern is missing: write one or a list, for instance pattern: '%s'", example)
	}
	for _, n := range patterns {
		compiled, err := compile(n.Value)
		if err != nil {
			s.failInText(n, offsetOf(err), err)
			continue
		}
		for _, f := range compiled.Fields() {
			if clean, ok := CleanName(f.Name); !ok || clean != f.Name {
				s.failAt(n, "%q is not the name of a field", f.Name)
			}
		}
		p.patterns = append(p.patterns, compiled)
	}
}

func offsetOf(err error) int {
	if ge, ok := errors.AsType[*grok.Error](err); ok {
		return ge.Offset
	}
	return 0
}

// definitions reads the mapping of a pipeline's own patterns.
func (s *settings) definitions() map[string]string {
	n := s.take("definitions")
	if n == nil {
		return nil
	}
	if n.Kind != yaml.MappingNode {
		s.failAt(n, "definitions must be a mapping of names and patterns")
		return nil
	}
	out := map[string]string{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		value := resolved(n.Content[i+1])
		if value.Kind != yaml.ScalarNode {
			s.failAt(value, "the pattern %s must be text", n.Content[i].Value)
			continue
		}
		out[n.Content[i].Value] = value.Value
	}
	return out
}

func (p *grokProcessor) process(e *Event) bool {
	text, ok := sourceText(e, p.field)
	if !ok {
		e.Fail(p.kind + ": there is no field " + p.field)
		return false
	}
	// Fields are set after the match, since set may be the field that is read.
	var seen [16]string
	names := seen[:0]
	set := func(f grok.Field, value string) {
		again := false
		for _, n := range names {
			again = again || n == f.Name
		}
		names = append(names, f.Name)
		p.capture(e, f, value, again)
	}
	for _, pattern := range p.patterns {
		if pattern.Match(text, set) {
			return false
		}
	}
	e.Fail(p.kind + ": no pattern matches " + p.field + ": " + quoteShort(text))
	return false
}

// capture sets one field; a second capture of the same name makes it a list.
func (p *grokProcessor) capture(e *Event, f grok.Field, value string, again bool) {
	v, ok := typed(f.Type, value)
	if !ok {
		e.Fail(p.kind + ": " + f.Name + " is not a number that can be held: " + quoteShort(value))
		return
	}
	switch {
	case f.Name == FieldMessage:
		e.SetMessage(value)
		return
	case again:
		old := e.Get(f.Name)
		if old.kind == KindList {
			v = List(append(slices.Clip(old.more.list), v)...)
		} else {
			v = List(old, v)
		}
	}
	if !e.Set(f.Name, v) {
		e.Fail(p.kind + ": " + quoteShort(value) + " is not a time in ISO 8601, so it cannot become " + f.Name)
	}
}

func typed(t grok.Type, value string) (Value, bool) {
	switch t {
	case grok.Int:
		if n, err := strconv.ParseInt(value, 10, 64); err == nil {
			return Int(n), true
		}
		return asInteger(String(value))
	case grok.Float:
		return asFloat(String(value))
	case grok.Boolean:
		return asBoolean(String(value))
	default:
		return String(value), true
	}
}
