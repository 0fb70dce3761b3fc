package event

import (
	"strings"
	"time"
)

// parseISO reads a time in ISO 8601, the whole of s: date, "T" or a blank,
// time of day with an optional fraction after dot or comma, and an optional
// zone. Without a zone it is in loc, UTC when loc is nil.
func parseISO(s string, loc *time.Location) (time.Time, bool) {
	t, n, ok := scanISO(s, loc)
	return t, ok && n == len(s)
}

// scanISO reads such a time at the beginning of s and returns its length.
func scanISO(s string, loc *time.Location) (t time.Time, length int, ok bool) {
	if loc == nil {
		loc = time.UTC
	}
	if len(s) < 10 || s[7] != s[4] || (s[4] != '-' && s[4] != '/' && s[4] != '.') {
		return t, 0, false
	}
	year, ok1 := digits(s[0:4])
	month, ok2 := digits(s[5:7])
	dayOfMonth, ok3 := digits(s[8:10])
	if !ok1 || !ok2 || !ok3 || !validDate(year, month, dayOfMonth) {
		return t, 0, false
	}
	at := 10
	if len(s) == at || (s[at] != 'T' && s[at] != ' ' && s[at] != 't' && s[at] != '_') {
		return time.Date(year, time.Month(month), dayOfMonth, 0, 0, 0, 0, loc), at, true
	}
	clock, n, ok := scanClock(s[at+1:])
	if !ok {
		return time.Date(year, time.Month(month), dayOfMonth, 0, 0, 0, 0, loc), at, true
	}
	at += 1 + n
	zone, n, ok := scanZone(s[at:])
	if ok {
		loc, at = zone, at+n
	}
	return time.Date(year, time.Month(month), dayOfMonth, clock.hour, clock.minute, clock.second, clock.nano, loc), at, true
}

// clockTime is a time of day.
type clockTime struct{ hour, minute, second, nano int }

// scanClock reads hh:mm[:ss[.fraction]].
func scanClock(s string) (c clockTime, length int, ok bool) {
	if len(s) < 5 || s[2] != ':' {
		return c, 0, false
	}
	var ok1, ok2 bool
	c.hour, ok1 = digits(s[0:2])
	c.minute, ok2 = digits(s[3:5])
	if !ok1 || !ok2 || c.hour > 23 || c.minute > 59 {
		return c, 0, false
	}
	if len(s) < 8 || s[5] != ':' {
		return c, 5, true
	}
	second, ok3 := digits(s[6:8])
	if !ok3 || second > 60 {
		return c, 5, true
	}
	c.second = min(second, 59) // a leap second is shown as the second before it
	if len(s) > 9 && (s[8] == '.' || s[8] == ',') && isDigit(s[9]) {
		nano, n := scanFraction(s[9:])
		c.nano = nano
		return c, 9 + n, true
	}
	return c, 8, true
}

// scanFraction reads the digits of a second's fraction as nanoseconds.
func scanFraction(s string) (nano, length int) {
	scale := 100_000_000
	for length < len(s) && isDigit(s[length]) {
		nano += int(s[length]-'0') * scale
		scale /= 10
		length++
	}
	return nano, length
}

// scanZone reads Z, ±hh, ±hhmm or ±hh:mm, with a blank before it or none.
func scanZone(s string) (loc *time.Location, length int, ok bool) {
	skip := 0
	if len(s) > 1 && s[0] == ' ' && (s[1] == '+' || s[1] == '-') {
		skip, s = 1, s[1:]
	}
	if s == "" {
		return nil, 0, false
	}
	if s[0] == 'Z' || s[0] == 'z' {
		if len(s) > 1 && isLetter(s[1]) {
			return nil, 0, false
		}
		return time.UTC, skip + 1, true
	}
	if (s[0] != '+' && s[0] != '-') || len(s) < 3 {
		return nil, 0, false
	}
	hours, ok := digits(s[1:3])
	if !ok || hours > 18 {
		return nil, 0, false
	}
	minutes, n := 0, 3
	rest := strings.TrimPrefix(s[3:], ":")
	if len(rest) >= 2 {
		if m, ok := digits(rest[:2]); ok && m < 60 {
			minutes, n = m, len(s)-len(rest)+2
		}
	}
	if skip == 1 && n == 3 {
		return nil, 0, false // "-5 items" after a blank is no zone
	}
	offset := hours*3600 + minutes*60
	if s[0] == '-' {
		offset = -offset
	}
	return fixedZone(offset), skip + n, true
}

// fixedZone returns UTC itself where the offset is none, so that equal times
// look equal.
func fixedZone(offsetSeconds int) *time.Location {
	if offsetSeconds == 0 {
		return time.UTC
	}
	return time.FixedZone("", offsetSeconds)
}

// digits reads a number of at most 9 decimal digits.
func digits(s string) (n int, ok bool) {
	if s == "" || len(s) > 9 {
		return 0, false
	}
	for i := range len(s) {
		if !isDigit(s[i]) {
			return 0, false
		}
		n = n*10 + int(s[i]-'0')
	}
	return n, true
}

func isDigit(c byte) bool  { return c-'0' < 10 }
func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

func validDate(year, month, dayOfMonth int) bool {
	return month >= 1 && month <= 12 && dayOfMonth >= 1 && dayOfMonth <= daysIn(year, month)
}

func daysIn(year, month int) int {
	return time.Date(year, time.Month(month)+1, 0, 0, 0, 0, 0, time.UTC).Day()
}
