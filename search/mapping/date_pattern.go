package mapping

import (
	"fmt"
	"strings"
	"time"
)

// patternLayout is a pattern of Java's DateTimeFormatter, translated to a Go layout.
type patternLayout struct {
	layout    string
	precision string
}

// javaLetters translates runs of pattern letters, longest first.
var javaLetters = [...]struct{ java, layout, precision string }{
	{"yyyy", "2006", "year"},
	{"uuuu", "2006", "year"},
	{"yy", "06", "year"},
	{"uu", "06", "year"},
	{"MMMM", "January", "month"},
	{"MMM", "Jan", "month"},
	{"MM", "01", "month"},
	{"M", "1", "month"},
	{"dd", "02", "day"},
	{"d", "2", "day"},
	{"HH", "15", "hour"},
	{"H", "15", "hour"},
	{"hh", "03", "hour"},
	{"h", "3", "hour"},
	{"a", "PM", "hour"},
	{"mm", "04", "minute"},
	{"m", "4", "minute"},
	{"ss", "05", "second"},
	{"s", "5", "second"},
	{"SSSSSSSSS", "000000000", "milli"},
	{"SSSSSS", "000000", "milli"},
	{"SSS", "000", "milli"},
	{"SS", "00", "milli"},
	{"S", "0", "milli"},
	{"EEEE", "Monday", ""},
	{"EEE", "Mon", ""},
	{"E", "Mon", ""},
	{"XXX", "Z07:00", ""},
	{"XX", "Z0700", ""},
	{"X", "Z07", ""},
	{"xxx", "-07:00", ""},
	{"xx", "-0700", ""},
	{"x", "-07", ""},
	{"ZZZZZ", "Z07:00", ""},
	{"Z", "-0700", ""},
}

var precisions = [...]string{"", "year", "month", "day", "hour", "minute", "second", "milli"}

func precisionRank(name string) int {
	for i, p := range precisions {
		if p == name {
			return i
		}
	}
	return 0
}

func parsePattern(pattern string) (dateLayout, error) {
	var out strings.Builder
	l := patternLayout{}
	rest := pattern
	for rest != "" {
		c := rest[0]
		switch {
		case c == '\'':
			literal, after, ok := strings.Cut(rest[1:], "'")
			if !ok {
				return nil, fmt.Errorf("invalid format: [%s]: Pattern ends with an incomplete string literal", pattern)
			}
			if literal == "" {
				literal = "'"
			}
			out.WriteString(literal)
			rest = after
		case 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z':
			run := 1
			for run < len(rest) && rest[run] == c {
				run++
			}
			layout, precision, ok := translate(rest[:run])
			if !ok {
				return nil, fmt.Errorf("invalid format: [%s]: pattern [%s] is not supported", pattern, rest[:run])
			}
			if precision == "milli" && !strings.HasSuffix(out.String(), ".") && !strings.HasSuffix(out.String(), ",") {
				return nil, fmt.Errorf("invalid format: [%s]: a fraction without a point is not supported", pattern)
			}
			if precisionRank(precision) > precisionRank(l.precision) {
				l.precision = precision
			}
			out.WriteString(layout)
			rest = rest[run:]
		default:
			out.WriteByte(c)
			rest = rest[1:]
		}
	}
	l.layout = out.String()
	if l.precision == "" {
		return nil, fmt.Errorf("invalid format: [%s]: Unknown pattern", pattern)
	}
	return l, nil
}

func translate(run string) (layout, precision string, ok bool) {
	for _, entry := range javaLetters {
		if entry.java == run {
			return entry.layout, entry.precision, true
		}
	}
	return "", "", false
}

func (l patternLayout) parse(s string, zone *time.Location) (start, end time.Time, ok bool) {
	start, err := time.ParseInLocation(l.layout, s, zone)
	if err != nil {
		return start, end, false
	}
	if start.Year() == 0 {
		start = start.AddDate(1970, 0, 0)
	}
	return start, addPrecision(start, l.precision), true
}

func (l patternLayout) format(t time.Time) string { return t.Format(l.layout) }
