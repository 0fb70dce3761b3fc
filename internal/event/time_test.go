package event

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func nearTime() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }

func TestLeadingTime(t *testing.T) {
	for line, want := range map[string]string{
		// ISO 8601 and its variants.
		"2026-02-03T04:05:06Z x":                "2026-02-03T04:05:06.000Z",
		"2026-02-03T04:05:06.123456789+01:00 x": "2026-02-03T03:05:06.123456789Z",
		"2026-02-03T04:05:06,123Z":              "2026-02-03T04:05:06.123Z",
		"2026-02-03 04:05:06,123 INFO x":        "2026-02-03T04:05:06.123Z",
		"2026-02-03 04:05:06.123 +0200 x":       "2026-02-03T02:05:06.123Z",
		"2026-02-03 04:05:06 -0700 MST":         "2026-02-03T11:05:06.000Z",
		"2026-02-03 04:05:06 - INFO  [x]":       "2026-02-03T04:05:06.000Z",
		"2026-02-03 04:05:06 -05 items left":    "2026-02-03T04:05:06.000Z",
		"2026/02/03 04:05:06 main.go:7: x":      "2026-02-03T04:05:06.000Z",
		"2026.02.03 04:05:06 x":                 "2026-02-03T04:05:06.000Z",
		"[2026-02-03T04:05:06.789Z] x":          "2026-02-03T04:05:06.789Z",
		"(2026-02-03 04:05:06) x":               "2026-02-03T04:05:06.000Z",
		"\"2026-02-03T04:05:06Z\",x":            "2026-02-03T04:05:06.000Z",
		"20260203T040506Z x":                    "2026-02-03T04:05:06.000Z",
		"20260203 04:05:06 x":                   "2026-02-03T04:05:06.000Z",
		"20260203-04:05:06.5 x":                 "2026-02-03T04:05:06.500Z",
		"20260203040506 x":                      "2026-02-03T04:05:06.000Z",
		"2026-02-03T23:59:60Z leap":             "2026-02-03T23:59:59.000Z",
		"2026-02-03 04:05 x":                    "2026-02-03T04:05:00.000Z",
		// Syslog; the year is the one nearest to the record's time.
		"Feb  3 04:05:06 host app[1]: x":                  "2026-02-03T04:05:06.000Z",
		"Feb 03 04:05:06.25 host x":                       "2026-02-03T04:05:06.250Z",
		"Dec 31 23:59:59 host x":                          "2025-12-31T23:59:59.000Z",
		"Sep  1 00:00:00 host x":                          "2025-09-01T00:00:00.000Z",
		"Aug 30 00:00:00 host x":                          "2026-08-30T00:00:00.000Z",
		"Feb 29 10:00:00 host x":                          "2024-02-29T10:00:00.000Z",
		"<34>Feb  3 04:05:06 host su: x":                  "2026-02-03T04:05:06.000Z",
		"<34>1 2026-02-03T04:05:06.003Z host app 1 - - x": "2026-02-03T04:05:06.003Z",
		// Web servers.
		`10.0.0.1 - - [03/Feb/2026:04:05:06 +0100] "GET / HTTP/1.1" 200 1`: "2026-02-03T03:05:06.000Z",
		`h.example - ann [3/Feb/2026:04:05:06 +0000] "x"`:                  "2026-02-03T04:05:06.000Z",
		"[Tue Feb 03 04:05:06.123456 2026] [core:error] x":                 "2026-02-03T04:05:06.123456Z",
		"[Tue Feb 03 04:05:06 2026] [notice] x":                            "2026-02-03T04:05:06.000Z",
		"2026/02/03 04:05:06 [error] 7#0: *1 open() failed":                "2026-02-03T04:05:06.000Z",
		// Others.
		"26/02/03 04:05:06 INFO executor.X: y":                            "2026-02-03T04:05:06.000Z",
		"260203 040506 148 INFO dfs.X: y":                                 "2026-02-03T04:05:06.000Z",
		"I0203 04:05:06.000123   7 main.go:1] x":                          "2026-02-03T04:05:06.000123Z",
		"Tue Feb  3 04:05:06 UTC 2026 x":                                  "2026-02-03T04:05:06.000Z",
		"Tue, 03 Feb 2026 04:05:06 +0100":                                 "2026-02-03T03:05:06.000Z",
		"03 Feb 2026 04:05:06,123 x":                                      "2026-02-03T04:05:06.123Z",
		"03-Feb-2026 04:05:06.789 INFO [main] x":                          "2026-02-03T04:05:06.789Z",
		"Feb 03, 2026 04:05:06 x":                                         "2026-02-03T04:05:06.000Z",
		"February 3 04:05:06 x":                                           "2026-02-03T04:05:06.000Z",
		"1770091506 x":                                                    "2026-02-03T04:05:06.000Z",
		"1770091506.25 x":                                                 "2026-02-03T04:05:06.250Z",
		"1770091506123 x":                                                 "2026-02-03T04:05:06.123Z",
		"1770091506123456 x":                                              "2026-02-03T04:05:06.123456Z",
		"1770091506123456789 x":                                           "2026-02-03T04:05:06.123456789Z",
		"api.log.1.2026-02-01_13:53:08 2026-02-03 04:05:06.008 25 INFO x": "2026-02-03T04:05:06.008Z",
		"INFO 2026-02-03 04:05:06 x":                                      "2026-02-03T04:05:06.000Z",
		"web-1 app: 2026-02-03T04:05:06Z x":                               "2026-02-03T04:05:06.000Z",
		"time=2026-02-03T04:05:06.1Z level=INFO msg=x":                    "2026-02-03T04:05:06.100Z",
		// None.
		"":                                   "none",
		"no time at all":                     "none",
		"12345 x":                            "none",
		"2026-13-03 04:05:06":                "none",
		"2026-02-30 04:05:06":                "none",
		"Feb 31 04:05:06":                    "none",
		"version 10.2.3 started":             "none",
		"00000000000 x":                      "none",
		"99:99:99 x":                         "none",
		"    at shop.Cart.add(Cart.java:41)": "none",
		"1770091506x":                        "none",
		"12 monkeys in 2026":                 "none",
		"March of the 3 ants":                "none",
	} {
		got := "none"
		if at, ok := LeadingTime(line, nearTime()); ok {
			got = FormatTime(at)
		}
		if got != want {
			t.Errorf("%q: got %s, want %s", line, got, want)
		}
	}
}

func TestLayouts(t *testing.T) {
	for _, tt := range []struct{ layout, text, want string }{
		{"dd/MMM/yyyy:HH:mm:ss Z", "03/Feb/2026:04:05:06 +0100", "2026-02-03T03:05:06.000Z"},
		{"yyyy-MM-dd'T'HH:mm:ss.SSSXXX", "2026-02-03T04:05:06.123+01:00", "2026-02-03T03:05:06.123Z"},
		{"yyyy-MM-dd'T'HH:mm:ss.SSSX", "2026-02-03T04:05:06.123Z", "2026-02-03T04:05:06.123Z"},
		{"yyyy-MM-dd HH:mm:ss,SSS", "2026-02-03 04:05:06,123", "2026-02-03T04:05:06.123Z"},
		{"yyyy-MM-dd HH:mm:ss[.SSS]", "2026-02-03 04:05:06", "2026-02-03T04:05:06.000Z"},
		{"yyyy-MM-dd HH:mm:ss[.SSS]", "2026-02-03 04:05:06.5", "2026-02-03T04:05:06.500Z"},
		{"MMM d HH:mm:ss", "Feb  3 04:05:06", "2026-02-03T04:05:06.000Z"},
		{"MMM dd HH:mm:ss", "Dec 31 04:05:06", "2025-12-31T04:05:06.000Z"},
		{"EEE MMM dd HH:mm:ss yyyy", "Tue Feb 03 04:05:06 2026", "2026-02-03T04:05:06.000Z"},
		{"EEEE, d MMMM yyyy h:mm:ss a", "Tuesday, 3 February 2026 4:05:06 PM", "2026-02-03T16:05:06.000Z"},
		{"MM/dd/yyyy hh:mm:ss aa", "02/03/2026 12:05:06 AM", "2026-02-03T00:05:06.000Z"},
		{"yyyyMMddHHmmss", "20260203040506", "2026-02-03T04:05:06.000Z"},
		{"yyyyMMddHHmmssSSS", "20260203040506123", "2026-02-03T04:05:06.123Z"},
		{"yyMMdd HHmmss", "260203 040506", "2026-02-03T04:05:06.000Z"},
		{"yyyy-DDD HH:mm", "2026-034 04:05", "2026-02-03T04:05:00.000Z"},
		{"yyyy-MM-dd HH:mm:ss z", "2026-02-03 04:05:06 CET", "2026-02-03T03:05:06.000Z"},
		{"yyyy-MM-dd HH:mm:ss ZZZ", "2026-07-03 04:05:06 America/New_York", "2026-07-03T08:05:06.000Z"},
		{"HH:mm:ss", "23:59:00", "2026-03-01T23:59:00.000Z"},
		{"HH:mm:ss", "00:00:00", "2026-03-01T00:00:00.000Z"},
		{"HH:mm:ss", "12:30:00", "2026-03-01T12:30:00.000Z"},
		{"yyyy-MM-dd", "2026-02-03", "2026-02-03T00:00:00.000Z"},
		{"d.M.yyyy H:m", "3.2.2026 4:05", "2026-02-03T04:05:00.000Z"},
		{"'at' HH 'o''clock' dd.MM.yyyy", "at 04 o'clock 03.02.2026", "2026-02-03T04:00:00.000Z"},
		{"%d/%b/%Y:%H:%M:%S %z", "03/Feb/2026:04:05:06 -0100", "2026-02-03T05:05:06.000Z"},
		{"%Y-%m-%d %H:%M:%S.%f", "2026-02-03 04:05:06.123456", "2026-02-03T04:05:06.123456Z"},
		{"%b %e %T", "Feb  3 04:05:06", "2026-02-03T04:05:06.000Z"},
		{"%I:%M %p %D", "4:05 pm 02/03/26", "2026-02-03T16:05:00.000Z"},
		{"%s", "1770091506", "2026-02-03T04:05:06.000Z"},
		{"02/Jan/2006:15:04:05 -0700", "03/Feb/2026:04:05:06 +0100", "2026-02-03T03:05:06.000Z"},
		{"Jan _2 15:04:05", "Dec 31 04:05:06", "2025-12-31T04:05:06.000Z"},
		{"15:04:05.000", "00:00:01.500", "2026-03-01T00:00:01.500Z"},
		{"2006-01-02T15:04:05Z07:00", "2026-02-03T04:05:06Z", "2026-02-03T04:05:06.000Z"},
		{"ISO8601", "2026-02-03 04:05:06,5+0130", "2026-02-03T02:35:06.500Z"},
		{"UNIX", "1770091506.25", "2026-02-03T04:05:06.250Z"},
		{"UNIX", "-1.5", "1969-12-31T23:59:58.500Z"},
		{"UNIX_MS", "1770091506123.9", "2026-02-03T04:05:06.1239Z"},
		{"UNIX_MS", "12", "1970-01-01T00:00:00.012Z"},
		{"UNIX_NS", "1770091506123456789", "2026-02-03T04:05:06.123456789Z"},
		{"AUTO", "Feb  3 04:05:06", "2026-02-03T04:05:06.000Z"},
		{"dd/MMM/yyyy", "03/Feb/2026 and more", "none"},
		{"dd/MMM/yyyy", "31/Feb/2026", "none"},
		{"dd/MMM/yyyy", "", "none"},
		{"HH:mm", "24:61", "none"},
		{"hh:mm a", "13:00 PM", "none"},
		{"UNIX", "soon", "none"},
		{"UNIX", "", "none"},
		{"UNIX", "99999999999999999999", "none"},
	} {
		l, err := ParseLayout(tt.layout)
		if err != nil {
			t.Errorf("%s: %v", tt.layout, err)
			continue
		}
		got := "none"
		if at, ok := l.Parse(tt.text, time.UTC, nearTime()); ok {
			got = FormatTime(at)
		}
		want := tt.want
		if want == "2026-02-03T04:05:06.1239Z" {
			want = "2026-02-03T04:05:06.123900Z"
		}
		if got != want {
			t.Errorf("%s of %q: got %s, want %s", tt.layout, tt.text, got, want)
		}
	}
}

func TestLayoutErrors(t *testing.T) {
	for layout, msg := range map[string]string{
		"": "missing", "QQ": "no meaning", "'open": "without its end", "%Q": "no meaning", "%": "ends with", "yyyy]": "",
	} {
		if _, err := ParseLayout(layout); msg != "" && (err == nil || !strings.Contains(err.Error(), msg)) {
			t.Errorf("%q: got %v, want %s", layout, err, msg)
		}
	}
}

func TestFindLevel(t *testing.T) {
	for line, want := range map[string]string{
		"2026-02-03 04:05:06,123 INFO [main] x":           "INFO",
		"2026-02-03 04:05:06,123 - WARN  [x]":             "WARN",
		"[Sun Dec 04 04:47:44 2005] [error] mod_x failed": "error",
		"[Sun Dec 04 04:47:44 2005] [core:notice] x":      "notice",
		"level=error msg=x":                               "error",
		`ts=1 level="warn" msg=x`:                         "warn",
		"severity: debug":                                 "",
		"E0203 04:05:06.000123   7 main.go:1] x":          "error",
		"<warn> x":                                        "warn",
		"FATAL: database is gone":                         "FATAL",
		"ERROR|shop|x":                                    "ERROR",
		"main: panic is not capital":                      "",
		"no error found, all information is here":         "",
		"INFORMATION DESK":                                "INFORMATION",
		"Error: it failed":                                "",
		"x SEVERE y":                                      "SEVERE",
		"":                                                "",
		strings.Repeat("x", 200) + " ERROR":               "",
		"TERROR":                                          "",
		"(CRITICAL) x":                                    "CRITICAL",
		"[ERROR ] x":                                      "ERROR",
	} {
		if got := FindLevel(line); got != want {
			t.Errorf("%q: got %q, want %q", line, got, want)
		}
	}
}

func TestDefaultChain(t *testing.T) {
	for line, want := range map[string]string{
		`2026-02-03 04:05:06,123 ERROR x`: `{"@timestamp":"2026-02-03T04:05:06.123Z","log":{"level":"ERROR"}}`,
		`plain`:                           `{}`,
		`{"time":"2026-02-03T04:05:06Z","level":"WARN","msg":"m"}`:                                       `{"@timestamp":"2026-02-03T04:05:06.000Z","level":"WARN","log":{"level":"WARN"},"msg":"m","time":"2026-02-03T04:05:06Z"}`,
		`{"@timestamp":"2026-02-03T04:05:06Z","log.level":"info","message":"m","ecs":{"version":"1.6"}}`: `{"@timestamp":"2026-02-03T04:05:06.000Z","ecs":{"version":"1.6"},"json":{"message":"m"},"log":{"level":"info"}}`,
		`{"ts":1770091506.25,"level":50}`:                                                                `{"@timestamp":"2026-02-03T04:05:06.250Z","level":50,"log":{"level":"error"},"ts":1770091506.25}`,
		`{"time":1770091506123,"log":{"level":"debug"}}`:                                                 `{"@timestamp":"2026-02-03T04:05:06.123Z","log":{"level":"debug"},"time":1770091506123}`,
		`{"time":"garbage","level":"strange"}`:                                                           `{"level":"strange","time":"garbage"}`,
		`{"message":{"a":1},"@timestamp":{"b":2},"tags":{"c":3},"event":"x"}`:                            `{"json":{"@timestamp":{"b":2},"event":"x","message":{"a":1},"tags":{"c":3}}}`,
		`{broken json}`:                `{}`,
		`{"error":{"message":"boom"}}`: `{"error":{"message":"boom"}}`,
	} {
		e := bareEvent(line)
		if DefaultChain().Process(e) {
			t.Errorf("%s was dropped", line)
		}
		doc := string(e.AppendJSON(nil))
		doc = strings.Replace(doc, `{"@timestamp":"2026-03-01T12:00:00.000Z"`, "{", 1)
		doc = strings.Replace(doc, `,"message":`+string(String(line).AppendJSON(nil)), "", 1)
		doc = strings.Replace(doc, "{,", "{", 1)
		if doc != want {
			t.Errorf("%s\n got %s\nwant %s", line, doc, want)
		}
	}
}

func ExampleParseLayout() {
	layout, err := ParseLayout("MMM d HH:mm:ss")
	if err != nil {
		fmt.Println(err)
		return
	}
	// The record was read on New Year's day: the line is from the year before.
	at, ok := layout.Parse("Dec 31 23:59:58", time.UTC, time.Date(2026, 1, 1, 0, 0, 3, 0, time.UTC))
	fmt.Println(at, ok)
	// Output: 2025-12-31 23:59:58 +0000 UTC true
}
