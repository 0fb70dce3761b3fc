package event

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func sampleEvent() *Event {
	e := FromRecord(Record{
		Topic: "logs", Timestamp: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC),
		Value: []byte("GET /healthz upstream timeout after 30s"),
	}, time.Date(2026, 3, 1, 12, 0, 1, 0, time.UTC))
	e.Set("http.response.status_code", Int(503))
	e.SetString("url.path", "/healthz")
	e.Set("event.duration", Float(1.5))
	e.Set("ok", Bool(true))
	e.Set("nothing", Null())
	e.Set("labels", List(String("a"), String("bb"), Int(3)))
	e.SetString("user-agent.name", "curl")
	e.SetString("text_number", "503")
	e.SetString("source.ip", "10.1.2.3")
	e.Set("items", List(Object(Field{"sku", String("x1")}, Field{"n", Int(2)})))
	return e
}

func TestConditionMatch(t *testing.T) {
	e := sampleEvent()
	for text, want := range map[string]bool{
		`http.response.status_code >= 500`:                    true,
		`http.response.status_code < 500`:                     false,
		`http.response.status_code == 503.0`:                  true,
		`http.response.status_code in [500, 503]`:             true,
		`http.response.status_code not in [500, 502]`:         true,
		`message contains "timeout"`:                          true,
		`message matches "(?i)TIMEOUT after \\d+s"`:           true,
		`url.path == "/healthz"`:                              true,
		`url.path != "/healthz"`:                              false,
		`url.path startsWith "/he" and url.path endsWith "z"`: true,
		// Missing fields make each comparison false, != included.
		`no.such == "x"`:          false,
		`no.such != "x"`:          false,
		`no.such >= 1`:            false,
		`no.such < 1`:             false,
		`not (no.such < 1)`:       true,
		`no.such contains "x"`:    false,
		`no.such in ["x"]`:        false,
		`no.such`:                 false,
		`no.such == nil`:          true,
		`url != nil`:              true,
		`url.path != nil`:         true,
		`nothing == nil`:          true,
		`no.a == no.b`:            false,
		`no.a != no.b`:            false,
		`any(no.such, # == 1)`:    false,
		`none(no.such, # == 1)`:   false,
		`lower(no.such) == "x"`:   false,
		`no.such + 1 > 0`:         false,
		`(no.such ?? "d") == "d"`: true,
		`no.such == 1 ? ok : ok`:  true,
		`no.such[0] == "x"`:       false,
		`len(no.such) >= 0`:       false,
		`no.such matches "."`:     false,
		`int(no.such) == 0`:       false,
		`string(no.such) == ""`:   false,
		`no.such ?? false`:        false,
		`-no.such == 1`:           false,
		// Kinds that cannot be compared.
		`text_number >= 500`:               false,
		`text_number == 503`:               false,
		`text_number != 503`:               false,
		`int(text_number) == 503`:          true,
		`http.response.status_code == "x"`: false,
		`ok > 1`:                           false,
		`ok == true`:                       true,
		`ok`:                               true,
		`not ok`:                           false,
		`message`:                          false,
		`labels > 3`:                       false,
		// Lists.
		`"a" in labels`:                  true,
		`3 in labels`:                    true,
		`"z" in labels`:                  false,
		`labels contains "b"`:            true,
		`any(labels, # startsWith "b")`:  true,
		`all(labels, len(#) > 0)`:        false,
		`count(labels, # == "a") == 1`:   true,
		`labels[0] == "a"`:               true,
		`labels[-1] == 3`:                true,
		`labels[7] == 3`:                 false,
		`any(items, #.sku == "x1")`:      true,
		`any(items, .n > 1)`:             true,
		`one(url.path, # == "/healthz")`: true,
		// Names and functions.
		`field("user-agent.name") == "curl"`:             true,
		`$env["user-agent.name"] == "curl"`:              true,
		`$env["user-agent"].name == "curl"`:              true,
		`field("@timestamp") >= "2026-03-01"`:            true,
		`upper(url.path) == "/HEALTHZ"`:                  true,
		`event.duration * 2 == 3`:                        true,
		`http.response.status_code / 100 >= 5`:           true,
		`http.response.status_code % 100 == 3`:           true,
		`1 / 0 > 0`:                                      false,
		`cidr(source.ip, "10.0.0.0/8")`:                  true,
		`cidr(source.ip, "nonsense")`:                    false,
		`split(url.path, "/")[1] == "healthz"`:           true,
		`message | lower() contains "timeout"`:           true,
		`hasPrefix(message, "GET") && !(url.path == "")`: true,
	} {
		c, err := CompileCondition(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := c.Match(e); got != want {
			t.Errorf("%s: got %v, want %v", text, got, want)
		}
	}
}

func TestConditionErrors(t *testing.T) {
	for _, tt := range []struct {
		text         string
		line, column int
		msg          string
	}{
		{`a ==`, 1, 4, "unexpected token EOF"},
		{`a == 1 &&& b`, 1, 10, "unexpected"},
		{"a == 1 and\n  b ~ 2", 2, 5, "unrecognized character"},
		{`foo(a) == 1`, 1, 1, "there is no function foo"},
		{`a matches b`, 1, 11, "must be a constant"},
		{`a matches "("`, 1, 11, "missing closing"},
		{`let x = 1; x == 1`, 1, 5, "let is not available"},
		{`sum(a) > 1`, 1, 1, "no function sum"},
		{`any(a, any(b, # == 1))`, 1, 8, "cannot stand inside"},
		{`1..100 == a`, 1, 2, "not available"},
		{`"text"`, 1, 1, "true or false"},
		{`lower(a, b) == "x"`, 1, 1, "takes 1 arguments"},
		{``, 1, 1, ""},
		{`a == {b: 1}`, 1, 6, "a map is not available"},
		{`a == #`, 1, 6, ""},
	} {
		_, err := CompileCondition(tt.text)
		var ce *ConditionError
		if !errors.As(err, &ce) {
			t.Errorf("%q: got %v, want a ConditionError", tt.text, err)
			continue
		}
		if ce.Line != tt.line || ce.Column != tt.column || !strings.Contains(ce.Msg, tt.msg) {
			t.Errorf("%q: got %d:%d %s, want %d:%d %s", tt.text, ce.Line, ce.Column, ce.Msg, tt.line, tt.column, tt.msg)
		}
	}
}

func TestConditionSizeIsBounded(t *testing.T) {
	_, err := CompileCondition(strings.Repeat("a == 1 or ", 1000) + "b == 2")
	if err == nil || !strings.Contains(err.Error(), "maximum") {
		t.Fatalf("got %v, want an error about the size", err)
	}
}

func BenchmarkConditionStatus(b *testing.B) {
	e := sampleEvent()
	c, err := CompileCondition(`http.response.status_code >= 500 and not (url.path == "/x")`)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if !c.Match(e) {
			b.Fatal("no match")
		}
	}
}
