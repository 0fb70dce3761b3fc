package logquery_test

import (
	"testing"

	"github.com/millrace/millrace/internal/logquery"
)

func TestExpand(t *testing.T) {
	tests := map[string]string{
		"":                                  "",
		"timeout":                           "timeout",
		"level:ERROR AND timeout":           "log.level:(ERROR OR error OR Error) AND timeout",
		"(level:ERROR OR level:WARN)":       "(log.level:(ERROR OR error OR Error) OR log.level:(WARN OR warn OR Warn))",
		"-level:INFO +host:web-1":           "-log.level:(INFO OR info OR Info) +host.name:web-1",
		"!path:/var/log/a.log":              "!log.file.path:/var/log/a.log",
		"level:err*":                        "log.level:err*",
		"level:(ERROR OR WARN)":             "log.level:(ERROR OR WARN)",
		`level:"ERROR"`:                     `log.level:"ERROR"`,
		"level:*":                           "log.level:*",
		"level:":                            "log.level:",
		"log.level:ERROR":                   "log.level:ERROR",
		"mylevel:3":                         "mylevel:3",
		"level":                             "level",
		`"level:ERROR"`:                     `"level:ERROR"`,
		`message:"a \" level:x" level:WARN`: `message:"a \" level:x" log.level:(WARN OR warn OR Warn)`,
		`/ level:x/ level:y`:                `/ level:x/ log.level:(y OR Y)`,
		`\ level:x`:                         `\ level:x`,
		`"unclosed level:x`:                 `"unclosed log.level:(x OR X)`,
		"status:[500 TO 599]":               "http.response.status_code:[500 TO 599]",
		`\`:                                 `\`,
	}
	for in, want := range tests {
		if got := logquery.Expand(in); got != want {
			t.Errorf("Expand(%q) = %q, want %q", in, got, want)
		}
	}
}

func FuzzExpand(f *testing.F) {
	f.Add(`level:x "level:y" /level:z/ \level:`)
	f.Fuzz(func(t *testing.T, s string) {
		if got := logquery.Expand(s); len(got) < len(s) {
			t.Errorf("Expand(%q) = %q lost text", s, got)
		}
	})
}
