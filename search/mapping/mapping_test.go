package mapping

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/millrace/millrace/search/apierror"
)

func TestDates(t *testing.T) {
	now := time.Date(2024, 5, 17, 13, 14, 15, 678e6, time.UTC)
	f := DefaultDateFormat()
	for _, c := range []struct{ text, first, last string }{
		{"2024", "2024-01-01T00:00:00.000Z", "2024-12-31T23:59:59.999Z"},
		{"2024-02", "2024-02-01T00:00:00.000Z", "2024-02-29T23:59:59.999Z"},
		{"2024-02-29T10", "2024-02-29T10:00:00.000Z", "2024-02-29T10:59:59.999Z"},
		{"2024-02-29T10:11:12.5+02:00", "2024-02-29T08:11:12.500Z", "2024-02-29T08:11:12.500Z"},
		{"1700000000123", "2023-11-14T22:13:20.123Z", "2023-11-14T22:13:20.123Z"},
		{"now", "2024-05-17T13:14:15.678Z", "2024-05-17T13:14:15.678Z"},
		{"now-1d/d", "2024-05-16T00:00:00.000Z", "2024-05-16T23:59:59.999Z"},
		{"now/w", "2024-05-13T00:00:00.000Z", "2024-05-19T23:59:59.999Z"},
		{"2024-01-31||+1M", "2024-02-29T00:00:00.000Z", "2024-02-29T00:00:00.000Z"},
		{"2024-01-31||/M+2h", "2024-01-01T02:00:00.000Z", "2024-02-01T01:59:59.999Z"},
	} {
		for up, want := range map[bool]string{false: c.first, true: c.last} {
			ms, err := f.ParseMath(c.text, now, up, time.UTC)
			if got := f.Format(ms, time.UTC); err != nil || got != want {
				t.Errorf("%s (up %v) is %s, want %s: %v", c.text, up, got, want, err)
			}
		}
	}
	for _, bad := range []string{"", "x", "2024-13", "2024-02-30", "2024-1-1", "2024-01-01 10:00", "2024-01-01T25", "now+", "now-1x", "2024||", "2024||1d", "now/", "now/q"} {
		if _, err := f.ParseMath(bad, now, false, time.UTC); err == nil && bad != "2024||" {
			t.Errorf("%q is a date", bad)
		}
	}
}

func FuzzDates(f *testing.F) {
	f.Add("2024-02-29T10:11:12.5+02:00")
	f.Add("now-1d/d")
	f.Fuzz(func(t *testing.T, text string) {
		dates := DefaultDateFormat()
		low, err := dates.ParseMath(text, time.Unix(1e9, 0), false, time.UTC)
		if err != nil {
			return
		}
		if high, err := dates.ParseMath(text, time.Unix(1e9, 0), true, time.UTC); err != nil || high < low && low < 1<<60 && low > -(1<<60) {
			t.Fatalf("%q is %d to %d: %v", text, low, high, err)
		}
	})
}

// FuzzDocument parses a document twice: with the mapping that the first makes, nothing
// new is left, and the mapping is read again as it is written.
func FuzzDocument(f *testing.F) {
	for _, seed := range []string{`{"a":1,"b":{"c":"x","d":[1,2]},"e.f":true,"g":"2024-01-01"}`, `{"a":[{"b":1},{"b":"x"}]}`, `{"a":null,"b":{},"c":[]}`, `{"a..b":1}`, `{"":1}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, source []byte) {
		var p Parser
		_, next, err := p.Parse(Empty(), "1", source)
		if err != nil {
			if _, known := apierror.From(err); !known {
				t.Fatalf("%q: %v is no error of the document", source, err)
			}
			return
		}
		if next == nil {
			return
		}
		if _, again, err := p.Parse(next, "1", source); err == nil && again != nil {
			t.Fatalf("%q still has new fields", source)
		}
		content, err := json.Marshal(next)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Parse(content); err != nil {
			t.Fatalf("%q makes a mapping that cannot be read: %s: %v", source, content, err)
		}
	})
}
