package broker

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/batch"
)

// The tests of this file are of rules of docs/design/correctness.md that no other file is about.

// TestAProducerOutlivesItsRecords: the sequences of a producer are known when all its
// records were deleted, also after a kill and an orderly restart (KAFKA-7190, KIP-360).
func TestAProducerOutlivesItsRecords(t *testing.T) {
	dir := t.TempDir()
	n := startNode(t, dir, testConfig())
	createTopic(t, n, "t", 1, nil)
	c := newClient(t, n)
	id := request[*kmsg.InitProducerIDResponse](t, c, 5, kmsg.NewPtrInitProducerIDRequest()).ProducerID
	send := func(n *testNode, sequence int32) kmsg.ProduceResponseTopicPartition {
		t.Helper()
		return produce(t, n, newClient(t, n), 13, produceRequest("t", -1, buildBatch(t, &batch.Producer{ID: id, Sequence: sequence}, "a", "b")))
	}
	for i := range int32(3) {
		if got := send(n, 2*i); got.ErrorCode != 0 {
			t.Fatalf("batch %d: %+v", i, got)
		}
	}
	offsets := kadm.Offsets{}
	offsets.AddOffset("t", 0, -1, -1)
	if _, err := kadm.NewClient(c).DeleteRecords(t.Context(), offsets); err != nil {
		t.Fatal(err)
	}
	if log := n.topics.byName("t").logs[0]; log.LogStart() != 6 {
		t.Fatalf("the log starts at %d after all was deleted", log.LogStart())
	}
	check := func(what string, n *testNode) {
		t.Helper()
		if got := send(n, 4); got.ErrorCode != 0 || got.BaseOffset != 4 {
			t.Errorf("%s: the last batch again: %+v", what, got)
		}
		if got := send(n, 9); got.ErrorCode != kerr.OutOfOrderSequenceNumber.Code {
			t.Errorf("%s: a gap: %v", what, kerr.ErrorForCode(got.ErrorCode))
		}
		if end := n.topics.byName("t").logs[0].LogEnd(); end != 6 {
			t.Errorf("%s: the log end is %d", what, end)
		}
	}
	check("at once", n)
	check("after a kill", startNode(t, copyDir(t, dir), testConfig()))
	n.stop()
	check("after a restart", startNode(t, dir, testConfig()))
}

// TestOffsetsOfAnOpenTransactionAreUnstable: who requires stable offsets is sent away until the
// transaction is decided; an abort leaves the offset of before, a commit the new one.
func TestOffsetsOfAnOpenTransactionAreUnstable(t *testing.T) {
	n := startNode(t, t.TempDir(), testConfig())
	createTopic(t, n, "t", 1, nil)
	c := txnClient(t, n, kgo.TransactionalID("x"))
	commit := func(offset int64) {
		t.Helper()
		id, epoch, err := c.ProducerID(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		req := kmsg.NewPtrTxnOffsetCommitRequest()
		req.TransactionalID, req.Group, req.ProducerID, req.ProducerEpoch, req.Generation = "x", "g", id, epoch, -1
		req.Topics = []kmsg.TxnOffsetCommitRequestTopic{{Topic: "t", Partitions: []kmsg.TxnOffsetCommitRequestTopicPartition{{Offset: offset, LeaderEpoch: -1}}}}
		resp, err := req.RequestWith(t.Context(), c)
		if err == nil {
			err = kerr.ErrorForCode(resp.Topics[0].Partitions[0].ErrorCode)
		}
		if err != nil {
			t.Fatalf("commit %d: %v", offset, err)
		}
	}
	fetch := func(stable bool) (int64, error) {
		t.Helper()
		group := kmsg.NewOffsetFetchRequestGroup()
		group.Group, group.Topics = "g", []kmsg.OffsetFetchRequestGroupTopic{{Topic: "t", Partitions: []int32{0}}}
		p := request[*kmsg.OffsetFetchResponse](t, c, 9, &kmsg.OffsetFetchRequest{RequireStable: stable, Groups: []kmsg.OffsetFetchRequestGroup{group}}).Groups[0].Topics[0].Partitions[0]
		return p.Offset, kerr.ErrorForCode(p.ErrorCode)
	}
	last := int64(-1)
	for i, end := range []kgo.TransactionEndTry{kgo.TryAbort, kgo.TryCommit, kgo.TryAbort} {
		if err := c.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		commit(int64(10 + i))
		if _, err := fetch(true); !errors.Is(err, kerr.UnstableOffsetCommit) {
			t.Errorf("transaction %d is open, stable offsets are answered with %v", i, err)
		}
		if at, err := fetch(false); at != last || err != nil {
			t.Errorf("transaction %d is open: offset %d, %v, want %d", i, at, err, last)
		}
		endWith(t, c, "x", bool(end))
		if end {
			last = int64(10 + i)
		}
		at, err := fetch(true)
		for until := time.Now().Add(time.Minute); errors.Is(err, kerr.UnstableOffsetCommit) && time.Now().Before(until); {
			at, err = fetch(true) // the markers follow the answer
		}
		if at != last || err != nil {
			t.Errorf("transaction %d is decided: offset %d, %v, want %d", i, at, err, last)
		}
	}
}

// endWith ends a transaction that only has offsets, of which the client knows nothing.
func endWith(t *testing.T, c *kgo.Client, id string, commit bool) {
	t.Helper()
	producer, epoch, err := c.ProducerID(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	req := kmsg.NewPtrEndTxnRequest()
	req.TransactionalID, req.ProducerID, req.ProducerEpoch, req.Commit = id, producer, epoch, commit
	resp := request[*kmsg.EndTxnResponse](t, c, 4, req)
	if resp.ErrorCode != 0 {
		t.Fatalf("end of the transaction: %v", kerr.ErrorForCode(resp.ErrorCode))
	}
	if err := c.EndTransaction(t.Context(), kgo.TryAbort); err != nil {
		t.Fatal(err)
	}
}

// TestAFetchInTheMiddleOfABatchReturnsItWhole, from its header on, for every version.
func TestAFetchInTheMiddleOfABatchReturnsItWhole(t *testing.T) {
	n := startNode(t, t.TempDir(), testConfig())
	createTopic(t, n, "t", 1, nil)
	c := newClient(t, n)
	for _, values := range [][]string{{"a", "b", "c"}, {"d", "e", "f", "g"}} {
		if got := produce(t, n, c, 13, produceRequest("t", -1, buildBatch(t, nil, values...))); got.ErrorCode != 0 {
			t.Fatalf("%+v", got)
		}
	}
	for version := int16(4); version <= 18; version++ {
		for offset, want := range map[int64]string{0: "[0 3]", 2: "[0 3]", 3: "[3]", 6: "[3]"} {
			data := request[*kmsg.FetchResponse](t, c, version, fetchRequest(n, "t", offset, 0, 1)).Topics[0].Partitions[0].RecordBatches
			var bases []int64
			for b, err := range batch.All(data) {
				if err != nil {
					t.Fatal(err)
				}
				bases = append(bases, b.BaseOffset)
			}
			if got := fmt.Sprint(bases); got != want {
				t.Errorf("v%d from offset %d: batches at %s, want %s", version, offset, got, want)
			}
		}
	}
}

// TestAFetchWithoutRecordsHasALengthOfZero: a null is refused by librdkafka.
func TestAFetchWithoutRecordsHasALengthOfZero(t *testing.T) {
	n := startNode(t, t.TempDir(), testConfig())
	createTopic(t, n, "t", 1, nil)
	c := newClient(t, n)
	for version := int16(4); version <= 18; version++ {
		for offset, code := range map[int64]int16{0: 0, 7: kerr.OffsetOutOfRange.Code} {
			req := fetchRequest(n, "t", offset, 0, 0)
			p := request[*kmsg.FetchResponse](t, c, version, req).Topics[0].Partitions[0]
			if p.RecordBatches == nil || len(p.RecordBatches) > 0 || p.ErrorCode != code {
				t.Errorf("v%d from offset %d: code %d, records %v", version, offset, p.ErrorCode, p.RecordBatches)
			}
		}
	}
}
