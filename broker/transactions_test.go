package broker

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func txnClient(t *testing.T, n *testNode, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	c, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(n.Addr()), kgo.RetryTimeout(time.Minute)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// readCommitted returns what a consumer with read_committed sees of a topic
// until it has seen the record that a last, plain producer writes to each partition.
func readCommitted(t *testing.T, n *testNode, topic string, partitions int32) []string {
	t.Helper()
	end := txnClient(t, n, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	for p := range partitions {
		if err := end.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Partition: p, Value: []byte("end")}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	c := txnClient(t, n, kgo.ConsumeTopics(topic), kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	var values []string
	for ends := int32(0); ends < partitions; {
		fetches := c.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatalf("after %d values: %v", len(values), err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			if string(r.Value) == "end" {
				ends++
				return
			}
			values = append(values, string(r.Value))
		})
	}
	return values
}

// TestTransactionsOfFranzGo commits and aborts transactions in turn: a reader
// of committed records sees those of the first kind and no other.
func TestTransactionsOfFranzGo(t *testing.T) {
	n := startNode(t, t.TempDir(), testConfig())
	createTopic(t, n, "orders", 3, nil)
	c := txnClient(t, n, kgo.TransactionalID("t1"), kgo.DefaultProduceTopic("orders"))
	want := 0
	for i := range 20 {
		if err := c.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		for j := range 10 {
			c.Produce(t.Context(), &kgo.Record{Key: fmt.Append(nil, j), Value: fmt.Appendf(nil, "%d-%d", i, j)}, func(_ *kgo.Record, err error) {
				if err != nil {
					t.Error(err)
				}
			})
		}
		if err := c.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		commit := kgo.TransactionEndTry(i%2 == 0)
		if commit {
			want += 10
		}
		if err := c.EndTransaction(t.Context(), commit); err != nil {
			t.Fatalf("end of transaction %d: %v", i, err)
		}
	}
	if got := readCommitted(t, n, "orders", 3); len(got) != want {
		t.Errorf("%d committed records are read, %d were committed", len(got), want)
	}
}

// TestOffsetsOfAFencedProducerAreRefusedForGood: a producer whose transaction with offsets was
// aborted by its successor is told so when it commits more of them, where it would look for
// the coordinator for ever if it were sent to another.
func TestOffsetsOfAFencedProducerAreRefusedForGood(t *testing.T) {
	reg := prometheus.NewRegistry()
	n := startNodeWith(t, testConfig(), Options{Dir: t.TempDir(), Registerer: reg})
	createTopic(t, n, "t", 1, nil)
	id, epoch, err := txnClient(t, n, kgo.TransactionalID("x")).ProducerID(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c := newClient(t, n)
	commit := func(version int16) int16 {
		t.Helper()
		req := kmsg.NewPtrTxnOffsetCommitRequest()
		req.TransactionalID, req.Group, req.ProducerID, req.ProducerEpoch, req.Generation = "x", "g", id, epoch, -1
		req.Topics = []kmsg.TxnOffsetCommitRequestTopic{{Topic: "t", Partitions: []kmsg.TxnOffsetCommitRequestTopicPartition{{Offset: 1, LeaderEpoch: -1}}}}
		return request[*kmsg.TxnOffsetCommitResponse](t, c, version, req).Topics[0].Partitions[0].ErrorCode
	}
	if code := commit(5); code != 0 {
		t.Fatal(kerr.ErrorForCode(code))
	}
	// The successor has its producer id when the transaction is aborted.
	if _, _, err := txnClient(t, n, kgo.TransactionalID("x")).ProducerID(t.Context()); err != nil {
		t.Fatal(err)
	}
	for version := range int16(6) {
		if code := commit(version); code != kerr.InvalidProducerEpoch.Code {
			t.Errorf("version %d: %v", version, kerr.ErrorForCode(code))
		}
	}
	// Which is no fault of the node.
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	const metric = "millrace_broker_group_append_errors_total"
	i := slices.IndexFunc(families, func(f *dto.MetricFamily) bool { return f.GetName() == metric })
	if i < 0 || families[i].GetMetric()[0].GetCounter().GetValue() != 0 {
		t.Errorf("%s at place %d is not 0", metric, i)
	}
}
