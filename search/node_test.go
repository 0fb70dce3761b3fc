package search

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/elastic/go-elasticsearch/v8"
	"go.uber.org/goleak"

	"github.com/millrace/millrace/configs"
)

// testNode is a running node.
type testNode struct {
	*Node
	url  string
	stop func()
}

func startNode(t testing.TB, dir string, change func(*configs.Search)) *testNode {
	t.Helper()
	cfg := configs.Default().Search
	cfg.Listen, cfg.RetentionTime, cfg.RefreshInterval = "127.0.0.1:0", 0, 0
	if change != nil {
		change(&cfg)
	}
	n, err := New(cfg, Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- n.Run(ctx) }()
	stopped := false
	stop := func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("end of the node: %v", err)
		}
		http.DefaultClient.CloseIdleConnections()
	}
	t.Cleanup(stop)
	return &testNode{n, "http://" + n.Addr(), stop}
}

// do sends a request and returns the status and the decoded body.
func (n *testNode) do(t testing.TB, method, path, body string, headers ...string) (int, map[string]any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, n.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	content, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.Header.Get("X-Elastic-Product") != "Elasticsearch" {
		t.Errorf("%s %s has no X-Elastic-Product", method, path)
	}
	var out map[string]any
	if len(content) > 0 && content[0] == '{' {
		if err := json.Unmarshal(content, &out); err != nil {
			t.Fatalf("%s %s: %v in %s", method, path, err, content)
		}
	}
	return resp.StatusCode, out
}

func (n *testNode) count(t testing.TB, index string) int {
	t.Helper()
	status, out := n.do(t, "GET", "/"+index+"/_count", "")
	if status != 200 {
		t.Fatalf("count of %s: %v", index, out)
	}
	return int(out["count"].(float64))
}

func TestInfoIsGolden(t *testing.T) {
	n := startNode(t, t.TempDir(), nil)
	status, got := n.do(t, "GET", "/", "")
	if status != 200 {
		t.Fatal(status)
	}
	got["cluster_uuid"] = "any"
	golden, err := os.ReadFile(filepath.Join("testdata", "info.golden.json"))
	if err != nil {
		t.Fatal(err)
	}
	var want map[string]any
	if err := json.Unmarshal(golden, &want); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("GET / is %v, want %v", got, want)
	}
}

// TestOfficialClient uses the client that pipelines use, which checks the product.
func TestOfficialClient(t *testing.T) {
	n := startNode(t, t.TempDir(), nil)
	es, err := elasticsearch.NewClient(elasticsearch.Config{Addresses: []string{n.url}, CompressRequestBody: true})
	if err != nil {
		t.Fatal(err)
	}
	info, err := es.Info()
	if err != nil {
		t.Fatal(err)
	}
	_ = info.Body.Close()
	resp, err := es.Bulk(strings.NewReader("{\"create\":{\"_id\":\"1\"}}\n{\"a\":1}\n"), es.Bulk.WithIndex("x"), es.Bulk.WithRefresh("wait_for"))
	if err != nil || resp.IsError() {
		t.Fatalf("bulk: %v %v", resp, err)
	}
	_ = resp.Body.Close()
	if got := n.count(t, "x"); got != 1 {
		t.Errorf("%d documents", got)
	}
	typed, err := elasticsearch.NewTypedClient(elasticsearch.Config{Addresses: []string{n.url}})
	if err != nil {
		t.Fatal(err)
	}
	found, err := typed.Search().Index("x").Do(t.Context())
	if err != nil || found.Hits.Total.Value != 1 {
		t.Errorf("typed search: %v %v", found, err)
	}
}

func TestRestartKeepsEverything(t *testing.T) {
	dir := t.TempDir()
	n := startNode(t, dir, nil)
	n.do(t, "PUT", "/_index_template/t", `{"index_patterns":["a*"],"template":{"mappings":{"properties":{"k":{"type":"keyword"}}}}}`)
	n.do(t, "PUT", "/a/_doc/f:1", `{"k":"v"}`)
	n.do(t, "PUT", "/a/_doc/f:2", `{"k":"w"}`)
	n.do(t, "DELETE", "/a/_doc/f:1", "")
	n.stop()
	n = startNode(t, dir, nil)
	if got := n.count(t, "a"); got != 1 {
		t.Errorf("%d documents after a restart", got)
	}
	if status, out := n.do(t, "PUT", "/a/_create/f:2", `{}`); status != 409 {
		t.Errorf("create of an existing document after a restart: %d %v", status, out)
	}
	if status, _ := n.do(t, "GET", "/_index_template/t", ""); status != 200 {
		t.Errorf("the template is gone: %d", status)
	}
	if _, err := New(configs.Default().Search, Options{Dir: dir}); err == nil {
		t.Error("a second node opened the same directory")
	}
}

func TestBodies(t *testing.T) {
	n := startNode(t, t.TempDir(), func(c *configs.Search) { c.RequestMax = 4096 })
	pack := func(text string) string {
		var out bytes.Buffer
		w := gzip.NewWriter(&out)
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	for _, c := range []struct {
		name, body, encoding string
		status               int
	}{
		{"gzip", pack("{\"index\":{\"_index\":\"x\",\"_id\":\"1\"}}\n{}\n"), "gzip", 200},
		{"not gzip", "{\"index\":{}}\n{}\n", "gzip", 400},
		{"torn gzip", pack(strings.Repeat("{\"index\":{\"_index\":\"x\"}}\n{}\n", 5))[:30], "gzip", 400},
		{"gzip bomb", pack(strings.Repeat(" ", 1<<20)), "gzip", 413},
		{"too large", strings.Repeat(" ", 5000), "", 413},
		{"unknown encoding", "{}", "br", 415},
	} {
		t.Run(c.name, func(t *testing.T) {
			status, out := n.do(t, "POST", "/_bulk", c.body, "Content-Encoding", c.encoding)
			if status != c.status {
				t.Errorf("status %d, want %d: %v", status, c.status, out)
			}
		})
	}
	if used := n.bodies.used.Load(); used != 0 {
		t.Errorf("%d bytes of bodies are still accounted for", used)
	}
}

func TestSearchMemoryIsBounded(t *testing.T) {
	n := startNode(t, t.TempDir(), func(c *configs.Search) { c.SearchMemory = 1 << 20 })
	var body strings.Builder
	for i := range 20000 {
		fmt.Fprintf(&body, "{\"index\":{\"_index\":\"x\",\"_id\":\"f:%d\"}}\n{\"k\":\"value number %d\"}\n", i, i)
	}
	if status, out := n.do(t, "POST", "/_bulk?refresh", body.String()); status != 200 || out["errors"] != false {
		t.Fatalf("bulk: %d", status)
	}
	status, out := n.do(t, "GET", "/x/_search", `{"aggs":{"a":{"terms":{"field":"k.keyword","size":10}}}}`)
	if status != 429 || !strings.Contains(fmt.Sprint(out), "circuit_breaking_exception") {
		t.Errorf("status %d: %v", status, out)
	}
	if used := n.memory.used.Load(); used != 0 {
		t.Errorf("%d bytes are still accounted for", used)
	}
	if status, _ := n.do(t, "GET", "/x/_search", `{"query":{"match":{"k":"77"}}}`); status != 200 {
		t.Errorf("a small search after that: %d", status)
	}
}

func TestUnsupportedIsNamed(t *testing.T) {
	n := startNode(t, t.TempDir(), nil)
	n.do(t, "PUT", "/x/_doc/1", `{"a":"b"}`)
	for _, c := range []struct{ method, path, body, word string }{
		{"POST", "/x/_search", `{"highlight":{"fields":{"a":{}}}}`, "highlight"},
		{"POST", "/x/_search", `{"query":{"fuzzy":{"a":"b"}}}`, "fuzzy"},
		{"POST", "/x/_search", `{"query":{"query_string":{"query":"a~2"}}}`, "~"},
		{"POST", "/x/_search", `{"aggs":{"a":{"percentiles":{"field":"b"}}}}`, "percentiles"},
		{"POST", "/x/_search", `{"sort":["_score"]}`, "_score"},
		{"POST", "/x/_search", `{"min_score":1}`, "min_score"},
		{"POST", "/x/_search", `{"collapse":{"field":"a"}}`, "collapse"},
		{"POST", "/x/_search", `{"query":{"match":{"a":{"query":"b","fuzziness":"AUTO"}}}}`, "fuzziness"},
		{"POST", "/x/_search?scroll=1m", `{}`, "scroll"},
		{"POST", "/x/_search", `{"query":{"term":{"_index":"x"}}}`, "_index"},
		{"POST", "/_bulk", "{\"update\":{\"_index\":\"x\",\"_id\":\"1\"}}\n{}\n", "update"},
		{"POST", "/_bulk?pipeline=p", "{\"index\":{\"_index\":\"x\"}}\n{}\n", "pipeline"},
		{"POST", "/x/_update/1", `{}`, "_update"},
		{"GET", "/_nodes", "", "_nodes"},
		{"PUT", "/y", `{"mappings":{"properties":{"a":{"type":"nested"}}}}`, "nested"},
		{"PUT", "/y", `{"mappings":{"properties":{"a":{"type":"text","analyzer":"english"}}}}`, "english"},
		{"PUT", "/y", `{"settings":{"index":{"analysis":{"analyzer":{"a":{"type":"custom"}}}}}}`, "analysis"},
		{"PUT", "/_index_template/t", `{"index_patterns":["t*"],"data_stream":{}}`, "data_stream"},
	} {
		status, out := n.do(t, c.method, c.path, c.body)
		e, _ := out["error"].(map[string]any)
		if status != 400 || e == nil || !strings.Contains(fmt.Sprint(e["reason"]), c.word) {
			t.Errorf("%s %s %s: %d %v", c.method, c.path, c.body, status, out)
		}
	}
}

func TestMain(m *testing.M) {
	if dir := os.Getenv(envKillNode); dir != "" {
		if err := runKillNode(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("net/http.(*persistConn).readLoop"), goleak.IgnoreTopFunction("net/http.(*persistConn).writeLoop"),
		goleak.IgnoreTopFunction("internal/poll.runtime_pollWait"))
}
