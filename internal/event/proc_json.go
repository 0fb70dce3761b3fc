package event

import "strings"

// jsonProcessor opens a field that holds a JSON object into fields.
type jsonProcessor struct {
	field, target string
	overwrite     bool
}

func newJSON(s *settings) processor {
	return &jsonProcessor{
		field:     s.field("field", FieldMessage),
		target:    s.field("target", ""),
		overwrite: s.flag("overwrite", false),
	}
}

func (p *jsonProcessor) process(e *Event) bool {
	text, ok := sourceText(e, p.field)
	if !ok {
		e.Fail("json: there is no field " + p.field)
		return false
	}
	v, ok := ParseJSON(text)
	if !ok || v.kind != KindObject {
		e.Fail("json: " + p.field + " does not hold a JSON object: " + quoteShort(text))
		return false
	}
	fields := v.more.fields
	if p.overwrite {
		fields = p.replace(e, fields)
	}
	o := opener{event: e, target: p.target, aside: asideDefault, overwrite: p.overwrite}
	o.open(fields)
	return false
}

// replace takes message and @timestamp out of the members, which the opener
// never touches. The line as it was stays in event.original.
func (p *jsonProcessor) replace(e *Event, fields []Field) []Field {
	if p.target != "" {
		return fields
	}
	kept := make([]Field, 0, len(fields))
	for _, f := range fields {
		switch {
		case f.Name == FieldMessage && f.Value.kind == KindString:
			e.SetMessage(f.Value.str)
		case f.Name == FieldTimestamp && e.Set(FieldTimestamp, f.Value):
		default:
			kept = append(kept, f)
		}
	}
	return kept
}

// sourceText returns the text that a parsing processor works on: a list's
// first element, a number as text.
func sourceText(e *Event, field string) (string, bool) {
	v := e.Get(field)
	if v.kind == KindList && len(v.more.list) > 0 {
		v = v.more.list[0]
	}
	if v.kind == KindMissing || v.kind == KindNull {
		return "", false
	}
	return strings.TrimRight(v.Text(), "\r\n"), true
}
