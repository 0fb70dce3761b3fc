package compat

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/IBM/sarama"
)

func saramaConfig(v sarama.KafkaVersion) *sarama.Config {
	c := sarama.NewConfig()
	c.ClientID, c.Version = "compat", v
	c.Producer.Return.Successes, c.Producer.Return.Errors = true, true
	c.Producer.RequiredAcks = sarama.WaitForAll
	c.Producer.Partitioner = sarama.NewManualPartitioner
	c.Consumer.Return.Errors = true
	c.Consumer.Offsets.Initial = sarama.OffsetOldest
	c.Consumer.Group.Session.Timeout, c.Consumer.Group.Heartbeat.Interval = 6*time.Second, 500*time.Millisecond
	return c
}

func saramaVersions() map[string]sarama.KafkaVersion {
	return map[string]sarama.KafkaVersion{"0.11": sarama.V0_11_0_0, "1.0": sarama.V1_0_0_0, "2.1": sarama.V2_1_0_0, "2.8": sarama.V2_8_0_0, "4.0": sarama.V4_0_0_0}
}

// TestSaramaSync produces with each codec in the form of several Kafka versions and reads all back.
func TestSaramaSync(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	codecs := []sarama.CompressionCodec{sarama.CompressionNone, sarama.CompressionGZIP, sarama.CompressionSnappy, sarama.CompressionLZ4, sarama.CompressionZSTD}
	for name, version := range saramaVersions() {
		t.Run(name, func(t *testing.T) {
			topic := "sync-" + name
			n.createTopic(topic, 2)
			var want []string
			for _, codec := range codecs {
				for _, idempotent := range []bool{false, true} {
					c := saramaConfig(version)
					if codec == sarama.CompressionZSTD && !version.IsAtLeast(sarama.V2_1_0_0) {
						continue
					}
					c.Producer.Compression, c.Producer.Idempotent = codec, idempotent
					if idempotent {
						c.Net.MaxOpenRequests = 1
					}
					want = append(want, saramaProduce(t, n, c, topic, fmt.Sprintf("%s-%v", codec, idempotent))...)
				}
			}
			if got := saramaConsume(t, n, saramaConfig(version), topic, 1, len(want)); !slices.Equal(got, want) {
				t.Errorf("consumed %d records, want %d in the same order", len(got), len(want))
			}
		})
	}
}

// saramaProduce sends ten records to partition 1 in one batch.
func saramaProduce(t *testing.T, n *node, c *sarama.Config, topic, label string) []string {
	t.Helper()
	p, err := sarama.NewSyncProducer([]string{n.addr}, c)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	var sent []string
	var messages []*sarama.ProducerMessage
	for i := range 10 {
		value := fmt.Sprintf("%s-%d", label, i)
		sent = append(sent, value)
		messages = append(messages, &sarama.ProducerMessage{
			Topic: topic, Partition: 1, Key: sarama.StringEncoder("k"), Value: sarama.StringEncoder(value),
			Headers: []sarama.RecordHeader{{Key: []byte("h"), Value: []byte(value)}},
		})
	}
	if err := p.SendMessages(messages); err != nil {
		t.Fatal(err)
	}
	for i, m := range messages[1:] {
		if m.Offset != messages[i].Offset+1 {
			t.Errorf("offsets are %d then %d", messages[i].Offset, m.Offset)
		}
	}
	return sent
}

func saramaConsume(t *testing.T, n *node, c *sarama.Config, topic string, partition int32, count int) []string {
	t.Helper()
	consumer, err := sarama.NewConsumer([]string{n.addr}, c)
	if err != nil {
		t.Fatal(err)
	}
	defer consumer.Close()
	pc, err := consumer.ConsumePartition(topic, partition, sarama.OffsetOldest)
	if err != nil {
		t.Fatal(err)
	}
	defer pc.Close()
	var got []string
	deadline := time.After(60 * time.Second)
	for len(got) < count {
		select {
		case m := <-pc.Messages():
			if string(m.Key) != "k" || len(m.Headers) != 1 || string(m.Headers[0].Value) != string(m.Value) || time.Since(m.Timestamp).Abs() > time.Hour {
				t.Errorf("record %q has key %q, headers %v, timestamp %s", m.Value, m.Key, m.Headers, m.Timestamp)
			}
			got = append(got, string(m.Value))
		case err := <-pc.Errors():
			t.Fatal(err)
		case <-deadline:
			t.Fatalf("consumed %d of %d records", len(got), count)
		}
	}
	return got
}

// TestSaramaAsync has many batches in flight, idempotent too.
func TestSaramaAsync(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	const records = 20_000
	for _, idempotent := range []bool{false, true} {
		t.Run(fmt.Sprintf("idempotent=%v", idempotent), func(t *testing.T) {
			topic := fmt.Sprintf("async-%v", idempotent)
			n.createTopic(topic, 3)
			c := saramaConfig(sarama.V2_8_0_0)
			c.Producer.Partitioner = sarama.NewRoundRobinPartitioner
			c.Producer.Idempotent, c.Producer.Flush.Messages, c.Producer.Flush.Frequency = idempotent, 200, 5*time.Millisecond
			if idempotent {
				c.Net.MaxOpenRequests = 1
			}
			p, err := sarama.NewAsyncProducer([]string{n.addr}, c)
			if err != nil {
				t.Fatal(err)
			}
			var sending sync.WaitGroup
			sending.Go(func() {
				for i := range records {
					p.Input() <- &sarama.ProducerMessage{Topic: topic, Value: sarama.StringEncoder(fmt.Sprint(i))}
				}
			})
			offsets := map[int32]map[int64]bool{}
			deadline := time.After(time.Minute)
			for range records {
				select {
				case <-deadline:
					t.Fatal("not all records were answered within a minute")
				case m := <-p.Successes():
					if offsets[m.Partition] == nil {
						offsets[m.Partition] = map[int64]bool{}
					}
					offsets[m.Partition][m.Offset] = true
				case err := <-p.Errors():
					t.Fatal(err)
				}
			}
			sending.Wait()
			if err := p.Close(); err != nil {
				t.Error(err)
			}
			distinct := 0
			for _, o := range offsets {
				distinct += len(o)
			}
			if distinct != records || len(offsets) != 3 {
				t.Errorf("%d records got %d offsets in %d partitions", records, distinct, len(offsets))
			}
		})
	}
}

// groupReader is a sarama.ConsumerGroupHandler that marks what it reads.
type groupReader struct {
	mu    sync.Mutex
	seen  map[string]int
	owned map[int32]bool
}

// Setup notes what was assigned.
func (g *groupReader) Setup(s sarama.ConsumerGroupSession) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.owned = map[int32]bool{}
	for _, p := range s.Claims()["group"] {
		g.owned[p] = true
	}
	return nil
}

// Cleanup does nothing.
func (g *groupReader) Cleanup(sarama.ConsumerGroupSession) error { return nil }

// ConsumeClaim reads one partition.
func (g *groupReader) ConsumeClaim(s sarama.ConsumerGroupSession, c sarama.ConsumerGroupClaim) error {
	for m := range c.Messages() {
		g.mu.Lock()
		g.seen[string(m.Value)]++
		g.mu.Unlock()
		s.MarkMessage(m, "meta")
	}
	return nil
}

func (g *groupReader) state() (owned, seen int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.owned), len(g.seen)
}

// join runs a member until stop is called.
func (g *groupReader) join(t *testing.T, n *node, c *sarama.Config) (stop func()) {
	t.Helper()
	group, err := sarama.NewConsumerGroup([]string{n.addr}, "sarama-group", c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		for ctx.Err() == nil {
			if err := group.Consume(ctx, []string{"group"}, g); err != nil && !errors.Is(err, context.Canceled) && !errors.Is(err, sarama.ErrClosedConsumerGroup) {
				t.Errorf("consume: %v", err)
				return
			}
		}
	})
	running.Go(func() {
		for err := range group.Errors() {
			t.Errorf("group: %v", err)
		}
	})
	return sync.OnceFunc(func() {
		cancel()
		if err := group.Close(); err != nil {
			t.Error(err)
		}
		running.Wait()
	})
}

// TestSaramaGroup: two members share the partitions, one leaves, a later
// generation goes on where the offsets say; dynamic and static members, all strategies.
func TestSaramaGroup(t *testing.T) {
	t.Parallel()
	strategies := map[string]sarama.BalanceStrategy{
		"range": sarama.NewBalanceStrategyRange(), "roundrobin": sarama.NewBalanceStrategyRoundRobin(), "sticky": sarama.NewBalanceStrategySticky(),
	}
	for _, name := range slices.Sorted(maps.Keys(strategies)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			saramaGroup(t, strategies[name], sarama.V1_0_0_0)
		})
	}
	// A static member does not leave: others wait for the end of its session.
	t.Run("static", func(t *testing.T) {
		t.Parallel()
		saramaGroup(t, sarama.NewBalanceStrategyRange(), sarama.V2_8_0_0)
	})
}

func saramaGroup(t *testing.T, strategy sarama.BalanceStrategy, version sarama.KafkaVersion) {
	n := startNode(t)
	n.createTopic("group", 4)
	config := func(instance string) *sarama.Config {
		c := saramaConfig(version)
		c.Consumer.Group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{strategy}
		if version.IsAtLeast(sarama.V2_3_0_0) {
			c.Consumer.Group.InstanceId = instance // others wait for the end of its session
		} else {
			c.Consumer.Group.Session.Timeout = 30 * time.Second
		}
		return c
	}
	send := func(label string) {
		p, err := sarama.NewSyncProducer([]string{n.addr}, saramaConfig(version))
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		for i := range 40 {
			m := &sarama.ProducerMessage{Topic: "group", Partition: int32(i % 4), Value: sarama.StringEncoder(fmt.Sprintf("%s-%d", label, i))}
			if _, _, err := p.SendMessage(m); err != nil {
				t.Fatal(err)
			}
		}
	}
	send("first")
	a, b := &groupReader{seen: map[string]int{}}, &groupReader{seen: map[string]int{}}
	stopA := a.join(t, n, config("a"))
	defer stopA()
	eventually(t, "the first member owns and reads everything", func() bool { owned, seen := a.state(); return owned == 4 && seen == 40 })
	stopB := b.join(t, n, config("b"))
	defer stopB()
	eventually(t, "two members share the partitions", func() bool {
		ownedA, _ := a.state()
		ownedB, _ := b.state()
		return ownedA == 2 && ownedB == 2
	})
	send("second")
	eventually(t, "both read the new records", func() bool {
		_, seenA := a.state()
		_, seenB := b.state()
		return seenA+seenB == 80
	})
	stopA()
	eventually(t, "the second member takes over", func() bool { owned, _ := b.state(); return owned == 4 })
	stopB()

	later := &groupReader{seen: map[string]int{}}
	stop := later.join(t, n, config("c"))
	defer stop()
	send("third")
	eventually(t, "a later member reads what is new", func() bool { _, seen := later.state(); return seen == 40 })
	for value, times := range later.seen {
		if times != 1 || value[:5] != "third" {
			t.Errorf("%q was read %d times by the later member", value, times)
		}
	}
}

// TestSaramaAdmin walks through the life of a topic and a group.
func TestSaramaAdmin(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	admin, err := sarama.NewClusterAdmin([]string{n.addr}, saramaConfig(sarama.V2_8_0_0))
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	check := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	retention := "3600000"
	check("create", admin.CreateTopic("topic", &sarama.TopicDetail{
		NumPartitions: 2, ReplicationFactor: 1, ConfigEntries: map[string]*string{"retention.ms": &retention},
	}, false))
	if err := admin.CreateTopic("topic", &sarama.TopicDetail{NumPartitions: 2, ReplicationFactor: 1}, false); !errors.Is(err, sarama.ErrTopicAlreadyExists) {
		t.Errorf("create again: %v", err)
	}
	check("create partitions", admin.CreatePartitions("topic", 3, nil, false))
	// Apache Kafka answers before what was changed can be seen.
	eventually(t, "the topic is as it was changed", func() bool {
		topics, err := admin.ListTopics()
		check("list topics", err)
		d := topics["topic"]
		return d.NumPartitions == 3 && d.ConfigEntries["retention.ms"] != nil && *d.ConfigEntries["retention.ms"] == retention
	})
	longer := "7200000"
	check("alter config", admin.IncrementalAlterConfig(sarama.TopicResource, "topic", map[string]sarama.IncrementalAlterConfigsEntry{
		"retention.ms": {Operation: sarama.IncrementalAlterConfigsOperationSet, Value: &longer},
	}, false))
	eventually(t, "the config is as it was changed", func() bool {
		described, err := admin.DescribeConfigs([]*sarama.ConfigResource{{Type: sarama.TopicResource, Name: "topic", ConfigNames: []string{"retention.ms"}}}, sarama.DescribeConfigsOptions{})
		check("describe config", err)
		return len(described) == 1 && len(described[0].Configs) == 1 && described[0].Configs[0].Value == longer
	})
	brokers, controller, err := admin.DescribeCluster()
	check("describe cluster", err)
	if len(brokers) != 1 || brokers[0].ID() != controller {
		t.Errorf("brokers %v, controller %d", brokers, controller)
	}

	saramaGroupAdmin(t, n, admin)

	check("delete records", admin.DeleteRecords("topic", map[int32]int64{0: 0}))
	check("delete topic", admin.DeleteTopic("topic"))
	eventually(t, "the topic is gone", func() bool {
		topics, err := admin.ListTopics()
		check("list topics", err)
		_, there := topics["topic"]
		return !there
	})
	eventually(t, "no offset of the deleted topic is left", func() bool {
		offsets, err := admin.ListConsumerGroupOffsets("other", nil)
		check("offsets after the topic went", err)
		b := offsets.GetBlock("topic", 0)
		return b == nil || b.Offset == -1
	})
}

func saramaGroupAdmin(t *testing.T, n *node, admin sarama.ClusterAdmin) {
	t.Helper()
	client, err := sarama.NewClient([]string{n.addr}, saramaConfig(sarama.V2_8_0_0))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for _, group := range []string{"gone", "other"} {
		manager, err := sarama.NewOffsetManagerFromClient(group, client)
		if err != nil {
			t.Fatal(err)
		}
		pom, err := manager.ManagePartition("topic", 0)
		if err != nil {
			t.Fatal(err)
		}
		pom.MarkOffset(42, "note")
		manager.Commit()
		if err := errors.Join(pom.Close(), manager.Close()); err != nil {
			t.Fatal(err)
		}
	}
	groups, err := admin.ListConsumerGroups()
	if err != nil || len(groups) != 2 {
		t.Errorf("groups %v, %v", groups, err)
	}
	described, err := admin.DescribeConsumerGroups([]string{"gone"})
	if err != nil || len(described) != 1 || described[0].State != "Empty" {
		t.Errorf("described %+v, %v", described, err)
	}
	offsets, err := admin.ListConsumerGroupOffsets("gone", map[string][]int32{"topic": {0, 1}})
	if err != nil {
		t.Fatal(err)
	}
	if b := offsets.GetBlock("topic", 0); b == nil || b.Offset != 42 || b.Metadata != "note" {
		t.Errorf("offset is %+v", b)
	}
	if err := admin.DeleteConsumerGroupOffset("gone", "topic", 0); err != nil {
		t.Errorf("delete offset: %v", err)
	}
	if err := admin.DeleteConsumerGroup("gone"); err != nil {
		t.Errorf("delete group: %v", err)
	}
	if err := admin.DeleteConsumerGroup("gone"); !errors.Is(err, sarama.ErrGroupIDNotFound) {
		t.Errorf("delete a group that is gone: %v", err)
	}
}
