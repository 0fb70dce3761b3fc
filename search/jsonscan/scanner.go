// Package jsonscan reads JSON text value by value without building a tree:
// what the indexing path needs, where a document is walked once and most
// strings can be used as they stand in the text.
//
// A Scanner checks the whole grammar of RFC 8259 while it reads, bounds the depth
// of nesting and never panics on bad input. It belongs to one goroutine.
package jsonscan

import (
	"bytes"
	"fmt"
	"unicode/utf16"
	"unicode/utf8"
)

// DepthMax is the deepest nesting of objects and arrays that is read.
const DepthMax = 200

// SyntaxError says where the text is not JSON.
type SyntaxError struct {
	// Offset is the byte offset of the offending character.
	Offset int
	// Reason is what was expected.
	Reason string
}

// Error implements error.
func (e *SyntaxError) Error() string {
	return fmt.Sprintf("invalid JSON at byte %d: %s", e.Offset, e.Reason)
}

// Scanner reads one JSON text. The zero value is ready for [Scanner.Reset].
type Scanner struct {
	data  []byte
	pos   int
	depth int
	// scratch holds unescaped strings until the next Reset, so that what String
	// returned stays valid as long as the text.
	scratch []byte
}

// Reset begins a new text; all strings returned for the previous one become invalid.
func (s *Scanner) Reset(data []byte) {
	s.data, s.pos, s.depth, s.scratch = data, 0, 0, s.scratch[:0]
}

// Pos returns the byte offset of the next unread character.
func (s *Scanner) Pos() int { return s.pos }

func (s *Scanner) fail(reason string) error {
	return &SyntaxError{Offset: s.pos, Reason: reason}
}

func (s *Scanner) space() {
	for s.pos < len(s.data) {
		switch s.data[s.pos] {
		case ' ', '\t', '\n', '\r':
			s.pos++
		default:
			return
		}
	}
}

// Peek returns the first character of the next value or closing bracket, and 0 at
// the end of the text.
func (s *Scanner) Peek() byte {
	s.space()
	if s.pos >= len(s.data) {
		return 0
	}
	return s.data[s.pos]
}

// End fails unless only white space is left.
func (s *Scanner) End() error {
	if s.Peek() != 0 || s.pos < len(s.data) {
		return s.fail("unexpected text after the value")
	}
	return nil
}

// Object reads an object. For each member it calls member with the unescaped
// key and the scanner standing before the value, which member must read.
func (s *Scanner) Object(member func(key []byte) error) error {
	if s.Peek() != '{' {
		return s.fail("an object was expected")
	}
	if err := s.enter(); err != nil {
		return err
	}
	if s.Peek() == '}' {
		return s.leave()
	}
	for {
		key, err := s.String()
		if err != nil {
			return err
		}
		if s.Peek() != ':' {
			return s.fail("':' was expected")
		}
		s.pos++
		if err := member(key); err != nil {
			return err
		}
		switch s.Peek() {
		case ',':
			s.pos++
			s.space()
		case '}':
			return s.leave()
		default:
			return s.fail("',' or '}' was expected")
		}
	}
}

// Array reads an array and calls element before each value, which element must read.
func (s *Scanner) Array(element func() error) error {
	if s.Peek() != '[' {
		return s.fail("an array was expected")
	}
	if err := s.enter(); err != nil {
		return err
	}
	if s.Peek() == ']' {
		return s.leave()
	}
	for {
		if err := element(); err != nil {
			return err
		}
		switch s.Peek() {
		case ',':
			s.pos++
		case ']':
			return s.leave()
		default:
			return s.fail("',' or ']' was expected")
		}
	}
}

func (s *Scanner) enter() error {
	s.pos++
	s.depth++
	if s.depth > DepthMax {
		return s.fail("nested too deeply")
	}
	return nil
}

func (s *Scanner) leave() error {
	s.pos++
	s.depth--
	return nil
}

// String reads a string and returns it unescaped. The slice points into the
// text or into the scanner and is valid until Reset.
func (s *Scanner) String() ([]byte, error) {
	if s.Peek() != '"' {
		return nil, s.fail("a string was expected")
	}
	s.pos++
	rest := s.data[s.pos:]
	end := bytes.IndexByte(rest, '"')
	if end < 0 {
		s.pos = len(s.data)
		return nil, s.fail("the string does not end")
	}
	for i, c := range rest[:end] {
		if c == '\\' {
			return s.unescape(i)
		}
		if c < ' ' {
			s.pos += i
			return nil, s.fail("a control character in a string must be escaped")
		}
	}
	s.pos += end + 1
	return rest[:end:end], nil
}

// unescape reads the rest of a string whose first i bytes are plain.
func (s *Scanner) unescape(i int) ([]byte, error) {
	start := len(s.scratch)
	s.scratch = append(s.scratch, s.data[s.pos:s.pos+i]...)
	s.pos += i
	for s.pos < len(s.data) {
		c := s.data[s.pos]
		switch {
		case c == '"':
			s.pos++
			return s.scratch[start:len(s.scratch):len(s.scratch)], nil
		case c < ' ':
			return nil, s.fail("a control character in a string must be escaped")
		case c == '\\':
			if err := s.escape(); err != nil {
				return nil, err
			}
		default:
			s.scratch = append(s.scratch, c)
			s.pos++
		}
	}
	return nil, s.fail("the string does not end")
}

func (s *Scanner) escape() error {
	if s.pos+1 >= len(s.data) {
		return s.fail("the string does not end")
	}
	c := s.data[s.pos+1]
	switch c {
	case '"', '\\', '/':
	case 'b':
		c = '\b'
	case 'f':
		c = '\f'
	case 'n':
		c = '\n'
	case 'r':
		c = '\r'
	case 't':
		c = '\t'
	case 'u':
		return s.escapeUnicode()
	default:
		return s.fail("unknown escape in a string")
	}
	s.scratch = append(s.scratch, c)
	s.pos += 2
	return nil
}

func (s *Scanner) escapeUnicode() error {
	r, ok := s.hex4(s.pos + 2)
	if !ok {
		return s.fail("\\u needs four hexadecimal digits")
	}
	s.pos += 6
	if utf16.IsSurrogate(r) {
		low := rune(-1)
		if s.pos+1 < len(s.data) && s.data[s.pos] == '\\' && s.data[s.pos+1] == 'u' {
			if second, valid := s.hex4(s.pos + 2); valid {
				low = second
			}
		}
		if pair := utf16.DecodeRune(r, low); pair != utf8.RuneError {
			s.pos += 6
			r = pair
		} else {
			r = utf8.RuneError
		}
	}
	s.scratch = utf8.AppendRune(s.scratch, r)
	return nil
}

func (s *Scanner) hex4(at int) (rune, bool) {
	if at+4 > len(s.data) {
		return 0, false
	}
	var r rune
	for _, c := range s.data[at : at+4] {
		switch {
		case '0' <= c && c <= '9':
			r = r<<4 | rune(c-'0')
		case 'a' <= c && c <= 'f':
			r = r<<4 | rune(c-'a'+10)
		case 'A' <= c && c <= 'F':
			r = r<<4 | rune(c-'A'+10)
		default:
			return 0, false
		}
	}
	return r, true
}

// Number reads a number and returns its text; integer is false where it has
// a fraction or an exponent.
func (s *Scanner) Number() (text []byte, integer bool, err error) {
	s.space()
	start := s.pos
	if s.pos < len(s.data) && s.data[s.pos] == '-' {
		s.pos++
	}
	integer = true
	switch {
	case s.pos < len(s.data) && s.data[s.pos] == '0':
		s.pos++
	case s.digits():
	default:
		return nil, false, s.fail("a number was expected")
	}
	if s.pos < len(s.data) && s.data[s.pos] == '.' {
		s.pos++
		integer = false
		if !s.digits() {
			return nil, false, s.fail("a digit was expected")
		}
	}
	if s.pos < len(s.data) && s.data[s.pos]|0x20 == 'e' {
		s.pos++
		integer = false
		if s.pos < len(s.data) && (s.data[s.pos] == '+' || s.data[s.pos] == '-') {
			s.pos++
		}
		if !s.digits() {
			return nil, false, s.fail("a digit was expected")
		}
	}
	return s.data[start:s.pos:s.pos], integer, nil
}

func (s *Scanner) digits() bool {
	start := s.pos
	for s.pos < len(s.data) && '0' <= s.data[s.pos] && s.data[s.pos] <= '9' {
		s.pos++
	}
	return s.pos > start
}

// Literal reads true, false or null and returns its text.
func (s *Scanner) Literal() (string, error) {
	s.space()
	for _, word := range [...]string{"true", "false", "null"} {
		if end := s.pos + len(word); end <= len(s.data) && string(s.data[s.pos:end]) == word {
			s.pos = end
			return word, nil
		}
	}
	return "", s.fail("a value was expected")
}

// Skip reads and checks one value of any kind and returns its text.
func (s *Scanner) Skip() ([]byte, error) {
	s.space()
	start := s.pos
	var err error
	switch c := s.Peek(); {
	case c == '{':
		err = s.Object(func([]byte) error { _, e := s.Skip(); return e })
	case c == '[':
		err = s.Array(func() error { _, e := s.Skip(); return e })
	case c == '"':
		_, err = s.String()
	case c == '-' || '0' <= c && c <= '9':
		_, _, err = s.Number()
	default:
		_, err = s.Literal()
	}
	if err != nil {
		return nil, err
	}
	return s.data[start:s.pos:s.pos], nil
}
