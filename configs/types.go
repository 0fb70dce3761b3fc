package configs

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Duration is a length of time written as Go writes it ("5s", "1m30s"), with
// the additional unit "d" for 24 hours ("7d").
type Duration time.Duration

// D returns the value as a [time.Duration].
func (d Duration) D() time.Duration { return time.Duration(d) }

// String writes the value so that [ParseDuration] reads it again.
func (d Duration) String() string {
	t := time.Duration(d)
	if t != 0 && t%(24*time.Hour) == 0 {
		return strconv.FormatInt(int64(t/(24*time.Hour)), 10) + "d"
	}
	s := t.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// ParseDuration reads "5s", "1h30m", "7d".
func ParseDuration(s string) (Duration, error) {
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.ParseInt(days, 10, 32)
		if err == nil {
			return Duration(time.Duration(n) * 24 * time.Hour), nil
		}
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		return 0, fmt.Errorf("%q is not a duration: write for instance 500ms, 5s, 10m, 24h or 7d", s)
	}
	return Duration(d), nil
}

// Size is a number of bytes, written with a binary unit ("64MiB", "512KiB",
// "1GiB"), a decimal one ("10MB") or none ("1000000").
type Size int64

// Bytes returns the value in bytes.
func (s Size) Bytes() int64 { return int64(s) }

// String writes the value with the largest binary unit that divides it.
func (s Size) String() string {
	for i := len(sizeUnits) - 1; i >= 0; i-- {
		u := sizeUnits[i]
		if u.binary && int64(s) != 0 && int64(s)%u.bytes == 0 {
			return strconv.FormatInt(int64(s)/u.bytes, 10) + u.name
		}
	}
	return strconv.FormatInt(int64(s), 10)
}

type sizeUnit struct {
	name   string
	bytes  int64
	binary bool
}

var sizeUnits = [...]sizeUnit{
	{"KB", 1e3, false},
	{"MB", 1e6, false},
	{"GB", 1e9, false},
	{"TB", 1e12, false},
	{"KiB", 1 << 10, true},
	{"MiB", 1 << 20, true},
	{"GiB", 1 << 30, true},
	{"TiB", 1 << 40, true},
}

// ParseSize reads "64MiB", "10MB", "1000000".
func ParseSize(s string) (Size, error) {
	digits, unit := s, int64(1)
	for _, u := range sizeUnits {
		if rest, ok := strings.CutSuffix(s, u.name); ok {
			digits, unit = strings.TrimSpace(rest), u.bytes
			break
		}
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 0 || n > (1<<62)/unit {
		return 0, fmt.Errorf("%q is not a size: write for instance 1000000, 512KiB, 64MiB or 1GiB", s)
	}
	return Size(n * unit), nil
}
