package event

import (
	"fmt"
	"strings"
	"time"
)

// timeToken is one part of a layout.
type timeToken struct {
	kind tokenKind
	// least and most are the numbers of digits of a number.
	least, most int
	// text is what a literal is.
	text string
	// inner are the tokens of an optional part.
	inner []timeToken
}

type tokenKind uint8

const (
	tokenLiteral tokenKind = iota
	tokenYear
	tokenYear2
	tokenMonth
	tokenMonthName
	tokenDay
	tokenYearDay
	tokenHour
	tokenHour12
	tokenMinute
	tokenSecond
	tokenFraction
	tokenHalf
	tokenWeekday
	tokenZone
	tokenZoneName
	tokenEpoch
	tokenOptional
)

// isNumber reports whether digits of the token could run into those of another.
func (k tokenKind) isNumber() bool {
	switch k {
	case tokenYear, tokenYear2, tokenMonth, tokenDay, tokenYearDay, tokenHour, tokenHour12, tokenMinute, tokenSecond, tokenFraction:
		return true
	}
	return false
}

// widenAdjacent lets a number have fewer or more digits than the layout where
// something else than a digit follows; before another number its width is fixed.
func widenAdjacent(tokens []timeToken) {
	for i := range tokens {
		t := &tokens[i]
		widenAdjacent(t.inner)
		if !t.kind.isNumber() || t.kind == tokenFraction || t.kind == tokenYear2 {
			continue
		}
		if i+1 < len(tokens) && tokens[i+1].kind.isNumber() {
			t.least = t.most
			continue
		}
		if t.kind != tokenYear {
			t.least, t.most = 1, max(t.most, 2)
		}
	}
}

// javaTokens reads a layout in the letters of Java's DateTimeFormatter and
// Joda: 'quoted' texts stand for themselves, [ ] is optional.
func javaTokens(layout string) ([]timeToken, error) {
	tokens, rest, err := javaSequence(layout, 0)
	if err == nil && rest != "" {
		err = fmt.Errorf("the layout %q has a ] without [", layout)
	}
	return tokens, err
}

func javaSequence(s string, depth int) (tokens []timeToken, rest string, err error) {
	for s != "" {
		c := s[0]
		switch {
		case c == '\'':
			text, after, ok := javaQuoted(s)
			if !ok {
				return nil, "", fmt.Errorf("the layout has a ' without its end")
			}
			tokens, s = append(tokens, timeToken{text: text}), after
		case c == '[' && depth < 4 && strings.Contains(s, "]") && !startsBracketText(s):
			inner, after, err := javaSequence(s[1:], depth+1)
			if err != nil {
				return nil, "", err
			}
			tokens = append(tokens, timeToken{kind: tokenOptional, inner: inner})
			s = strings.TrimPrefix(after, "]")
		case c == ']' && depth > 0:
			return tokens, s, nil
		case isLetter(c):
			run := 1
			for run < len(s) && s[run] == c {
				run++
			}
			t, err := javaToken(c, run)
			if err != nil {
				return nil, "", err
			}
			tokens, s = append(tokens, t), s[run:]
		default:
			tokens, s = append(tokens, timeToken{text: s[:1]}), s[1:]
		}
	}
	return tokens, "", nil
}

// javaQuoted reads a 'quoted' text; two quotes are one, inside it and alone.
func javaQuoted(s string) (text, rest string, ok bool) {
	if strings.HasPrefix(s, "''") {
		return "'", s[2:], true
	}
	for at := 1; at < len(s); at++ {
		switch {
		case s[at] != '\'':
			text += s[at : at+1]
		case strings.HasPrefix(s[at:], "''"):
			text += "'"
			at++
		default:
			return text, s[at+1:], true
		}
	}
	return "", "", false
}

// startsBracketText: a layout that is in brackets as a whole means the
// brackets, as in "[dd/MMM/yyyy]".
func startsBracketText(s string) bool {
	return strings.IndexByte(s, ']') == len(s)-1 && strings.Contains(s, "y") && strings.Contains(s, "d")
}

func javaToken(c byte, run int) (timeToken, error) {
	number := func(kind tokenKind) (timeToken, error) {
		return timeToken{kind: kind, least: run, most: run}, nil
	}
	switch c {
	case 'y', 'Y', 'u':
		if run == 2 {
			return timeToken{kind: tokenYear2, least: 2, most: 2}, nil
		}
		return timeToken{kind: tokenYear, least: 4, most: 4}, nil
	case 'M', 'L':
		if run >= 3 {
			return timeToken{kind: tokenMonthName}, nil
		}
		return number(tokenMonth)
	case 'd':
		return number(tokenDay)
	case 'D':
		return timeToken{kind: tokenYearDay, least: 3, most: 3}, nil
	case 'H', 'k':
		return number(tokenHour)
	case 'h', 'K':
		return number(tokenHour12)
	case 'm':
		return number(tokenMinute)
	case 's':
		return number(tokenSecond)
	case 'S', 'n':
		return timeToken{kind: tokenFraction, least: 1, most: 9}, nil
	case 'a':
		return timeToken{kind: tokenHalf}, nil
	case 'E', 'e':
		return timeToken{kind: tokenWeekday}, nil
	case 'Z', 'X', 'x', 'O':
		if c == 'Z' && run >= 3 {
			return timeToken{kind: tokenZoneName}, nil
		}
		return timeToken{kind: tokenZone}, nil
	case 'z', 'V', 'v':
		return timeToken{kind: tokenZoneName}, nil
	}
	return timeToken{}, fmt.Errorf("%s has no meaning in a layout: put text between single quotes, for instance 'T'", strings.Repeat(string(c), run))
}

// strftimeTokens reads a layout in strftime's directives.
func strftimeTokens(s string) ([]timeToken, error) {
	var tokens []timeToken
	for s != "" {
		if s[0] != '%' {
			tokens, s = append(tokens, timeToken{text: s[:1]}), s[1:]
			continue
		}
		s = strings.TrimPrefix(s, "%")
		s = strings.TrimLeft(s, "-_0E^")
		if s == "" {
			return nil, fmt.Errorf("the layout ends with %%")
		}
		directive, ok := strftimeToken(s[0])
		if !ok {
			return nil, fmt.Errorf("%%%c has no meaning in a layout", s[0])
		}
		tokens, s = append(tokens, directive...), s[1:]
	}
	return tokens, nil
}

func strftimeToken(c byte) ([]timeToken, bool) {
	one := func(kind tokenKind, digits int) ([]timeToken, bool) {
		return []timeToken{{kind: kind, least: digits, most: digits}}, true
	}
	several := func(layout string) ([]timeToken, bool) {
		tokens, err := strftimeTokens(layout)
		return tokens, err == nil
	}
	switch c {
	case 'Y':
		return one(tokenYear, 4)
	case 'y':
		return one(tokenYear2, 2)
	case 'm':
		return one(tokenMonth, 2)
	case 'b', 'B', 'h':
		return one(tokenMonthName, 0)
	case 'd', 'e':
		return one(tokenDay, 2)
	case 'j':
		return one(tokenYearDay, 3)
	case 'H', 'k':
		return one(tokenHour, 2)
	case 'I', 'l':
		return one(tokenHour12, 2)
	case 'M':
		return one(tokenMinute, 2)
	case 'S':
		return one(tokenSecond, 2)
	case 'f', 'L', 'N':
		return []timeToken{{kind: tokenFraction, least: 1, most: 9}}, true
	case 'p', 'P':
		return one(tokenHalf, 0)
	case 'a', 'A':
		return one(tokenWeekday, 0)
	case 'z':
		return one(tokenZone, 0)
	case 'Z':
		return one(tokenZoneName, 0)
	case 's':
		return one(tokenEpoch, 0)
	case 'T':
		return several("%H:%M:%S")
	case 'R':
		return several("%H:%M")
	case 'D':
		return several("%m/%d/%y")
	case 'F':
		return several("%Y-%m-%d")
	case 'c':
		return several("%a %b %e %H:%M:%S %Y")
	case 'n', 't':
		return []timeToken{{text: " "}}, true
	case '%':
		return []timeToken{{text: "%"}}, true
	}
	return nil, false
}

// parseTokens reads the tokens and returns the position after them.
func parseTokens(tokens []timeToken, s string, at int, p *timeParts) (int, bool) {
	for i := range tokens {
		t := &tokens[i]
		var ok bool
		switch {
		case t.kind == tokenOptional:
			before := *p
			end, fits := parseTokens(t.inner, s, at, p)
			if !fits {
				*p, end = before, at
			}
			at, ok = end, true
		case t.kind == tokenLiteral:
			at, ok = literalToken(t.text, s, at)
		case t.kind.isNumber():
			at, ok = numberToken(t, s, at, p)
		default:
			at, ok = wordToken(t.kind, s, at, p)
		}
		if !ok {
			return at, false
		}
	}
	return at, true
}

// literalToken matches a text; a blank stands for any number of them, so that
// "MMM d" reads "Jun  9".
func literalToken(text, s string, at int) (int, bool) {
	if text == " " {
		n := at
		for n < len(s) && (s[n] == ' ' || s[n] == '\t') {
			n++
		}
		return n, n > at
	}
	if !strings.HasPrefix(s[at:], text) {
		return at, false
	}
	return at + len(text), true
}

func numberToken(t *timeToken, s string, at int, p *timeParts) (int, bool) {
	if t.kind == tokenDay || t.kind == tokenHour || t.kind == tokenHour12 {
		for at < len(s) && s[at] == ' ' { // " 9" in two places
			at++
		}
	}
	end := at
	for end < len(s) && end-at < t.most && isDigit(s[end]) {
		end++
	}
	if end-at < t.least {
		return at, false
	}
	if t.kind == tokenFraction {
		p.clock.nano, _ = scanFraction(s[at:end])
		for end < len(s) && isDigit(s[end]) {
			end++
		}
		return end, true
	}
	n, ok := digits(s[at:end])
	return end, ok && p.setNumber(t.kind, n)
}

func (p *timeParts) setNumber(kind tokenKind, n int) bool {
	switch kind {
	case tokenYear:
		p.year = n
	case tokenYear2:
		p.year = fullYear(n)
	case tokenMonth:
		p.month = n
		return n >= 1 && n <= 12
	case tokenDay:
		p.day = n
		return n >= 1 && n <= 31
	case tokenYearDay:
		p.yearDay = n
		return n >= 1 && n <= 366
	case tokenHour:
		p.clock.hour = n % 24
		return n <= 24
	case tokenHour12:
		p.clock.hour = n
		return n <= 12
	case tokenMinute:
		p.clock.minute = n
		return n <= 59
	case tokenSecond:
		p.clock.second = min(n, 59)
		return n <= 60
	}
	return true
}

func wordToken(kind tokenKind, s string, at int, p *timeParts) (int, bool) {
	rest := s[at:]
	switch kind {
	case tokenMonthName:
		month, n := scanMonth(rest)
		p.month = month
		if n > 0 && n < len(rest) && rest[n] == '.' {
			n++
		}
		return at + n, n > 0
	case tokenWeekday:
		n := scanWeekday(rest)
		return at + n, n > 0
	case tokenHalf:
		if len(rest) < 2 || rest[1]|0x20 != 'm' {
			return at, false
		}
		switch rest[0] | 0x20 {
		case 'a':
			p.half = 1
		case 'p':
			p.half = 2
		default:
			return at, false
		}
		return at + 2, true
	case tokenZone:
		zone, n, ok := scanZone(rest)
		if !ok {
			zone, n, ok = scanZoneName(rest)
		}
		if ok {
			p.zone = zone
		}
		return at + n, ok
	case tokenZoneName:
		zone, n, ok := scanZoneName(rest)
		if !ok {
			zone, n, ok = scanZone(rest)
		}
		if ok {
			p.zone = zone
		}
		return at + n, ok
	default:
		return epochToken(s, at, p)
	}
}

func epochToken(s string, at int, p *timeParts) (int, bool) {
	end := at
	for end < len(s) && isDigit(s[end]) {
		end++
	}
	t, ok := epochLayout(0)(s[at:end], time.UTC, time.Time{})
	p.whole = t
	return end, ok && end > at
}

// scanWeekday reads the name of a day of the week.
func scanWeekday(s string) int {
	for n := range 7 {
		name := dayName(n)
		if len(s) >= 3 && strings.EqualFold(s[:3], name[:3]) {
			return nameLength(s, name)
		}
	}
	return 0
}

// scanZoneName reads an abbreviation that means one zone only by custom, or a
// name of the time zone database.
func scanZoneName(s string) (*time.Location, int, bool) {
	n := 0
	for n < len(s) && (isLetter(s[n]) || isDigit(s[n]) && n > 0 || n > 0 && strings.IndexByte("/_+-", s[n]) >= 0) {
		n++
	}
	name := s[:n]
	if offset, ok := zoneOffset(name); ok {
		return fixedZone(offset * 60), n, true
	}
	if strings.Contains(name, "/") {
		if zone, err := time.LoadLocation(name); err == nil {
			return zone, n, true
		}
	}
	return nil, 0, false
}

// zoneOffset is the offset of an abbreviation in minutes east of UTC.
func zoneOffset(name string) (minutes int, ok bool) {
	switch name {
	case "UTC", "GMT", "Z", "WET", "UCT":
		return 0, true
	case "CET", "BST", "WEST", "MEZ":
		return 60, true
	case "CEST", "EET", "SAST", "MESZ":
		return 120, true
	case "EEST", "MSK":
		return 180, true
	case "IST":
		return 330, true
	case "HKT", "SGT", "AWST":
		return 480, true
	case "JST", "KST":
		return 540, true
	case "AEST":
		return 600, true
	case "AEDT":
		return 660, true
	case "NZST":
		return 720, true
	case "NZDT":
		return 780, true
	case "AST":
		return -240, true
	case "EST":
		return -300, true
	case "CST":
		return -360, true
	case "MST":
		return -420, true
	case "PST":
		return -480, true
	case "ADT":
		return -180, true
	case "EDT":
		return -240, true
	case "CDT":
		return -300, true
	case "MDT":
		return -360, true
	case "PDT":
		return -420, true
	}
	return 0, false
}
