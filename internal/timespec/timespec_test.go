package timespec_test

import (
	"testing"
	"time"

	"github.com/millrace/millrace/internal/timespec"
)

func TestParse(t *testing.T) {
	zone := time.FixedZone("X", 2*3600)
	now := time.Date(2026, 2, 3, 12, 0, 0, 0, zone)
	tests := map[string]time.Time{
		"now":                       now,
		"1h":                        now.Add(-time.Hour),
		"-1h":                       now.Add(-time.Hour),
		"7d":                        now.Add(-7 * 24 * time.Hour),
		"0s":                        now,
		"2026-02-01":                time.Date(2026, 2, 1, 0, 0, 0, 0, zone),
		"2026-02-01 10:11":          time.Date(2026, 2, 1, 10, 11, 0, 0, zone),
		"2026-02-01T10:11:12":       time.Date(2026, 2, 1, 10, 11, 12, 0, zone),
		"2026-02-01T10:11:12.5Z":    time.Date(2026, 2, 1, 10, 11, 12, 5e8, time.UTC),
		"2026-02-01T10:11:12+01:00": time.Date(2026, 2, 1, 9, 11, 12, 0, time.UTC),
		" 5m ":                      now.Add(-5 * time.Minute),
	}
	for in, want := range tests {
		got, err := timespec.Parse(in, now)
		if err != nil || !got.Equal(want) {
			t.Errorf("Parse(%q) = %v, %v; want %v", in, got, err, want)
		}
	}
	for _, in := range []string{"", "yesterday", "12", "--5m", "2026-13-01", "5 m"} {
		if got, err := timespec.Parse(in, now); err == nil {
			t.Errorf("Parse(%q) = %v, want an error", in, got)
		}
	}
}
