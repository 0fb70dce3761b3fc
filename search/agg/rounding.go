package agg

import (
	"strconv"
	"strings"
	"time"

	"github.com/millrace/millrace/search/apierror"
	"github.com/millrace/millrace/search/mapping"
)

// rounding finds the interval that a moment lies in. Times are milliseconds since 1970.
type rounding struct {
	// fixed is an interval in milliseconds; 0 where unit is used.
	fixed  int64
	unit   byte // as mapping.FloorTo takes it
	zone   *time.Location
	offset int64
}

func parseRounding(p params) (rounding, error) {
	r := rounding{zone: time.UTC}
	fixed, hasFixed := p.body["fixed_interval"].(string)
	calendar, hasCalendar := p.body["calendar_interval"].(string)
	switch {
	case hasFixed && hasCalendar:
		return r, apierror.Illegal("Cannot use [fixed_interval] with [calendar_interval] configuration option.")
	case hasFixed:
		ms, ok := parseMillis(fixed)
		if !ok || ms <= 0 {
			return r, p.failed("fixed_interval", "failed to parse setting [date_histogram.fixedInterval] with value [%s] as a time value: unit is missing or unrecognized", fixed)
		}
		r.fixed = ms
	case hasCalendar:
		unit, ok := calendarUnit(calendar)
		if !ok {
			return r, p.failed("calendar_interval", "The supplied interval [%s] could not be parsed as a calendar interval.", calendar)
		}
		r.unit = unit
	default:
		return r, apierror.OnShard("illegal_argument_exception", "Invalid interval specified, must be non-null and non-empty")
	}
	if v, has := p.body["time_zone"]; has {
		text, _ := v.(string)
		zone, err := mapping.ParseZone(text)
		if err != nil {
			return r, p.failed("time_zone", "%s", err)
		}
		r.zone = zone
	}
	if v, has := p.body["offset"].(string); has {
		sign := int64(1)
		if strings.HasPrefix(v, "-") {
			sign = -1
		}
		ms, ok := parseMillis(strings.TrimLeft(v, "+-"))
		if !ok {
			return r, p.failed("offset", "failed to parse [%s]", v)
		}
		r.offset = sign * ms
	} else if p.body["offset"] != nil {
		return r, apierror.Unsupported("an [offset] that is no text in the aggregation [date_histogram]")
	}
	return r, nil
}

// parseMillis reads a time value: 30s, 5m, 12h, 1d, 100ms.
func parseMillis(s string) (int64, bool) {
	units := []struct {
		suffix string
		ms     int64
	}{{"ms", 1}, {"s", 1000}, {"m", 60_000}, {"h", 3_600_000}, {"d", 86_400_000}}
	for _, u := range units {
		if digits, ok := strings.CutSuffix(s, u.suffix); ok {
			n, err := strconv.ParseInt(strings.TrimSpace(digits), 10, 32)
			return n * u.ms, err == nil && n >= 0
		}
	}
	return 0, false
}

func calendarUnit(s string) (byte, bool) {
	switch s {
	case "second", "1s":
		return 's', true
	case "minute", "1m":
		return 'm', true
	case "hour", "1h":
		return 'h', true
	case "day", "1d":
		return 'd', true
	case "week", "1w":
		return 'w', true
	case "month", "1M":
		return 'M', true
	case "quarter", "1q":
		return 'q', true
	case "year", "1y":
		return 'y', true
	}
	return 0, false
}

// round returns the start of the interval.
func (r rounding) round(ms int64) int64 {
	ms -= r.offset
	if r.unit != 0 {
		start, _ := mapping.FloorTo(time.UnixMilli(ms).In(r.zone), r.unit)
		return start.UnixMilli() + r.offset
	}
	shift := r.shift(ms)
	local := floorDiv(ms+shift, r.fixed) * r.fixed
	start := local - shift
	if again := r.shift(start); again != shift { // the interval begins before a change of the clock
		start = local - again
	}
	return start + r.offset
}

func (r rounding) shift(ms int64) int64 {
	if r.zone == time.UTC {
		return 0
	}
	_, seconds := time.UnixMilli(ms).In(r.zone).Zone()
	return int64(seconds) * 1000
}

// cached returns round with a memory of the latest interval.
func (r rounding) cached() func(int64) int64 {
	start, end := int64(1), int64(0)
	return func(ms int64) int64 {
		if start <= ms && ms < end {
			return start
		}
		start = r.round(ms)
		end = r.next(start)
		if ms >= end { // a change of the clock: do not remember
			key := start
			start, end = 1, 0
			return key
		}
		return start
	}
}

// next returns the start of the interval after the one that starts at ms.
func (r rounding) next(ms int64) int64 {
	if r.unit == 0 {
		next := r.round(ms + r.fixed)
		if next <= ms { // an hour that the clock repeats
			return r.round(ms + r.fixed + 3_600_000)
		}
		return next
	}
	t := time.UnixMilli(ms - r.offset).In(r.zone)
	var next time.Time
	switch r.unit {
	case 's':
		next = t.Add(time.Second)
	case 'm':
		next = t.Add(time.Minute)
	case 'h':
		next = t.Add(time.Hour)
	case 'd':
		next = t.AddDate(0, 0, 1)
	case 'w':
		next = t.AddDate(0, 0, 7)
	case 'M':
		next = t.AddDate(0, 1, 0)
	case 'q':
		next = t.AddDate(0, 3, 0)
	default:
		next = t.AddDate(1, 0, 0)
	}
	start, _ := mapping.FloorTo(next, r.unit)
	return start.UnixMilli() + r.offset
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b != 0 && a < 0 {
		q--
	}
	return q
}
