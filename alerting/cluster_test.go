package alerting

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"gopkg.in/yaml.v3"

	"github.com/millrace/millrace/configs"
	"github.com/millrace/millrace/internal/kafka"
)

// sentinelKeys is the number of groups of the sentinel rule, enough that every
// partition of the matches has one.
const sentinelKeys = 24

// cluster is a Kafka cluster that a test writes to and reads from.
type cluster struct {
	t        *testing.T
	kafka    configs.Kafka
	client   sarama.Client
	producer sarama.SyncProducer
	barriers int
}

func newCluster(t *testing.T, bootstrap string) *cluster {
	t.Helper()
	k := configs.Kafka{Brokers: []string{bootstrap}, ClientID: "test", Partitions: 4, ReplicationFactor: 1}
	conf, err := kafka.ClientConfig(k)
	if err != nil {
		t.Fatal(err)
	}
	conf.Producer.RequiredAcks = sarama.WaitForAll
	conf.Producer.Return.Successes = true
	conf.Producer.Partitioner = sarama.NewManualPartitioner
	client, err := sarama.NewClient(k.Brokers, conf)
	if err != nil {
		t.Fatal(err)
	}
	producer, err := sarama.NewSyncProducerFromClient(client)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = producer.Close()
		_ = client.Close()
	})
	return &cluster{t: t, kafka: k, client: client, producer: producer}
}

func (c *cluster) createTopic(name string, partitions int32) {
	c.t.Helper()
	admin, err := sarama.NewClusterAdminFromClient(c.client)
	if err != nil {
		c.t.Fatal(err)
	}
	if err := admin.CreateTopic(name, &sarama.TopicDetail{NumPartitions: partitions, ReplicationFactor: 1}, false); err != nil {
		c.t.Fatal(err)
	}
}

// event is one JSON line with a time, as the pipelines of these tests read it.
func eventLine(at time.Time, kind, host string) string {
	return fmt.Sprintf(`{"@timestamp":%q,"kind":%q,"host":{"name":%q},"message":"100%% of %s"}`, at.UTC().Format(time.RFC3339Nano), kind, host, kind)
}

func (c *cluster) produce(topic string, partition int32, lines ...string) {
	c.t.Helper()
	var records []*sarama.ProducerMessage
	for _, l := range lines {
		records = append(records, &sarama.ProducerMessage{Topic: topic, Partition: partition, Value: sarama.StringEncoder(l)})
	}
	if err := c.producer.SendMessages(records); err != nil {
		c.t.Fatal(err)
	}
}

// alerts returns the alerts of a rule, every record of the topic as it is.
func (c *cluster) alerts(pipeline, rule string) []Alert {
	c.t.Helper()
	var found []Alert
	err := readToEnd(c.t.Context(), c.client, "millrace.alerts", time.Time{}, func(m *sarama.ConsumerMessage) error {
		var a Alert
		if err := json.Unmarshal(m.Value, &a); err != nil {
			return err
		}
		if a.Pipeline == pipeline && a.Rule == rule {
			found = append(found, a)
		}
		return nil
	})
	if err != nil && !strings.Contains(err.Error(), "does not exist") {
		c.t.Fatal(err)
	}
	return found
}

// barrier returns when everything that was produced before it has gone through
// match and window: sentinels in every source partition, for every partition of
// the matches, have raised their alerts.
func (c *cluster) barrier(pipeline, topic string, partitions int32) {
	c.t.Helper()
	c.barriers++
	want := map[string]bool{}
	for p := range partitions {
		var lines []string
		for k := range sentinelKeys {
			name := fmt.Sprintf("b%d-p%d-k%d", c.barriers, p, k)
			want[name] = true
			lines = append(lines, eventLine(time.Now(), "sentinel", name))
		}
		c.produce(topic, p, lines...)
	}
	await(c.t, "sentinels", func() bool {
		got := 0
		for _, a := range c.alerts(pipeline, "sentinel") {
			if want[a.Group["host.name"]] {
				got++
			}
		}
		return got >= len(want)
	})
}

// await polls until done says true, for at most three minutes.
func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	deadline := time.NewTimer(3 * time.Minute)
	defer deadline.Stop()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-deadline.C:
			t.Fatalf("waited 3 minutes in vain for %s", what)
		case <-tick.C:
		}
	}
}

// testConfig is a pipeline with a frequency rule, an any rule and sentinels.
func testConfig(k configs.Kafka, name string, notify ...string) Config {
	return Config{
		Kafka: k,
		Pipelines: []configs.Pipeline{{
			Name: name, Input: configs.PipelineInput{Topics: []string{"src." + name}, StartAt: "beginning"},
			Process: []configs.Processor{jsonProcessor()},
			Alerts: []configs.AlertRule{
				{
					Name: "burst", Type: "frequency", Where: `kind == "timeout"`, Count: 5,
					Within: configs.Duration(time.Minute), GroupBy: []string{"host.name"}, Notify: notify,
				},
				{Name: "each", Type: "any", Where: `kind == "error"`, Notify: notify},
				{Name: "sentinel", Type: "any", Where: `kind == "sentinel"`, GroupBy: []string{"host.name"}},
			},
		}},
	}
}

// hook is a webhook that remembers its calls.
type hook struct {
	*httptest.Server
	mu     sync.Mutex
	keys   []string
	bodies []string
	status int
	onCall func()
}

func newHook(t *testing.T) *hook {
	h := &hook{status: http.StatusOK}
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		h.mu.Lock()
		h.keys = append(h.keys, r.Header.Get("Idempotency-Key"))
		h.bodies = append(h.bodies, string(body))
		status, onCall := h.status, h.onCall
		h.mu.Unlock()
		if onCall != nil {
			onCall()
		}
		w.WriteHeader(status)
	}))
	t.Cleanup(h.Close)
	return h
}

func (h *hook) calls() ([]string, []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]string(nil), h.keys...), append([]string(nil), h.bodies...)
}

// fakeElastic takes documents by PUT /<index>/_create/<id>, each id once.
type fakeElastic struct {
	*httptest.Server
	mu      sync.Mutex
	docs    map[string]map[string]any
	creates int
	refuse  func(doc map[string]any) (status int)
}

func newFakeElastic(t *testing.T) *fakeElastic {
	f := &fakeElastic{docs: map[string]map[string]any{}}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Elastic-Product", "Elasticsearch")
		w.Header().Set("Content-Type", "application/json")
		var doc map[string]any
		err := json.NewDecoder(r.Body).Decode(&doc)
		f.mu.Lock()
		defer f.mu.Unlock()
		f.creates++
		switch {
		case err != nil || !strings.Contains(r.URL.Path, "/_create/"):
			w.WriteHeader(http.StatusTeapot)
		case f.docs[r.URL.Path] != nil:
			w.WriteHeader(http.StatusConflict)
		case f.refuse != nil && f.refuse(doc) != 0:
			w.WriteHeader(f.refuse(doc))
		default:
			f.docs[r.URL.Path] = doc
			w.WriteHeader(http.StatusCreated)
		}
	}))
	t.Cleanup(f.Close)
	return f
}

// of returns the documents of a rule by their paths.
func (f *fakeElastic) of(pipeline, rule string) map[string]map[string]any {
	f.mu.Lock()
	defer f.mu.Unlock()
	found := map[string]map[string]any{}
	for path, doc := range f.docs {
		if doc["pipeline"] == pipeline && doc["rule"] == rule {
			found[path] = doc
		}
	}
	return found
}

// jsonProcessor opens a line's JSON, its @timestamp included.
func jsonProcessor() configs.Processor {
	var p configs.Processor
	if err := yaml.Unmarshal([]byte("json: {overwrite: true}"), &p); err != nil {
		panic(err)
	}
	return p
}
