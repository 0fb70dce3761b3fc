package broker

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// startMeasured runs a node until the test ends and returns it with its metrics.
func startMeasured(t testing.TB) (*Node, *prometheus.Registry) {
	t.Helper()
	reg := prometheus.NewRegistry()
	n, err := New(testConfig(), Options{Dir: t.TempDir(), Logger: slog.New(slog.DiscardHandler), Registerer: reg})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- n.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return n, reg
}

// sample returns a series by its name and the values of its labels, nil without it.
func sample(t testing.TB, reg prometheus.Gatherer, name string, labels map[string]string) *dto.Metric {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			matches := 0
			for _, l := range m.GetLabel() {
				if labels[l.GetName()] == l.GetValue() {
					matches++
				}
			}
			if matches == len(labels) {
				return m
			}
		}
	}
	return nil
}

func value(m *dto.Metric) float64 {
	switch {
	case m == nil:
		return -1
	case m.GetCounter() != nil:
		return m.GetCounter().GetValue()
	case m.GetHistogram() != nil:
		return float64(m.GetHistogram().GetSampleCount())
	default:
		return m.GetGauge().GetValue()
	}
}

// awaitMetric waits until a series is at least 1.
func awaitMetric(t *testing.T, reg prometheus.Gatherer, name string, labels map[string]string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for value(sample(t, reg, name, labels)) < 1 {
		if ctx.Err() != nil {
			t.Fatalf("%s%v is %v", name, labels, value(sample(t, reg, name, labels)))
		}
		runtime.Gosched()
	}
}

func labelsOf(pairs ...string) map[string]string {
	out := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		out[pairs[i]] = pairs[i+1]
	}
	return out
}

// TestMetricsTellWhatClientsDo: traffic of topics, errors by code, phases of requests, open
// transactions.
func TestMetricsTellWhatClientsDo(t *testing.T) {
	n, reg := startMeasured(t)
	cl, err := kgo.NewClient(kgo.SeedBrokers(n.Addr()), kgo.AllowAutoTopicCreation(), kgo.TransactionalID("t"), kgo.DefaultProduceTopic("logs"),
		kgo.ConsumeTopics("logs"), kgo.FetchMaxWait(100*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	if err := cl.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	if err := cl.ProduceSync(t.Context(), kgo.StringRecord("hello")).FirstErr(); err != nil {
		t.Fatal(err)
	}
	if got := value(sample(t, reg, "millrace_broker_open_transactions", nil)); got != 1 {
		t.Errorf("%v open transactions, want 1", got)
	}
	if got := value(sample(t, reg, "millrace_broker_oldest_transaction_seconds", nil)); got < 0 {
		t.Errorf("the oldest transaction is %v s old", got)
	}
	if got := value(sample(t, reg, "millrace_broker_undecided_partitions", nil)); got != 1 {
		t.Errorf("%v undecided partitions, want 1", got)
	}
	if err := cl.EndTransaction(t.Context(), kgo.TryCommit); err != nil {
		t.Fatal(err)
	}
	for cl.PollFetches(t.Context()).NumRecords() == 0 {
		if err := t.Context().Err(); err != nil {
			t.Fatal(err)
		}
	}
	req := kmsg.NewPtrDeleteTopicsRequest()
	req.TopicNames = []string{"none"}
	req.Topics = []kmsg.DeleteTopicsRequestTopic{{Topic: new("none")}}
	resp, err := req.RequestWith(t.Context(), cl)
	if err != nil || !errors.Is(kerr.ErrorForCode(resp.Topics[0].ErrorCode), kerr.UnknownTopicOrPartition) {
		t.Fatalf("delete of a missing topic: %v, %v", resp, err)
	}
	for _, c := range []struct {
		name   string
		labels map[string]string
		atMost float64 // -1 for any
	}{
		{"millrace_broker_topic_received_bytes_total", labelsOf("topic", "logs"), -1},
		{"millrace_broker_topic_sent_bytes_total", labelsOf("topic", "logs"), -1},
		{"millrace_broker_topic_partitions", labelsOf("topic", "logs"), 4},
		{"millrace_broker_request_errors_total", labelsOf("api", "DeleteTopics", "error", "UNKNOWN_TOPIC_OR_PARTITION"), 1},
		{"millrace_broker_request_phase_seconds", labelsOf("api", "Produce", "phase", "local"), -1},
		{"millrace_broker_request_phase_seconds", labelsOf("api", "Produce", "phase", "wait"), -1},
		{"millrace_broker_request_phase_seconds", labelsOf("api", "Fetch", "phase", "response"), -1},
		{"millrace_broker_request_seconds", labelsOf("api", "Metadata"), -1},
		{"millrace_broker_partition_series_complete", nil, 1},
		{"millrace_broker_storage_flush_seconds", nil, -1},
	} {
		if got := value(sample(t, reg, c.name, c.labels)); got < 1 || c.atMost >= 0 && got > c.atMost {
			t.Errorf("%s%v is %v", c.name, c.labels, got)
		}
	}
	// The commit is answered when it is decided; the transaction is open until its markers are written.
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for value(sample(t, reg, "millrace_broker_open_transactions", nil)) != 0 {
		if ctx.Err() != nil {
			t.Fatal("the transaction is still open after the commit")
		}
		runtime.Gosched()
	}
	if m := sample(t, reg, "millrace_broker_request_seconds", labelsOf("api", "ElectLeaders")); m != nil {
		t.Error("an API that nobody asks for has histograms")
	}
}

// TestMetricsKeepToPrometheusConventions has Prometheus' own linter look at them.
func TestMetricsKeepToPrometheusConventions(t *testing.T) {
	_, reg := startMeasured(t)
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// manyPartitions puts topics into the node's table that share one log.
func manyPartitions(t testing.TB, n *Node, topics, partitions int) {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(n.Addr()), kgo.AllowAutoTopicCreation())
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	if err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: "real", Value: []byte("x")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	one := n.topics.byName("real").logs[0]
	for i := range topics {
		s := &topicState{name: "many-" + string(rune('a'+i/26%26)) + string(rune('a'+i%26)), id: [16]byte{1, byte(i >> 8), byte(i)}}
		for range partitions {
			s.logs = append(s.logs, one)
		}
		n.topics.put(s)
		t.Cleanup(func() { n.topics.remove(s) })
	}
}

// TestSeriesOfPartitionsAreBounded: beyond the bound a scrape says that it is not complete.
func TestSeriesOfPartitionsAreBounded(t *testing.T) {
	n, reg := startMeasured(t)
	manyPartitions(t, n, 3, partitionSeriesMax/2)
	if got := value(sample(t, reg, "millrace_broker_partition_series_complete", nil)); got != 0 {
		t.Errorf("complete is %v", got)
	}
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "millrace_broker_partition_end_offset" && len(f.GetMetric()) != partitionSeriesMax {
			t.Errorf("%d series of partitions, want %d", len(f.GetMetric()), partitionSeriesMax)
		}
	}
	if got := value(sample(t, reg, "millrace_broker_topic_partitions", labelsOf("topic", "many-ac"))); got != partitionSeriesMax/2 {
		t.Errorf("the last topic has %v partitions", got)
	}
}
