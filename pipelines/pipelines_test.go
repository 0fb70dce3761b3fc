package pipelines

import (
	"context"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/millrace/millrace/configs"
	"github.com/millrace/millrace/internal/event"
)

func TestSelection(t *testing.T) {
	s, err := newSelection([]configs.Pipeline{
		{Name: "web", Input: configs.PipelineInput{Topics: []string{"logs.web", "^shop-.*", "millrace.alerts"}}},
		{Name: "all", Input: configs.PipelineInput{Topics: []string{"^.*-audit$"}}},
	}, configs.DefaultPipeline{Topics: []string{`^logs(\..*)?$`, "^shop"}})
	if err != nil {
		t.Fatal(err)
	}
	for topic, want := range map[string]string{
		"logs": "default", "logs.web": "web", "logs.webx": "default", "shop-a": "web", "shop-audit": "web all", "shopping": "default",
		"other": "", "millrace.alerts": "web", "millrace.alert-matches": "", "__consumer_offsets": "", "logsx": "",
	} {
		var got []string
		for i, name := range []string{"web", "all"} {
			if s.namedBy(i, topic) {
				got = append(got, name)
			}
		}
		if s.isDefault(topic) {
			got = append(got, "default")
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: got %v, want %s", topic, got, want)
		}
	}
}

func TestCheckReportsWhatNewWouldRefuse(t *testing.T) {
	cfg := configOf(t, "name: default\ninput: {topics: [a]}\nprocess:\n  - grok: {pattern: '%{NOSUCH}'}\noutput:\n  elasticsearch: {index: UPPER}\n",
		"name: fine\ninput: {topics: [b]}\noutput:\n  elasticsearch: {}\n")
	errs := Check(*cfg)
	if len(errs) != 3 {
		t.Fatalf("got %d problems:\n%v", len(errs), errs)
	}
	for i, want := range []string{"built-in pipeline's name", `no pattern "NOSUCH"`, "cannot begin the name of an index"} {
		if !strings.Contains(errs[i].Error(), want) || !strings.Contains(errs[i].File, "pipeline-a.yaml") || errs[i].Line == 0 {
			t.Errorf("problem %d: %v, want %s with its place", i, errs[i], want)
		}
	}
}

func TestNewReachesForNothing(t *testing.T) {
	registry := prometheus.NewRegistry()
	p, err := New(Config{
		Kafka: configs.Kafka{Brokers: []string{"127.0.0.1:1"}}, Elasticsearch: configs.Elasticsearch{Addresses: []string{"http://127.0.0.1:1"}},
		Pipelines: []configs.Pipeline{
			{Name: "indexed", Output: configs.Output{Elasticsearch: &configs.ElasticsearchOutput{Index: "mine", BulkCount: 1, BulkInterval: 1}}},
			{Name: "alerts-only"},
		},
		Default: configs.DefaultPipeline{Enabled: true},
	}, Options{Registerer: registry})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, r := range p.runners {
		names = append(names, r.name+" "+r.output.Index)
	}
	if !slices.Equal(names, []string{"indexed mine", "default millrace-logs"}) || !slices.Equal(p.prefixes, []string{"mine"}) {
		t.Errorf("runners %v, templates for %v", names, p.prefixes)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	registered := false
	for _, f := range families {
		registered = registered || f.GetName() == "millrace_pipeline_documents_indexed_total"
	}
	if !registered {
		t.Error("millrace_pipeline_documents_indexed_total is not registered")
	}
}

func BenchmarkDefaultPipelineLine(b *testing.B) {
	benchmarkLine(b, event.DefaultChain(), "2026-03-01 11:58:01,978 INFO [main] org.example.shop.Cart: Created cart for customer customer_1445144423722_0020_000001")
}

func BenchmarkDefaultPipelineJSON(b *testing.B) {
	benchmarkLine(b, event.DefaultChain(), `{"time":"2026-03-01T11:58:01.978Z","level":"info","logger":"shop.Cart","msg":"created cart","customer":"c-1445144423722","took_ms":12,"tags":["a","b"],"http":{"request":{"method":"GET"}}}`)
}

func BenchmarkAccessLogPipeline(b *testing.B) {
	cfg := configs.Pipeline{}
	chain := chainFrom(b, `
name: web
input: {topics: [t]}
process:
  - grok: {pattern: '%{COMBINEDAPACHELOG}'}
  - timestamp: {field: timestamp, layouts: ['dd/MMM/yyyy:HH:mm:ss Z']}
  - convert: {http.response.status_code: integer}
  - drop: {when: 'url.path == "/healthz"'}
`, &cfg)
	benchmarkLine(b, chain, `192.0.2.71 - - [01/Mar/2026:11:12:06 +0000] "GET /inventory/item/purchase?user=20253471&item=23434300 HTTP/1.1" 500 17 "-" "Apache-HttpClient/4.2.6 (java 1.5)"`)
}

// benchmarkLine is all that one core does for a record, but reading and writing.
func benchmarkLine(b *testing.B, chain *event.Chain, line string) {
	b.Helper()
	msg := agentMessage(line)
	var body []byte
	now := time.Now()
	b.SetBytes(int64(len(line)))
	b.ReportAllocs()
	for b.Loop() {
		ev := event.FromMessage(msg, now)
		if chain.Process(ev) || ev.Failed() {
			b.Fatal("not parsed")
		}
		_ = ev.IndexName("millrace-logs")
		_ = ev.DocumentID()
		body = ev.AppendJSON(body[:0])
	}
}

// TestRunEndsWhileNothingIsThere: waiting for a server must not outlive Run's
// context.
func TestRunEndsWhileNothingIsThere(t *testing.T) {
	web := httptest.NewServer(&faulty{docs: map[string]string{}})
	defer web.Close()
	for name, es := range map[string]string{"neither": "http://127.0.0.1:1", "no kafka": web.URL} {
		p, err := New(Config{
			Kafka: configs.Kafka{Brokers: []string{"127.0.0.1:1"}}, Elasticsearch: configs.Elasticsearch{Addresses: []string{es}},
			Default: configs.DefaultPipeline{Enabled: true, Topics: []string{"^logs$"}},
		}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		if err := p.Run(ctx); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		cancel()
	}
}
