package grok

import (
	"fmt"
	"strings"
	"sync"
)

// Type is what a captured text is turned into.
type Type uint8

// Types of fields.
const (
	Text Type = iota
	Int
	Float
	Boolean
)

// Field is one capture of a pattern.
type Field struct {
	// Name is the dotted name; [a][b] in a pattern is a.b here.
	Name string
	Type Type
}

// Error is a pattern that cannot be compiled.
type Error struct {
	// Offset is the position in the pattern as it was given, in bytes; 0 where
	// the problem is in a pattern that it names.
	Offset int
	Msg    string
}

// Error returns the message.
func (e *Error) Error() string { return e.Msg }

func errorf(offset int, format string, args ...any) *Error {
	return &Error{Offset: offset, Msg: fmt.Sprintf(format, args...)}
}

// Pattern is a compiled pattern.
type Pattern struct {
	source string
	fields []Field
	// captures maps the n-th group to its field.
	captures []int
	prog     *program
	machines sync.Pool
}

// Compile compiles a pattern. Errors are of type [*Error].
func (l *Library) Compile(pattern string) (*Pattern, error) {
	return compilePattern(&expander{lib: l}, pattern)
}

// CompileRegexp compiles a regular expression that names no patterns: %{ has
// no meaning in it. Its groups (?<name>…) are fields.
func CompileRegexp(pattern string) (*Pattern, error) {
	return compilePattern(&expander{}, pattern)
}

func compilePattern(x *expander, pattern string) (*Pattern, error) {
	text, err := x.expand(pattern)
	if err != nil {
		return nil, err
	}
	prog, err := compile(text, len(x.captures))
	if err != nil {
		return nil, err
	}
	p := &Pattern{source: pattern, fields: x.fields, captures: x.captures, prog: prog}
	p.machines.New = func() any { return &machine{} }
	return p, nil
}

// String returns the pattern as it was written.
func (p *Pattern) String() string { return p.source }

// Fields returns the fields that the pattern may give, in the order of their
// first capture.
func (p *Pattern) Fields() []Field { return p.fields }

// Match looks for the pattern anywhere in the text and calls set for each
// capture that is part of the match and not empty, in their order in the
// pattern; a field that stands there more than once may be set more than once.
// The texts share the memory of text.
func (p *Pattern) Match(text string, set func(f Field, value string)) bool {
	if p.prog.required != "" && !strings.Contains(text, p.prog.required) {
		return false
	}
	m, ok := p.machines.Get().(*machine)
	if !ok {
		m = &machine{}
	}
	found := m.match(p.prog, text)
	if found && set != nil {
		for i, f := range p.captures {
			from, to := m.slots[2*i], m.slots[2*i+1]
			if from >= 0 && to > from {
				set(p.fields[f], text[from:to])
			}
		}
	}
	m.text = ""
	p.machines.Put(m)
	return found
}
