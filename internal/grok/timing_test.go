package grok

import (
	"regexp"
	"testing"
)

const accessLine = `192.0.2.71 - - [01/Mar/2026:19:12:06 +0000] "GET /inventory/item/purchase?user=20253471&item=23434300 HTTP/1.1" 500 17 "-" "Apache-HttpClient/4.2.6 (java 1.5)"`

func benchmark(b *testing.B, pattern, line string, want bool) {
	p, err := ECS().Compile(pattern)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(line)))
	b.ReportAllocs()
	for b.Loop() {
		if p.Match(line, func(Field, string) {}) != want {
			b.Fatal("wrong")
		}
	}
}

func BenchmarkCombined(b *testing.B) { benchmark(b, `%{COMBINEDAPACHELOG}`, accessLine, true) }

func BenchmarkCombinedNoMatch(b *testing.B) {
	benchmark(b, `%{COMBINEDAPACHELOG}`, accessLine[:len(accessLine)-1], false)
}

func BenchmarkCombinedOtherLine(b *testing.B) {
	benchmark(b, `%{COMBINEDAPACHELOG}`, "2026-03-01 19:12:06,123 INFO [main] shop.Cart: a line of another kind, about as long as an access log's", false)
}

func BenchmarkSyslog(b *testing.B) {
	benchmark(b, `%{SYSLOGLINE}`, "Mar  1 06:55:46 web-1 sshd[24200]: reverse mapping checking getaddrinfo for host.example [192.0.2.31] failed", true)
}

// BenchmarkCombinedGoRegexp is the same pattern, without look-around, in Go's
// regexp package.
func BenchmarkCombinedGoRegexp(b *testing.B) {
	lib, err := ECS().With(map[string]string{
		"BASE10NUM": `[+-]?(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)`,
		"IPV4":      `(?:[0-1]?[0-9]{1,2}|2[0-4][0-9]|25[0-5])(?:[.](?:[0-1]?[0-9]{1,2}|2[0-4][0-9]|25[0-5])){3}`,
		"TIME":      `%{HOUR}:%{MINUTE}(?::%{SECOND})`,
	})
	if err != nil {
		b.Fatal(err)
	}
	x := &expander{lib: lib}
	text, err := x.expand(`%{COMBINEDAPACHELOG}`)
	if err != nil {
		b.Fatal(err)
	}
	re := regexp.MustCompile(text)
	b.SetBytes(int64(len(accessLine)))
	b.ReportAllocs()
	for b.Loop() {
		if re.FindStringSubmatchIndex(accessLine) == nil {
			b.Fatal("no match")
		}
	}
}
