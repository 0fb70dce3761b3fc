package event

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/millrace/millrace/configs"
)

func processorsOf(t testing.TB, text string) []configs.Processor {
	t.Helper()
	var p []configs.Processor
	if err := yaml.Unmarshal([]byte(text), &p); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return p
}

func chainOf(t testing.TB, text string) *Chain {
	t.Helper()
	c, err := Compile(processorsOf(t, text))
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return c
}

// bareEvent is an event with a message only, read at noon of 1 March 2026.
func bareEvent(line string) *Event {
	e := FromRecord(Record{Topic: "t", Timestamp: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), Value: []byte(line)}, time.Time{})
	e.Remove(FieldIngested)
	return e
}

// run processes a line and returns the document without what was there before.
func run(t testing.TB, processors, line string) string {
	t.Helper()
	e := bareEvent(line)
	if chainOf(t, processors).Process(e) {
		return "dropped"
	}
	doc := string(e.AppendJSON(nil))
	if !json.Valid([]byte(doc)) {
		t.Fatalf("not JSON: %s", doc)
	}
	doc = strings.Replace(doc, `{"@timestamp":"2026-03-01T12:00:00.000Z"`, "{", 1)
	quoted, _ := json.Marshal(line)
	doc = strings.Replace(doc, `,"message":`+string(quoted), "", 1)
	return strings.Replace(doc, "{,", "{", 1)
}

func TestProcessors(t *testing.T) {
	for _, tt := range []struct{ name, processors, line, want string }{
		{
			"json", `[json: {}]`, `{"a":1,"b":{"c":"x","d":[1,"y",{"e":null,"f":2}]},"g":1.50,"h":true,"n":null}`,
			`{"a":1,"b":{"c":"x","d":[1,"y",{"f":2}]},"g":1.5,"h":true}`,
		},
		{"json into a target", `[json: {target: app}]`, `{"message":"m","host":"h"}`, `{"app":{"host":"h","message":"m"}}`},
		{
			"json keeps message", `[json: {}]`, `{"message":"inner","@timestamp":"2020-01-01T00:00:00Z","_id":"x","host":"h","log":"l","tags":["a"]}`,
			`{"json":{"@timestamp":"2020-01-01T00:00:00Z","_id":"x","host":"h","log":"l","message":"inner"},"tags":["a"]}`,
		},
		{
			"json overwrites", `[json: {overwrite: true}]`, `{"message":"inner","@timestamp":"2020-01-01T00:00:00Z"}`,
			`{"@timestamp":"2020-01-01T00:00:00.000Z","event":{"original":"{\"message\":\"inner\",\"@timestamp\":\"2020-01-01T00:00:00Z\"}"},"message":"inner"}`,
		},
		{"json strange names", `[json: {}]`, `{"":1,".":2,"a..b":3,".c.":4," ":5,"x y":6,"a":{"":7}}`, `{"a":{"b":3},"c":4,"x y":6}`},
		{"json value and parent", `[json: {}]`, `{"a":1,"a.b":2}`, `{"a":{"value":1,"b":2}}`},
		{"json same name", `[json: {}]`, `{"a":1,"a":2}`, `{"a":2}`},
		{
			"json wrong types for ECS", `[json: {}]`, `{"http":{"response":{"status_code":"no"}},"event":{"start":"soon"},"process":{"pid":"12"}}`,
			`{"json":{"event":{"start":"soon"},"http":{"response":{"status_code":"no"}}},"process":{"pid":"12"}}`,
		},
		{"json broken", `[json: {}]`, `{"a":`, `{"error":{"message":"json: message does not hold a JSON object: \"{\\\"a\\\":\""},"tags":["parse_failure"]}`},
		{"json not an object", `[json: {}]`, `[1]`, `{"error":{"message":"json: message does not hold a JSON object: \"[1]\""},"tags":["parse_failure"]}`},
		{"json big number", `[json: {}]`, `{"n":12345678901234567890123,"e":1e999}`, `{"e":"1e999","n":1.2345678901234568e+22}`},

		{
			"logfmt", `[logfmt: {}]`, `level=info msg="a \"b\" c" took=1.5ms empty= bare url=/x?a=b`,
			`{"empty":"","level":"info","msg":"a \"b\" c","took":"1.5ms","url_":""}`,
		},
		{"logfmt clash", `[logfmt: {}]`, `host=a user.name=bob message=x`, `{"logfmt":{"host":"a","message":"x"},"user":{"name":"bob"}}`},
		{"logfmt none", `[logfmt: {}]`, `just words`, `{"error":{"message":"logfmt: message has no key=value pair: \"just words\""},"tags":["parse_failure"]}`},
		{"logfmt unclosed", `[logfmt: {}]`, `a="b c`, `{"a":"b c"}`},

		{"grok", `[grok: {pattern: '%{IP:source.ip} %{NUMBER:took:float} %{INT:n:int} %{WORD:w}'}]`, `10.0.0.1 1.5 -3 x`, `{"n":-3,"source":{"ip":"10.0.0.1"},"took":1.5,"w":"x"}`},
		{"grok first of several", `[grok: {pattern: ['^a %{WORD:x}', '^b %{WORD:y}']}]`, `b v`, `{"y":"v"}`},
		{"grok own definition", `[grok: {pattern: '%{ORDER:order.id}', definitions: {ORDER: 'O-\d+'}}]`, `an O-77`, `{"order":{"id":"O-77"}}`},
		{
			"grok legacy", `[grok: {pattern: '%{COMMONAPACHELOG}', naming: legacy}]`, `h - - [01/Mar/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 5`,
			`{"auth":"-","bytes":"5","clientip":"h","httpversion":"1.1","ident":"-","request":"/","response":"200","timestamp":"01/Mar/2026:10:00:00 +0000","verb":"GET"}`,
		},
		{"grok twice the same name", `[grok: {pattern: '%{WORD:w} %{WORD:w} %{WORD:w}'}]`, `a b c`, `{"w":["a","b","c"]}`},
		{
			"grok into message", `[grok: {pattern: '%{SYSLOGLINE}'}]`, `Mar  1 11:00:00 h p[1]: text`,
			`{"event":{"original":"Mar  1 11:00:00 h p[1]: text"},"host":{"hostname":"h"},"message":"text","process":{"name":"p","pid":1},"timestamp":"Mar  1 11:00:00"}`,
		},
		{"grok none", `[grok: {pattern: '%{IP:a}'}]`, `x`, `{"error":{"message":"grok: no pattern matches message: \"x\""},"tags":["parse_failure"]}`},
		{"grok missing field", `[grok: {field: no.such, pattern: x}]`, `x`, `{"error":{"message":"grok: there is no field no.such"},"tags":["parse_failure"]}`},

		{"regex", `[regex: {pattern: 'user=(?<user.name>\w+) %{x}'}]`, `user=bob %{x}`, `{"user":{"name":"bob"}}`},

		{"dissect", `[dissect: {pattern: '%{a} %{b->} %{c} %{?skip}:%{}|%{d}'}]`, `1 2    3 s:t|rest of it`, `{"a":"1","b":"2","c":"3","d":"rest of it"}`},
		{"dissect joins", `[dissect: {pattern: '%{+t/2} %{+t/1} %{x} %{+x}'}]`, `a b c d`, `{"t":"b a","x":"c d"}`},
		{"dissect reference", `[dissect: {pattern: '%{*k}=%{&k};'}]`, `key=val;`, `{"key":"val"}`},
		{"dissect no fit", `[dissect: {pattern: '%{a}|%{b}'}]`, `x`, `{"error":{"message":"dissect: the pattern does not fit message: \"x\""},"tags":["parse_failure"]}`},

		{
			"convert", `[json: {}, convert: {a: integer, b: float, c: boolean, d: string, e: ip, f: integer, g: integer}]`,
			`{"a":" 12 ","b":"1.5","c":"yes","d":7,"e":"::ffff:10.0.0.1","f":["1","2"],"g":3.9}`,
			`{"a":12,"b":1.5,"c":true,"d":"7","e":"10.0.0.1","f":[1,2],"g":3}`,
		},
		{"convert fails", `[json: {}, convert: {a: integer}]`, `{"a":"x"}`, `{"a":"x","error":{"message":"convert: a is not of type integer: \"x\""},"tags":["parse_failure"]}`},
		{"convert missing", `[convert: {a: integer}]`, `x`, `{}`},

		{"rename", `[json: {}, rename: {a: b.c, o: p, no.such: x}]`, `{"a":1,"o":{"x":1,"y":2}}`, `{"b":{"c":1},"p":{"x":1,"y":2}}`},
		{"rename to @timestamp", `[json: {}, rename: {t: '@timestamp'}]`, `{"t":"2026-02-03T04:05:06+01:00"}`, `{"@timestamp":"2026-02-03T03:05:06.000Z"`},
		{
			"set", `[set: {a: 1, b: x, c: true, d: [1, y], e: 1.0, f: '%{a}', g: 'is %{b} and %{no}', service.name: shop}]`, `x`,
			`{"a":1,"b":"x","c":true,"d":[1,"y"],"e":1.0,"f":1,"g":"is x and ","service":{"name":"shop"}}`,
		},
		{"remove", `[json: {}, remove: [a, o]]`, `{"a":1,"b":2,"o":{"x":1},"ox":3}`, `{"b":2,"ox":3}`},
		{"remove one", `[json: {}, remove: {field: a, when: 'b == 2'}]`, `{"a":1,"b":2}`, `{"b":2}`},
		{"drop", `[drop: {when: 'message contains "health"'}]`, `GET /healthz`, `dropped`},
		{"drop not", `[drop: {when: 'message contains "health"'}]`, `GET /`, `{}`},
		{"if", `[set: {a: 1, if: 'message == "y"'}, set: {b: 1, when: 'message == "x"'}]`, `x`, `{"b":1}`},

		{
			"timestamp", `[grok: {pattern: '\[%{HTTPDATE:ts}\]'}, timestamp: {field: ts, layouts: ['dd/MMM/yyyy:HH:mm:ss Z']}, remove: ts]`,
			`[28/Feb/2026:13:55:36 -0700]`, `{"@timestamp":"2026-02-28T20:55:36.000Z"`,
		},
		{"timestamp zone", `[timestamp: {field: message, layouts: ['yyyy-MM-dd HH:mm:ss'], timezone: Europe/Berlin}]`, `2026-07-01 12:00:00`, `{"@timestamp":"2026-07-01T10:00:00.000Z"`},
		{"timestamp target", `[timestamp: {field: message, layouts: [UNIX_MS], target: event.created}]`, `1772366400123`, `{"event":{"created":"2026-03-01T12:00:00.123Z"}}`},
		{"timestamp none", `[timestamp: {field: message, layouts: [ISO8601]}]`, `soon`, `{"error":{"message":"timestamp: no layout fits message: \"soon\""},"tags":["parse_failure"]}`},
		{"first reason stays", `[json: {}, logfmt: {}]`, `x`, `{"error":{"message":"json: message does not hold a JSON object: \"x\""},"tags":["parse_failure"]}`},
	} {
		got := run(t, tt.processors, tt.line)
		want := tt.want
		if tt.name == "logfmt" {
			want = `{"empty":"","level":"info","msg":"a \"b\" c","took":"1.5ms"`
			if !strings.Contains(got, `"logfmt":{"url":"/x?a=b"}`) {
				t.Errorf("logfmt: url is an object in ECS: %s", got)
			}
			got = strings.Replace(got, `"logfmt":{"url":"/x?a=b"},`, "", 1)
		}
		if strings.HasSuffix(want, "}") && got != want || !strings.HasPrefix(got, want) {
			t.Errorf("%s\n got %s\nwant %s", tt.name, got, want)
		}
	}
}

func TestCompileReportsEveryProblemWithItsPlace(t *testing.T) {
	processors := processorsOf(t, `
- grok: {field: message, patern: '%{IP:a}'}
- grok: {pattern: 'x %{NOSUCH:a}'}
- nosuch: {}
- drop: {when: 'a === 1'}
- convert: {a: number}
- timestamp: {layouts: ['dd/QQQ/yyyy']}
- timestamp: {layouts: [ISO8601], timezone: Mars/Olympus}
- remove: message
- dissect: {pattern: '%{a}%{b}'}
- set: {a: {b: 1}}
- json: text
- regex: {pattern: '(?<a>x'}
- rename: {'@timestamp': x}
- set: {x: 1, when: 'a', if: 'b'}
`)
	processors[0].File = "web.yaml"
	_, err := Compile(processors)
	var errs configs.Errors
	if !errors.As(err, &errs) {
		t.Fatalf("got %v", err)
	}
	want := []string{
		`web.yaml:2:9: grok: pattern is missing`,
		`web.yaml:2:26: grok: unknown setting "patern" (did you mean "pattern"?)`,
		`:3:22: grok: there is no pattern "NOSUCH"`,
		`:4:11: nosuch: there is no processor "nosuch"`,
		`:5:21: drop: condition "a === 1", line 1 column 5: `,
		`:6:16: convert: the type of a must be integer, float, boolean, string or ip`,
		`:7:25: timestamp: QQQ has no meaning in a layout`,
		`:8:45: timestamp: there is no time zone "Mars/Olympus"`,
		`:9:11: remove: message cannot be removed`,
		`:10:22: dissect: between %{a} and the key after it`,
		`:11:12: set: the value of a must be text`,
		`:12:9: json: the settings must be a mapping`,
		`:13:21: regex: missing closing )`,
		`:14:12: rename: @timestamp cannot be renamed`,
		`:15:30: set: when and if are the same setting`,
	}
	var got []string
	for _, e := range errs {
		got = append(got, e.Error())
	}
	for i, w := range want {
		if i >= len(got) || !strings.HasPrefix(got[i], w) {
			t.Errorf("problem %d:\nwant %s\nall: %s", i, w, strings.Join(got, "\n     "))
			break
		}
	}
}

func TestFromRecord(t *testing.T) {
	ingested := time.Date(2026, 3, 1, 12, 0, 5, 0, time.UTC)
	e := FromRecord(Record{
		Topic: "logs", Partition: 3, Offset: 77, Timestamp: time.Date(2026, 3, 1, 12, 0, 0, 5e6, time.UTC),
		Value: []byte("caf\xe9 \x00 end"),
		Headers: headersOf("host", "web-1", "path", "/var/log/x.log", "file", "a1-f7", "offset", "4096", "agent", "a1", "flags", "cut,multiline",
			"service.name", "shop", "host.name", "mine", "", "nameless", "env", "pr\xffod"),
	}, ingested)
	want := `{"@timestamp":"2026-03-01T12:00:00.005Z","agent":{"id":"a1"},"env":"pr` + "\uFFFD" + `od","event":{"ingested":"2026-03-01T12:00:05.000Z","original_base64":"Y2Fm6SAAIGVuZA=="},"fields":{"host":{"name":"mine"}},"host":{"name":"web-1"},"log":{"file":{"id":"a1-f7","path":"/var/log/x.log"},"flags":["cut","multiline"],"offset":4096},"message":"caf` + "\uFFFD" + ` \u0000 end","service":{"name":"shop"}}`
	if got := string(e.AppendJSON(nil)); got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
	if id := e.DocumentID(); id != "a1-f7:4096" {
		t.Errorf("id %s", id)
	}
	if id := bareEvent("x").DocumentID(); id != "t/0/0" {
		t.Errorf("id of a record from elsewhere: %s", id)
	}
}

func TestIndexName(t *testing.T) {
	read := time.Date(2026, 3, 31, 23, 59, 59, 0, time.UTC)
	for _, tt := range []struct{ at, want string }{
		{"2026-03-31T00:00:00Z", "p-2026.03.31"},
		{"2026-03-01T00:00:00Z", "p-2026.03.01"},
		{"2026-02-28T23:59:59Z", "p-older"},
		{"2026-04-01T23:59:59Z", "p-2026.04.01"},
		{"2026-04-02T00:00:00Z", "p-older"},
		{"1970-01-01T00:00:00Z", "p-older"},
		{"2026-03-31T23:30:00-02:00", "p-2026.04.01"},
	} {
		at, err := time.Parse(time.RFC3339, tt.at)
		if err != nil {
			t.Fatal(err)
		}
		e := &Event{Timestamp: at, RecordTime: read}
		if got := e.IndexName("p"); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.at, got, tt.want)
		}
	}
	if got := (&Event{Timestamp: read}).IndexName("p"); got != "p-older" {
		t.Errorf("record without timestamp: %s", got)
	}
}

func TestManyFieldsOfOneLineAreBounded(t *testing.T) {
	var b strings.Builder
	b.WriteString("{")
	for i := range 5000 {
		if i > 0 {
			b.WriteString(",")
		}
		b.WriteString(`"k` + strings.Repeat("x", i%7) + string(rune('a'+i%26)) + string(rune('a'+i/26%26)) + string(rune('a'+i/676)) + `":1`)
	}
	b.WriteString("}")
	e := bareEvent(b.String())
	DefaultChain().Process(e)
	if n := len(e.Fields()); n > openedFieldsMax+10 || n < openedFieldsMax {
		t.Errorf("%d fields", n)
	}
	deep := bareEvent(strings.Repeat(`{"a":`, 60) + "1" + strings.Repeat("}", 60))
	DefaultChain().Process(deep)
	if n := len(deep.Fields()); n != 1 {
		t.Errorf("a field 60 deep was opened: %d fields", n)
	}
}
