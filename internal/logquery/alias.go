package logquery

import (
	"slices"
	"strings"
)

const fieldLevel = "log.level"

// aliases are short names for ECS fields in a query.
var aliases = [...][2]string{
	{"level", fieldLevel},
	{"host", "host.name"},
	{"path", "log.file.path"},
	{"service", "service.name"},
	{"agent", "agent.id"},
	{"status", "http.response.status_code"},
}

// Expand replaces the short names level, host, path, service, agent and status
// by the ECS fields that they stand for, where they are used as the field of a
// term. Quoted text, regular expressions and longer names are left alone. A level
// is found in upper and lower case, since programs write either.
func Expand(query string) string {
	var b strings.Builder
	term := true // a term can begin here
	for i := 0; i < len(query); {
		n := literalLength(query[i:])
		if n == 0 {
			if short, field := aliasAt(query[i:]); term && short > 0 {
				b.WriteString(field)
				i, term = i+short, false
				if field == fieldLevel {
					text, length := anyCase(query[i:])
					b.WriteString(text)
					i += length
				}
				continue
			}
			n = 1
			term = startsTerm(query[i])
		} else {
			term = n == 1 // a quote that is never closed
		}
		b.WriteString(query[i : i+n])
		i += n
	}
	return b.String()
}

// literalLength is the length of the quoted text, regular expression or
// escaped character that s begins with; 0 when it begins with none.
func literalLength(s string) int {
	switch s[0] {
	case '\\':
		return min(2, len(s))
	case '"', '/':
	default:
		return 0
	}
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case s[0]:
			return i + 1
		}
	}
	return 1
}

// startsTerm reports whether a field name can begin after c.
func startsTerm(c byte) bool { return strings.IndexByte(" \t\n\r(+-!&|", c) >= 0 }

func aliasAt(s string) (length int, field string) {
	for _, a := range aliases {
		if strings.HasPrefix(s, a[0]) && len(s) > len(a[0]) && s[len(a[0])] == ':' {
			return len(a[0]), a[1]
		}
	}
	return 0, ""
}

// anyCase turns ":ERROR" at the beginning of s into ":(ERROR OR error OR Error)"
// and returns the length of what it stands for; 0 when there is no plain word.
func anyCase(s string) (text string, length int) {
	end := 1
	for end < len(s) && (s[end]|0x20) >= 'a' && (s[end]|0x20) <= 'z' {
		end++
	}
	if end == 1 || (end < len(s) && strings.IndexByte(" \t\n\r)", s[end]) < 0) {
		return "", 0
	}
	word := s[1:end]
	spellings := []string{word}
	lower := strings.ToLower(word)
	for _, other := range []string{strings.ToUpper(word), lower, strings.ToUpper(lower[:1]) + lower[1:]} {
		if !slices.Contains(spellings, other) {
			spellings = append(spellings, other)
		}
	}
	return ":(" + strings.Join(spellings, " OR ") + ")", end
}
