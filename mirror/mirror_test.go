package mirror

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/IBM/sarama"

	"github.com/millrace/millrace/configs"
	"github.com/millrace/millrace/internal/kafka"
	"github.com/millrace/millrace/test/nodes"
	"github.com/millrace/millrace/test/peers"
	"github.com/millrace/millrace/test/process"
)

// TestMain makes this test binary a mirror for [process.StartChild].
func TestMain(m *testing.M) {
	os.Exit(process.ChildMain(m, func(ctx context.Context, cfg configs.Mirror) error {
		m, err := New(cfg, Options{Logger: slog.New(slog.NewTextHandler(os.Stderr, nil))})
		if err != nil {
			return err
		}
		return m.Run(ctx)
	}))
}

// secondKafka starts a Kafka node with a cluster id of its own: all nodes of
// package peers are formatted with the same.
func secondKafka(t *testing.T) string {
	t.Helper()
	k := peers.Kafka(t)
	k.Kill()
	path := filepath.Join(k.LogDir, "meta.properties")
	meta, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.Replace(string(meta), "cluster.id=bWlsbHJhY2UtcGVlci0wMQ", "cluster.id=bWlsbHJhY2UtcGVlci0wMg", 1)
	if changed == string(meta) {
		t.Fatalf("no cluster id in %s", meta)
	}
	if err := os.WriteFile(path, []byte(changed), 0o644); err != nil {
		t.Fatal(err)
	}
	k.Start()
	return k.Bootstrap
}

// cluster is one end, as the test uses it.
type cluster struct {
	t      *testing.T
	kafka  configs.Kafka
	client sarama.Client
	admin  sarama.ClusterAdmin
}

func open(t *testing.T, bootstrap string) *cluster {
	t.Helper()
	k := configs.Kafka{Brokers: []string{bootstrap}, ClientID: "test", Partitions: -1, ReplicationFactor: -1}
	conf, err := kafka.ClientConfig(k)
	if err != nil {
		t.Fatal(err)
	}
	conf.Metadata.AllowAutoTopicCreation = false
	conf.Producer.Return.Successes = true
	conf.Producer.RequiredAcks = sarama.WaitForAll
	conf.Producer.Partitioner = sarama.NewManualPartitioner
	client, err := sarama.NewClient(k.Brokers, conf)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	admin, err := sarama.NewClusterAdminFromClient(client)
	if err != nil {
		t.Fatal(err)
	}
	return &cluster{t: t, kafka: k, client: client, admin: admin}
}

func (c *cluster) create(topic string, partitions int32, settings map[string]string) {
	c.t.Helper()
	d := &sarama.TopicDetail{NumPartitions: partitions, ReplicationFactor: 1, ConfigEntries: map[string]*string{}}
	for k, v := range settings {
		d.ConfigEntries[k] = &v
	}
	if err := c.admin.CreateTopic(topic, d, false); err != nil {
		c.t.Fatal(err)
	}
}

// epoch is recent: Apache Kafka deletes old records half a minute after a start,
// also such as were written a moment ago.
var epoch = time.Now().Add(-time.Hour).Truncate(time.Second)

// fill writes records of all shapes to one partition.
func (c *cluster) fill(topic string, partition int32, from, to int) {
	c.t.Helper()
	p, err := sarama.NewSyncProducerFromClient(c.client)
	if err != nil {
		c.t.Fatal(err)
	}
	defer func() { _ = p.Close() }()
	var records []*sarama.ProducerMessage
	for i := from; i < to; i++ {
		m := &sarama.ProducerMessage{
			Topic: topic, Partition: partition, Value: sarama.StringEncoder(fmt.Sprintf("%d-%d", partition, i)),
			Timestamp: epoch.Add(time.Duration(i*7%1000) * time.Millisecond),
			Headers:   []sarama.RecordHeader{{Key: []byte("n"), Value: []byte(fmt.Sprint(i))}, {Key: []byte("empty"), Value: []byte{}}},
		}
		switch i % 3 {
		case 0:
			m.Key = sarama.StringEncoder(fmt.Sprint("key", i))
		case 1:
			m.Headers = nil
		}
		if i%10 == 9 {
			m.Key, m.Value = sarama.StringEncoder("gone"), nil // a tombstone
		}
		records = append(records, m)
	}
	if err := p.SendMessages(records); err != nil {
		c.t.Fatal(err)
	}
}

func (c *cluster) end(topic string, partition int32) int64 {
	end, err := c.client.GetOffset(topic, partition, sarama.OffsetNewest)
	if err != nil {
		return -1
	}
	return end
}

// read returns all records of a partition as text.
func (c *cluster) read(topic string, partition int32) []string {
	c.t.Helper()
	end := c.end(topic, partition)
	consumer, err := sarama.NewConsumerFromClient(c.client)
	if err != nil {
		c.t.Fatal(err)
	}
	defer func() { _ = consumer.Close() }()
	pc, err := consumer.ConsumePartition(topic, partition, sarama.OffsetOldest)
	if err != nil {
		c.t.Fatal(err)
	}
	defer pc.AsyncClose()
	var all []string
	for end > 0 {
		m := <-pc.Messages()
		text := fmt.Sprintf("key=%q/%v value=%q/%v at=%d", m.Key, m.Key == nil, m.Value, m.Value == nil, m.Timestamp.UnixMilli())
		for _, h := range m.Headers {
			text += fmt.Sprintf(" %s=%s", h.Key, h.Value)
		}
		all = append(all, text)
		if m.Offset >= end-1 {
			break
		}
	}
	return all
}

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

// withoutRepeats removes records that follow a later record of their kind:
// what a crash repeats is a run that was there before, so what is left after
// the first appearance of each is the source's order.
func withoutRepeats(all []string) []string {
	seen := map[string]bool{}
	var once []string
	for _, r := range all {
		if !seen[r] {
			seen[r] = true
			once = append(once, r)
		}
	}
	return once
}

// TestFromKafkaToMillrace is from Apache Kafka to this product's broker and back.
func TestFromKafkaToMillrace(t *testing.T) {
	if testing.Short() {
		t.Skip("skipped: -short starts no servers")
	}
	between(t, open(t, peers.Kafka(t).Bootstrap), open(t, nodes.Broker(t)))
}

func TestBetweenTwoKafkas(t *testing.T) {
	if testing.Short() {
		t.Skip("skipped: -short starts no servers")
	}
	between(t, open(t, peers.Kafka(t).Bootstrap), open(t, secondKafka(t)))
}

func between(t *testing.T, a, b *cluster) {
	t.Helper()
	t.Run("ThereAndBack", func(t *testing.T) { thereAndBack(t, a, b) })
	t.Run("LoopIsRefused", func(t *testing.T) { loopIsRefused(t, a, b) })
	t.Run("SameClusterIsRefused", func(t *testing.T) {
		c := process.StartChild(t, configs.Mirror{Source: a.kafka, Target: a.kafka, Topics: []string{"^logs"}, Group: "self"})
		if code := c.End(0); code != 1 || !strings.Contains(strings.Join(c.Lines(), " "), "are the same cluster") {
			t.Errorf("code %d, %v", code, c.Lines())
		}
	})
}

func thereAndBack(t *testing.T, a, b *cluster) {
	a.create("logs.one", 3, map[string]string{"retention.ms": "-1", "max.message.bytes": "777777"})
	a.create("logs.empty", 2, nil)
	a.create("other", 1, nil)
	cfg := configs.Mirror{
		Source: a.kafka, Target: b.kafka, Topics: []string{`^logs\.`}, Exclude: []string{"secret"},
		Group: "there", RefreshInterval: configs.Duration(300 * time.Millisecond),
	}
	a.create("logs.secret", 1, nil)
	const records = 20_000
	for p := range int32(3) {
		a.fill("logs.one", p, 0, records)
	}
	victim := process.StartChild(t, cfg)
	await(t, "the first records", func() bool { return b.end("logs.one", 1) > 1000 })
	victim.End(syscall.SIGKILL)
	if got := b.end("logs.one", 0) + b.end("logs.one", 1) + b.end("logs.one", 2); got >= 3*records {
		t.Log("the mirror had finished before it was killed")
	}
	second := process.StartChild(t, cfg)
	a.create("logs.later", 1, nil)
	a.fill("logs.later", 0, 0, 10)
	if err := a.admin.CreatePartitions("logs.one", 4, nil, false); err != nil {
		t.Fatal(err)
	}
	await(t, "the new partition", func() bool { return a.client.RefreshMetadata("logs.one") == nil && a.end("logs.one", 3) == 0 })
	a.fill("logs.one", 3, 0, 10)
	await(t, "the new topic and partition", func() bool {
		_ = b.client.RefreshMetadata()
		return b.end("logs.later", 0) >= 10 && b.end("logs.one", 3) >= 10
	})
	for p := range int32(4) {
		want := a.read("logs.one", p)
		await(t, "all records", func() bool { return b.end("logs.one", p) >= int64(len(want)) })
		await(t, "the last record", func() bool { return len(withoutRepeats(b.read("logs.one", p))) >= len(withoutRepeats(want)) })
		if got := withoutRepeats(b.read("logs.one", p)); !slices.Equal(got, withoutRepeats(want)) {
			t.Errorf("partition %d: %d records differ from the source's %d", p, len(got), len(want))
		}
	}
	if code := second.End(syscall.SIGTERM); code != 0 {
		t.Errorf("the mirror ended with code %d", code)
	}
	checkTopics(t, b)
	// back, as other topics would be: the later topic only
	before := a.end("logs.later", 0)
	process.StartChild(t, configs.Mirror{Source: b.kafka, Target: a.kafka, Topics: []string{"^logs.later$"}, Group: "back"})
	await(t, "the way back", func() bool { return a.end("logs.later", 0) >= before+10 })
}

func checkTopics(t *testing.T, b *cluster) {
	t.Helper()
	topics, err := b.admin.ListTopics()
	if err != nil {
		t.Fatal(err)
	}
	for name, partitions := range map[string]int32{"logs.one": 4, "logs.empty": 2, "logs.later": 1} {
		if topics[name].NumPartitions != partitions {
			t.Errorf("topic %s has %d partitions on the target", name, topics[name].NumPartitions)
		}
	}
	for _, name := range []string{"other", "logs.secret"} {
		if _, ok := topics[name]; ok {
			t.Errorf("topic %s was copied", name)
		}
	}
	settings, err := settingsOf(b.admin, "logs.one")
	if err != nil || settings["retention.ms"] == nil || *settings["retention.ms"] != "-1" || *settings["max.message.bytes"] != "777777" {
		t.Errorf("settings of logs.one: %v, %v", settings, err)
	}
}

func loopIsRefused(t *testing.T, a, b *cluster) {
	a.create("loop.x", 1, nil)
	b.create("loop.y", 1, nil)
	cfg := configs.Mirror{Source: a.kafka, Target: b.kafka, Topics: []string{"^loop"}, Group: "loop", RefreshInterval: configs.Duration(300 * time.Millisecond)}
	process.StartChild(t, cfg)
	await(t, "the first direction", func() bool { _ = b.client.RefreshMetadata(); return b.end("loop.x", 0) == 0 })
	cfg.Source, cfg.Target, cfg.Group = b.kafka, a.kafka, "loop-back"
	back := process.StartChild(t, cfg)
	if code := back.End(0); code != 1 || !strings.Contains(strings.Join(back.Lines(), " "), "opposite direction") {
		t.Errorf("code %d, %v", code, back.Lines())
	}
}

func TestChooser(t *testing.T) {
	for _, c := range []struct {
		include, exclude []string
		yes, no          string
	}{
		{[]string{"^logs"}, nil, "logs logs.web", "xlogs __consumer_offsets millrace.alerts"},
		{[]string{".*"}, []string{"^a"}, "b logs", "a ab __x millrace.alerts"},
		{[]string{"^millrace\\.alerts$"}, nil, "millrace.alerts", "millrace.alert-matches logs"},
	} {
		chosen, err := chooser(c.include, c.exclude)
		if err != nil {
			t.Fatal(err)
		}
		for topic := range strings.FieldsSeq(c.yes) {
			if !chosen(topic) {
				t.Errorf("%v without %v leaves out %s", c.include, c.exclude, topic)
			}
		}
		for topic := range strings.FieldsSeq(c.no) {
			if chosen(topic) {
				t.Errorf("%v without %v takes %s", c.include, c.exclude, topic)
			}
		}
	}
}

func TestNewRefuses(t *testing.T) {
	some := configs.Kafka{Brokers: []string{"x:1"}}
	for want, cfg := range map[string]configs.Mirror{
		"mirror.source.brokers":  {Target: some, Topics: []string{"a"}},
		"mirror.target.brokers":  {Source: some, Topics: []string{"a"}},
		"mirror.topics is empty": {Source: some, Target: some},
		"mirror.topics: ":        {Source: some, Target: some, Topics: []string{"("}},
		"mirror.exclude: ":       {Source: some, Target: some, Topics: []string{"a"}, Exclude: []string{"["}},
	} {
		if _, err := New(cfg, Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want an error with %q, got %v", want, err)
		}
	}
}

func TestChunks(t *testing.T) {
	var all []*sarama.ConsumerMessage
	for i := range 100 {
		all = append(all, &sarama.ConsumerMessage{Offset: int64(i), Value: make([]byte, 50_000), Timestamp: time.UnixMilli(1)})
	}
	all[50].Value = make([]byte, 2*batchBytesMax)
	var got []int64
	for part := range chunks(all) {
		if len(part) > 1 && sizeOf(part) > batchBytesMax {
			t.Errorf("a part of %d bytes", sizeOf(part))
		}
		for _, m := range part {
			got = append(got, m.Offset)
		}
	}
	if len(got) != len(all) || !slices.IsSorted(got) {
		t.Errorf("messages were lost or moved: %v", got)
	}
}

func TestExampleIsValid(t *testing.T) {
	cfg, err := configs.Load("../configs/examples/mirror.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := New(cfg.Mirror, Options{}); err != nil {
		t.Fatal(err)
	}
}
