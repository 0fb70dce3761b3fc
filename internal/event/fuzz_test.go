package event

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// checkDocument makes sure that an event is a document: JSON with a message
// and a time, names that Elasticsearch takes, bounded.
func checkDocument(t *testing.T, e *Event) {
	t.Helper()
	doc := e.AppendJSON(nil)
	var out map[string]any
	if err := json.Unmarshal(doc, &out); err != nil || !utf8.Valid(doc) {
		t.Fatalf("not a document: %v: %q", err, doc)
	}
	if _, ok := out["message"].(string); !ok {
		t.Fatalf("message is no text: %s", doc)
	}
	if _, err := time.Parse(time.RFC3339, out["@timestamp"].(string)); err != nil {
		t.Fatalf("@timestamp: %v", err)
	}
	checkNames(t, out, doc, 1)
}

func checkNames(t *testing.T, object map[string]any, doc []byte, depth int) {
	t.Helper()
	if depth > 20 {
		t.Fatalf("deeper than 20: %s", doc)
	}
	for name, v := range object {
		if strings.TrimSpace(name) == "" || strings.Contains(name, ".") || depth == 1 && name[0] == '_' {
			t.Fatalf("name %q: %s", name, doc)
		}
		if inner, ok := v.(map[string]any); ok {
			checkNames(t, inner, doc, depth+1)
		}
	}
}

func FuzzDefaultChain(f *testing.F) {
	for _, line := range []string{
		"2026-02-03 04:05:06,123 ERROR x", `{"a":{"b":[1,{"c":null}]},"time":"x","":1}`, "<34>1 2026-02-03T04:05:06Z h", "I0203 04:05:06.0 1 x",
		"Feb 29 04:05:06 h", "\xff\xfe", `{"a.b":1,"a":2,"_id":3,"message":{"x":1}}`, "1770091506.25 x", "[03/Feb/2026:04:05:06 +0100]", `{"time":1e12,"level":50}`,
	} {
		f.Add([]byte(line))
	}
	chain := DefaultChain()
	f.Fuzz(func(t *testing.T, line []byte) {
		e := FromRecord(Record{Topic: "t", Timestamp: nearTime(), Value: line, Headers: headersOf("host", string(line))}, nearTime())
		if chain.Process(e) {
			t.Fatal("dropped")
		}
		checkDocument(t, e)
		if got := e.Get(FieldMessage).Str(); got != strings.ToValidUTF8(string(line), "\uFFFD") {
			t.Fatalf("message is %q", got)
		}
	})
}

func FuzzProcessors(f *testing.F) {
	f.Add(`a=b "c d" e="f`, `%{a} %{+a} %{b}`, "dd/MMM/yyyy")
	f.Add(`x|y|z`, `%{*k}|%{&k}|%{}`, "%d %b")
	f.Add(`03/Feb/2026:04:05:06 +0100`, `%{a->}/%{b}`, "yyyy-MM-dd['T'HH:mm[:ss]]")
	logfmt := &logfmtProcessor{field: FieldMessage}
	f.Fuzz(func(t *testing.T, line, pattern, layout string) {
		e := bareEvent(line)
		logfmt.process(e)
		if p, err := parseDissect(pattern); err == nil {
			(&dissectProcessor{field: FieldMessage, pattern: p}).process(e)
		}
		if l, err := ParseLayout(layout); err == nil {
			if at, ok := l.Parse(line, time.UTC, nearTime()); ok {
				e.Timestamp = at
			}
		}
		checkDocument(t, e)
	})
}

// FuzzJSON: the parser reads what encoding/json reads, and the same.
func FuzzJSON(f *testing.F) {
	for _, s := range []string{`{"a":[1,2.5,-0,1e3,"\u00e9\ud83d\ude00\ud800",true,null]}`, `{"a":1,"a":2}`, `[1,]`, `{"a" : "\x"}`, ` "x" `, `01`, `-`, `1.`, `"\ud800\u0041"`, `"\u+123"`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if !utf8.ValidString(text) {
			t.Skip("messages are valid")
		}
		var want any
		err := json.Unmarshal([]byte(text), &want)
		got, ok := ParseJSON(text)
		if !ok {
			if err == nil && strings.Count(text, "[")+strings.Count(text, "{") <= jsonDepthMax {
				t.Fatalf("refused %q", text)
			}
			return
		}
		if err != nil {
			if strings.Contains(err.Error(), "cannot unmarshal number") {
				return // too large for a float: kept as text here
			}
			t.Fatalf("took %q: %v", text, err)
		}
		if !reflect.DeepEqual(floats(got.Any()), want) && !hasLongObject(got) {
			t.Fatalf("%q: got %#v, want %#v", text, got.Any(), want)
		}
		again, ok := ParseJSON(string(got.AppendJSON(nil)))
		if !ok || !again.Equal(got) {
			t.Fatalf("%q: written as %s and not read back", text, got.AppendJSON(nil))
		}
	})
}

// floats turns integers into what encoding/json makes of numbers.
func floats(v any) any {
	switch v := v.(type) {
	case int64:
		return float64(v)
	case []any:
		for i := range v {
			v[i] = floats(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = floats(v[k])
		}
	}
	return v
}

func hasLongObject(v Value) bool {
	for _, f := range v.Fields() {
		if hasLongObject(f.Value) {
			return true
		}
	}
	return len(v.Fields()) > membersCompared || slices.ContainsFunc(v.List(), hasLongObject)
}

func FuzzCondition(f *testing.F) {
	for _, s := range []string{`a.b >= 5 and not (c contains "x")`, `any(tags, # == "x")`, `$env["a"][0] ?? 1 in [1,2]`, `split(message, " ")[1] matches "^a"`} {
		f.Add(s)
	}
	f.Fuzz(func(_ *testing.T, text string) {
		if c, err := CompileCondition(text); err == nil {
			c.Match(sampleEvent())
			c.Match(&Event{})
		}
	})
}
