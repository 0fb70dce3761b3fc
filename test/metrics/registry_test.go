package metrics_test

import (
	"context"
	"io"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/millrace/millrace/agent"
	"github.com/millrace/millrace/alerting"
	"github.com/millrace/millrace/broker"
	"github.com/millrace/millrace/configs"
	"github.com/millrace/millrace/console"
	"github.com/millrace/millrace/mirror"
	"github.com/millrace/millrace/pipelines"
	"github.com/millrace/millrace/search"
)

// metric is one metric of the product, as its code defines it.
type metric struct {
	name, kind, help string
	// labels in the order in which the code names them.
	labels []string
}

// recorder is a registerer that keeps what is registered.
type recorder struct {
	mu         sync.Mutex
	collectors []prometheus.Collector
}

func (r *recorder) Register(c prometheus.Collector) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.collectors = append(r.collectors, c)
	return nil
}

func (r *recorder) MustRegister(all ...prometheus.Collector) {
	for _, c := range all {
		_ = r.Register(c) // it never fails
	}
}

func (r *recorder) Unregister(prometheus.Collector) bool { return true }

// descPattern reads what a description says of itself.
var descPattern = regexp.MustCompile(`^Desc\{fqName: "([^"]*)", help: "((?:[^"\\]|\\.)*)"(?:, unit: "[^"]*")?, constLabels: \{([^}]*)\}, variableLabels: \{([^}]*)\}`)

// metrics returns what is registered, by name.
func (r *recorder) metrics(t *testing.T) []metric {
	t.Helper()
	found := map[string]metric{}
	for _, c := range r.collectors {
		kinds := kindsOf(t, c)
		for _, d := range described(c) {
			m := parseDesc(t, d)
			if m.kind = kinds[d]; m.kind == "" {
				m.kind = kindOf(c)
			}
			if m.kind == "" {
				t.Errorf("%s: its type is not known", m.name)
			}
			found[m.name] = m
		}
	}
	out := make([]metric, 0, len(found))
	for _, m := range found {
		out = append(out, m)
	}
	slices.SortFunc(out, func(a, b metric) int { return strings.Compare(a.name, b.name) })
	return out
}

func parseDesc(t *testing.T, d *prometheus.Desc) metric {
	t.Helper()
	parts := descPattern.FindStringSubmatch(d.String())
	if parts == nil {
		t.Fatalf("a description of another form: %s", d)
	}
	m := metric{name: parts[1], help: strings.ReplaceAll(parts[2], `\"`, `"`)}
	for label := range strings.SplitSeq(parts[3]+","+parts[4], ",") {
		if label, _, _ = strings.Cut(label, "="); label != "" {
			m.labels = append(m.labels, label)
		}
	}
	return m
}

func described(c prometheus.Collector) []*prometheus.Desc {
	out := make(chan *prometheus.Desc)
	go func() {
		defer close(out)
		c.Describe(out)
	}()
	var all []*prometheus.Desc
	for d := range out {
		all = append(all, d)
	}
	return all
}

// kindsOf finds types of metrics by collecting them: none of a vector without children.
func kindsOf(t *testing.T, c prometheus.Collector) map[*prometheus.Desc]string {
	t.Helper()
	out := make(chan prometheus.Metric)
	go func() {
		defer close(out)
		c.Collect(out)
	}()
	kinds := map[*prometheus.Desc]string{}
	for m := range out {
		var written dto.Metric
		if err := m.Write(&written); err != nil {
			t.Fatal(err)
		}
		switch {
		case written.GetCounter() != nil:
			kinds[m.Desc()] = "counter"
		case written.GetHistogram() != nil:
			kinds[m.Desc()] = "histogram"
		default:
			kinds[m.Desc()] = "gauge"
		}
	}
	return kinds
}

// kindOf tells the type of what has no children yet.
func kindOf(c prometheus.Collector) string {
	switch c.(type) {
	case *prometheus.CounterVec:
		return "counter"
	case *prometheus.GaugeVec:
		return "gauge"
	case *prometheus.HistogramVec:
		return "histogram"
	default:
		return "gauge" // those that collect themselves: counters of theirs end in _total
	}
}

// everything are the metrics of all parts of the product.
func everything(t *testing.T) []metric {
	t.Helper()
	cfg := configs.Default()
	cfg.Broker.Listen, cfg.Search.Listen, cfg.HTTP.Listen = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
	cfg.Agent.Inputs = nil
	reg := &recorder{}
	ended, cancel := context.WithCancel(t.Context())
	cancel()

	b, err := broker.New(cfg.Broker, broker.Options{Dir: t.TempDir(), Registerer: reg})
	if err != nil {
		t.Fatal(err)
	}
	s, err := search.New(cfg.Search, search.Options{Dir: t.TempDir(), Registerer: reg})
	if err != nil {
		t.Fatal(err)
	}
	c, err := console.New(cfg.HTTP, console.Options{Registerer: reg, Gatherer: prometheus.NewRegistry(), Ready: func() error { return nil }})
	if err != nil {
		t.Fatal(err)
	}
	kafka := configs.Kafka{Brokers: []string{"127.0.0.1:1"}}
	elastic := configs.Elasticsearch{Addresses: []string{"http://127.0.0.1:1"}}
	if _, err := pipelines.New(pipelines.Config{Kafka: kafka, Elasticsearch: elastic, Pipelines: cfg.Pipelines, Default: cfg.DefaultPipeline}, pipelines.Options{Registerer: reg}); err != nil {
		t.Fatal(err)
	}
	if _, err := alerting.New(alerting.Config{Kafka: kafka, Elasticsearch: elastic, Alerting: cfg.Alerting}, alerting.Options{Registerer: reg, Stdout: io.Discard}); err != nil {
		t.Fatal(err)
	}
	if _, err := agent.New(cfg.Agent, kafka, agent.Options{Dir: t.TempDir(), Registerer: reg}); err != nil {
		t.Fatal(err)
	}
	if _, err := mirror.New(configs.Mirror{Source: kafka, Target: kafka, Topics: []string{"x"}}, mirror.Options{Registerer: reg}); err != nil {
		t.Fatal(err)
	}
	all := reg.metrics(t)
	for i := range all {
		if strings.HasSuffix(all[i].name, "_total") {
			all[i].kind = "counter"
		}
	}
	for _, run := range []func(context.Context) error{b.Run, s.Run, c.Run} {
		if err := run(ended); err != nil {
			t.Error(err)
		}
	}
	return all
}
