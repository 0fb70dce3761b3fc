package event

import (
	"iter"
	"strings"
)

// Limits of field names and numbers, chosen below Elasticsearch's own (depth
// 20, 1000 fields for an index) so that no single line can use them up.
const (
	// nameLengthMax is the longest dotted name in bytes.
	nameLengthMax = 256
	// nameDepthMax is the largest number of parts of a dotted name.
	nameDepthMax = 16
	// openedFieldsMax is the number of fields that one line may be opened
	// into; the rest is found in message only.
	openedFieldsMax = 256
)

// CleanName makes a dotted name acceptable to Elasticsearch: empty and blank
// parts, as in ".a..b.", are left out. It refuses a name of which nothing is
// left, that is longer than 256 bytes or deeper than 16 parts.
func CleanName(name string) (string, bool) {
	if nameIsClean(name) {
		return name, true
	}
	if len(name) > nameLengthMax {
		return "", false
	}
	parts := strings.Split(validText(name), ".")
	n := 0
	for _, p := range parts {
		if strings.TrimSpace(p) != "" {
			parts[n] = p
			n++
		}
	}
	if n == 0 || n > nameDepthMax {
		return "", false
	}
	return strings.Join(parts[:n], "."), true
}

// nameIsClean is the common case: ASCII letters, digits and _ - @ in parts
// that are not empty.
func nameIsClean(name string) bool {
	if name == "" || len(name) > nameLengthMax || name[len(name)-1] == '.' {
		return false
	}
	dots, afterDot := 0, true
	for i := range len(name) {
		switch c := name[i]; {
		case c == '.':
			if afterDot {
				return false
			}
			dots++
			afterDot = true
		case c == '_', c == '-', c == '@', c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
			afterDot = false
		default:
			return false
		}
	}
	return dots < nameDepthMax
}

// NameParts yields the parts of a dotted name.
func NameParts(name string) iter.Seq[string] { return strings.SplitSeq(name, ".") }
