package broker

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/batch"
	"github.com/millrace/millrace/test/peers"
)

// txnSide is one of two brokers that get the same requests; ids that it gave out are its own.
type txnSide struct {
	t          *testing.T
	conn       *rawConn
	producerID int64
	epoch      int16
}

// txnStep makes a request of what the broker has given out before.
type txnStep struct {
	name    string
	version int16
	request func(s *txnSide) kmsg.Request
}

// TestTransactionAnswersAreThoseOfApacheKafka walks through transactions of both
// versions, errors and repetitions, on a real Apache Kafka and here.
func TestTransactionAnswersAreThoseOfApacheKafka(t *testing.T) {
	kafka := peers.Kafka(t)
	n := startNode(t, t.TempDir(), testConfig())
	theirs := &txnSide{t: t, conn: dialRaw(t, kafka.Bootstrap), producerID: -1, epoch: -1}
	ours := &txnSide{t: t, conn: dial(t, n), producerID: -1, epoch: -1}
	for _, s := range []*txnSide{theirs, ours} {
		s.send("topic", 7, &kmsg.CreateTopicsRequest{TimeoutMillis: 10_000, Topics: []kmsg.CreateTopicsRequestTopic{{Topic: "t", NumPartitions: 2, ReplicationFactor: 1}}})
		s.ready()
	}
	for _, step := range txnSteps(t) {
		want, got := theirs.send(step.name, step.version, step.request(theirs)), ours.send(step.name, step.version, step.request(ours))
		if want != got {
			t.Errorf("%s\nKafka %s\nours  %s", step.name, want, got)
		}
	}
}

// ready waits until the coordinators can be used.
func (s *txnSide) ready() {
	s.t.Helper()
	for _, kind := range []int8{coordinatorGroup, coordinatorTransaction} {
		deadline := time.Now().Add(60 * time.Second)
		for {
			resp := s.exchange(6, &kmsg.FindCoordinatorRequest{CoordinatorType: kind, CoordinatorKeys: []string{"x"}}).(*kmsg.FindCoordinatorResponse)
			if resp.Coordinators[0].ErrorCode == 0 {
				break
			}
			if time.Now().After(deadline) {
				s.t.Fatalf("no coordinator of type %d: %d", kind, resp.Coordinators[0].ErrorCode)
			}
			<-time.After(50 * time.Millisecond) // the topic is being made
		}
	}
}

func (s *txnSide) exchange(version int16, req kmsg.Request) kmsg.Response {
	s.t.Helper()
	s.conn.send(frameOf(version, 1, req))
	resp := req.ResponseKind()
	resp.SetVersion(version)
	body := s.conn.receive()[4:]
	if resp.IsFlexible() {
		body = body[1:]
	}
	if err := resp.ReadFrom(body); err != nil {
		s.t.Fatal(err)
	}
	return resp
}

// send returns the response as masked JSON; errors that go away by themselves are waited out.
func (s *txnSide) send(name string, version int16, req kmsg.Request) string {
	s.t.Helper()
	mask := []string{"ProducerID", "StartTimestamp", "LogAppendTime", "ErrorMessage", "ThrottleMillis", "LastTimestamp"}
	deadline := time.Now().Add(60 * time.Second)
	for {
		resp := s.exchange(version, req)
		s.keep(resp)
		text := maskedJSON(s.t, resp, mask)
		passing := false
		for _, code := range errorCodesIn(s.t, text) {
			passing = passing || code == kerr.ConcurrentTransactions.Code || code == kerr.CoordinatorLoadInProgress.Code || code == kerr.NotCoordinator.Code
		}
		if !passing {
			return text
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("%s: still %s", name, text)
		}
		<-time.After(20 * time.Millisecond)
	}
}

// keep notes the producer id and epoch that the broker gave out.
func (s *txnSide) keep(resp kmsg.Response) {
	switch r := resp.(type) {
	case *kmsg.InitProducerIDResponse:
		if r.ErrorCode == 0 {
			s.producerID, s.epoch = r.ProducerID, r.ProducerEpoch
		}
	case *kmsg.EndTxnResponse:
		if r.ErrorCode == 0 && r.Version >= 5 {
			s.producerID, s.epoch = r.ProducerID, r.ProducerEpoch
		}
	}
}

func txnSteps(t *testing.T) []txnStep {
	initStep := func(timeoutMs int32, id string, named bool) func(*txnSide) kmsg.Request {
		return func(s *txnSide) kmsg.Request {
			req := &kmsg.InitProducerIDRequest{TransactionalID: &id, TransactionTimeoutMillis: timeoutMs, ProducerID: -1, ProducerEpoch: -1}
			if named {
				req.ProducerID, req.ProducerEpoch = s.producerID, s.epoch
			}
			return req
		}
	}
	add := func(id string, epochs int16, topic string, partitions ...int32) func(*txnSide) kmsg.Request {
		return func(s *txnSide) kmsg.Request {
			return &kmsg.AddPartitionsToTxnRequest{TransactionalID: id, ProducerID: s.producerID, ProducerEpoch: s.epoch + epochs, Topics: []kmsg.AddPartitionsToTxnRequestTopic{{Topic: topic, Partitions: partitions}}}
		}
	}
	end := func(id string, epochs int16, commit bool) func(*txnSide) kmsg.Request {
		return func(s *txnSide) kmsg.Request {
			return &kmsg.EndTxnRequest{TransactionalID: id, ProducerID: s.producerID, ProducerEpoch: s.epoch + epochs, Commit: commit}
		}
	}
	write := func(id string, epochs int16, sequence int32, partition int32) func(*txnSide) kmsg.Request {
		return func(s *txnSide) kmsg.Request {
			raw, err := batch.Build(batch.Options{Transactional: true, Producer: &batch.Producer{ID: s.producerID, Epoch: s.epoch + epochs, Sequence: sequence}}, []batch.Record{{Timestamp: time.Now().UnixMilli(), Value: []byte("v")}})
			if err != nil {
				t.Fatal(err)
			}
			return &kmsg.ProduceRequest{TransactionID: &id, Acks: -1, TimeoutMillis: 10_000, Topics: []kmsg.ProduceRequestTopic{{Topic: "t", Partitions: []kmsg.ProduceRequestTopicPartition{{Partition: partition, Records: raw}}}}}
		}
	}
	commitOffset := func(id, group string, generation int32, topic string) func(*txnSide) kmsg.Request {
		return func(s *txnSide) kmsg.Request {
			return &kmsg.TxnOffsetCommitRequest{TransactionalID: id, Group: group, ProducerID: s.producerID, ProducerEpoch: s.epoch, Generation: generation, Topics: []kmsg.TxnOffsetCommitRequestTopic{{Topic: topic, Partitions: []kmsg.TxnOffsetCommitRequestTopicPartition{{Offset: 5, LeaderEpoch: -1}}}}}
		}
	}
	commitOldOffset := func(s *txnSide) kmsg.Request {
		return commitOffset("x", "g", -1, "t")(&txnSide{producerID: s.producerID, epoch: s.epoch - 1})
	}
	fixed := func(req kmsg.Request) func(*txnSide) kmsg.Request { return func(*txnSide) kmsg.Request { return req } }
	offsets := func(stable bool) func(*txnSide) kmsg.Request {
		return fixed(&kmsg.OffsetFetchRequest{RequireStable: stable, Groups: []kmsg.OffsetFetchRequestGroup{{Group: "g", MemberEpoch: -1, Topics: []kmsg.OffsetFetchRequestGroupTopic{{Topic: "t", Partitions: []int32{0}}}}}})
	}
	describe := func(ids ...string) func(*txnSide) kmsg.Request {
		return fixed(&kmsg.DescribeTransactionsRequest{TransactionalIDs: ids})
	}
	list := func(pattern string, states ...string) func(*txnSide) kmsg.Request {
		return fixed(&kmsg.ListTransactionsRequest{StateFilters: states, DurationFilterMillis: -1, TransactionalIDPattern: &pattern})
	}
	return []txnStep{
		{"init without a name", 5, initStep(60_000, "", false)},
		{"init with no timeout", 5, initStep(0, "x", false)},
		{"init with a timeout too long", 5, initStep(900_001, "x", false)},
		{"init with half an identity", 5, fixed(&kmsg.InitProducerIDRequest{TransactionalID: new("x"), TransactionTimeoutMillis: 1000, ProducerID: 5, ProducerEpoch: -1})},
		{"end of an unknown id", 5, end("nobody", 0, true)},
		{"add to an unknown id", 3, add("nobody", 0, "t", 0)},
		{"describe an unknown id", 0, describe("nobody", "")},
		{"init", 5, initStep(60_000, "x", false)},
		{"describe", 0, describe("x")},
		{"commit of nothing, version 1", 4, end("x", 0, true)},
		{"commit of nothing, version 2", 5, end("x", 0, true)},
		{"abort of nothing, version 1", 4, end("x", 0, false)},
		{"abort of nothing, version 2", 5, end("x", 0, false)},
		{"abort of nothing again", 5, end("x", -1, false)},
		{"commit instead", 5, end("x", -1, true)},
		{"add an unknown topic beside another", 3, func(s *txnSide) kmsg.Request {
			req := add("x", 0, "t", 0)(s).(*kmsg.AddPartitionsToTxnRequest)
			req.Topics = append(req.Topics, kmsg.AddPartitionsToTxnRequestTopic{Topic: "none", Partitions: []int32{0}})
			return req
		}},
		{"add an internal topic", 3, add("x", 0, offsetsTopic, 0)},
		{"add under an older epoch", 3, add("x", -1, "t", 0)},
		{"add under an older epoch, older client", 1, add("x", -1, "t", 0)},
		{"write what was not added, v9", 9, write("x", 0, 0, 0)},
		{"write what was not added, v11", 11, write("x", 0, 0, 0)},
		{"add", 3, add("x", 0, "t", 0)},
		{"add again", 3, add("x", 0, "t", 0)},
		{"write", 11, write("x", 0, 0, 0)},
		{"write again", 11, write("x", 0, 0, 0)},
		{"write with a gap", 11, write("x", 0, 5, 0)},
		{"write elsewhere", 11, write("x", 0, 0, 1)},
		{"describe an open one", 0, describe("x")},
		{"list", 2, list("x.*", "Ongoing", "Nonsense")},
		{"list by a broken pattern", 2, list("(")},
		{"offsets that were not added, v3", 3, commitOffset("x", "g", -1, "t")},
		{"offsets that were not added, v4", 4, commitOffset("x", "g", -1, "t")},
		{"add offsets", 4, func(s *txnSide) kmsg.Request {
			return &kmsg.AddOffsetsToTxnRequest{TransactionalID: "x", ProducerID: s.producerID, ProducerEpoch: s.epoch, Group: "g"}
		}},
		{"offsets in a generation of no group", 3, commitOffset("x", "g", 4, "t")},
		{"offsets of an unknown topic", 3, commitOffset("x", "g", -1, "none")},
		{"offsets of no group", 3, commitOffset("x", "", -1, "t")},
		{"offsets", 3, commitOffset("x", "g", -1, "t")},
		{"fetch stable offsets", 9, offsets(true)},
		{"fetch offsets", 9, offsets(false)},
		{"commit under an older epoch", 4, end("x", -1, true)},
		{"commit", 4, end("x", 0, true)},
		{"commit again", 4, end("x", 0, true)},
		{"abort instead", 4, end("x", 0, false)},
		{"fetch committed offsets", 9, offsets(true)},
		{"describe a complete one", 0, describe("x")},
		{"write and join, v12", 12, write("x", 0, 2, 0)},
		{"init another in between", 5, initStep(60_000, "x", false)},
		{"write and join", 12, write("x", 0, 0, 1)},
		{"write more", 12, write("x", 0, 1, 1)},
		{"offsets and join", 5, commitOffset("x", "g", -1, "t")},
		{"commit, version 2", 5, end("x", 0, true)},
		{"commit again, version 2", 5, end("x", -1, true)},
		{"abort instead, version 2", 5, end("x", -1, false)},
		{"write under the old epoch", 12, write("x", -1, 2, 1)},
		{"offsets under the old epoch", 5, commitOldOffset},
		{"offsets under the old epoch, v3", 3, commitOldOffset},
		{"the next transaction", 12, write("x", 0, 0, 1)},
		{"init while it is open", 5, initStep(60_000, "x", false)},
		{"go on", 5, initStep(60_000, "x", true)},
		{"write under a fenced epoch", 12, write("x", -1, 0, 0)},
		{"write under a fenced epoch, v11", 11, write("x", -1, 0, 0)},
		{"write with another's id", 12, func(s *txnSide) kmsg.Request {
			return write("x", 0, 0, 0)(&txnSide{producerID: s.producerID + 500, epoch: 0})
		}},
		{"verify for a broker", 5, func(s *txnSide) kmsg.Request {
			return &kmsg.AddPartitionsToTxnRequest{Transactions: []kmsg.AddPartitionsToTxnRequestTransaction{{TransactionalID: "x", ProducerID: s.producerID, ProducerEpoch: s.epoch, VerifyOnly: true, Topics: []kmsg.AddPartitionsToTxnRequestTransactionTopic{{Topic: "t", Partitions: []int32{0}}}}}}
		}},
		{"a marker for an unknown topic", 1, func(s *txnSide) kmsg.Request {
			return &kmsg.WriteTxnMarkersRequest{Markers: []kmsg.WriteTxnMarkersRequestMarker{{ProducerID: s.producerID, Topics: []kmsg.WriteTxnMarkersRequestMarkerTopic{{Topic: "none", Partitions: []int32{0}}}}}}
		}},
		{"a marker of an old epoch", 1, func(s *txnSide) kmsg.Request {
			return &kmsg.WriteTxnMarkersRequest{Markers: []kmsg.WriteTxnMarkersRequestMarker{{ProducerID: s.producerID, Topics: []kmsg.WriteTxnMarkersRequestMarkerTopic{{Topic: "t", Partitions: []int32{1}}}}}}
		}},
	}
}
