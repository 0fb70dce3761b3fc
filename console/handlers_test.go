package console

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/millrace/millrace/configs"
)

func TestMain(m *testing.M) {
	// sarama's metrics keep one ticker for the whole process.
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/rcrowley/go-metrics.(*meterArbiter).tick"))
}

// serve runs a console until the test ends and returns its base URL.
func serve(t *testing.T, o Options) string {
	t.Helper()
	c, err := New(configs.HTTP{Listen: "127.0.0.1:0"}, o)
	if err != nil {
		t.Fatal(err)
	}
	start(t, c.Run)
	return "http://" + c.Addr()
}

// fetch returns status, headers and body.
func fetch(t *testing.T, address string) (int, http.Header, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, string(body)
}

// elasticsearch answers every search by a function, as Elasticsearch would.
func elasticsearch(t *testing.T, answer func(path string, body map[string]any) (int, string)) configs.Elasticsearch {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body map[string]any
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			t.Errorf("search body: %v", err)
		}
		status, text := answer(r.URL.Path, body)
		w.Header().Set("X-Elastic-Product", "Elasticsearch")
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, text)
	}))
	t.Cleanup(s.Close)
	return configs.Elasticsearch{Addresses: []string{s.URL}}
}

func hitsOf(n int) string {
	var hits []string
	for i := range n {
		hits = append(hits, fmt.Sprintf(`{"_index":"millrace-logs","_id":"%d","_source":{"message":"m"},"sort":[%d,"f",%d]}`, i, 1000-i, i))
	}
	return fmt.Sprintf(`{"took":3,"hits":{"total":{"value":%d,"relation":"eq"},"hits":[%s]}}`, n, strings.Join(hits, ","))
}

func TestOperatorsPaths(t *testing.T) {
	registry := prometheus.NewRegistry()
	ready := atomic.Bool{}
	base := serve(t, Options{Gatherer: registry, Registerer: registry, Ready: func() error {
		if !ready.Load() {
			return errors.New("the broker recovers")
		}
		return nil
	}})
	if code, _, body := fetch(t, base+"/healthz"); code != 200 || body != "ok\n" {
		t.Errorf("/healthz: %d %q", code, body)
	}
	if code, _, body := fetch(t, base+"/readyz"); code != 503 || !strings.Contains(body, "the broker recovers") {
		t.Errorf("/readyz before: %d %q", code, body)
	}
	ready.Store(true)
	if code, _, _ := fetch(t, base+"/readyz"); code != 200 {
		t.Errorf("/readyz after: %d", code)
	}
	if code, _, body := fetch(t, base+"/metrics"); code != 200 || !strings.Contains(body, `millrace_console_requests_total{code="503",what="readyz"} 1`) {
		t.Errorf("/metrics: %d %q", code, body)
	}
	if code, _, body := fetch(t, base+"/debug/pprof/"); code != 200 || !strings.Contains(body, "goroutine") {
		t.Errorf("/debug/pprof/: %d", code)
	}
	if code, _, body := fetch(t, base+"/debug/pprof/heap?debug=1"); code != 200 || !strings.Contains(body, "heap profile") {
		t.Errorf("/debug/pprof/heap: %d", code)
	}
}

func TestPageIsServedWithItsOwnFilesOnly(t *testing.T) {
	base := serve(t, Options{})
	code, header, body := fetch(t, base+"/")
	if code != 200 || !strings.HasPrefix(header.Get("Content-Type"), "text/html") {
		t.Fatalf("/: %d %s", code, header.Get("Content-Type"))
	}
	if strings.Contains(body, "http://") || strings.Contains(body, "https://") || strings.Contains(body, "style=") || strings.Contains(body, " onclick") {
		t.Error("the page refers to another host or holds inline code")
	}
	for _, file := range []string{"/app.css", "/js/main.js", "/js/logs.js", "/icon.svg"} {
		code, header, body := fetch(t, base+file)
		if code != 200 || header.Get("ETag") == "" || header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %d %v", file, code, header)
		}
		for _, bad := range []string{"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function"} {
			if strings.Contains(body, bad) {
				t.Errorf("%s uses %s", file, bad)
			}
		}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+file, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("If-None-Match", header.Get("ETag"))
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusNotModified {
			t.Errorf("%s is sent again: %d", file, resp.StatusCode)
		}
	}
	if code, _, _ := fetch(t, base+"/js/../doc.go"); code != 404 {
		t.Errorf("a file outside of the page: %d", code)
	}
}

func TestSearchParameters(t *testing.T) {
	asked := 0
	base := serve(t, Options{Elasticsearch: elasticsearch(t, func(string, map[string]any) (int, string) {
		asked++
		return 200, hitsOf(0)
	})})
	for query, want := range map[string]int{
		"":                               200,
		"q=level:ERROR":                  200,
		"since=1h&until=now":             200,
		"since=0&until=1":                200,
		"size=500&order=asc":             200,
		`after=[1,"f",2]`:                200,
		"size=0":                         400,
		"size=501":                       400,
		"size=x":                         400,
		"since=lately":                   400,
		"since=2&until=1":                400,
		"since=99999999999999999":        400,
		"order=random":                   400,
		"after=[1]":                      400,
		"after=[[1],2,3]":                400,
		"after={}":                       400,
		"after=null":                     400,
		"index=_all/_delete":             400,
		"index=../x":                     400,
		"index=a?b":                      400,
		"q=%ff":                          400,
		"q=" + strings.Repeat("x", 9000): 400,
	} {
		parts := strings.SplitN(query, "=", 2)
		if len(parts) == 2 && strings.ContainsAny(parts[1], `[{"?`) {
			query = parts[0] + "=" + url.QueryEscape(parts[1])
		}
		before := asked
		code, _, body := fetch(t, base+"/api/logs/search?"+query)
		if code != want {
			t.Errorf("%.60s: %d, want %d: %s", query, code, want, body)
		}
		if want == 400 {
			var p struct{ Error, Hint string }
			if err := json.Unmarshal([]byte(body), &p); err != nil || p.Error == "" || p.Hint == "" {
				t.Errorf("%.60s: no error with a hint: %s", query, body)
			}
			if asked != before {
				t.Errorf("%.60s: Elasticsearch was asked all the same", query)
			}
		}
	}
	if code, _, _ := fetch(t, base+"/api/nothing"); code != 404 {
		t.Errorf("/api/nothing: %d", code)
	}
}

func TestSearchPages(t *testing.T) {
	base := serve(t, Options{Elasticsearch: elasticsearch(t, func(path string, body map[string]any) (int, string) {
		if !strings.HasPrefix(path, "/millrace-") {
			t.Errorf("searched in %s", path)
		}
		if body["search_after"] != nil {
			return 200, hitsOf(1)
		}
		return 200, hitsOf(2)
	})})
	_, _, body := fetch(t, base+"/api/logs/search?size=2")
	var page struct {
		Hits []json.RawMessage
		Next json.RawMessage
	}
	if err := json.Unmarshal([]byte(body), &page); err != nil || len(page.Hits) != 2 || string(page.Next) != `[999,"f",1]` {
		t.Fatalf("first page: %v %s", err, body)
	}
	_, _, body = fetch(t, base+"/api/logs/search?size=2&after="+url.QueryEscape(string(page.Next)))
	if err := json.Unmarshal([]byte(body), &page); err != nil || len(page.Hits) != 1 || string(page.Next) != "null" {
		t.Fatalf("last page: %v %s", err, body)
	}
}

func TestErrorsSayWhatToDo(t *testing.T) {
	dead := httptest.NewServer(http.NotFoundHandler())
	dead.Close()
	address := strings.TrimPrefix(dead.URL, "http://")
	base := serve(t, Options{Kafka: configs.Kafka{Brokers: []string{address}, ClientID: "test"}, Elasticsearch: configs.Elasticsearch{Addresses: []string{dead.URL}}})
	for _, path := range []string{"/api/logs/search", "/api/logs/histogram?since=1h&until=now", "/api/alerts", "/api/topics", "/api/groups"} {
		code, _, body := fetch(t, base+path)
		if code != 502 || !strings.Contains(body, address) || !strings.Contains(body, "running at") {
			t.Errorf("%s: %d %s", path, code, body)
		}
	}
	base = serve(t, Options{Elasticsearch: elasticsearch(t, func(string, map[string]any) (int, string) {
		return 400, `{"error":{"root_cause":[{"type":"query_shard_exception","reason":"Failed to parse query [a AND]"}],"type":"search_phase_execution_exception","reason":"all shards failed"},"status":400}`
	})})
	if code, _, body := fetch(t, base+"/api/logs/search?q=a+AND"); code != 400 || !strings.Contains(body, "Failed to parse query [a AND]") || !strings.Contains(body, "Lucene") {
		t.Errorf("a broken query: %d %s", code, body)
	}
	if code, _, body := fetch(t, serve(t, Options{})+"/api/topics"); code != 502 || !strings.Contains(body, "kafka.brokers") {
		t.Errorf("no brokers: %d %s", code, body)
	}
}

// TestTail: each line comes once, what was there before does not, and a line
// that becomes visible late does.
func TestTail(t *testing.T) {
	var looks atomic.Int32
	base := serve(t, Options{Elasticsearch: elasticsearch(t, func(_ string, body map[string]any) (int, string) {
		text, err := json.Marshal(body)
		if err != nil {
			t.Error(err)
		}
		if !strings.Contains(string(text), `"event.ingested":{"format"`) || !strings.Contains(string(text), `"query":"log.level:(ERROR OR error OR Error)"`) {
			t.Errorf("tail asks %s", text)
		}
		switch looks.Add(1) {
		case 1:
			return 200, hitsOf(2)
		case 2:
			return 503, `{"error":{"type":"x","reason":"shards are not ready"},"status":503}`
		default:
			return 200, hitsOf(3)
		}
	})})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+"/api/logs/tail?q=level:ERROR", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if ct := resp.Header.Get("Content-Type"); ct != "text/event-stream" {
		t.Fatalf("Content-Type is %s", ct)
	}
	events := make(chan string, 100)
	go func() {
		defer close(events)
		scanner := bufio.NewScanner(resp.Body)
		for scanner.Scan() {
			if l := scanner.Text(); strings.HasPrefix(l, "event: ") || strings.HasPrefix(l, "data: ") {
				events <- l
			}
		}
	}()
	next := func() string {
		t.Helper()
		select {
		case e := <-events:
			return e
		case <-time.After(60 * time.Second):
			t.Fatal("no event")
			return ""
		}
	}
	want := []string{"event: open", "event: lines", "event: problem", "event: lines"}
	ids := []string{"", `"1","_source`, "", `"2","_source`}
	for i, w := range want {
		if got := next(); got != w {
			t.Fatalf("event %d is %q, want %q", i, got, w)
		}
		data := next()
		if !strings.Contains(data, ids[i]) {
			t.Errorf("event %d: %s", i, data)
		}
		if i == 1 && strings.Index(data, `"_id":"1"`) > strings.Index(data, `"_id":"0"`) {
			t.Errorf("lines are not oldest first: %s", data)
		}
		if i == 3 && strings.Contains(data, `"_id":"0"`) {
			t.Errorf("a line came twice: %s", data)
		}
	}
}

func TestTailsAreBounded(t *testing.T) {
	base := serve(t, Options{Elasticsearch: elasticsearch(t, func(string, map[string]any) (int, string) { return 200, hitsOf(0) })})
	for range tailsMax {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+"/api/logs/tail", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil || resp.StatusCode != 200 {
			t.Fatalf("open a tail: %v", err)
		}
		defer resp.Body.Close()
	}
	if code, _, body := fetch(t, base+"/api/logs/tail"); code != 503 || !strings.Contains(body, "32 live tails") {
		t.Errorf("one more tail: %d %s", code, body)
	}
}

func TestGrowth(t *testing.T) {
	start := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	got := growth(
		sample{at: start, ends: map[string]int64{"a": 100, "b": 50, "gone": 1}, size: map[string]int64{"a": 1000, "b": -1}},
		sample{at: start.Add(4 * time.Second), ends: map[string]int64{"a": 300, "b": 10, "new": 7}, size: map[string]int64{"a": 3000, "b": 9}},
	)
	if got["a"] != (rates{50, 500}) || got["b"] != (rates{0, 0}) {
		t.Errorf("growth = %v", got)
	}
	if _, ok := got["new"]; ok || len(got) != 2 {
		t.Errorf("a topic seen once has a rate: %v", got)
	}
}
