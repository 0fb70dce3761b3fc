// Package timespec reads the points in time that people write on a command
// line or into a search form: an instant ("2026-02-03T04:05:06Z"), a day
// ("2026-02-03"), or a length of time before now ("15m", "7d"). It is pure: the
// caller gives the present.
package timespec

import (
	"fmt"
	"strings"
	"time"

	"github.com/millrace/millrace/configs"
)

// layouts are tried in order; those without a zone are read in now's location.
var layouts = [...]string{
	time.RFC3339Nano,
	"2006-01-02T15:04:05.999999999",
	"2006-01-02 15:04:05.999999999",
	"2006-01-02T15:04",
	"2006-01-02 15:04",
	"2006-01-02",
}

// Parse returns the instant that s means at the time now: "now", a length of
// time before now ("1h", "7d", "-30s" means the same as "30s"), or a date with
// or without a time of day. A date without a zone is in now's location.
func Parse(s string, now time.Time) (time.Time, error) {
	s = strings.TrimSpace(s)
	if s == "now" {
		return now, nil
	}
	for _, layout := range layouts {
		if t, err := time.ParseInLocation(layout, s, now.Location()); err == nil {
			return t, nil
		}
	}
	if d, err := configs.ParseDuration(strings.TrimPrefix(s, "-")); err == nil && d >= 0 {
		return now.Add(-d.D()), nil
	}
	return time.Time{}, fmt.Errorf("%q is not a time: write for instance 15m (ago), 7d, 2026-02-03 or 2026-02-03T04:05:06Z", s)
}
