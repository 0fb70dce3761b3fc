package files

import (
	"bytes"
	"strings"
	"testing"
)

func TestFirstDifference(t *testing.T) {
	long := strings.Repeat("0123456789", 20_000)
	for _, c := range []struct {
		a, b        string
		from, until int64
		want        int64
	}{
		{"", "", 0, 0, 0},
		{"abc", "abc", 0, 3, 3},
		{"abc", "abd", 0, 3, 2},
		{"abc", "xbc", 1, 3, 3},
		{"abc", "ab", 0, 3, 2},
		{long, long[:150_000] + "x" + long[150_001:], 0, 200_000, 150_000},
		{long, long, 65_536, 200_000, 200_000},
	} {
		got, err := FirstDifference(bytes.NewReader([]byte(c.a)), bytes.NewReader([]byte(c.b)), c.from, c.until)
		if err != nil || got != c.want {
			t.Errorf("%.20q and %.20q from %d: %d, %v, want %d", c.a, c.b, c.from, got, err, c.want)
		}
	}
}
