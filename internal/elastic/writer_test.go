package elastic

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millrace/millrace/configs"
)

// server is Elasticsearch as far as bulk requests go, with faults. Each
// request takes the next fault of the script; after its end there are none.
type server struct {
	mu     sync.Mutex
	script []func(s *server, w http.ResponseWriter, items []item) bool
	docs   map[string]string
	// requests counts bulk requests.
	requests int
	// refuses says which documents a mapping refuses.
	refuses func(doc string) bool
}

type item struct{ index, id, doc string }

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Elastic-Product", "Elasticsearch")
	w.Header().Set("Content-Type", "application/json")
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests++
	items := parseBulk(body)
	if len(s.script) > 0 {
		fault := s.script[0]
		s.script = s.script[1:]
		if fault(s, w, items) {
			return
		}
	}
	s.answer(w, items)
}

func parseBulk(body []byte) []item {
	var items []item
	lines := bufio.NewScanner(bytes.NewReader(body))
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var action struct {
			Create struct {
				Index string `json:"_index"`
				ID    string `json:"_id"`
			} `json:"create"`
		}
		if json.Unmarshal(lines.Bytes(), &action) != nil || !lines.Scan() {
			panic("a bulk request that is none")
		}
		items = append(items, item{action.Create.Index, action.Create.ID, lines.Text()})
	}
	return items
}

// answer stores the documents and answers as Elasticsearch does.
func (s *server) answer(w io.Writer, items []item, rejected ...int) {
	var out []string
	errs := false
	for i, it := range items {
		key := it.index + "/" + it.id
		status, reason := 201, ""
		_, known := s.docs[key]
		switch {
		case slices.Contains(rejected, i):
			status, reason = 429, `{"type":"es_rejected_execution_exception","reason":"queue is full"}`
		case known:
			status, reason = 409, `{"type":"version_conflict_engine_exception","reason":"document already exists"}`
		case s.refuses != nil && s.refuses(it.doc):
			status, reason = 400, `{"type":"document_parsing_exception","reason":"failed to parse field [n]","caused_by":{"type":"illegal_argument_exception","reason":"For input string"}}`
		default:
			s.docs[key] = it.doc
		}
		if reason != "" {
			errs = true
			reason = `,"error":` + reason
		}
		out = append(out, fmt.Sprintf(`{"create":{"_index":%q,"_id":%q,"status":%d%s}}`, it.index, it.id, status, reason))
	}
	_, _ = fmt.Fprintf(w, `{"took":1,"errors":%v,"items":[%s]}`, errs, strings.Join(out, ","))
}

type fault = func(s *server, w http.ResponseWriter, items []item) bool

func status(code int, body string) fault {
	return func(_ *server, w http.ResponseWriter, _ []item) bool {
		w.WriteHeader(code)
		_, _ = io.WriteString(w, body)
		return true
	}
}

// cut ends the connection without an answer, after the documents were stored.
func cut(s *server, _ http.ResponseWriter, items []item) bool {
	s.answer(io.Discard, items)
	panic(http.ErrAbortHandler)
}

// truncated answers with half an answer.
func truncated(s *server, w http.ResponseWriter, items []item) bool {
	var b bytes.Buffer
	s.answer(&b, items)
	w.Header().Set("Content-Length", fmt.Sprint(b.Len()))
	_, _ = w.Write(b.Bytes()[:b.Len()/2])
	panic(http.ErrAbortHandler)
}

func rejecting(positions ...int) fault {
	return func(s *server, w http.ResponseWriter, items []item) bool {
		s.answer(w, items, positions...)
		return true
	}
}

func newServer(t *testing.T, script ...fault) (*server, *Writer, *bytes.Buffer) {
	t.Helper()
	s := &server{docs: map[string]string{}, script: script}
	web := httptest.NewServer(s)
	t.Cleanup(web.Close)
	client, err := NewClient(configs.Elasticsearch{Addresses: []string{web.URL}})
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	return s, NewWriter(client, slog.New(slog.NewTextHandler(&log, nil)), nil), &log
}

func batchOf(n int, doc func(i int) string) *Batch {
	b := &Batch{}
	for i := range n {
		b.Create("millrace-x-2026.03.01", fmt.Sprintf("f:%d", i), []byte(doc(i)), i)
	}
	return b
}

func plain(i int) string {
	return fmt.Sprintf(`{"@timestamp":"2026-03-01T00:00:00.000Z","message":"line %d","n":%d}`, i, i)
}

func TestWriteSurvivesFaults(t *testing.T) {
	for name, script := range map[string][]fault{
		"none":            nil,
		"429":             {status(429, `{"error":{"type":"x","reason":"y"},"status":429}`)},
		"503 then 502":    {status(503, "busy"), status(502, "<html>")},
		"cut":             {cut},
		"truncated":       {truncated},
		"garbage with ok": {status(200, "<html>hello</html>")},
		"partial":         {rejecting(0, 3, 4), rejecting(1)},
		"all of them":     {status(500, ""), rejecting(1, 2, 3, 4), cut, status(429, "")},
		"wrong length":    {status(200, `{"errors":true,"items":[{"create":{"status":201}}]}`)},
		"401":             {status(401, `{"error":{"type":"security_exception","reason":"no"}}`)},
		"too large":       {status(413, "")},
		"a proxy's 400":   {status(400, "<html>no</html>")},
		"bad request":     {status(400, `{"error":{"type":"illegal_argument_exception","reason":"x"}}`)},
	} {
		t.Run(name, func(t *testing.T) {
			s, w, log := newServer(t, script...)
			res, err := w.Write(t.Context(), batchOf(5, plain))
			if err != nil || res.Created != 5 || res.Known != 0 || len(res.Refused) != 0 || len(s.docs) != 5 {
				t.Errorf("got %+v %v, %d documents", res, err, len(s.docs))
			}
			if n := strings.Count(log.String(), "does not take documents"); n > 1 {
				t.Errorf("logged %d times:\n%s", n, log)
			}
		})
	}
}

func TestWriteTakesKnownDocumentsAsDone(t *testing.T) {
	s, w, _ := newServer(t)
	for range 2 {
		res, err := w.Write(t.Context(), batchOf(3, plain))
		if err != nil || res.Created+res.Known != 3 {
			t.Fatalf("%+v %v", res, err)
		}
	}
	if len(s.docs) != 3 {
		t.Errorf("%d documents", len(s.docs))
	}
}

func TestRefusedDocumentsAreWrittenStripped(t *testing.T) {
	s, w, _ := newServer(t)
	s.refuses = func(doc string) bool {
		return strings.Contains(doc, `"n":1}`) || strings.Contains(doc, "line 3")
	}
	b := batchOf(4, func(i int) string {
		return fmt.Sprintf(`{"@timestamp":"2026-03-01T00:00:00.000Z","event":{"ingested":"2026-03-01T00:00:01.000Z"},"host":{"name":"h","x":1},"log":{"offset":%d},"message":"line %d","n":%d}`, i, i, i)
	})
	res, err := w.Write(t.Context(), b)
	if err != nil || res.Created != 3 || res.Stripped != 1 || len(res.Refused) != 1 {
		t.Fatalf("%+v %v", res, err)
	}
	want := `{"@timestamp":"2026-03-01T00:00:00.000Z","error":{"message":"document_parsing_exception: failed to parse field [n]: illegal_argument_exception: For input string"},"event":{"ingested":"2026-03-01T00:00:01.000Z"},"host":{"name":"h"},"log":{"offset":1},"message":"line 1","tags":["mapping_failure"]}`
	if got := s.docs["millrace-x-2026.03.01/f:1"]; got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
	if r := res.Refused[0]; r.ID != "f:3" || r.Ref != 3 || r.Status != 400 || !strings.Contains(r.Reason, "document_parsing_exception") {
		t.Errorf("refused: %+v", r)
	}
}

// TestPermanentFaultsOfTheClusterAreNoRefusals: what an operator can mend must
// not cost a document.
func TestPermanentFaultsOfTheClusterAreNoRefusals(t *testing.T) {
	full := func(s *server, w http.ResponseWriter, items []item) bool {
		_, _ = io.WriteString(w, `{"took":1,"errors":true,"items":[{"create":{"status":400,"error":{"type":"validation_exception","reason":"this action would add [2] shards"}}}]}`)
		return true
	}
	s, w, _ := newServer(t, full, full)
	res, err := w.Write(t.Context(), batchOf(1, plain))
	if err != nil || res.Created != 1 || res.Stripped != 0 || s.requests != 3 {
		t.Errorf("%+v %v after %d requests", res, err, s.requests)
	}
}

func TestWriteEndsWithItsContext(t *testing.T) {
	always := make([]fault, 1000)
	for i := range always {
		always[i] = status(503, "")
	}
	_, w, _ := newServer(t, always...)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := w.Write(ctx, batchOf(1, plain)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

func TestBackoffGrowsAndIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		if err := sleep(t.Context(), 10*time.Second); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(start); d < 5*time.Second || d > 10*time.Second {
			t.Errorf("slept %s", d)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := sleep(ctx, time.Hour); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	})
}

func TestNewClientErrors(t *testing.T) {
	if _, err := NewClient(configs.Elasticsearch{}); err == nil || !strings.Contains(err.Error(), "elasticsearch.addresses") {
		t.Errorf("got %v", err)
	}
	if _, err := NewClient(configs.Elasticsearch{Addresses: []string{"http://x"}, CAFile: "/no/such"}); err == nil {
		t.Error("a missing CA file was taken")
	}
}

func TestEnsureTemplate(t *testing.T) {
	var mu sync.Mutex
	stored, failures := map[string]json.RawMessage{}, 2
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		w.Header().Set("X-Elastic-Product", "Elasticsearch")
		name := strings.TrimPrefix(r.URL.Path, "/_index_template/")
		switch {
		case failures > 0:
			failures--
			w.WriteHeader(503)
		case r.Method == http.MethodPut && strings.Contains(name, "refused"):
			w.WriteHeader(400)
			_, _ = io.WriteString(w, `{"error":{"type":"mapper_parsing_exception","reason":"no"},"status":400}`)
		case r.Method == http.MethodPut:
			body, err := io.ReadAll(r.Body)
			if err == nil {
				stored[name] = body
			}
			_, _ = io.WriteString(w, `{"acknowledged":true}`)
		default:
			_, _ = fmt.Fprintf(w, `{"index_templates":[{"name":%q,"index_template":%s}]}`, name, stored[name])
		}
	}))
	defer web.Close()
	client, err := NewClient(configs.Elasticsearch{Addresses: []string{web.URL}})
	if err != nil {
		t.Fatal(err)
	}
	logger := slog.New(slog.DiscardHandler)
	if err := EnsureTemplate(t.Context(), client, logger); err != nil || stored[TemplateName] == nil {
		t.Errorf("%v, %d templates", err, len(stored))
	}
	if err := EnsureTemplateFor(t.Context(), client, "mine", logger); err != nil || !strings.Contains(string(stored["millrace-for-mine"]), `"mine-*"`) {
		t.Errorf("%v: %s", err, stored["millrace-for-mine"])
	}
	if err := EnsureTemplateFor(t.Context(), client, "refused", logger); err == nil || !strings.Contains(err.Error(), "mapper_parsing_exception") {
		t.Errorf("got %v", err)
	}
}

func FuzzBulkAnswer(f *testing.F) {
	f.Add([]byte(`{"took":1,"errors":false,"items":[]}`), 1)
	f.Add([]byte(`{"errors":true,"items":[{"create":{"status":400,"error":{"type":"a","reason":"b"}}}]}`), 1)
	f.Fuzz(func(t *testing.T, body []byte, n int) {
		n = max(0, min(n, 100))
		outcomes, err := parseBulkAnswer(body, n)
		if err == nil && len(outcomes) != n {
			t.Fatalf("%d outcomes for %d documents", len(outcomes), n)
		}
	})
}

func TestAnswersWithoutErrorsAreKnownByTheirBeginning(t *testing.T) {
	for body, want := range map[string]bool{
		`{"took":30,"errors":false,"items":[{"create":{"status":201}}]}`:       true,
		`{"errors":false,"items":[{"create":{"status":201}}],"took":3}` + "\n": true,
		`{"took":30,"ingest_took":1,"errors":false,"items":[]}`:                true,
		`{"took":30,"errors":true,"items":[{"create":{"status":429}}]}`:        false,
		`{"items":[{"create":{"x":"\"errors\":false"}}],"errors":true}`:        false,
		`{"items":[],"errors":false}`:                                          false, // parsed instead
		`{"took":30,"errors":false,"items":[{"create":{"sta`:                   false,
		`<html>"errors":false}`:                                                false,
		``:                                                                     false,
	} {
		if got := noErrors([]byte(body)); got != want {
			t.Errorf("%s: got %v", body, got)
		}
	}
}
