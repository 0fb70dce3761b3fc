package compat

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/test/peers"
)

const mirrorMaker = "org.apache.kafka.connect.mirror.MirrorMaker"

// mirrorLimit is how long what MirrorMaker does may take: it starts several parts of
// Kafka Connect, one after the other.
const mirrorLimit = 4 * time.Minute

// mirrorProperties let a MirrorMaker copy whatever is there at once; those of
// connect-mirror-maker.properties of Kafka's distribution, for one node.
const mirrorProperties = `clusters=%[1]s,%[3]s
%[1]s.bootstrap.servers=%[2]s
%[3]s.bootstrap.servers=%[4]s
topics=orders
groups=readers
replication.factor=1
checkpoints.topic.replication.factor=1
heartbeats.topic.replication.factor=1
offset-syncs.topic.replication.factor=1
offset.storage.replication.factor=1
status.storage.replication.factor=1
config.storage.replication.factor=1
offset.storage.partitions=1
status.storage.partitions=1
offset.lag.max=0
sync.group.offsets.enabled=true
sync.topic.acls.enabled=false
refresh.topics.interval.seconds=1
refresh.groups.interval.seconds=1
sync.topic.configs.interval.seconds=1
emit.checkpoints.interval.seconds=1
sync.group.offsets.interval.seconds=1
scheduled.rebalance.max.delay.ms=0
`

// mirrored is one end of a MirrorMaker.
type mirrored struct {
	*node
	// name is that of the cluster in MirrorMaker's words: its topics get it as a prefix.
	name string
	// began is the time of its first record, younger than what retention deletes.
	began time.Time
}

func newMirrored(n *node, name string) mirrored {
	return mirrored{node: n, name: name, began: time.Now().Add(-time.Hour).Truncate(time.Millisecond)}
}

// timeOf is the time of a record.
func (m mirrored) timeOf(i int) time.Time { return m.began.Add(time.Duration(i) * time.Millisecond) }

// TestMirrorMaker: Kafka's own replication between clusters carries records, configs
// and the positions of groups from one node to another.
func TestMirrorMaker(t *testing.T) {
	t.Parallel()
	a, b := newMirrored(startNode(t), "a"), newMirrored(startNode(t), "b")
	readers := a.fillAndRead(t)
	startMirrorMaker(t, a, b, "a->b.enabled=true")
	b.has(t, a, readers)
}

// TestMirrorMakerWithApacheKafka mirrors in both directions between this product's
// broker and Apache Kafka. It takes two servers in Java: a part of make conformance.
func TestMirrorMakerWithApacheKafka(t *testing.T) {
	t.Parallel()
	onlyOurs(t, "TestMirrorMaker mirrors from one Apache Kafka to another")
	if os.Getenv("MILLRACE_CONFORMANCE") != "full" {
		t.Skip("skipped: make conformance runs it")
	}
	kafka := peers.Kafka(t)
	ours, theirs := newMirrored(startNode(t), "ours"), newMirrored(&node{t: t, addr: kafka.Bootstrap}, "kafka")
	ourReaders, theirReaders := ours.fillAndRead(t), theirs.fillAndRead(t)
	startMirrorMaker(t, ours, theirs, "ours->kafka.enabled=true\nkafka->ours.enabled=true")
	theirs.has(t, ours, ourReaders)
	ours.has(t, theirs, theirReaders)
}

// startMirrorMaker runs one until the test ends.
func startMirrorMaker(t *testing.T, a, b mirrored, flows string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "mm2.properties")
	if err := os.WriteFile(file, fmt.Appendf(nil, mirrorProperties+flows+"\n", a.name, a.addr, b.name, b.addr), 0o600); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	cmd := peers.KafkaProgram(t, mirrorMaker, file)
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGKILL) // fails when it has ended
		_ = cmd.Wait()                          // it was killed
		if t.Failed() {
			t.Log("MirrorMaker's log:\n" + log.String()[max(0, log.Len()-8000):])
		}
	})
}

// mirroredRecords is how many records each of the topic's three partitions has.
const mirroredRecords = 100

// fillAndRead makes a topic with a config of its own, fills it, and reads all of it as
// a group. It returns the group's positions.
func (m mirrored) fillAndRead(t *testing.T) kadm.OffsetResponses {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), mirrorLimit)
	defer cancel()
	admin := m.admin(t)
	created, err := admin.CreateTopic(ctx, 3, 1, map[string]*string{"retention.ms": new("86400000"), "max.message.bytes": new("2000000")}, "orders")
	if err := errors.Join(err, created.Err); err != nil {
		t.Fatal(err)
	}
	producer := m.franz(t, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	for i := range 3 * mirroredRecords {
		r := &kgo.Record{
			Topic: "orders", Partition: int32(i % 3), Key: fmt.Append(nil, "k", i), Value: fmt.Append(nil, m.name, i), Timestamp: m.timeOf(i),
			Headers: []kgo.RecordHeader{{Key: "number", Value: fmt.Append(nil, i)}},
		}
		if err := producer.ProduceSync(ctx, r).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	reader := m.franz(t, kgo.ConsumerGroup("readers"), kgo.ConsumeTopics("orders"), kgo.DisableAutoCommit(), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	for read := 0; read < 3*mirroredRecords; {
		fetches := reader.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatalf("after %d records: %v", read, err)
		}
		read += fetches.NumRecords()
	}
	if err := reader.CommitUncommittedOffsets(ctx); err != nil {
		t.Fatal(err)
	}
	reader.Close()
	offsets, err := admin.FetchOffsets(ctx, "readers")
	if err != nil || len(offsets["orders"]) != 3 {
		t.Fatalf("the group's positions: %v, %v", offsets, err)
	}
	return offsets
}

func (m mirrored) admin(t *testing.T) *kadm.Client {
	t.Helper()
	return kadm.NewClient(m.franz(t))
}

// has waits for all that a MirrorMaker brings here from another node.
func (m mirrored) has(t *testing.T, from mirrored, readers kadm.OffsetResponses) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), mirrorLimit)
	defer cancel()
	topic := from.name + ".orders"
	m.hasRecords(ctx, t, topic, from)
	admin := m.admin(t)
	m.hasConfig(ctx, t, admin, topic, map[string]string{"retention.ms": "86400000", "max.message.bytes": "2000000"})
	eventuallyWithin(t, mirrorLimit, "the group's positions are translated", func() bool {
		got, err := admin.FetchOffsets(ctx, "readers")
		if err != nil {
			return false // the group is not there yet
		}
		same := 0
		readers.Each(func(r kadm.OffsetResponse) {
			if o, ok := got.Lookup(topic, r.Partition); r.Topic == "orders" && ok && o.At == r.At {
				same++
			}
		})
		return same == 3
	})

	source := from.admin(t)
	altered, err := source.AlterTopicConfigs(ctx, []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "retention.ms", Value: new("43200000")}}, "orders")
	if err != nil || altered[0].Err != nil {
		t.Fatalf("%v, %v", altered, err)
	}
	created, err := source.CreatePartitions(ctx, 1, "orders")
	if err := errors.Join(err, created.Error()); err != nil {
		t.Fatal(err)
	}
	m.hasConfig(ctx, t, admin, topic, map[string]string{"retention.ms": "43200000"})
	eventuallyWithin(t, mirrorLimit, topic+" has the new partition", func() bool {
		details, err := admin.ListTopics(ctx, topic)
		return err == nil && len(details[topic].Partitions) == 4
	})
}

// hasRecords reads the mirrored topic: each record as it was, in its order.
func (m mirrored) hasRecords(ctx context.Context, t *testing.T, topic string, from mirrored) {
	t.Helper()
	admin := m.admin(t)
	eventuallyWithin(t, mirrorLimit, topic+" is there", func() bool {
		details, err := admin.ListTopics(ctx, topic)
		return err == nil && details[topic].Err == nil && len(details[topic].Partitions) == 3
	})
	c := m.franz(t, kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	next := [3]int{0, 1, 2} // the number of the next record of each partition
	for read := 0; read < 3*mirroredRecords; {
		fetches := c.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatalf("after %d records of %s: %v", read, topic, err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			i := next[r.Partition]
			next[r.Partition] += 3
			read++
			if string(r.Key) != fmt.Sprint("k", i) || string(r.Value) != fmt.Sprint(from.name, i) || r.Offset != int64(i/3) || !r.Timestamp.Equal(from.timeOf(i)) ||
				len(r.Headers) != 1 || r.Headers[0].Key != "number" || string(r.Headers[0].Value) != fmt.Sprint(i) {
				t.Fatalf("record %d of partition %d is %+v", i, r.Partition, r)
			}
		})
	}
}

// hasConfig waits until a topic has values.
func (m mirrored) hasConfig(ctx context.Context, t *testing.T, admin *kadm.Client, topic string, want map[string]string) {
	t.Helper()
	eventuallyWithin(t, mirrorLimit, fmt.Sprintf("%s has %v", topic, want), func() bool {
		configs, err := admin.DescribeTopicConfigs(ctx, topic)
		if err != nil || len(configs) != 1 || configs[0].Err != nil {
			return false
		}
		same := 0
		for _, c := range configs[0].Configs {
			if want[c.Key] != "" && c.MaybeValue() == want[c.Key] {
				same++
			}
		}
		return same == len(want)
	})
}
