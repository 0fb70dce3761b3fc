package event

import (
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// jsonDepthMax bounds the nesting of a JSON text that is read.
const jsonDepthMax = 64

// ParseJSON reads one JSON text (RFC 8259), with nothing but blanks around it.
// Objects keep the order of their members; of members with the same name the
// last counts. It accepts what encoding/json accepts, up to a depth of 64.
func ParseJSON(text string) (Value, bool) {
	p := jsonParser{s: text}
	p.blanks()
	v, ok := p.value(0)
	if !ok {
		return Value{}, false
	}
	p.blanks()
	return v, p.at == len(p.s)
}

// jsonParser reads s from the position at.
type jsonParser struct {
	s  string
	at int
}

func (p *jsonParser) blanks() {
	for p.at < len(p.s) {
		switch p.s[p.at] {
		case ' ', '\t', '\n', '\r':
			p.at++
		default:
			return
		}
	}
}

// next skips blanks and takes the byte c.
func (p *jsonParser) next(c byte) bool {
	p.blanks()
	if p.at < len(p.s) && p.s[p.at] == c {
		p.at++
		return true
	}
	return false
}

func (p *jsonParser) value(depth int) (Value, bool) {
	if p.at >= len(p.s) || depth > jsonDepthMax {
		return Value{}, false
	}
	switch p.s[p.at] {
	case '{':
		return p.object(depth)
	case '[':
		return p.list(depth)
	case '"':
		s, ok := p.text()
		return String(s), ok
	case 't':
		return Bool(true), p.word("true")
	case 'f':
		return Bool(false), p.word("false")
	case 'n':
		return Null(), p.word("null")
	default:
		return p.number()
	}
}

func (p *jsonParser) word(w string) bool {
	if !strings.HasPrefix(p.s[p.at:], w) {
		return false
	}
	p.at += len(w)
	return true
}

func (p *jsonParser) object(depth int) (Value, bool) {
	p.at++
	var fields []Field
	if p.next('}') {
		return Object(), true
	}
	for {
		p.blanks()
		if p.at >= len(p.s) || p.s[p.at] != '"' {
			return Value{}, false
		}
		name, ok := p.text()
		if !ok || !p.next(':') {
			return Value{}, false
		}
		p.blanks()
		v, ok := p.value(depth + 1)
		if !ok {
			return Value{}, false
		}
		fields = setMember(fields, name, v)
		if p.next('}') {
			return Object(fields...), true
		}
		if !p.next(',') {
			return Value{}, false
		}
	}
}

// membersCompared bounds the search for a member of the same name, which would
// cost the square of an object's size. A later repetition is settled when the
// fields are set.
const membersCompared = 64

func setMember(fields []Field, name string, v Value) []Field {
	for i := range fields[:min(len(fields), membersCompared)] {
		if fields[i].Name == name {
			fields[i].Value = v
			return fields
		}
	}
	if fields == nil {
		fields = make([]Field, 0, 8)
	}
	return append(fields, Field{name, v})
}

func (p *jsonParser) list(depth int) (Value, bool) {
	p.at++
	var list []Value
	if p.next(']') {
		return List(), true
	}
	for {
		p.blanks()
		v, ok := p.value(depth + 1)
		if !ok {
			return Value{}, false
		}
		list = append(list, v)
		if p.next(']') {
			return List(list...), true
		}
		if !p.next(',') {
			return Value{}, false
		}
	}
}

// number reads a number: an integer where it is written as one and fits into
// 64 bits, a float otherwise.
func (p *jsonParser) number() (Value, bool) {
	start, whole := p.at, true
	p.sign('-')
	switch {
	case p.at < len(p.s) && p.s[p.at] == '0':
		p.at++
	case !p.digits():
		return Value{}, false
	}
	if p.at < len(p.s) && p.s[p.at] == '.' {
		p.at++
		whole = false
		if !p.digits() {
			return Value{}, false
		}
	}
	if p.at < len(p.s) && p.s[p.at]|0x20 == 'e' {
		p.at++
		whole = false
		if !p.sign('-') {
			p.sign('+')
		}
		if !p.digits() {
			return Value{}, false
		}
	}
	text := p.s[start:p.at]
	if whole {
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			return Int(n), true
		}
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return String(text), true // too large for any number: kept as text
	}
	return Float(f), true
}

func (p *jsonParser) sign(c byte) bool {
	if p.at < len(p.s) && p.s[p.at] == c {
		p.at++
		return true
	}
	return false
}

func (p *jsonParser) digits() bool {
	start := p.at
	for p.at < len(p.s) && isDigit(p.s[p.at]) {
		p.at++
	}
	return p.at > start
}

// text reads a string; without escapes it shares the memory of s.
func (p *jsonParser) text() (string, bool) {
	p.at++
	start := p.at
	for p.at < len(p.s) {
		switch c := p.s[p.at]; {
		case c == '"':
			p.at++
			return p.s[start : p.at-1], true
		case c == '\\':
			return p.escapedText(start)
		case c < 0x20:
			return "", false
		default:
			p.at++
		}
	}
	return "", false
}

func (p *jsonParser) escapedText(start int) (string, bool) {
	out := []byte(p.s[start:p.at])
	for p.at < len(p.s) {
		c := p.s[p.at]
		switch {
		case c == '"':
			p.at++
			return string(out), true
		case c < 0x20:
			return "", false
		case c != '\\':
			out = append(out, c)
			p.at++
			continue
		}
		p.at++
		if p.at >= len(p.s) {
			return "", false
		}
		c = p.s[p.at]
		p.at++
		switch c {
		case '"', '\\', '/':
			out = append(out, c)
		case 'b':
			out = append(out, '\b')
		case 'f':
			out = append(out, '\f')
		case 'n':
			out = append(out, '\n')
		case 'r':
			out = append(out, '\r')
		case 't':
			out = append(out, '\t')
		case 'u':
			r, ok := p.unicode()
			if !ok {
				return "", false
			}
			out = utf8.AppendRune(out, r)
		default:
			return "", false
		}
	}
	return "", false
}

// unicode reads the digits of \uXXXX, and the second half of a surrogate pair;
// half a pair becomes U+FFFD.
func (p *jsonParser) unicode() (rune, bool) {
	r, ok := p.hex4()
	if !ok || !utf16.IsSurrogate(r) {
		return r, ok
	}
	if !strings.HasPrefix(p.s[p.at:], `\u`) {
		return utf8.RuneError, true
	}
	back := p.at
	p.at += 2
	low, ok := p.hex4()
	if !ok {
		return 0, false
	}
	if both := utf16.DecodeRune(r, low); both != utf8.RuneError {
		return both, true
	}
	p.at = back
	return utf8.RuneError, true
}

func (p *jsonParser) hex4() (rune, bool) {
	if len(p.s)-p.at < 4 {
		return 0, false
	}
	n, err := strconv.ParseUint(p.s[p.at:p.at+4], 16, 32)
	if err != nil || p.s[p.at] == '+' {
		return 0, false
	}
	p.at += 4
	return rune(n), true
}
