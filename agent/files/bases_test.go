package files

import (
	"slices"
	"testing"
)

func TestBasesAreTheNamesThatARotationBeganWith(t *testing.T) {
	for name, want := range map[string][]string{
		"app.log":               nil,
		"app.log.1":             {"app.log"},
		"app.log-20260131":      {"app.log"},
		"app.log.2026-01-31T10": {"app.log"},
		"app.log.old":           {"app.log"},
		"app-20260131.log":      {"app.log"},
		"app.1.log":             {"app.log"},
		"app.log.1.gz":          nil,
		"web2.log":              nil,
		"20260131":              nil,
	} {
		if got := Bases(name); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}
