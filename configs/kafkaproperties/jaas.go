package kafkaproperties

import (
	"strconv"
	"strings"
)

// JAASOption is one name=value of a login module.
type JAASOption struct{ Name, Value string }

// JAASOptions reads the options of the login module of an entry as sasl.jaas.config has
// it: module flag name="value" …; Values stand in double or single quotes, in which a
// backslash makes escapes as in Java, or are words without blanks. ok is false when a name
// has no value, or a quote has no end.
func JAASOptions(entry string) (options []JAASOption, ok bool) {
	s := jaasScanner{rest: entry}
	for s.skipBlanks(); s.rest != "" && s.rest[0] != ';'; s.skipBlanks() {
		name, ok := s.word("=")
		if !ok {
			return nil, false
		}
		if s.skipBlanks(); !strings.HasPrefix(s.rest, "=") {
			if len(options) > 0 {
				return nil, false
			}
			continue // the module, and its flag
		}
		s.rest = s.rest[1:]
		s.skipBlanks()
		value, ok := s.word("")
		if !ok || name == "" {
			return nil, false
		}
		options = append(options, JAASOption{name, value})
	}
	return options, true
}

// jaasScanner cuts an entry into words.
type jaasScanner struct{ rest string }

const jaasBlanks = " \t\r\n\f"

func (s *jaasScanner) skipBlanks() { s.rest = strings.TrimLeft(s.rest, jaasBlanks) }

// word takes what stands in quotes, or goes up to a blank, a semicolon or one of ends.
func (s *jaasScanner) word(ends string) (string, bool) {
	if s.rest != "" && (s.rest[0] == '"' || s.rest[0] == '\'') {
		return s.quoted()
	}
	end := strings.IndexAny(s.rest, jaasBlanks+";"+ends)
	if end < 0 {
		end = len(s.rest)
	}
	word := s.rest[:end]
	s.rest = s.rest[end:]
	return word, word != "" || ends != ""
}

func (s *jaasScanner) quoted() (string, bool) {
	quote := s.rest[0]
	var out strings.Builder
	for i := 1; i < len(s.rest); i++ {
		switch c := s.rest[i]; {
		case c == quote:
			s.rest = s.rest[i+1:]
			return out.String(), true
		case c == '\\' && i+1 < len(s.rest):
			char, n := escaped(s.rest[i+1:])
			out.WriteString(char)
			i += n
		default:
			out.WriteByte(c)
		}
	}
	return "", false
}

// escaped returns what the characters after a backslash stand for, and how many they are.
func escaped(s string) (char string, n int) {
	for n < min(3, len(s)) && s[n] >= '0' && s[n] <= '7' && (n < 2 || s[0] <= '3') {
		n++
	}
	if n > 0 {
		code, _ := strconv.ParseUint(s[:n], 8, 8)
		return string(rune(code)), n
	}
	if i := strings.IndexByte("abfnrtv", s[0]); i >= 0 {
		return "\a\b\f\n\r\t\v"[i : i+1], 1
	}
	return s[:1], 1
}
