package event

import (
	"strings"
	"time"
)

// leadingBytesMax is how far into a line a timestamp is looked for.
const leadingBytesMax = 128

// LeadingTime finds the timestamp that a line begins with, in any common
// form: ISO 8601 with its variants, syslog, Apache's access and error logs,
// yy/MM/dd, yyMMdd HHmmss, Go's log package, klog, ctime, RFC 1123, seconds,
// milliseconds, micro- or nanoseconds since 1970. Brackets, a syslog priority,
// and one or a few words may stand before it (a file name, a host, a level). near
// is the record's time: it gives a year where the line has none. A time
// without a zone is UTC.
func LeadingTime(line string, near time.Time) (time.Time, bool) {
	head := line
	if len(head) > leadingBytesMax {
		head = head[:leadingBytesMax]
	}
	at := skipOpening(head, 0)
	if n := timeKey(head[at:]); n > 0 {
		at = skipOpening(head, at+n)
	}
	if t, ok := timeAt(head[at:], near); ok {
		return t, true
	}
	return timeAfterWords(head, at, near)
}

// timeKey is the length of a key that a logfmt line gives its time.
func timeKey(s string) int {
	for _, key := range [...]string{"time=", "ts=", "t=", "timestamp=", "date=", "datetime=", "@timestamp="} {
		if strings.HasPrefix(s, key) {
			return len(key)
		}
	}
	return 0
}

// wordsBefore is how many words may stand before the timestamp.
const wordsBefore = 3

// timeAfterWords tries the beginnings of the next words, where only a form
// that cannot be mistaken counts.
func timeAfterWords(head string, at int, near time.Time) (time.Time, bool) {
	for range wordsBefore {
		blank := strings.IndexAny(head[at:], " \t")
		if blank < 0 {
			break
		}
		at = skipOpening(head, at+blank+1)
		if at >= len(head) {
			break
		}
		if t, ok := plainTimeAt(head[at:], near); ok {
			return t, true
		}
	}
	// "host ident user [10/Oct/2000:13:55:36 -0700]": the access log's bracket.
	for bracket := strings.IndexByte(head, '['); bracket >= 0; {
		if t, _, ok := scanAccessLog(head[bracket+1:]); ok {
			return t, true
		}
		next := strings.IndexByte(head[bracket+1:], '[')
		if next < 0 {
			break
		}
		bracket += 1 + next
	}
	return time.Time{}, false
}

// skipOpening passes over blanks, brackets and quotes, and a syslog priority.
func skipOpening(s string, at int) int {
	for at < len(s) {
		switch s[at] {
		case ' ', '\t', '[', '(', '"', '\'', '{', '|', '#':
			at++
		case '<':
			end := strings.IndexByte(s[at:], '>')
			if end < 2 || end > 4 {
				return at
			}
			if _, ok := digits(s[at+1 : at+end]); !ok {
				return at
			}
			at += end + 1
			if len(s) > at+1 && s[at] == '1' && s[at+1] == ' ' { // RFC 5424's version
				at += 2
			}
		default:
			return at
		}
	}
	return at
}

// timeAt reads a timestamp at the beginning of s.
func timeAt(s string, near time.Time) (time.Time, bool) {
	if t, ok := plainTimeAt(s, near); ok {
		return t, true
	}
	if s == "" {
		return time.Time{}, false
	}
	if isDigit(s[0]) {
		if t, ok := scanCompact(s); ok {
			return t, true
		}
		return scanEpoch(s)
	}
	return scanKlog(s, near)
}

// plainTimeAt knows the forms that cannot be mistaken for something else.
func plainTimeAt(s string, near time.Time) (time.Time, bool) {
	if len(s) < 8 {
		return time.Time{}, false
	}
	if isDigit(s[0]) {
		if t, n, ok := scanISO(s, nil); ok && n > 10 {
			return t, true
		}
		if t, _, ok := scanAccessLog(s); ok {
			return t, true
		}
		return scanShortDate(s)
	}
	if !isLetter(s[0]) {
		return time.Time{}, false
	}
	return scanNamedDate(s, near)
}

// scanAccessLog reads dd/MMM/yyyy:HH:mm:ss Z, and with blanks for the
// separators.
func scanAccessLog(s string) (t time.Time, length int, ok bool) {
	if len(s) < 20 || !isDigit(s[0]) {
		return t, 0, false
	}
	at := 1
	if isDigit(s[1]) {
		at = 2
	}
	dayOfMonth, _ := digits(s[:at])
	sep := s[at]
	if sep != '/' && sep != '-' && sep != ' ' {
		return t, 0, false
	}
	month, n := scanMonth(s[at+1:])
	at += 1 + n
	if n == 0 || len(s) < at+14 || s[at] != sep {
		return t, 0, false
	}
	year, ok := digits(s[at+1 : at+5])
	if !ok || !validDate(year, month, dayOfMonth) || (s[at+5] != ':' && s[at+5] != ' ') {
		return t, 0, false
	}
	at += 6
	return withClock(s, at, year, month, dayOfMonth)
}

// withClock reads a time of day and a zone at a position and puts the date to it.
func withClock(s string, at, year, month, dayOfMonth int) (t time.Time, length int, ok bool) {
	clock, n, ok := scanClock(s[at:])
	if !ok || n < 8 {
		return t, 0, false
	}
	at += n
	loc := time.UTC
	if zone, n, ok := scanZone(s[at:]); ok {
		loc, at = zone, at+n
	}
	return time.Date(year, time.Month(month), dayOfMonth, clock.hour, clock.minute, clock.second, clock.nano, loc), at, true
}

// scanShortDate reads yy/MM/dd HH:mm:ss (Spark) and yy-MM-dd HH:mm:ss.
func scanShortDate(s string) (time.Time, bool) {
	if len(s) < 17 || (s[2] != '/' && s[2] != '-') || s[5] != s[2] || (s[8] != ' ' && s[8] != 'T') {
		return time.Time{}, false
	}
	year, ok1 := digits(s[0:2])
	month, ok2 := digits(s[3:5])
	dayOfMonth, ok3 := digits(s[6:8])
	if !ok1 || !ok2 || !ok3 || !validDate(fullYear(year), month, dayOfMonth) {
		return time.Time{}, false
	}
	t, _, ok := withClock(s, 9, fullYear(year), month, dayOfMonth)
	return t, ok
}

// fullYear completes a year of two digits as POSIX does: 69 to 99 are 19xx.
func fullYear(year int) int {
	if year >= 69 {
		return 1900 + year
	}
	return 2000 + year
}

// scanCompact reads yyMMdd HHmmss (HDFS), yyyyMMddTHHmmss and yyyyMMdd-HH:mm:ss.
func scanCompact(s string) (time.Time, bool) {
	run := 0
	for run < len(s) && isDigit(s[run]) {
		run++
	}
	var year, month, dayOfMonth int
	switch run {
	case 6:
		year, _ = digits(s[0:2])
		year = fullYear(year)
	case 8:
		year, _ = digits(s[0:4])
	case 14:
		return scanFourteen(s)
	default:
		return time.Time{}, false
	}
	month, _ = digits(s[run-4 : run-2])
	dayOfMonth, _ = digits(s[run-2 : run])
	if !validDate(year, month, dayOfMonth) || len(s) < run+7 || strings.IndexByte(" T-_", s[run]) < 0 {
		return time.Time{}, false
	}
	if t, _, ok := withClock(s, run+1, year, month, dayOfMonth); ok {
		return t, true
	}
	end := run + 7
	if len(s) > end && isDigit(s[end]) {
		return time.Time{}, false
	}
	return compactClock(s, run+1, year, month, dayOfMonth)
}

// scanFourteen reads yyyyMMddHHmmss.
func scanFourteen(s string) (time.Time, bool) {
	year, _ := digits(s[0:4])
	month, _ := digits(s[4:6])
	dayOfMonth, _ := digits(s[6:8])
	if year < 1970 || year > 2199 || !validDate(year, month, dayOfMonth) {
		return time.Time{}, false
	}
	return compactClock(s, 8, year, month, dayOfMonth)
}

// compactClock reads HHmmss with an optional fraction and zone.
func compactClock(s string, at, year, month, dayOfMonth int) (time.Time, bool) {
	hour, ok1 := digits(s[at : at+2])
	minute, ok2 := digits(s[at+2 : at+4])
	second, ok3 := digits(s[at+4 : at+6])
	if !ok1 || !ok2 || !ok3 || hour > 23 || minute > 59 || second > 60 {
		return time.Time{}, false
	}
	at += 6
	nano := 0
	if len(s) > at+1 && (s[at] == '.' || s[at] == ',') && isDigit(s[at+1]) {
		n := 0
		nano, n = scanFraction(s[at+1:])
		at += 1 + n
	}
	loc := time.UTC
	if zone, _, ok := scanZone(s[at:]); ok {
		loc = zone
	}
	return time.Date(year, time.Month(month), dayOfMonth, hour, minute, min(second, 59), nano, loc), true
}

// scanEpoch reads a number since 1970 that stands alone: 10 digits of seconds
// with a fraction or none, 13, 16 or 19 digits of smaller units.
func scanEpoch(s string) (time.Time, bool) {
	run := 0
	for run < len(s) && isDigit(s[run]) {
		run++
	}
	end := run
	nano := 0
	if run == 10 && len(s) > run+1 && s[run] == '.' && isDigit(s[run+1]) {
		n := 0
		nano, n = scanFraction(s[run+1:])
		end = run + 1 + n
	}
	if end < len(s) && strings.IndexByte(" \t]|,;:\")", s[end]) < 0 {
		return time.Time{}, false
	}
	return epochOf(s[:run], nano)
}

// epochOf tells the unit by the number of digits; all lie between 2001 and 2286.
func epochOf(number string, nano int) (time.Time, bool) {
	if len(number) != 10 && len(number) != 13 && len(number) != 16 && len(number) != 19 {
		return time.Time{}, false
	}
	if number[0] == '0' {
		return time.Time{}, false
	}
	seconds, ok := digits(number[1:10])
	if !ok {
		return time.Time{}, false
	}
	if rest := number[10:]; rest != "" {
		nano, _ = scanFraction(rest)
	}
	return time.Unix(int64(number[0]-'0')*1_000_000_000+int64(seconds), int64(nano)).UTC(), true
}

// scanKlog reads I0102 15:04:05.000000 (glog and klog).
func scanKlog(s string, near time.Time) (time.Time, bool) {
	if len(s) < 14 || strings.IndexByte("IWEFD", s[0]) < 0 || s[5] != ' ' {
		return time.Time{}, false
	}
	month, ok1 := digits(s[1:3])
	dayOfMonth, ok2 := digits(s[3:5])
	if !ok1 || !ok2 || !validDate(2000, month, dayOfMonth) {
		return time.Time{}, false
	}
	clock, n, ok := scanClock(s[6:])
	if !ok || n < 8 {
		return time.Time{}, false
	}
	return nearestYear(month, dayOfMonth, clock, time.UTC, near), true
}

// scanNamedDate reads the forms with the name of a month, with that of a day
// before it or none: "Jun  9 06:06:20", "Sun Dec 04 04:47:44.123 2005",
// "Sun, 04 Dec 2005 04:47:44 GMT", "Dec 04, 2005 04:47:44", "Sun Dec 4 04:47:44 UTC 2005".
func scanNamedDate(s string, near time.Time) (time.Time, bool) {
	at := scanDayName(s)
	if at > 0 {
		if t, _, ok := scanAccessLog(s[at:]); ok {
			return t, true
		}
	}
	month, n := scanMonth(s[at:])
	if n == 0 {
		return time.Time{}, false
	}
	at += n
	start := at
	for at < len(s) && (s[at] == ' ' || s[at] == '.' || s[at] == '-') {
		at++
	}
	if at == start || at >= len(s) || !isDigit(s[at]) {
		return time.Time{}, false
	}
	dayOfMonth := int(s[at] - '0')
	at++
	if at < len(s) && isDigit(s[at]) {
		dayOfMonth = dayOfMonth*10 + int(s[at]-'0')
		at++
	}
	return namedRest(s, at, month, dayOfMonth, near)
}

// namedRest reads what follows month and day: a year or none, the time of
// day, a zone's name, a year.
func namedRest(s string, at, month, dayOfMonth int, near time.Time) (time.Time, bool) {
	at = skipBlanks(s, at, ", ")
	year := -1
	if len(s) >= at+5 && s[at+4] != ':' {
		if y, ok := digits(s[at : at+4]); ok {
			year = y
			at = skipBlanks(s, at+4, ", ")
		}
	}
	clock, n, ok := scanClock(s[min(at, len(s)):])
	if !ok || n < 8 {
		return time.Time{}, false
	}
	at += n
	loc := time.UTC
	if zone, n, ok := scanZone(s[at:]); ok {
		loc, at = zone, at+n
	}
	if year < 0 {
		year = yearAfter(s, at)
	}
	switch {
	case year < 0 && validDate(2000, month, dayOfMonth):
		return nearestYear(month, dayOfMonth, clock, loc, near), true
	case year < 0 || !validDate(year, month, dayOfMonth):
		return time.Time{}, false
	}
	return time.Date(year, time.Month(month), dayOfMonth, clock.hour, clock.minute, clock.second, clock.nano, loc), true
}

// yearAfter reads " 2005" or " UTC 2005" after the time of day; -1 for none.
func yearAfter(s string, at int) int {
	for _, zone := range [...]string{"", " UTC", " GMT"} {
		rest, ok := strings.CutPrefix(s[at:], zone)
		if !ok || len(rest) < 5 || rest[0] != ' ' || (len(rest) > 5 && (isDigit(rest[5]) || isLetter(rest[5]) || rest[5] == '.')) {
			continue
		}
		if y, ok := digits(rest[1:5]); ok && y >= 1970 && y < 2200 {
			return y
		}
	}
	return -1
}

func skipBlanks(s string, at int, blanks string) int {
	for at < len(s) && strings.IndexByte(blanks, s[at]) >= 0 {
		at++
	}
	return at
}

// nearestYear gives a date without a year the year that brings it nearest to
// the record's time.
func nearestYear(month, dayOfMonth int, c clockTime, loc *time.Location, near time.Time) time.Time {
	near = near.In(loc)
	var best time.Time
	var distance time.Duration
	for year := near.Year() - 1; year <= near.Year()+1; year++ {
		if dayOfMonth > daysIn(year, month) {
			continue // the 29th of February
		}
		t := time.Date(year, time.Month(month), dayOfMonth, c.hour, c.minute, c.second, c.nano, loc)
		if d := t.Sub(near).Abs(); best.IsZero() || d < distance {
			best, distance = t, d
		}
	}
	if best.IsZero() { // no leap year is near: the last one
		year := near.Year()
		for dayOfMonth > daysIn(year, month) {
			year--
		}
		best = time.Date(year, time.Month(month), dayOfMonth, c.hour, c.minute, c.second, c.nano, loc)
	}
	return best
}
