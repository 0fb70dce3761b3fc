package compat

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/test/peers"
)

// Main classes of Apache Kafka's tools for transactions.
const (
	transactionsCommand        = "org.apache.kafka.tools.TransactionsCommand"
	transactionalMessageCopier = "org.apache.kafka.tools.TransactionalMessageCopier"
)

// TestTransactionsOfConfluentKafka runs testdata/transactions_test.py.
func TestTransactionsOfConfluentKafka(t *testing.T) {
	t.Parallel()
	python := peers.Python(t, "kafka-python", "confluent-kafka")
	n := startNode(t)
	contains(t, "confluent-kafka", runProgram(t, "", python, "testdata/transactions_test.py", n.addr), "all is well")
}

// TestTransactionalMessageCopier: Kafka's own exactly-once copier, with aborts
// at random, copies every record once.
func TestTransactionalMessageCopier(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	n.createTopic("source", 1)
	n.createTopic("target", 1)
	n.sendNumbers("source", 500, time.Now().UnixMilli()-500_000)
	out, err := peers.KafkaTool(t, transactionalMessageCopier, "--broker-list", n.addr, "--transactional-id", "copier",
		"--input-topic", "source", "--input-partition", "0", "--output-topic", "target", "--consumer-group", "copiers",
		"--transaction-size", "50", "--max-messages", "500", "--enable-random-aborts")
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	contains(t, "copier", out, `"consumed":500`, `"remaining":0`)
	want := make([]string, 500)
	for i := range want {
		want[i] = fmt.Sprint(i)
	}
	if got := n.committed(t, "target", len(want)); strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("copied were %v", got)
	}
}

// committed reads count records of a topic, at isolation level read committed.
func (n *node) committed(t *testing.T, topic string, count int) []string {
	t.Helper()
	c := n.franz(t, kgo.ConsumeTopics(topic), kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	var values []string
	for len(values) < count {
		fetches := c.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatalf("after %d records: %v", len(values), err)
		}
		fetches.EachRecord(func(r *kgo.Record) { values = append(values, string(r.Value)) })
	}
	return values
}

func (n *node) franz(t *testing.T, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	c, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(n.addr), kgo.RetryTimeout(time.Minute)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// TestTransactionsCommand: Kafka's tool lists, describes and aborts a
// transaction that nobody ends.
func TestTransactionsCommand(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	n.createTopic("left", 1)
	c := n.franz(t, kgo.TransactionalID("forgotten"), kgo.DefaultProduceTopic("left"), kgo.TransactionTimeout(10*time.Minute))
	if err := c.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	if err := c.ProduceSync(t.Context(), kgo.StringRecord("open")).FirstErr(); err != nil {
		t.Fatal(err)
	}
	txn := func(args ...string) string {
		t.Helper()
		return n.tool(t, transactionsCommand, args...)
	}
	contains(t, "list", txn("list"), "forgotten 1 0 Ongoing")
	contains(t, "list by pattern", txn("list", "--transactional-id-pattern", "forg.*"), "forgotten 1 0 Ongoing")
	if out := txn("list", "--duration-filter", "3600000"); strings.Contains(out, "forgotten") {
		t.Errorf("a transaction that began now runs for an hour: %s", out)
	}
	contains(t, "describe", txn("describe", "--transactional-id", "forgotten"), "forgotten 0 0 Ongoing 600000", "left-0")
	contains(t, "producers", txn("describe-producers", "--topic", "left", "--partition", "0"), "0 0")
	contains(t, "find hanging", txn("find-hanging", "--broker-id", "1"), "Topic Partition ProducerId")
	txn("abort", "--topic", "left", "--partition", "0", "--start-offset", "0")
	plain := n.franz(t)
	if err := plain.ProduceSync(t.Context(), &kgo.Record{Topic: "left", Value: []byte("after")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	if got := n.committed(t, "left", 1); got[0] != "after" {
		t.Errorf("read %v, the transaction was aborted", got)
	}
}

// TestTransactionalProducerPerformance: transactions of the Java client, one after the other.
func TestTransactionalProducerPerformance(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	n.createTopic("perf", 3)
	out, err := peers.KafkaTool(t, producerPerformance, "--topic", "perf", "--num-records", "20000", "--record-size", "100", "--throughput", "-1",
		"--transactional-id", "perf", "--transaction-duration-ms", "20", "--producer-props", "bootstrap.servers="+n.addr)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	contains(t, "producer", out, "20000 records sent")
	if got := n.committed(t, "perf", 20000); len(got) != 20000 {
		t.Errorf("%d records are committed", len(got))
	}
}

// TestGroupTransactSession: franz-go's exactly-once session copies every record once over a rebalance.
func TestGroupTransactSession(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	n.createTopic("from", 4)
	n.createTopic("to", 4)
	const records = 400
	in := n.franz(t, kgo.DefaultProduceTopic("from"))
	for i := range records {
		in.Produce(t.Context(), kgo.StringRecord(fmt.Sprint(i)), nil)
	}
	if err := in.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	errs := make(chan error, 2)
	for i := range 2 {
		go func() { errs <- n.copyInTransactions(ctx, fmt.Sprintf("session-%d", i), i == 0) }()
	}
	got := map[string]int{}
	for _, v := range n.committed(t, "to", records) {
		got[v]++
	}
	cancel()
	for range 2 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	if len(got) != records {
		raw, _ := json.Marshal(got)
		t.Errorf("%d different records of %d: %s", len(got), records, raw)
	}
}

// copyInTransactions copies from one topic to the other until ctx ends; every
// second transaction of one that stumbles is aborted.
func (n *node) copyInTransactions(ctx context.Context, id string, stumbles bool) error {
	s, err := kgo.NewGroupTransactSession(kgo.SeedBrokers(n.addr), kgo.TransactionalID(id), kgo.ConsumerGroup("sessions"),
		kgo.ConsumeTopics("from"), kgo.DefaultProduceTopic("to"), kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		return err
	}
	defer s.Close()
	for round := 0; ; round++ {
		fetches := s.PollRecords(ctx, 25)
		if ctx.Err() != nil {
			return nil // the test has seen enough
		}
		if err := fetches.Err(); err != nil {
			return fmt.Errorf("%s polls: %w", id, err)
		}
		if err := s.Begin(); err != nil {
			return fmt.Errorf("%s begins: %w", id, err)
		}
		fetches.EachRecord(func(r *kgo.Record) { s.Produce(ctx, kgo.StringRecord(string(r.Value)), nil) })
		if _, err := s.End(ctx, kgo.TransactionEndTry(!stumbles || round%2 == 0)); err != nil && ctx.Err() == nil {
			return fmt.Errorf("%s ends: %w", id, err)
		}
	}
}
