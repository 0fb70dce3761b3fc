package event

import (
	"strconv"
	"strings"
)

// logfmtProcessor opens a field of key=value pairs into fields.
type logfmtProcessor struct {
	field, target string
	overwrite     bool
}

func newLogfmt(s *settings) processor {
	return &logfmtProcessor{
		field:     s.field("field", FieldMessage),
		target:    s.field("target", ""),
		overwrite: s.flag("overwrite", false),
	}
}

func (p *logfmtProcessor) process(e *Event) bool {
	text, ok := sourceText(e, p.field)
	if !ok {
		e.Fail("logfmt: there is no field " + p.field)
		return false
	}
	fields := parseLogfmt(text)
	if len(fields) == 0 {
		e.Fail("logfmt: " + p.field + " has no key=value pair: " + quoteShort(text))
		return false
	}
	if p.overwrite && p.target == "" {
		for i, f := range fields {
			if f.Name == FieldMessage {
				e.SetMessage(f.Value.str)
				fields = append(fields[:i], fields[i+1:]...)
				break
			}
		}
	}
	o := opener{event: e, target: p.target, aside: "logfmt", overwrite: p.overwrite}
	o.open(fields)
	return false
}

// parseLogfmt reads key=value and key="quoted value" pairs. All values are
// text. Words without = belong to no pair and are passed over. Of pairs with the
// same key the last counts.
func parseLogfmt(s string) []Field {
	var fields []Field
	for at := 0; at < len(s) && len(fields) < openedFieldsMax; {
		for at < len(s) && s[at] <= ' ' {
			at++
		}
		start := at
		for at < len(s) && s[at] > ' ' && s[at] != '=' && s[at] != '"' {
			at++
		}
		key := s[start:at]
		switch {
		case at >= len(s):
			return fields
		case s[at] != '=' || key == "":
			at = skipWord(s, at)
			continue
		}
		var value string
		value, at = logfmtValue(s, at+1)
		fields = setMember(fields, key, String(value))
	}
	return fields
}

// skipWord passes over what is no pair: to the next blank, over a quoted text.
func skipWord(s string, at int) int {
	if s[at] == '"' {
		return quotedEnd(s, at)
	}
	for at < len(s) && s[at] > ' ' {
		at++
	}
	return at
}

func logfmtValue(s string, at int) (value string, end int) {
	if at < len(s) && s[at] == '"' {
		end = quotedEnd(s, at)
		return unquoted(s[at:end]), end
	}
	end = at
	for end < len(s) && s[end] > ' ' {
		end++
	}
	return s[at:end], end
}

// quotedEnd returns the position after the closing quote, the end of s when
// there is none.
func quotedEnd(s string, at int) int {
	for at++; at < len(s); at++ {
		switch s[at] {
		case '\\':
			at++
		case '"':
			return at + 1
		}
	}
	return len(s)
}

// unquoted resolves the escapes of a quoted text; one with unknown escapes is
// taken as it stands.
func unquoted(s string) string {
	inner := strings.TrimPrefix(s, `"`)
	if len(s) >= 2 && strings.HasSuffix(s, `"`) {
		inner = inner[:len(inner)-1]
	}
	if strings.IndexByte(inner, '\\') < 0 {
		return inner
	}
	if plain, err := strconv.Unquote(`"` + inner + `"`); err == nil {
		return validText(plain)
	}
	return inner
}
