package alerting

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/millrace/millrace/alerting/window"
	"github.com/millrace/millrace/configs"
	"github.com/millrace/millrace/internal/elastic"
)

func testAlert(n int) (*Alert, []byte) {
	a := &Alert{
		ID: window.NewID("key", fmt.Sprint(n)).String(), Pipeline: "p", Rule: "r", Type: typeAny, Count: 1,
		Time: time.UnixMilli(1_700_000_000_000), RaisedAt: time.UnixMilli(1_700_000_001_000),
		Summary: "100% broken", Sample: json.RawMessage(`{"message":"m","host":{"name":"h"},"a.b":{"c":1}}`),
	}
	line, err := json.Marshal(a)
	if err != nil {
		panic(err)
	}
	return a, line
}

func TestFileHoldsEachAlertOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sub", "alerts.jsonl")
	for round := range 3 { // each round is a process that remembers nothing
		f := newFile(path, 100)
		for n := range 5 + round {
			a, line := testAlert(n)
			if err := f.send(t.Context(), a, line); err != nil {
				t.Fatal(err)
			}
		}
	}
	if lines := linesOf(t, path); len(lines) != 7 {
		t.Errorf("%d lines instead of 7: %v", len(lines), lines)
	}
}

// TestFileAfterTornWrite kills a write after each of its bytes.
func TestFileAfterTornWrite(t *testing.T) {
	first, firstLine := testAlert(1)
	second, secondLine := testAlert(2)
	whole := append(append(append(append([]byte(nil), firstLine...), '\n'), secondLine...), '\n')
	for size := 0; size <= len(whole); size += 1 + size%7 {
		path := filepath.Join(t.TempDir(), "alerts.jsonl")
		if err := os.WriteFile(path, whole[:size], 0o600); err != nil {
			t.Fatal(err)
		}
		f := newFile(path, 100)
		for _, s := range []struct {
			a    *Alert
			line []byte
		}{{first, firstLine}, {second, secondLine}} {
			if err := f.send(t.Context(), s.a, s.line); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(path)
		if err != nil || !bytes.Equal(got, whole) {
			t.Fatalf("torn at byte %d of %d: %v\n%s", size, len(whole), err, got)
		}
	}
}

func TestFileSharedAndRotated(t *testing.T) {
	path := filepath.Join(t.TempDir(), "alerts.jsonl")
	var writers sync.WaitGroup
	for range 4 {
		f := newFile(path, 1000)
		writers.Go(func() {
			for n := range 50 {
				a, line := testAlert(n)
				if err := f.send(context.Background(), a, line); err != nil {
					t.Error(err)
				}
			}
		})
	}
	writers.Wait()
	if lines := linesOf(t, path); len(lines) != 50 {
		t.Errorf("4 writers of the same 50 alerts wrote %d lines", len(lines))
	}
	f := newFile(path, 1000)
	a, line := testAlert(100)
	if err := f.send(t.Context(), a, line); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	a, line = testAlert(101)
	if err := f.send(t.Context(), a, line); err != nil {
		t.Fatal(err)
	}
	if old, now := linesOf(t, path+".1"), linesOf(t, path); len(old) != 51 || len(now) != 1 {
		t.Errorf("%d lines in the rotated file, %d in the new one", len(old), len(now))
	}
}

func TestFileThatCannotBeWritten(t *testing.T) {
	dir := t.TempDir()
	a, line := testAlert(1)
	if err := newFile(dir, 10).send(t.Context(), a, line); err == nil {
		t.Error("a directory was written as a file")
	}
}

func TestWebhookSends(t *testing.T) {
	h := newHook(t)
	a, line := testAlert(1)
	w := newWebhook(configs.WebhookNotifier{URL: h.URL, Body: `{"t": {{json .Summary}}, "c": {{.Field "a.b.c"}}}`}, 4)
	if err := w.send(t.Context(), a, line); err != nil {
		t.Fatal(err)
	}
	keys, bodies := h.calls()
	if keys[0] != a.ID || bodies[0] != `{"t": "100% broken", "c": 1}` {
		t.Errorf("%v %v", keys, bodies)
	}
	for _, status := range []int{199 + 101, 400, 404, 429, 500, 503} {
		h.status = status
		if err := w.send(t.Context(), a, line); err == nil {
			t.Errorf("status %d was taken as success", status)
		}
	}
	h.Close()
	if err := w.send(t.Context(), a, line); err == nil {
		t.Error("a webhook that is gone was taken as success")
	}
}

func TestRenderNeverFails(t *testing.T) {
	a, _ := testAlert(1)
	for text, broken := range map[string]bool{
		"":                         false,
		"100% %s %d {{.Rule}}":     false,
		"{{.Field \"host.name\"}}": false,
		"{{.Field \"no.such\"}}":   false,
		"{{":                       true,
		"{{.Nope}}":                true,
		"{{nope}}":                 true,
		"{{template \"x\"}}":       true,
		"{{index .Group 3}}":       true,
		"{{slice .Summary 5000}}":  true,
		"{{define \"x\"}}{{template \"x\"}}{{end}}{{template \"x\"}}":                              true,
		"{{range $i := .Summary | printf \"%1000000d\" 1 | printf \"%s%s%s\" \"a\" \"b\"}}{{end}}": true,
		"{{printf \"%2000000d\" 1}}":     true,
		"{{call .Rule}}":                 true,
		"\x00\xff{{.Severity | html}}":   false,
		"{{json .Sample}}{{json .Time}}": false,
	} {
		out, problem := render(text, a, "STANDARD")
		if (problem != "") != broken {
			t.Errorf("render(%q): problem %q", text, problem)
		}
		if broken && (!strings.HasPrefix(out, "STANDARD [") || !strings.Contains(out, "broken")) {
			t.Errorf("render(%q) = %q", text, out)
		}
	}
}

func TestIndexCreatesOnceAndWithoutWhatDoesNotFit(t *testing.T) {
	es := newFakeElastic(t)
	client, err := elastic.NewClient(configs.Elasticsearch{Addresses: []string{es.URL}})
	if err != nil {
		t.Fatal(err)
	}
	x := &index{client: client, side: 1}
	a, line := testAlert(1)
	for range 3 {
		if err := x.send(t.Context(), a, line); err != nil {
			t.Fatal(err)
		}
	}
	b, line := testAlert(2)
	es.refuse = func(doc map[string]any) int {
		if doc["sample"] != nil {
			return http.StatusBadRequest
		}
		return 0
	}
	if err := x.send(t.Context(), b, line); err != nil {
		t.Fatal(err)
	}
	docs := es.of("p", "r")
	doc := docs["/millrace-alerts-2023.11.14/_create/"+b.ID]
	if len(docs) != 2 || doc["sample_text"] != string(b.Sample) || doc["message"] != b.Summary || doc["@timestamp"] == nil {
		t.Errorf("documents %v", docs)
	}
	es.refuse = func(map[string]any) int { return http.StatusTooManyRequests }
	c, line := testAlert(3)
	if err := x.send(t.Context(), c, line); err == nil || errors.Is(err, errRefused) {
		t.Errorf("429 was taken as %v", err)
	}
}

func TestProgressCommitsTheFirstNotDone(t *testing.T) {
	p := newProgress(3)
	for _, o := range []int64{5, 7, 8} {
		if !p.begin(t.Context(), o) {
			t.Fatal("no room")
		}
	}
	full, cancel := context.WithCancel(t.Context())
	cancel()
	if p.begin(full, 9) {
		t.Error("a fourth record was begun where three are allowed")
	}
	if _, advanced := p.finish(7); advanced {
		t.Error("7 is done and 5 is not")
	}
	if next, advanced := p.finish(5); !advanced || next != 8 {
		t.Errorf("5 and 7 are done: %d %v", next, advanced)
	}
	if next, advanced := p.finish(8); !advanced || next != 9 || len(p.done) != 0 {
		t.Errorf("all are done: %d %v %v", next, advanced, p.done)
	}
}

func TestRecentIDsForgetTheOldest(t *testing.T) {
	r := newRecentIDs(3)
	id := func(n int) window.ID { return window.NewID("", fmt.Sprint(n)) }
	for n := range 5 {
		if !r.add(id(n)) || r.add(id(n)) {
			t.Errorf("id %d", n)
		}
	}
	for n, want := range []bool{false, false, true, true, true} {
		if r.has(id(n)) != want {
			t.Errorf("id %d is known: %v", n, !want)
		}
	}
	if len(r.known) != 3 || len(r.ring) != 3 {
		t.Errorf("%d known", len(r.known))
	}
}

func TestMatchKeyTellsGroupsApart(t *testing.T) {
	long := strings.Repeat("é", 1000)
	keys := map[string]bool{}
	for _, values := range [][]string{nil, {""}, {"a"}, {"a", "b"}, {"a,b"}, {`a","b`}, {long}, {long + "x"}} {
		k := MatchKey("p", "r", values)
		if keys[k] || len(k) > 1000 || !json.Valid([]byte(k)) {
			t.Errorf("key %q of %d bytes", cut(k, 100), len(k))
		}
		keys[k] = true
	}
}

// FuzzDecode: nothing that stands in a topic makes a stage panic.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"key":"k","pipeline":"p","rule":"r","event_id":"e","time_ms":1,"definition":{"type":"frequency","count":2,"within_ms":5}}`))
	f.Add([]byte(`{"id":"00000000000000000000000000000000","sample":{"a":[]},"group":{"x":"y"}}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, value []byte) {
		if m, err := decodeMatch(value); err == nil {
			s := window.New(window.Limits{}, window.Position{})
			for i := range int64(3) {
				raised, outcome := s.Step(m.windowMatch(i, time.UnixMilli(i)))
				if outcome == window.Alerted {
					if _, err := json.Marshal(newAlert(m, raised, time.UnixMilli(i))); err != nil {
						t.Errorf("an alert of %q cannot be written: %v", value, err)
					}
				}
			}
		}
		if a, _, err := decodeAlert(value); err == nil {
			_ = a.Field("a.b")
			_ = document(a, false)
			_ = indexName(a)
		}
	})
}
