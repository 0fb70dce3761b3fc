package event

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// dissectProcessor cuts a field at fixed texts.
type dissectProcessor struct {
	field   string
	pattern dissectPattern
}

func newDissect(s *settings) processor {
	p := &dissectProcessor{field: s.field("field", FieldMessage)}
	n := s.take("pattern")
	if n == nil {
		s.fail("pattern is missing, for instance pattern: '%%{source.address} - %%{user.name} [%%{timestamp}]'")
		return p
	}
	var err error
	if p.pattern, err = parseDissect(n.Value); err != nil {
		s.failAt(n, "%s", err)
	}
	return p
}

// dissectPattern is text, key, text, key, …: texts has one more than keys.
type dissectPattern struct {
	texts []string
	keys  []dissectKey
}

type dissectKey struct {
	name string
	// skip: the value is not kept. padded: the text after it may be repeated.
	skip, padded bool
	// add: the value is joined to that of the same name, in this order.
	add   bool
	order int
	// isName and isValue: the value of * is the name of the field that & of the
	// same name is set under.
	isName, isValue bool
}

var errDissect = errors.New("a key is written %{name}, %{?skipped}, %{+joined}, %{+joined/2}, %{*name}, %{&value}, each with -> at its end for padding")

func parseDissect(s string) (dissectPattern, error) {
	var p dissectPattern
	for {
		text, rest, ok := strings.Cut(s, "%{")
		p.texts = append(p.texts, text)
		if !ok {
			break
		}
		if len(p.keys) > 0 && text == "" {
			return p, fmt.Errorf("between %%{%s} and the key after it there must be some text", p.keys[len(p.keys)-1].name)
		}
		inner, after, ok := strings.Cut(rest, "}")
		if !ok {
			return p, errDissect
		}
		key, err := parseDissectKey(inner)
		if err != nil {
			return p, err
		}
		p.keys = append(p.keys, key)
		s = after
	}
	if len(p.keys) == 0 {
		return p, errDissect
	}
	return p, p.checkPairs()
}

// checkPairs makes sure that every * has its & and the other way round.
func (p *dissectPattern) checkPairs() error {
	for _, k := range p.keys {
		if !k.isName && !k.isValue {
			continue
		}
		if !slices.ContainsFunc(p.keys, func(o dissectKey) bool {
			return o.name == k.name && o.isName == k.isValue && o.isValue == k.isName
		}) {
			return fmt.Errorf("%%{*%s} and %%{&%s} belong together, one of them is missing", k.name, k.name)
		}
	}
	return nil
}

func parseDissectKey(s string) (dissectKey, error) {
	var k dissectKey
	s, k.padded = strings.CutSuffix(s, "->")
	switch {
	case s == "" || s[0] == '?':
		k.skip = true
		k.name = strings.TrimPrefix(s, "?")
		return k, nil
	case s[0] == '+':
		k.add = true
		name, order, ok := strings.Cut(s[1:], "/")
		if ok {
			n, err := strconv.Atoi(order)
			if err != nil {
				return k, errDissect
			}
			k.order = n
		}
		s = name
	case s[0] == '*':
		k.isName, s = true, s[1:]
	case s[0] == '&':
		k.isValue, s = true, s[1:]
	}
	k.name = strings.ReplaceAll(strings.TrimSuffix(strings.TrimPrefix(s, "["), "]"), "][", ".")
	if clean, ok := CleanName(k.name); !ok || clean != k.name {
		return k, errDissect
	}
	return k, nil
}

func (p *dissectProcessor) process(e *Event) bool {
	text, ok := sourceText(e, p.field)
	if !ok {
		e.Fail("dissect: there is no field " + p.field)
		return false
	}
	values, ok := p.pattern.cut(text)
	if !ok {
		e.Fail("dissect: the pattern does not fit " + p.field + ": " + quoteShort(text))
		return false
	}
	p.pattern.set(e, values)
	return false
}

// cut returns one value for each key.
func (p *dissectPattern) cut(s string) ([]string, bool) {
	rest, ok := strings.CutPrefix(s, p.texts[0])
	if !ok {
		return nil, false
	}
	values := make([]string, len(p.keys))
	for i, k := range p.keys {
		separator := p.texts[i+1]
		if separator == "" { // the last key takes the rest
			values[i] = rest
			rest = ""
			break
		}
		end := strings.Index(rest, separator)
		if end < 0 {
			return nil, false
		}
		values[i] = rest[:end]
		rest = rest[end+len(separator):]
		for k.padded && strings.HasPrefix(rest, separator) {
			rest = rest[len(separator):]
		}
	}
	return values, true
}

// set sets the fields; empty values are not set.
func (p *dissectPattern) set(e *Event, values []string) {
	for i, k := range p.keys {
		switch {
		case k.skip, k.isName, k.add:
			continue
		case k.isValue:
			n := slices.IndexFunc(p.keys, func(o dissectKey) bool { return o.isName && o.name == k.name })
			if name, ok := CleanName(values[n]); ok {
				setText(e, name, values[i])
			}
		default:
			setText(e, k.name, p.joined(k.name, values, values[i]))
		}
	}
	for i, k := range p.keys {
		first := slices.IndexFunc(p.keys, func(o dissectKey) bool { return o.name == k.name && !o.skip })
		if k.add && first == i {
			setText(e, k.name, p.joined(k.name, values, ""))
		}
	}
}

// joined puts the values of %{+name} behind the first, with blanks between.
func (p *dissectPattern) joined(name string, values []string, first string) string {
	type part struct {
		order int
		text  string
	}
	var parts []part
	for i, k := range p.keys {
		if k.add && k.name == name {
			parts = append(parts, part{k.order, values[i]})
		}
	}
	slices.SortStableFunc(parts, func(a, b part) int { return a.order - b.order })
	out := first
	for _, next := range parts {
		if out != "" && next.text != "" {
			out += " "
		}
		out += next.text
	}
	return out
}

func setText(e *Event, name, value string) {
	switch {
	case value == "":
	case name == FieldMessage:
		e.SetMessage(value)
	case !e.Set(name, String(value)):
		e.Fail("dissect: " + quoteShort(value) + " is not a time in ISO 8601, so it cannot become " + name)
	}
}
