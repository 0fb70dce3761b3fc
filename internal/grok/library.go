package grok

import (
	"embed"
	"fmt"
	"maps"
	"slices"
	"strings"
)

//go:embed patterns/*.grok
var files embed.FS

// Library is a set of named patterns.
type Library struct {
	definitions map[string]string
}

// ECS returns the public patterns with field names of the Elastic Common Schema.
func ECS() *Library { return mustLoad("common", "ecs") }

// Legacy returns the public patterns with the field names that they had before
// ECS (clientip, verb, response).
func Legacy() *Library { return mustLoad("common", "legacy") }

// mustLoad reads built-in files. They are part of the program and tested, so
// that an error is a broken build.
func mustLoad(names ...string) *Library {
	l := &Library{definitions: map[string]string{}}
	for _, name := range names {
		text, err := files.ReadFile("patterns/" + name + ".grok")
		if err != nil {
			panic(fmt.Sprintf("grok: built-in patterns: %v", err))
		}
		if err := l.read(string(text)); err != nil {
			panic(fmt.Sprintf("grok: built-in patterns %s: %v", name, err))
		}
	}
	return l
}

// read adds definitions: lines of a name, blanks and a regular expression.
func (l *Library) read(text string) error {
	number := 0
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimRight(line, "\r\n")
		if strings.TrimSpace(line) == "" || line[0] == '#' {
			continue
		}
		name, body, ok := strings.Cut(line, " ")
		if !ok || !isName(name) {
			return fmt.Errorf("line %d: a name and a regular expression are expected", number)
		}
		l.definitions[name] = strings.TrimLeft(body, " ")
	}
	return nil
}

func isName(s string) bool {
	for i := range len(s) {
		if !isWordByte(s[i]) {
			return false
		}
	}
	return s != ""
}

func isWordByte(c byte) bool {
	return c == '_' || c-'0' < 10 || c|0x20 >= 'a' && c|0x20 <= 'z'
}

// With returns the library with further definitions; they replace built-in ones of
// the same name.
func (l *Library) With(definitions map[string]string) (*Library, error) {
	out := &Library{definitions: maps.Clone(l.definitions)}
	for name, body := range definitions {
		if !isName(name) {
			return nil, fmt.Errorf("%q is not the name of a pattern: use letters, digits and underscore", name)
		}
		out.definitions[name] = body
	}
	return out, nil
}

// Names returns the names of all patterns in alphabetical order.
func (l *Library) Names() []string { return slices.Sorted(maps.Keys(l.definitions)) }

// Definition returns the regular expression of a name.
func (l *Library) Definition(name string) (string, bool) {
	body, ok := l.definitions[name]
	return body, ok
}
