package broker

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/configs"
	"github.com/millrace/millrace/internal/kafka"
)

// saramaConfig is the configuration that Millrace's own parts use.
func saramaConfig(t testing.TB, n *testNode) *sarama.Config {
	t.Helper()
	cfg, err := kafka.ClientConfig(configs.Kafka{Brokers: []string{n.Addr()}, ClientID: "test"})
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func TestSaramaProducesIdempotentlyAndConsumes(t *testing.T) {
	n := startNode(t, t.TempDir(), testConfig())
	for _, version := range []sarama.KafkaVersion{sarama.V1_0_0_0, sarama.V2_8_0_0, sarama.MaxVersion} {
		for _, codec := range []sarama.CompressionCodec{sarama.CompressionNone, sarama.CompressionGZIP, sarama.CompressionLZ4, sarama.CompressionSnappy, sarama.CompressionZSTD} {
			if codec == sarama.CompressionZSTD && version == sarama.V1_0_0_0 {
				continue
			}
			topic := fmt.Sprintf("sarama-%s-%s", version, codec)
			t.Run(topic, func(t *testing.T) {
				t.Parallel()
				cfg := saramaConfig(t, n)
				cfg.Version, cfg.Producer.Compression = version, codec
				cfg.Producer.Idempotent, cfg.Producer.RequiredAcks, cfg.Net.MaxOpenRequests = true, sarama.WaitForAll, 1
				cfg.Producer.Return.Successes = true
				p, err := sarama.NewSyncProducer([]string{n.Addr()}, cfg)
				if err != nil {
					t.Fatal(err)
				}
				defer p.Close()
				const count = 100
				var messages []*sarama.ProducerMessage
				for i := range count {
					messages = append(messages, &sarama.ProducerMessage{Topic: topic, Key: sarama.StringEncoder("k"), Value: sarama.StringEncoder(fmt.Sprint(i))})
				}
				if err := p.SendMessages(messages); err != nil {
					t.Fatal(err)
				}
				consumer, err := sarama.NewConsumer([]string{n.Addr()}, cfg)
				if err != nil {
					t.Fatal(err)
				}
				defer consumer.Close()
				pc, err := consumer.ConsumePartition(topic, messages[0].Partition, sarama.OffsetOldest)
				if err != nil {
					t.Fatal(err)
				}
				defer pc.Close()
				for i := range count {
					select {
					case m := <-pc.Messages():
						if string(m.Value) != fmt.Sprint(i) || m.Offset != int64(i) {
							t.Fatalf("message %d is %q at %d", i, m.Value, m.Offset)
						}
					case <-time.After(60 * time.Second):
						t.Fatalf("message %d does not come", i)
					}
				}
			})
		}
	}
}

// TestSaramaSendsBatchesOfItsOwn is how the agent ships: batches with a
// producer id and sequences, sent again after a restart of both sides.
func TestSaramaSendsBatchesOfItsOwn(t *testing.T) {
	dir := t.TempDir()
	n := startNode(t, dir, testConfig())
	createTopic(t, n, "logs", 1, nil)
	send := func(n *testNode, id int64, sequence int32) *sarama.ProduceResponseBlock {
		t.Helper()
		b := sarama.NewBroker(n.Addr())
		if err := b.Open(saramaConfig(t, n)); err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		req := &sarama.ProduceRequest{RequiredAcks: sarama.WaitForAll, Timeout: 1000, Version: 7}
		req.AddBatch("logs", 0, &sarama.RecordBatch{
			Version: 2, ProducerID: id, FirstSequence: sequence, FirstTimestamp: time.Now(), MaxTimestamp: time.Now(),
			LastOffsetDelta: 1, Records: []*sarama.Record{{Value: []byte("a")}, {Value: []byte("b"), OffsetDelta: 1}},
		})
		resp, err := b.Produce(req)
		if err != nil {
			t.Fatal(err)
		}
		return resp.GetBlock("logs", 0)
	}
	for i := range int32(3) {
		if got := send(n, 77, 2*i); got.Err != sarama.ErrNoError || got.Offset != int64(2*i) {
			t.Fatalf("batch %d: %+v", i, got)
		}
	}
	killed := startNode(t, copyDir(t, dir), testConfig())
	for i := range int32(3) {
		if got := send(killed, 77, 2*i); got.Err != sarama.ErrNoError || got.Offset != int64(2*i) {
			t.Errorf("batch %d again: %+v", i, got)
		}
	}
	if got := send(killed, 77, 40); got.Err != sarama.ErrOutOfOrderSequenceNumber {
		t.Errorf("a gap: %+v", got)
	}
}

type groupHandler func(*sarama.ConsumerMessage) bool

func (groupHandler) Setup(sarama.ConsumerGroupSession) error   { return nil }
func (groupHandler) Cleanup(sarama.ConsumerGroupSession) error { return nil }
func (h groupHandler) ConsumeClaim(s sarama.ConsumerGroupSession, c sarama.ConsumerGroupClaim) error {
	for m := range c.Messages() {
		s.MarkMessage(m, "")
		if !h(m) {
			return nil
		}
	}
	return nil
}

func TestSaramaGroupContinuesWhereItCommitted(t *testing.T) {
	dir := t.TempDir()
	n := startNode(t, dir, testConfig())
	createTopic(t, n, "t", 1, nil)
	c := newClient(t, n, kgo.DefaultProduceTopic("t"))
	produceMore := func(c *kgo.Client, from, to int) {
		for i := from; i < to; i++ {
			if err := c.ProduceSync(t.Context(), kgo.StringRecord(fmt.Sprint(i))).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
	}
	consume := func(n *testNode, from, to int) {
		t.Helper()
		cfg := saramaConfig(t, n)
		cfg.Consumer.Offsets.Initial = sarama.OffsetOldest
		group, err := sarama.NewConsumerGroup([]string{n.Addr()}, "g", cfg)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
		defer cancel()
		next := from
		err = group.Consume(ctx, []string{"t"}, groupHandler(func(m *sarama.ConsumerMessage) bool {
			if string(m.Value) != fmt.Sprint(next) {
				t.Errorf("message %q in the place of %d", m.Value, next)
			}
			if next++; next == to {
				cancel()
			}
			return next < to
		}))
		if err = errors.Join(err, group.Close()); err != nil {
			t.Error(err)
		}
		if next != to {
			t.Fatalf("%d messages, want %d", next-from, to-from)
		}
	}
	produceMore(c, 0, 50)
	consume(n, 0, 50)
	n.stop()
	n = startNode(t, dir, testConfig())
	produceMore(newClient(t, n, kgo.DefaultProduceTopic("t")), 50, 80)
	consume(n, 50, 80)
}

func TestFranzGroupAndItsDescription(t *testing.T) {
	n := startNode(t, t.TempDir(), testConfig())
	createTopic(t, n, "t", 2, nil)
	c := newClient(t, n, kgo.DefaultProduceTopic("t"), kgo.ConsumerGroup("g"), kgo.ConsumeTopics("t"), kgo.DisableAutoCommit())
	for i := range 20 {
		if err := c.ProduceSync(t.Context(), kgo.KeyStringRecord(fmt.Sprint(i), "v")).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	for got := 0; got < 20; {
		fetches := c.PollFetches(t.Context())
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		got += fetches.NumRecords()
	}
	if err := c.CommitUncommittedOffsets(t.Context()); err != nil {
		t.Fatal(err)
	}
	admin := newAdmin(t, n)
	lags, err := admin.Lag(t.Context(), "g")
	lag := lags["g"]
	if err != nil || lag.Error() != nil || lag.Lag.Total() != 0 || len(lag.Members) != 1 {
		t.Errorf("lag %+v %v", lag, err)
	}
	groups, err := admin.ListGroups(t.Context())
	if err != nil || groups["g"].State != "Stable" {
		t.Errorf("groups %v %v", groups, err)
	}
	c.LeaveGroup()
	if _, err := admin.DeleteTopic(t.Context(), "t"); err != nil {
		t.Fatal(err)
	}
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for deadline := time.Now().Add(60 * time.Second); ; <-ticker.C {
		offsets, err := admin.FetchOffsets(t.Context(), "g")
		if err == nil && len(offsets.Offsets()) == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("offsets of a deleted topic: %v %v", offsets, err)
		}
	}
}

func TestTheTopicOfOffsetsIsMadeOnceAndFound(t *testing.T) {
	n := startNode(t, t.TempDir(), testConfig())
	admin := newAdmin(t, n)
	found := admin.FindGroupCoordinators(t.Context(), "a", "b")
	if found.Error() != nil || found["a"].NodeID != 1 {
		t.Fatalf("coordinators %+v", found)
	}
	details, err := admin.ListTopicsWithInternal(t.Context())
	if err != nil || len(details[offsetsTopic].Partitions) != 4 || !details[offsetsTopic].IsInternal {
		t.Errorf("internal topics %v %v", details, err)
	}
	described, err := admin.DescribeTopicConfigs(t.Context(), offsetsTopic)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range described[0].Configs {
		if c.Key == "cleanup.policy" && c.MaybeValue() != "compact" {
			t.Errorf("cleanup.policy is %s", c.MaybeValue())
		}
	}
}

func TestMetricsAreThere(t *testing.T) {
	reg := prometheus.NewRegistry()
	n, err := New(testConfig(), Options{Dir: t.TempDir(), Registerer: reg})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- n.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	c, err := kgo.NewClient(kgo.SeedBrokers(n.Addr()), kgo.DefaultProduceTopic("t"), kgo.AllowAutoTopicCreation())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.ProduceSync(t.Context(), kgo.StringRecord("v")).FirstErr(); err != nil {
		t.Fatal(err)
	}
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		for _, m := range f.Metric {
			name := f.GetName()
			for _, l := range m.Label {
				name += " " + l.GetValue()
			}
			got[name] = m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	for _, name := range []string{
		"millrace_broker_requests_total Produce", "millrace_broker_received_bytes_total", "millrace_broker_sent_bytes_total",
		"millrace_broker_connections PLAINTEXT", "millrace_broker_partitions",
	} {
		if got[name] <= 0 {
			t.Errorf("%s is %v", name, got[name])
		}
	}
}
