package event

import (
	"time"
	_ "time/tzdata" // time zones are known on hosts without a database of them
)

// timestampProcessor reads a time out of a field.
type timestampProcessor struct {
	field, target string
	layouts       []*Layout
	zone          *time.Location
}

func newTimestamp(s *settings) processor {
	p := &timestampProcessor{
		field:  s.field("field", "timestamp"),
		target: s.field("target", FieldTimestamp),
		zone:   time.UTC,
	}
	if n := s.take("timezone"); n != nil {
		zone, ok := zoneNamed(n.Value)
		if !ok {
			s.failAt(n, "there is no time zone %q: write for instance Europe/Berlin, UTC or +02:00", n.Value)
		} else {
			p.zone = zone
		}
	}
	nodes := s.texts("layouts")
	nodes = append(nodes, s.texts("layout")...)
	if len(nodes) == 0 {
		s.fail("layouts is missing, for instance layouts: ['dd/MMM/yyyy:HH:mm:ss Z', ISO8601]")
	}
	for _, n := range nodes {
		layout, err := ParseLayout(n.Value)
		if err != nil {
			s.failAt(n, "%s", err)
			continue
		}
		p.layouts = append(p.layouts, layout)
	}
	return p
}

// zoneNamed returns a zone by its name in the time zone database, or by offset.
func zoneNamed(name string) (*time.Location, bool) {
	if zone, n, ok := scanZone(name); ok && n == len(name) {
		return zone, true
	}
	if name == "" || name == "Local" {
		return nil, false // the host's zone must not decide what a line means
	}
	zone, err := time.LoadLocation(name)
	return zone, err == nil
}

func (p *timestampProcessor) process(e *Event) bool {
	text, ok := sourceText(e, p.field)
	if !ok {
		e.Fail("timestamp: there is no field " + p.field)
		return false
	}
	for _, layout := range p.layouts {
		t, ok := layout.Parse(text, p.zone, e.near())
		if !ok {
			continue
		}
		if p.target == FieldTimestamp {
			e.Timestamp = t
		} else {
			e.SetString(p.target, FormatTime(t))
		}
		return false
	}
	e.Fail("timestamp: no layout fits " + p.field + ": " + quoteShort(text))
	return false
}
