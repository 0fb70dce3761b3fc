package event

import (
	"fmt"
	"strings"
	"time"
)

// Layout is a compiled form of a time as text.
type Layout struct {
	text string
	// parse reads the whole text.
	parse func(s string, zone *time.Location, near time.Time) (time.Time, bool)
}

// ParseLayout compiles a layout. It is one of
//
//   - a name: ISO8601, RFC3339, UNIX (seconds, with a fraction or none),
//     UNIX_MS, UNIX_US, UNIX_NS, AUTO (any form that LeadingTime knows)
//   - letters as Java and Joda write them: dd/MMM/yyyy:HH:mm:ss Z
//   - directives of strftime: %d/%b/%Y:%H:%M:%S %z
//   - Go's reference time: 02/Jan/2006:15:04:05 -0700
//
// What the text does not say is taken from the record's time where that is
// unambiguous: a missing year is the one that brings the time nearest to it, a
// missing date the same.
func ParseLayout(text string) (*Layout, error) {
	if parse := namedLayout(text); parse != nil {
		return &Layout{text, parse}, nil
	}
	var tokens []timeToken
	var err error
	switch {
	case strings.TrimSpace(text) == "":
		return nil, fmt.Errorf("a layout is missing")
	case strings.Contains(text, "%"):
		tokens, err = strftimeTokens(text)
	case strings.Contains(text, "2006") || strings.Contains(text, "15:04") || strings.Contains(text, "Jan"):
		return goLayout(text)
	default:
		tokens, err = javaTokens(text)
	}
	if err != nil {
		return nil, err
	}
	widenAdjacent(tokens)
	return &Layout{text, func(s string, zone *time.Location, near time.Time) (time.Time, bool) {
		p := timeParts{month: -1, day: -1, year: -1, zone: zone}
		at, ok := parseTokens(tokens, s, 0, &p)
		if !ok || at != len(s) {
			return time.Time{}, false
		}
		return p.time(near)
	}}, nil
}

// Parse reads a time; one without a zone is in zone. near is the record's time.
func (l *Layout) Parse(s string, zone *time.Location, near time.Time) (time.Time, bool) {
	return l.parse(strings.TrimSpace(s), zone, near)
}

// String returns the layout as it was written.
func (l *Layout) String() string { return l.text }

func namedLayout(name string) func(string, *time.Location, time.Time) (time.Time, bool) {
	switch strings.ToUpper(name) {
	case "ISO8601", "RFC3339":
		return func(s string, zone *time.Location, _ time.Time) (time.Time, bool) { return parseISO(s, zone) }
	case "UNIX":
		return epochLayout(0)
	case "UNIX_MS":
		return epochLayout(3)
	case "UNIX_US":
		return epochLayout(6)
	case "UNIX_NS":
		return epochLayout(9)
	case "AUTO":
		return func(s string, _ *time.Location, near time.Time) (time.Time, bool) { return timeAt(s, near) }
	}
	return nil
}

// epochLayout reads a decimal number of units of 10^-digits seconds since
// 1970, negative ones too, with a fraction or none.
func epochLayout(unitDigits int) func(string, *time.Location, time.Time) (time.Time, bool) {
	return func(s string, _ *time.Location, _ time.Time) (time.Time, bool) {
		s, negative := strings.CutPrefix(s, "-")
		whole, fraction, _ := strings.Cut(s, ".")
		if whole == "" {
			return time.Time{}, false
		}
		for range max(0, unitDigits+1-len(whole)) {
			whole = "0" + whole
		}
		seconds, sub := whole[:max(0, len(whole)-unitDigits)], whole[max(0, len(whole)-unitDigits):]+fraction
		if len(seconds) > 12 || len(sub) > 40 || !allDigits(seconds) || !allDigits(sub) {
			return time.Time{}, false
		}
		var n int64
		for i := range len(seconds) {
			n = n*10 + int64(seconds[i]-'0')
		}
		nano, _ := scanFraction(sub)
		t := time.Unix(n, int64(nano))
		if negative {
			t = time.Unix(-n, -int64(nano))
		}
		return t.UTC(), t.Year() <= 9999 && t.Year() >= 0
	}
}

func allDigits(s string) bool {
	for i := range len(s) {
		if !isDigit(s[i]) {
			return false
		}
	}
	return true
}

// goLayout uses Go's own parser.
func goLayout(text string) (*Layout, error) {
	probe := time.Date(2009, 11, 10, 23, 4, 5, 0, time.UTC)
	if _, err := time.Parse(text, probe.Format(text)); err != nil {
		return nil, fmt.Errorf("the layout %q is not one that can be read: %w", text, err)
	}
	hasYear := probe.Format(text) != probe.AddDate(1, 0, 0).Format(text)
	hasDay := probe.Format(text) != probe.AddDate(0, 1, 1).Format(text)
	return &Layout{text, func(s string, zone *time.Location, near time.Time) (time.Time, bool) {
		t, err := time.ParseInLocation(text, s, zone)
		if err != nil {
			return t, false
		}
		if hasYear {
			return t, true
		}
		p := timeParts{
			year: -1, month: int(t.Month()), day: t.Day(), zone: t.Location(),
			clock: clockTime{t.Hour(), t.Minute(), t.Second(), t.Nanosecond()},
		}
		if !hasDay {
			p.month, p.day = -1, -1
		}
		return p.time(near)
	}}, nil
}

// timeParts is what was read of a time; -1 is what was not.
type timeParts struct {
	year, month, day int
	yearDay          int
	clock            clockTime
	// half is 1 for AM and 2 for PM.
	half int
	zone *time.Location
	// whole is set by a number since 1970.
	whole time.Time
}

// time puts the parts together.
func (p *timeParts) time(near time.Time) (time.Time, bool) {
	if !p.whole.IsZero() {
		return p.whole, true
	}
	if p.half != 0 {
		if p.clock.hour > 12 {
			return time.Time{}, false
		}
		p.clock.hour %= 12
		if p.half == 2 {
			p.clock.hour += 12
		}
	}
	c := p.clock
	switch {
	case p.yearDay > 0 && p.year >= 0:
		t := time.Date(p.year, 1, p.yearDay, c.hour, c.minute, c.second, c.nano, p.zone)
		return t, t.Year() == p.year
	case p.year < 0 && p.month < 0 && p.day < 0:
		return p.nearestDay(near), true
	}
	month, dayOfMonth := max(p.month, 1), max(p.day, 1)
	if p.year < 0 {
		if !validDate(2000, month, dayOfMonth) {
			return time.Time{}, false
		}
		return nearestYear(month, dayOfMonth, c, p.zone, near), true
	}
	if p.year > 9999 || !validDate(p.year, month, dayOfMonth) {
		return time.Time{}, false
	}
	return time.Date(p.year, time.Month(month), dayOfMonth, c.hour, c.minute, c.second, c.nano, p.zone), true
}

// nearestDay is the time of day on the date that brings it nearest to the
// record's time.
func (p *timeParts) nearestDay(near time.Time) time.Time {
	near = near.In(p.zone)
	c := p.clock
	best := time.Date(near.Year(), near.Month(), near.Day(), c.hour, c.minute, c.second, c.nano, p.zone)
	for _, days := range [...]int{-1, 1} {
		t := time.Date(near.Year(), near.Month(), near.Day()+days, c.hour, c.minute, c.second, c.nano, p.zone)
		if t.Sub(near).Abs() < best.Sub(near).Abs() {
			best = t
		}
	}
	return best
}
