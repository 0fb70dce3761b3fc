package broker

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/batch"
	"github.com/millrace/millrace/broker/storage"
)

// txnWriter writes to one partition as the producers of transactions do, below
// the protocol.
type txnWriter struct {
	t    *testing.T
	log  *storage.Log
	next map[int64]int32 // sequences by producer id
}

func newTxnWriter(t *testing.T, n *testNode, topic string) *txnWriter {
	log, ok := n.topics.byName(topic).log(0)
	if !ok {
		t.Fatalf("no log of %s", topic)
	}
	return &txnWriter{t, log, map[int64]int32{}}
}

func (w *txnWriter) write(id, timestampMs int64, values ...string) {
	w.t.Helper()
	records := make([]batch.Record, len(values))
	for i, v := range values {
		records[i] = batch.Record{Timestamp: timestampMs, Value: []byte(v)}
	}
	raw, err := batch.Build(batch.Options{Transactional: true, Producer: &batch.Producer{ID: id, Sequence: w.next[id]}}, records)
	if err != nil {
		w.t.Fatal(err)
	}
	guard, _ := w.log.BeginVerification(id, 0, w.next[id])
	res, err := w.log.Append(raw, storage.AppendOptions{LeaderEpoch: w.log.LeaderEpoch(), Guard: guard})
	w.flushed(res, err)
	w.next[id] += int32(len(values))
}

func (w *txnWriter) end(id int64, commit bool) {
	w.t.Helper()
	res, err := w.log.AppendMarker(storage.Marker{ProducerID: id, Commit: commit, CoordinatorEpoch: 6})
	w.flushed(res, err)
}

func (w *txnWriter) flushed(res storage.AppendResult, err error) {
	w.t.Helper()
	if err == nil {
		err = w.log.WaitFlushed(w.t.Context(), res.LastOffset)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

func TestReadersOfCommittedRecords(t *testing.T) {
	n := startNode(t, t.TempDir(), testConfig())
	createTopic(t, n, "t", 1, nil)
	now := time.Now().Add(30 * time.Minute).UnixMilli() // later than the markers, however long this takes
	w := newTxnWriter(t, n, "t")
	w.write(1, now, "a0", "a1") // 0, 1
	w.write(2, now+10, "b0")    // 2
	w.write(1, now+20, "a2")    // 3
	w.end(1, false)             // 4
	w.write(2, now+30, "b1")    // 5
	w.end(2, true)              // 6
	w.write(1, now+40, "c0")    // 7
	w.write(3, now+50, "d0")    // 8
	w.end(3, false)             // 9
	c := newClient(t, n)

	for version := int16(4); version <= 18; version++ {
		for isolation, want := range map[int8][]kmsg.FetchResponseTopicPartitionAbortedTransaction{0: nil, 1: {{ProducerID: 1, FirstOffset: 0}}} {
			p := fetchOne(t, c, version, committedRequest(n, isolation, 0))
			end := map[int8]int64{0: 9, 1: 6}[isolation]
			if !slices.EqualFunc(p.AbortedTransactions, want, func(a, b kmsg.FetchResponseTopicPartitionAbortedTransaction) bool {
				return a.ProducerID == b.ProducerID && a.FirstOffset == b.FirstOffset
			}) || p.HighWatermark != 10 || p.LastStableOffset != 7 || lastOffset(t, p.RecordBatches) != end {
				t.Errorf("v%d, isolation %d: aborted %+v, high watermark %d, stable %d, records to %d", version, isolation, p.AbortedTransactions, p.HighWatermark, p.LastStableOffset, lastOffset(t, p.RecordBatches))
			}
		}
	}
	for _, l := range []struct {
		isolation int8
		timestamp int64
		want      int64
	}{
		{0, timestampLatest, 10}, {1, timestampLatest, 7}, {1, timestampEarliest, 0}, {0, now + 35, 7}, {1, now + 35, -1}, {1, now + 15, 3}, {0, now + 55, -1},
	} {
		if got := listCommitted(t, c, l.isolation, l.timestamp); got != l.want {
			t.Errorf("offset for %d, isolation %d: %d, want %d", l.timestamp, l.isolation, got, l.want)
		}
	}
	wantProducers(t, c, map[int64][2]int64{1: {6, 7}, 2: {6, -1}, 3: {6, -1}})

	if got := consumeCommitted(t, n, 2); !slices.Equal(got, []string{"b0", "b1"}) {
		t.Errorf("consumed %v", got)
	}
	w.end(1, true) // 10
	if got := consumeCommitted(t, n, 3); !slices.Equal(got, []string{"b0", "b1", "c0"}) {
		t.Errorf("consumed %v after the commit", got)
	}
}

func committedRequest(n *testNode, isolation int8, wait time.Duration) *kmsg.FetchRequest {
	req := fetchRequest(n, "t", 0, wait, 1)
	req.IsolationLevel = isolation
	return req
}

func lastOffset(t *testing.T, batches []byte) int64 {
	t.Helper()
	last := int64(-1)
	for b, err := range batch.All(batches) {
		if err != nil {
			t.Fatal(err)
		}
		last = b.LastOffset()
	}
	return last
}

func listCommitted(t *testing.T, c *kgo.Client, isolation int8, timestamp int64) int64 {
	t.Helper()
	req := kmsg.NewPtrListOffsetsRequest()
	req.IsolationLevel = isolation
	p := kmsg.NewListOffsetsRequestTopicPartition()
	p.Timestamp = timestamp
	req.Topics = []kmsg.ListOffsetsRequestTopic{{Topic: "t", Partitions: []kmsg.ListOffsetsRequestTopicPartition{p}}}
	return request[*kmsg.ListOffsetsResponse](t, c, 7, req).Topics[0].Partitions[0].Offset
}

// wantProducers compares coordinator epoch and transaction start by producer id.
func wantProducers(t *testing.T, c *kgo.Client, want map[int64][2]int64) {
	t.Helper()
	req := kmsg.NewPtrDescribeProducersRequest()
	req.Topics = []kmsg.DescribeProducersRequestTopic{{Topic: "t", Partitions: []int32{0}}}
	producers := request[*kmsg.DescribeProducersResponse](t, c, 0, req).Topics[0].Partitions[0].ActiveProducers
	for _, p := range producers {
		if got := [2]int64{int64(p.CoordinatorEpoch), p.CurrentTxnStartOffset}; got != want[p.ProducerID] {
			t.Errorf("producer %d: %v, want %v", p.ProducerID, got, want[p.ProducerID])
		}
	}
	if len(producers) != len(want) {
		t.Errorf("%d producers, want %d", len(producers), len(want))
	}
}

// consumeCommitted reads count values with a client of another hand, and whether more come at once.
func consumeCommitted(t *testing.T, n *testNode, count int) []string {
	t.Helper()
	c := newClient(t, n, kgo.ConsumeTopics("t"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.FetchMaxWait(50*time.Millisecond))
	var out []string
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	for len(out) < count && ctx.Err() == nil {
		c.PollFetches(ctx).EachRecord(func(r *kgo.Record) { out = append(out, string(r.Value)) })
	}
	return out
}

// TestAFetchOfCommittedRecordsWaitsForTheEnd: what is appended to an undecided
// transaction does not end the wait, its marker does.
func TestAFetchOfCommittedRecordsWaitsForTheEnd(t *testing.T) {
	n := startNode(t, t.TempDir(), testConfig())
	createTopic(t, n, "t", 1, nil)
	w := newTxnWriter(t, n, "t")
	w.write(1, time.Now().UnixMilli(), "a")
	begin := time.Now()
	answered := fetchLater(t, newClient(t, n), committedRequest(n, 1, 2*time.Minute))
	for i := range 20 {
		w.write(1, time.Now().UnixMilli(), fmt.Sprint(i))
	}
	select {
	case p := <-answered:
		t.Fatalf("answered with %d bytes before the end", len(p.RecordBatches))
	case <-time.After(200 * time.Millisecond):
	}
	w.end(1, true)
	if p := <-answered; lastOffset(t, p.RecordBatches) != 21 || len(p.AbortedTransactions) != 0 || time.Since(begin) > 2*time.Minute {
		t.Errorf("records to %d, aborted %v, after %v", lastOffset(t, p.RecordBatches), p.AbortedTransactions, time.Since(begin))
	}
}
