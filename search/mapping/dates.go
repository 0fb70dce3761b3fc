package mapping

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// DateFormat reads and writes dates as Elasticsearch's "format" of a field says:
// one or several formats separated by ||. The first writes.
type DateFormat struct {
	text    string
	layouts []dateLayout
}

// dateLayout reads a date. The result is a half-open range: "2024-01" is all of January.
type dateLayout interface {
	parse(s string, zone *time.Location) (start, end time.Time, ok bool)
	format(t time.Time) string
}

// DefaultDateFormat is strict_date_optional_time||epoch_millis.
func DefaultDateFormat() DateFormat {
	return DateFormat{text: "strict_date_optional_time||epoch_millis", layouts: []dateLayout{isoLayout{}, epochLayout{time.Millisecond}}}
}

// ParseDateFormat reads a format. Named formats and patterns of Java's
// DateTimeFormatter with the letters y u M d H m s S X Z x E are known.
func ParseDateFormat(text string) (DateFormat, error) {
	f := DateFormat{text: text}
	for name := range strings.SplitSeq(text, "||") {
		layout, err := parseLayout(name)
		if err != nil {
			return DateFormat{}, err
		}
		f.layouts = append(f.layouts, layout)
	}
	return f, nil
}

func parseLayout(name string) (dateLayout, error) {
	switch name {
	case "strict_date_optional_time", "date_optional_time", "strict_date_time", "date_time",
		"strict_date_time_no_millis", "date_time_no_millis", "strict_date", "date", "iso8601":
		return isoLayout{}, nil
	case "strict_date_optional_time_nanos", "date_optional_time_nanos":
		return isoLayout{nanos: true}, nil
	case "epoch_millis":
		return epochLayout{time.Millisecond}, nil
	case "epoch_second":
		return epochLayout{time.Second}, nil
	case "":
		return nil, fmt.Errorf("no date pattern provided")
	}
	return parsePattern(name)
}

// Text returns the format as it was written.
func (f DateFormat) Text() string { return f.text }

// Parse returns the instant that s names in milliseconds since 1970; end is
// the last millisecond that s can mean, so that "2024" is a year.
func (f DateFormat) Parse(s string, zone *time.Location) (start, end int64, err error) {
	for _, layout := range f.layouts {
		if from, to, ok := layout.parse(s, zone); ok {
			return from.UnixMilli(), to.UnixMilli() - 1, nil
		}
	}
	return 0, 0, fmt.Errorf("failed to parse date field [%s] with format [%s]", s, f.text)
}

// Format writes an instant by the first format.
func (f DateFormat) Format(ms int64, zone *time.Location) string {
	if len(f.layouts) == 0 {
		return isoLayout{}.format(time.UnixMilli(ms).In(zone))
	}
	return f.layouts[0].format(time.UnixMilli(ms).In(zone))
}

type epochLayout struct{ unit time.Duration }

func (l epochLayout) parse(s string, _ *time.Location) (start, end time.Time, ok bool) {
	whole, fraction, _ := strings.Cut(s, ".")
	n, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || n > math.MaxInt64/1000 || n < math.MinInt64/1000 || strings.HasPrefix(s, "+") {
		return start, end, false
	}
	if l.unit == time.Second {
		start = time.Unix(n, 0)
	} else {
		start = time.UnixMilli(n)
	}
	if fraction != "" {
		part, err := strconv.ParseFloat("0."+fraction, 64)
		if err != nil {
			return start, end, false
		}
		if strings.HasPrefix(whole, "-") {
			part = -part
		}
		start = start.Add(time.Duration(part * float64(l.unit)))
	}
	return start, start.Add(l.unit), true
}

func (l epochLayout) format(t time.Time) string {
	if l.unit == time.Second {
		return strconv.FormatInt(t.Unix(), 10)
	}
	return strconv.FormatInt(t.UnixMilli(), 10)
}

// isoLayout is strict_date_optional_time: 2024, 2024-05, 2024-05-06, then T and
// a time of any precision, then a zone.
type isoLayout struct{ nanos bool }

func (l isoLayout) format(t time.Time) string {
	if l.nanos && t.Nanosecond()%1e6 != 0 {
		return t.Format("2006-01-02T15:04:05.999999999Z07:00")
	}
	return t.Format("2006-01-02T15:04:05.000Z07:00")
}

// isoParser walks over an ISO 8601 text.
type isoParser struct {
	s  string
	ok bool
}

// number reads exactly n digits after a separator; 0 needs none. What is not
// there leaves the text as it was and returns false.
func (p *isoParser) number(separator byte, n int) (int, bool) {
	s := p.s
	if separator != 0 {
		if len(s) == 0 || s[0] != separator {
			return 0, false
		}
		s = s[1:]
	}
	if len(s) < n {
		p.ok = false
		return 0, false
	}
	value := 0
	for i := range n {
		if s[i] < '0' || s[i] > '9' {
			p.ok = false
			return 0, false
		}
		value = value*10 + int(s[i]-'0')
	}
	p.s = s[n:]
	return value, true
}

func (l isoLayout) parse(s string, zone *time.Location) (start, end time.Time, ok bool) {
	p := isoParser{s: s, ok: true}
	year, hasYear := p.number(0, 4)
	if !hasYear {
		return start, end, false
	}
	month, dayOfMonth := 1, 1
	precision := "year"
	if n, has := p.number('-', 2); has {
		month, precision = n, "month"
		if n, has := p.number('-', 2); has {
			dayOfMonth, precision = n, "day"
		}
	}
	var clock isoClock
	if p.ok && len(p.s) > 0 && p.s[0] == 'T' && precision == "day" {
		p.s = p.s[1:]
		if p.s != "" {
			clock.parse(&p)
			precision = clock.precision
			zone = p.zone(zone)
		}
	}
	if !p.ok || p.s != "" || month < 1 || month > 12 || dayOfMonth < 1 || dayOfMonth > daysIn(year, month) {
		return start, end, false
	}
	start = time.Date(year, time.Month(month), dayOfMonth, clock.hour, clock.minute, clock.second, clock.nanos, zone)
	return start, addPrecision(start, precision), true
}

type isoClock struct {
	hour, minute, second, nanos int
	precision                   string
}

func (c *isoClock) parse(p *isoParser) {
	c.precision = "hour"
	hour, has := p.number(0, 2)
	if !has || hour > 23 {
		p.ok = false
		return
	}
	c.hour = hour
	if c.minute, has = p.number(':', 2); has {
		c.precision = "minute"
		if c.second, has = p.number(':', 2); has {
			c.precision = "second"
			c.fraction(p)
		}
	}
	if c.minute > 59 || c.second > 59 {
		p.ok = false
	}
}

func (c *isoClock) fraction(p *isoParser) {
	if len(p.s) == 0 || p.s[0] != '.' && p.s[0] != ',' {
		return
	}
	digits, scale := 0, int(1e9)
	for digits < 9 && digits+1 < len(p.s) && p.s[digits+1] >= '0' && p.s[digits+1] <= '9' {
		digits++
		scale /= 10
		c.nanos += int(p.s[digits]-'0') * scale
	}
	if digits == 0 {
		p.ok = false
		return
	}
	c.precision = "milli"
	p.s = p.s[1+digits:]
}

// zone reads Z, +02, +0200 or +02:00, and returns otherwise where there is none.
func (p *isoParser) zone(otherwise *time.Location) *time.Location {
	if !p.ok || p.s == "" {
		return otherwise
	}
	zone, rest, ok := parseOffset(p.s)
	if !ok {
		p.ok = false
		return otherwise
	}
	p.s = rest
	return zone
}

func parseOffset(s string) (zone *time.Location, rest string, ok bool) {
	if strings.HasPrefix(s, "Z") {
		return time.UTC, s[1:], true
	}
	if len(s) < 3 || s[0] != '+' && s[0] != '-' {
		return nil, s, false
	}
	p := isoParser{s: s[1:], ok: true}
	hours, _ := p.number(0, 2)
	minutes := 0
	if strings.HasPrefix(p.s, ":") {
		minutes, _ = p.number(':', 2)
	} else if p.s != "" && p.s[0] >= '0' && p.s[0] <= '9' {
		minutes, _ = p.number(0, 2)
	}
	if !p.ok || hours > 18 || minutes > 59 {
		return nil, s, false
	}
	seconds := hours*3600 + minutes*60
	if seconds == 0 {
		return time.UTC, p.s, true
	}
	if s[0] == '-' {
		seconds = -seconds
	}
	return time.FixedZone("", seconds), p.s, true
}

func daysIn(year, month int) int {
	return time.Date(year, time.Month(month)+1, 0, 0, 0, 0, 0, time.UTC).Day()
}

func addPrecision(t time.Time, precision string) time.Time {
	switch precision {
	case "year":
		return t.AddDate(1, 0, 0)
	case "month":
		return t.AddDate(0, 1, 0)
	case "day":
		return t.AddDate(0, 0, 1)
	case "hour":
		return t.Add(time.Hour)
	case "minute":
		return t.Add(time.Minute)
	case "second":
		return t.Add(time.Second)
	default:
		return t.Truncate(time.Millisecond).Add(time.Millisecond)
	}
}

// ParseZone reads a time_zone: an offset or a name of the IANA database.
func ParseZone(s string) (*time.Location, error) {
	if zone, rest, ok := parseOffset(s); ok && rest == "" {
		return zone, nil
	}
	if s == "" || s == "Local" {
		return nil, fmt.Errorf("unknown time-zone ID: [%s]", s)
	}
	zone, err := time.LoadLocation(s)
	if err != nil {
		return nil, fmt.Errorf("unknown time-zone ID: [%s]", s)
	}
	return zone, nil
}
