package grok

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Bounds of a pattern with everything that it names put in.
const (
	expandedMax = 256 << 10
	depthMax    = 50
)

// expander puts named patterns in the place of their names and translates the
// whole into RE2's syntax. Groups that capture are named c<n>; look-around of
// one character is a group named look<n>_<kind>, which the compiler knows.
type expander struct {
	// lib is nil for a regular expression without names of patterns.
	lib      *Library
	out      strings.Builder
	fields   []Field
	captures []int
	looks    int
	// open are the names that are being expanded.
	open []string
}

func (x *expander) expand(pattern string) (string, error) {
	x.out.WriteString("(?m)")
	if err := x.regex(pattern); err != nil {
		return "", err
	}
	return x.out.String(), nil
}

// field returns the number of the capture of a field.
func (x *expander) field(name string, kind Type) int {
	f := slices.IndexFunc(x.fields, func(f Field) bool { return f.Name == name })
	if f < 0 {
		f = len(x.fields)
		x.fields = append(x.fields, Field{name, kind})
	}
	x.captures = append(x.captures, f)
	return len(x.captures) - 1
}

// regex translates one regular expression.
func (x *expander) regex(s string) error {
	for at := 0; at < len(s); {
		if x.out.Len() > expandedMax {
			return x.fail(at, "the pattern is longer than %d bytes with all that it names", expandedMax)
		}
		var n int
		var err error
		switch c := s[at]; {
		case x.lib != nil && c == '%' && strings.HasPrefix(s[at:], "%{"):
			n, err = x.reference(s, at)
		case c == '\\':
			n, err = x.escape(s, at)
		case c == '[':
			n, err = x.class(s, at)
		case c == '(':
			n, err = x.group(s, at)
		case c == '+' && x.afterQuantifier(s, at):
			n = 1 // possessive, taken as greedy
		default:
			x.out.WriteByte(c)
			n = 1
		}
		if err != nil {
			return err
		}
		at += n
	}
	return nil
}

// fail makes an error; inside a named pattern it says in which.
func (x *expander) fail(at int, format string, args ...any) *Error {
	if len(x.open) == 0 {
		return errorf(at, format, args...)
	}
	return errorf(0, "in the pattern %s: %s", x.open[len(x.open)-1], fmt.Sprintf(format, args...))
}

// afterQuantifier reports whether the byte before is *, + or ? in the role of a
// quantifier.
func (x *expander) afterQuantifier(s string, at int) bool {
	if at < 2 || strings.IndexByte("*+?", s[at-1]) < 0 || s[at-2] == '\\' {
		return false
	}
	return s[at-1] != '?' || strings.IndexByte("*+?}(", s[at-2]) < 0
}

// reference expands %{NAME}, %{NAME:field} and %{NAME:field:type}.
func (x *expander) reference(s string, at int) (int, error) {
	end := strings.IndexByte(s[at:], '}')
	if end < 0 {
		return 0, x.fail(at, "%%{ without }")
	}
	name, field, _ := strings.Cut(s[at+2:at+end], ":")
	body, ok := x.lib.definitions[name]
	switch {
	case !ok:
		return 0, x.fail(at, "there is no pattern %q%s", name, x.nearest(name))
	case slices.Contains(x.open, name):
		return 0, x.fail(at, "the pattern %s contains itself", name)
	case len(x.open) >= depthMax:
		return 0, x.fail(at, "patterns are nested more than %d deep", depthMax)
	}
	if field == "" {
		x.out.WriteString("(?:")
	} else if err := x.capture(field, at); err != nil {
		return 0, err
	}
	x.open = append(x.open, name)
	err := x.regex(body)
	x.open = x.open[:len(x.open)-1]
	x.out.WriteByte(')')
	return end + 1, err
}

// capture opens the group of a field.
func (x *expander) capture(field string, at int) error {
	kind := Text
	if name, typeName, ok := cutType(field); ok {
		switch typeName {
		case "int", "integer", "long":
			kind = Int
		case "float", "double":
			kind = Float
		case "boolean", "bool":
			kind = Boolean
		case "string", "text", "keyword":
		default:
			return x.fail(at, "there is no type %q: there are int, float, boolean and string", typeName)
		}
		field = name
	}
	name, ok := fieldName(field)
	if !ok {
		return x.fail(at, "%q is not the name of a field", field)
	}
	x.out.WriteString("(?P<c" + strconv.Itoa(x.field(name, kind)) + ">")
	return nil
}

func cutType(field string) (name, typeName string, ok bool) {
	i := strings.LastIndexByte(field, ':')
	if i < 0 {
		return field, "", false
	}
	return field[:i], field[i+1:], true
}

// fieldName makes a.b of [a][b] and refuses what no field can be called.
func fieldName(s string) (string, bool) {
	if inner, ok := strings.CutPrefix(s, "["); ok {
		inner, ok = strings.CutSuffix(inner, "]")
		if !ok {
			return "", false
		}
		s = strings.ReplaceAll(inner, "][", ".")
	}
	for part := range strings.SplitSeq(s, ".") {
		if strings.TrimSpace(part) == "" || strings.ContainsAny(part, "[]{}<>()") {
			return "", false
		}
	}
	return s, true
}

func (x *expander) nearest(name string) string {
	for _, have := range x.lib.Names() {
		if strings.EqualFold(have, name) {
			return fmt.Sprintf(" (did you mean %s?)", have)
		}
	}
	return ""
}

// escape translates a backslash and what belongs to it.
func (x *expander) escape(s string, at int) (int, error) {
	if at+1 >= len(s) {
		return 0, x.fail(at, "a backslash at the end")
	}
	switch c := s[at+1]; {
	case c == 'h':
		x.out.WriteString("[0-9A-Fa-f]")
	case c == 'H':
		x.out.WriteString("[^0-9A-Fa-f]")
	case c == 'e':
		x.out.WriteString(`\x1b`)
	case c == 'Z':
		x.out.WriteString(`(?:\n?\z)`)
	case c >= '1' && c <= '9', c == 'k', c == 'g', c == 'G':
		return 0, x.fail(at, "\\%c refers back to what was matched, which is not supported", c)
	case c >= 0x80:
		return 1, nil // the character stands for itself
	default:
		x.out.WriteString(s[at : at+2])
	}
	return 2, nil
}

// class copies a bracketed class; classes inside it are joined to it.
func (x *expander) class(s string, at int) (int, error) {
	start, depth := at, 0
	for at < len(s) {
		switch c := s[at]; {
		case c == '\\' && at+1 < len(s):
			x.classEscape(s[at+1])
			at += 2
			continue
		case strings.HasPrefix(s[at:], "[:") && depth > 0 && strings.Contains(s[at+2:], ":]"):
			end := at + 2 + strings.Index(s[at+2:], ":]") + 2
			x.out.WriteString(s[at:end])
			at = end
			continue
		case c == '[' && depth > 0:
			if at+1 < len(s) && s[at+1] == '^' {
				return 0, x.fail(at, "a negated class inside a class is not supported")
			}
			depth++
			at++
			continue
		case c == '&' && strings.HasPrefix(s[at:], "&&"):
			return 0, x.fail(at, "the intersection of classes (&&) is not supported")
		case c == ']' && depth > 1:
			depth--
			at++
			continue
		case c == ']':
			x.out.WriteByte(']')
			return at + 1 - start, nil
		}
		if depth == 0 {
			depth = 1
			x.out.WriteByte('[')
			at++
			if at < len(s) && s[at] == '^' {
				x.out.WriteByte('^')
				at++
			}
			if at < len(s) && s[at] == ']' {
				x.out.WriteString(`\]`)
				at++
			}
			continue
		}
		x.out.WriteByte(s[at])
		at++
	}
	return 0, x.fail(start, "[ without ]")
}

func (x *expander) classEscape(c byte) {
	switch {
	case c == 'h':
		x.out.WriteString("0-9A-Fa-f")
	case c == 'e':
		x.out.WriteString(`\x1b`)
	case c == 'b':
		x.out.WriteString(`\x08`)
	case c >= 0x80:
		x.out.WriteByte(c)
	default:
		x.out.WriteByte('\\')
		x.out.WriteByte(c)
	}
}

// group translates the opening of a group.
func (x *expander) group(s string, at int) (int, error) {
	rest := s[at:]
	for _, look := range [...]struct{ open, kind string }{
		{"(?<=", "behind"}, {"(?<!", "notbehind"}, {"(?=", "ahead"}, {"(?!", "notahead"},
	} {
		if strings.HasPrefix(rest, look.open) {
			x.out.WriteString("(?P<look" + strconv.Itoa(x.looks) + "_" + look.kind + ">")
			x.looks++
			return len(look.open), nil
		}
	}
	switch {
	case strings.HasPrefix(rest, "(?>"):
		x.out.WriteString("(?:")
		return 3, nil
	case strings.HasPrefix(rest, "(?#"):
		end := strings.IndexByte(rest, ')')
		if end < 0 {
			return 0, x.fail(at, "a comment without its end")
		}
		return end + 1, nil
	case strings.HasPrefix(rest, "(?<"), strings.HasPrefix(rest, "(?P<"), strings.HasPrefix(rest, "(?'"):
		open := strings.IndexAny(rest, "<'")
		end := strings.IndexAny(rest[open+1:], ">'")
		if end < 0 {
			return 0, x.fail(at, "a name without its end")
		}
		end += open + 1
		return end + 1, x.capture(rest[open+1:end], at)
	case strings.HasPrefix(rest, "(?"):
		return x.flags(rest, at)
	}
	x.out.WriteString("(?:")
	return 1, nil
}

// flags translates (?i), (?i:, (?mi-s: and so on. Oniguruma's m is RE2's s.
func (x *expander) flags(rest string, at int) (int, error) {
	end := strings.IndexAny(rest, ":)")
	if end < 0 {
		return 0, x.fail(at, "a group without its end")
	}
	var on, off strings.Builder
	to := &on
	for _, c := range rest[2:end] {
		switch c {
		case '-':
			to = &off
		case 'i':
			to.WriteByte('i')
		case 'm', 's':
			to.WriteByte('s')
		default:
			return 0, x.fail(at, "the flag %q is not supported: there are i and m", c)
		}
	}
	x.out.WriteString("(?" + on.String())
	if off.Len() > 0 {
		x.out.WriteString("-" + off.String())
	}
	x.out.WriteByte(rest[end])
	return end + 1, nil
}
