package mapping

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// ParseMath reads a date as a range query takes it: a date of the format or "now",
// followed by date math ("now-1h/d", "2024-01-01||+1M/M"). With roundUp the result
// is the last millisecond that is meant, as for lte and gt; otherwise the first.
func (f DateFormat) ParseMath(s string, now time.Time, roundUp bool, zone *time.Location) (int64, error) {
	base, math, isNow := s, "", false
	if rest, ok := strings.CutPrefix(s, "now"); ok {
		isNow, math = true, rest
	} else if before, after, ok := strings.Cut(s, "||"); ok {
		base, math = before, after
	}
	if isNow {
		return applyMath(now.In(zone), math, roundUp, s)
	}
	start, end, err := f.Parse(base, zone)
	if err != nil {
		return 0, err
	}
	if math == "" {
		if roundUp {
			return end, nil
		}
		return start, nil
	}
	return applyMath(time.UnixMilli(start).In(zone), math, roundUp, s)
}

// applyMath applies +1d, -2h, /M in their order.
func applyMath(t time.Time, math string, roundUp bool, whole string) (int64, error) {
	for math != "" {
		op := math[0]
		math = math[1:]
		digits := 0
		for digits < len(math) && math[digits] >= '0' && math[digits] <= '9' {
			digits++
		}
		if op != '+' && op != '-' && op != '/' || digits == len(math) || digits > 9 || op == '/' && digits > 0 {
			return 0, fmt.Errorf("operator not supported for date math [%s]", whole)
		}
		n := 1
		if digits > 0 {
			n, _ = strconv.Atoi(math[:digits]) // nine digits always fit
		}
		unit := math[digits]
		math = math[digits+1:]
		if op == '-' {
			n = -n
		}
		var ok bool
		if op == '/' {
			t, ok = roundTo(t, unit, roundUp)
		} else {
			t, ok = shift(t, n, unit)
		}
		if !ok {
			return 0, fmt.Errorf("unit [%c] not supported for date math [%s]", unit, whole)
		}
	}
	return t.UnixMilli(), nil
}

func shift(t time.Time, n int, unit byte) (time.Time, bool) {
	switch unit {
	case 'y':
		return addMonths(t, 12*n), true
	case 'M':
		return addMonths(t, n), true
	case 'w':
		return t.AddDate(0, 0, 7*n), true
	case 'd':
		return t.AddDate(0, 0, n), true
	case 'h', 'H':
		return t.Add(time.Duration(n) * time.Hour), true
	case 'm':
		return t.Add(time.Duration(n) * time.Minute), true
	case 's':
		return t.Add(time.Duration(n) * time.Second), true
	default:
		return t, false
	}
}

// addMonths keeps the day of the month where the month has it, and takes its
// last day otherwise, as java.time does.
func addMonths(t time.Time, n int) time.Time {
	first := time.Date(t.Year(), t.Month()+time.Month(n), 1, 0, 0, 0, 0, t.Location())
	dayOfMonth := min(t.Day(), daysIn(first.Year(), int(first.Month())))
	return time.Date(first.Year(), first.Month(), dayOfMonth, t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), t.Location())
}

func roundTo(t time.Time, unit byte, up bool) (time.Time, bool) {
	start, _ := FloorTo(t, unit)
	end, ok := shift(start, 1, unit) // which knows no quarters: they are units of histograms alone
	if !ok || !up {
		return start, ok
	}
	return end.Add(-time.Millisecond), true
}

// FloorTo returns the start of the calendar unit that t lies in, in t's zone:
// y, q, M, w (from Monday), d, h, m or s.
func FloorTo(t time.Time, unit byte) (time.Time, bool) {
	year, month, dayOfMonth := t.Date()
	switch unit {
	case 'y':
		return time.Date(year, 1, 1, 0, 0, 0, 0, t.Location()), true
	case 'q':
		return time.Date(year, (month-1)/3*3+1, 1, 0, 0, 0, 0, t.Location()), true
	case 'M':
		return time.Date(year, month, 1, 0, 0, 0, 0, t.Location()), true
	case 'w':
		back := (int(t.Weekday()) + 6) % 7
		return time.Date(year, month, dayOfMonth-back, 0, 0, 0, 0, t.Location()), true
	case 'd':
		return time.Date(year, month, dayOfMonth, 0, 0, 0, 0, t.Location()), true
	case 'h', 'H':
		return floorClock(t, time.Hour), true
	case 'm':
		return floorClock(t, time.Minute), true
	case 's':
		return floorClock(t, time.Second), true
	default:
		return t, false
	}
}

// floorClock rounds the wall clock down, so that zones with offsets of half an
// hour begin their hours where their clocks do.
func floorClock(t time.Time, unit time.Duration) time.Time {
	_, offset := t.Zone()
	local := t.UnixMilli() + int64(offset)*1000
	step := unit.Milliseconds()
	back := ((local % step) + step) % step
	return time.UnixMilli(t.UnixMilli() - back).In(t.Location())
}
