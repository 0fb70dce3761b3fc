package alerting

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/IBM/sarama"

	"github.com/millrace/millrace/configs"
	"github.com/millrace/millrace/internal/record"
	"github.com/millrace/millrace/test/nodes"
	"github.com/millrace/millrace/test/peers"
	"github.com/millrace/millrace/test/process"
)

// TestWithApacheKafka runs alerting as processes of its own, which are killed,
// against one Apache Kafka node. Each subtest has a pipeline, a topic and
// notifiers of its own. Most of its time is the wait for the partitions of a
// killed process, so the two clusters are tested at the same time.
func TestWithApacheKafka(t *testing.T) {
	t.Parallel()
	testCluster(t, func(t *testing.T) string { return peers.Kafka(t).Bootstrap })
}

// TestWithMillrace is the same against this product's own broker.
func TestWithMillrace(t *testing.T) {
	t.Parallel()
	testCluster(t, func(t *testing.T) string { return nodes.Broker(t) })
}

func testCluster(t *testing.T, start func(t *testing.T) string) {
	if testing.Short() {
		t.Skip("skipped: -short starts no servers")
	}
	bootstrap := start(t)
	for _, c := range []struct {
		name string
		run  func(*testing.T, *cluster)
	}{
		{"KilledWithinAWindow", killedWithinAWindow},
		{"KilledAfterTheWebhook", killedAfterTheWebhook},
		{"BrokenTemplates", brokenTemplates},
		{"TwoProcesses", twoProcesses},
		{"KilledAgainAndAgain", killedAgainAndAgain},
		{"FailingNotifierHoldsNobodyBack", failingNotifier},
		{"OrderlyEnd", orderlyEnd},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, newCluster(t, bootstrap)) })
	}
}

// stored is the number of records of a topic.
func (c *cluster) stored(topic string) int64 {
	c.t.Helper()
	if err := c.client.RefreshMetadata(topic); err != nil {
		return 0
	}
	partitions, err := c.client.Partitions(topic)
	if err != nil {
		return 0
	}
	var n int64
	for _, p := range partitions {
		end, err := c.client.GetOffset(topic, p, sarama.OffsetNewest)
		if err != nil {
			c.t.Fatal(err)
		}
		n += end
	}
	return n
}

func killedWithinAWindow(t *testing.T, c *cluster) {
	c.createTopic("src.kill", 2)
	path := filepath.Join(t.TempDir(), "alerts.jsonl")
	cfg := testConfig(c.kafka, "kill", "kill-file")
	cfg.Notifiers = map[string]configs.Notifier{"kill-file": {File: &configs.FileNotifier{Path: path}}}
	first := process.StartChild(t, cfg)
	now := time.Now()
	before := c.stored(record.TopicAlertMatches)
	c.produce("src.kill", 0, eventLine(now, "timeout", "a"), eventLine(now, "other", "a"), eventLine(now.Add(time.Second), "timeout", "a"))
	c.produce("src.kill", 1, eventLine(now.Add(-time.Second), "timeout", "a"))
	await(t, "3 matches", func() bool { return c.stored(record.TopicAlertMatches) >= before+3 })
	first.End(syscall.SIGKILL)
	process.StartChild(t, cfg)
	c.produce("src.kill", 1, eventLine(now.Add(5*time.Second), "timeout", "a"))
	c.produce("src.kill", 0, eventLine(now.Add(6*time.Second), "timeout", "a"))
	c.barrier("kill", "src.kill", 2)
	alerts := c.alerts("kill", "burst")
	if len(alerts) != 1 {
		t.Fatalf("%d alerts instead of one: %+v", len(alerts), alerts)
	}
	a := alerts[0]
	if a.Count != 5 || a.Group["host.name"] != "a" || len(a.EventIDs) != 5 || !a.First.Equal(now.Add(-time.Second).Truncate(time.Millisecond)) {
		t.Errorf("wrong alert: %+v", a)
	}
	if a.Field("host.name") != "a" || a.Field("kind") != "timeout" {
		t.Errorf("the sample is not the event: %s", a.Sample)
	}
	await(t, "the alert in the file", func() bool { return len(linesOf(t, path)) >= 1 })
	if lines := linesOf(t, path); len(lines) != 1 || !strings.Contains(lines[0], a.ID) {
		t.Errorf("the file holds %d lines: %v", len(lines), lines)
	}
}

func linesOf(t *testing.T, path string) []string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return slices.Collect(strings.SplitSeq(strings.TrimSuffix(string(b), "\n"), "\n"))[:strings.Count(string(b), "\n")]
}

func killedAfterTheWebhook(t *testing.T, c *cluster) {
	c.createTopic("src.hook", 1)
	h, es := newHook(t), newFakeElastic(t)
	cfg := testConfig(c.kafka, "hook", "hook-web")
	cfg.Notifiers = map[string]configs.Notifier{"hook-web": {Webhook: &configs.WebhookNotifier{URL: h.URL}}}
	cfg.Elasticsearch.Addresses = []string{es.URL}
	called := make(chan struct{})
	var first atomic.Bool
	release := make(chan struct{})
	h.onCall = func() {
		if first.CompareAndSwap(false, true) {
			close(called)
			<-release // the answer does not reach the process any more
		}
	}
	victim := process.StartChild(t, cfg)
	c.produce("src.hook", 0, eventLine(time.Now(), "error", "x"))
	select {
	case <-called:
	case <-time.After(time.Minute):
		t.Fatal("the webhook was not called")
	}
	victim.End(syscall.SIGKILL)
	close(release)
	process.StartChild(t, cfg)
	c.barrier("hook", "src.hook", 1)
	await(t, "the second call", func() bool { keys, _ := h.calls(); return len(keys) >= 2 })
	await(t, "the document", func() bool { return len(es.of("hook", "each")) > 0 })
	alerts := c.alerts("hook", "each")
	keys, bodies := h.calls()
	if len(alerts) != 1 || len(keys) != 2 || keys[0] != alerts[0].ID || keys[1] != alerts[0].ID {
		t.Errorf("%d alerts, calls with the keys %v", len(alerts), keys)
	}
	docs := es.of("hook", "each")
	for path, doc := range docs {
		want := "/millrace-alerts-" + time.Now().UTC().Format("2006.01.02") + "/_create/" + alerts[0].ID
		if path != want || doc["message"] != alerts[0].Summary || doc["id"] != alerts[0].ID {
			t.Errorf("document %s: %v, want it at %s", path, doc, want)
		}
	}
	var posted Alert
	if err := json.Unmarshal([]byte(bodies[0]), &posted); err != nil || posted.ID != alerts[0].ID || bodies[0] != bodies[1] || len(docs) != 1 {
		t.Errorf("posted %v, %d documents", bodies, len(docs))
	}
	// a third start calls nobody again
	again := process.StartChild(t, cfg)
	c.produce("src.hook", 0, eventLine(time.Now(), "error", "y"))
	await(t, "the second alert", func() bool { keys, _ := h.calls(); return len(keys) >= 3 })
	again.End(syscall.SIGKILL)
	keys, _ = h.calls()
	if slices.Index(keys[2:], alerts[0].ID) >= 0 {
		t.Errorf("the first alert was sent again: %v", keys)
	}
}

func brokenTemplates(t *testing.T, c *cluster) {
	c.createTopic("src.tmpl", 1)
	h := newHook(t)
	names := []string{"tmpl-broken", "tmpl-fails", "tmpl-percent", "tmpl-plain"}
	cfg := testConfig(c.kafka, "tmpl", names...)
	cfg.Pipelines[0].Alerts[1].Summary = "100% {{.Nope"
	hookWith := func(body string) configs.Notifier {
		return configs.Notifier{Webhook: &configs.WebhookNotifier{URL: h.URL, Body: body, Headers: map[string]string{"X-From": "test"}}}
	}
	cfg.Notifiers = map[string]configs.Notifier{
		names[0]: hookWith(`{{if}}`),
		names[1]: hookWith(`{{.NoSuchField}}`),
		names[2]: hookWith(`50% %s %d {{.Rule}} {{.Field "host.name"}} {{json .Group}}`),
		names[3]: hookWith(``),
	}
	process.StartChild(t, cfg)
	c.produce("src.tmpl", 0, eventLine(time.Now(), "error", "x"))
	await(t, "4 calls", func() bool { keys, _ := h.calls(); return len(keys) >= 4 })
	keys, bodies := h.calls()
	broken, percent := 0, 0
	for i, body := range bodies {
		if keys[i] != keys[0] {
			t.Errorf("calls with several ids: %v", keys)
		}
		if body == `50% %s %d each x null` {
			percent++
			continue
		}
		var a Alert
		if err := json.Unmarshal([]byte(body), &a); err != nil || !strings.Contains(a.Summary, "tmpl/each: event matched: ") {
			t.Errorf("body %s: %v", body, err)
		}
		if strings.Contains(a.TemplateError, "broken") && strings.Contains(a.Summary, "broken") {
			broken++
		}
	}
	if broken != 3 || percent != 1 {
		t.Errorf("%d bodies say that a template is broken, %d are from the template: %q", broken, percent, bodies)
	}
	if alerts := c.alerts("tmpl", "each"); len(alerts) != 1 || alerts[0].TemplateError == "" {
		t.Errorf("alerts %+v", alerts)
	}
}

func twoProcesses(t *testing.T, c *cluster) {
	c.createTopic("src.two", 4)
	cfg := testConfig(c.kafka, "two")
	process.StartChild(t, cfg)
	victim := process.StartChild(t, cfg)
	now := time.Now()
	const hosts = 20
	produce := func(from, to int) {
		for i := from; i < to; i++ {
			for h := range hosts {
				c.produce("src.two", int32((i+h)%4), eventLine(now.Add(time.Duration(i)*time.Second), "timeout", fmt.Sprint("h", h)))
			}
		}
	}
	produce(0, 3)
	victim.End(syscall.SIGKILL)
	produce(3, 6)
	process.StartChild(t, cfg)
	produce(6, 8)
	c.barrier("two", "src.two", 4)
	perHost := map[string]int{}
	for _, a := range c.alerts("two", "burst") {
		perHost[a.Group["host.name"]]++
	}
	for h := range hosts {
		if n := perHost[fmt.Sprint("h", h)]; n != 1 {
			t.Errorf("host h%d has %d alerts", h, n)
		}
	}
}

// killedAgainAndAgain kills the process at random moments while alerts are
// raised, and starts it again.
func killedAgainAndAgain(t *testing.T, c *cluster) {
	c.createTopic("src.again", 2)
	path := filepath.Join(t.TempDir(), "alerts.jsonl")
	cfg := testConfig(c.kafka, "again", "again-file")
	cfg.Notifiers = map[string]configs.Notifier{"again-file": {File: &configs.FileNotifier{Path: path}}}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	now := time.Now()
	const rounds, hosts = 4, 30
	for round := range rounds {
		victim := process.StartChild(t, cfg)
		raised := len(c.alerts("again", "burst"))
		for h := range hosts {
			host := fmt.Sprintf("r%d-h%d", round, h)
			for i := range 6 {
				c.produce("src.again", int32(i%2), eventLine(now.Add(time.Duration(i)*time.Second), "timeout", host))
			}
		}
		await(t, "some alerts", func() bool { return len(c.alerts("again", "burst")) > raised+rnd.IntN(hosts-1) })
		victim.End(syscall.SIGKILL)
	}
	process.StartChild(t, cfg)
	c.barrier("again", "src.again", 2)
	ids, perHost := map[string]int{}, map[string]int{}
	for _, a := range c.alerts("again", "burst") {
		ids[a.ID]++
		perHost[a.Group["host.name"]]++
	}
	for host, n := range perHost {
		if n != 1 {
			t.Errorf("host %s has %d alerts", host, n)
		}
	}
	if len(perHost) != rounds*hosts || len(ids) != rounds*hosts {
		t.Errorf("%d hosts have alerts, %d ids", len(perHost), len(ids))
	}
	await(t, "all alerts in the file", func() bool { return len(linesOf(t, path)) >= rounds*hosts })
	inFile := map[string]int{}
	for _, line := range linesOf(t, path) {
		var a Alert
		if err := json.Unmarshal([]byte(line), &a); err != nil {
			t.Fatalf("line %q: %v", line, err)
		}
		inFile[a.ID]++
	}
	for id, n := range inFile {
		if n != 1 || ids[id] != 1 {
			t.Errorf("alert %s is %d times in the file and %d times in the topic", id, n, ids[id])
		}
	}
}

func failingNotifier(t *testing.T, c *cluster) {
	c.createTopic("src.fail", 1)
	bad, good := newHook(t), newHook(t)
	bad.status = 500
	cfg := testConfig(c.kafka, "fail", "fail-bad", "fail-good", "fail-unknown")
	cfg.Notifiers = map[string]configs.Notifier{
		"fail-bad":  {Webhook: &configs.WebhookNotifier{URL: bad.URL, RetryFor: configs.Duration(time.Hour)}},
		"fail-good": {Webhook: &configs.WebhookNotifier{URL: good.URL}},
	}
	victim := process.StartChild(t, cfg)
	now := time.Now()
	for i := range 40 {
		c.produce("src.fail", 0, eventLine(now, "error", fmt.Sprint(i)))
	}
	await(t, "40 calls of the good one", func() bool { keys, _ := good.calls(); return len(keys) >= 40 })
	await(t, "calls of the bad one", func() bool { keys, _ := bad.calls(); return len(keys) >= 10 })
	victim.End(syscall.SIGKILL)
	bad.mu.Lock()
	bad.status = 200
	bad.keys = nil
	bad.mu.Unlock()
	process.StartChild(t, cfg)
	await(t, "40 calls of the repaired one", func() bool { keys, _ := bad.calls(); return len(distinct(keys)) >= 40 })
	keys, _ := good.calls()
	if len(distinct(keys)) != 40 {
		t.Errorf("the good one was called with %d ids", len(distinct(keys)))
	}
}

func distinct(keys []string) []string {
	return slices.Compact(slices.Sorted(slices.Values(keys)))
}

func orderlyEnd(t *testing.T, c *cluster) {
	c.createTopic("src.end", 1)
	h := newHook(t)
	cfg := testConfig(c.kafka, "end", "end-web")
	cfg.Notifiers = map[string]configs.Notifier{"end-web": {Webhook: &configs.WebhookNotifier{URL: h.URL}}}
	p := process.StartChild(t, cfg)
	c.produce("src.end", 0, eventLine(time.Now(), "error", "x"))
	await(t, "the call", func() bool { keys, _ := h.calls(); return len(keys) >= 1 })
	began := time.Now()
	if code := p.End(syscall.SIGTERM); code != 0 || time.Since(began) > 30*time.Second {
		t.Errorf("ended with code %d after %v", code, time.Since(began))
	}
	alerts, err := ReadAlerts(t.Context(), c.kafka, time.Now().Add(-time.Hour), 3)
	if err != nil || len(alerts) != 3 {
		t.Fatalf("ReadAlerts: %d, %v", len(alerts), err)
	}
	process.StartChild(t, cfg)
	c.barrier("end", "src.end", 1)
	if keys, _ := h.calls(); len(keys) != 1 {
		t.Errorf("%d calls after an orderly end and a new start", len(keys))
	}
}
