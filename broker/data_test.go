package broker

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/batch"
)

func buildBatch(t testing.TB, p *batch.Producer, values ...string) []byte {
	t.Helper()
	records := make([]batch.Record, len(values))
	for i, v := range values {
		records[i] = batch.Record{Timestamp: time.Now().UnixMilli(), Value: []byte(v)}
	}
	b, err := batch.Build(batch.Options{Producer: p}, records)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func produceRequest(topic string, acks int16, records []byte) *kmsg.ProduceRequest {
	req := kmsg.NewPtrProduceRequest()
	req.Acks = acks
	p := kmsg.NewProduceRequestTopicPartition()
	p.Records = records
	req.Topics = []kmsg.ProduceRequestTopic{{Topic: topic, Partitions: []kmsg.ProduceRequestTopicPartition{p}}}
	return req
}

func produce(t testing.TB, n *testNode, c *kgo.Client, version int16, req *kmsg.ProduceRequest) kmsg.ProduceResponseTopicPartition {
	t.Helper()
	for i := range req.Topics {
		if s := n.topics.byName(req.Topics[i].Topic); s != nil {
			req.Topics[i].TopicID = s.id
		}
	}
	return request[*kmsg.ProduceResponse](t, c, version, req).Topics[0].Partitions[0]
}

func TestProduceOfEveryVersion(t *testing.T) {
	n := startNode(t, t.TempDir(), testConfig())
	createTopic(t, n, "t", 1, nil)
	c := newClient(t, n)
	next := int64(0)
	for version := int16(0); version <= 13; version++ {
		for _, acks := range []int16{1, -1} {
			got := produce(t, n, c, version, produceRequest("t", acks, buildBatch(t, nil, "a", "b")))
			if version < 3 {
				if got.ErrorCode != kerr.UnsupportedForMessageFormat.Code {
					t.Errorf("v%d: %v", version, kerr.ErrorForCode(got.ErrorCode))
				}
				continue
			}
			if got.ErrorCode != 0 || got.BaseOffset != next || got.LogAppendTime != -1 || version >= 5 && got.LogStartOffset != 0 {
				t.Errorf("v%d acks %d: %+v", version, acks, got)
			}
			next += 2
		}
	}
}

func TestProduceErrors(t *testing.T) {
	n := startNode(t, t.TempDir(), testConfig())
	createTopic(t, n, "t", 1, nil)
	createTopic(t, n, "safe", 1, map[string]*string{"min.insync.replicas": new("2")})
	createTopic(t, n, "small", 1, map[string]*string{"max.message.bytes": new("100")})
	c := newClient(t, n)
	find := kmsg.NewPtrFindCoordinatorRequest()
	find.CoordinatorKeys = []string{"g"}
	request[*kmsg.FindCoordinatorResponse](t, c, 6, find)

	good := buildBatch(t, nil, "v")
	damaged := bytes.Clone(good)
	damaged[len(damaged)-1] ^= 1
	old := bytes.Clone(good)
	old[batchMagicAt] = 1
	zstd := bytes.Clone(good)
	zstd[batchAttributesAt+1] = compressionZstd
	binary.BigEndian.PutUint32(zstd[17:], crc32.Checksum(zstd[21:], crc32.MakeTable(crc32.Castagnoli)))
	partition := produceRequest("t", 1, good)
	partition.Topics[0].Partitions[0].Partition = 7
	transactional := bytes.Clone(good)
	transactional[batchAttributesAt+1] = transactionalAttribute
	tests := []struct {
		name    string
		version int16
		req     *kmsg.ProduceRequest
		want    *kerr.Error
	}{
		{"unknown topic", 12, produceRequest("none", 1, good), kerr.UnknownTopicOrPartition},
		{"unknown topic id", 13, produceRequest("none", 1, good), kerr.UnknownTopicID},
		{"unknown partition", 13, partition, kerr.UnknownTopicOrPartition},
		{"internal topic", 13, produceRequest(offsetsTopic, 1, good), kerr.InvalidTopicException},
		{"acks of 2", 13, produceRequest("t", 2, good), kerr.InvalidRequiredAcks},
		{"no records", 13, produceRequest("t", 1, nil), kerr.InvalidRecord},
		{"two batches", 13, produceRequest("t", 1, append(bytes.Clone(good), good...)), kerr.InvalidRecord},
		{"damaged", 13, produceRequest("t", 1, damaged), kerr.CorruptMessage},
		{"cut", 13, produceRequest("t", 1, good[:40]), kerr.InvalidRecord},
		{"old message set", 13, produceRequest("t", 1, old), kerr.InvalidRecord},
		{"zstd before it was there", 6, produceRequest("t", 1, zstd), kerr.UnsupportedCompressionType},
		{"too large", 13, produceRequest("small", 1, buildBatch(t, nil, string(make([]byte, 100)))), kerr.MessageTooLarge},
		{"transactional without an id", 13, produceRequest("t", -1, transactional), kerr.TransactionalIDAuthorizationFailed},
	}
	for _, tt := range tests {
		got := produce(t, n, c, tt.version, tt.req)
		if got.ErrorCode != tt.want.Code || got.BaseOffset != -1 {
			t.Errorf("%s: %v, offset %d", tt.name, kerr.ErrorForCode(got.ErrorCode), got.BaseOffset)
		}
	}
	if got := produce(t, n, c, 13, produceRequest("safe", -1, good)); got.ErrorCode != 0 {
		t.Errorf("acks=all where min.insync.replicas is 2: %d", got.ErrorCode)
	}
	if end := n.topics.byName("t").logs[0].LogEnd(); end != 0 {
		t.Errorf("%d records were taken", end)
	}
}

func TestARepeatedBatchIsAnsweredWithItsFirstOffset(t *testing.T) {
	dir := t.TempDir()
	n := startNode(t, dir, testConfig())
	createTopic(t, n, "t", 1, nil)
	c := newClient(t, n)
	id := request[*kmsg.InitProducerIDResponse](t, c, 5, kmsg.NewPtrInitProducerIDRequest()).ProducerID
	send := func(n *testNode, c *kgo.Client, sequence int32, epoch int16) kmsg.ProduceResponseTopicPartition {
		t.Helper()
		return produce(t, n, c, 13, produceRequest("t", -1, buildBatch(t, &batch.Producer{ID: id, Epoch: epoch, Sequence: sequence}, "a", "b")))
	}
	for i := range int32(5) {
		if got := send(n, c, 2*i, 1); got.ErrorCode != 0 || got.BaseOffset != int64(2*i) {
			t.Fatalf("batch %d: %+v", i, got)
		}
	}
	check := func(n *testNode, c *kgo.Client) {
		t.Helper()
		for i := range int32(5) {
			if got := send(n, c, 2*i, 1); got.ErrorCode != 0 || got.BaseOffset != int64(2*i) {
				t.Errorf("batch %d again: %+v", i, got)
			}
		}
		if got := send(n, c, 100, 1); got.ErrorCode != kerr.OutOfOrderSequenceNumber.Code {
			t.Errorf("a gap: %v", kerr.ErrorForCode(got.ErrorCode))
		}
		if got := send(n, c, 10, 0); got.ErrorCode != kerr.InvalidProducerEpoch.Code {
			t.Errorf("an older epoch: %v", kerr.ErrorForCode(got.ErrorCode))
		}
		if end := n.topics.byName("t").logs[0].LogEnd(); end != 10 {
			t.Errorf("log end is %d", end)
		}
	}
	check(n, c)
	killed := startNode(t, copyDir(t, dir), testConfig())
	check(killed, newClient(t, killed))
	n.stop()
	restarted := startNode(t, dir, testConfig())
	check(restarted, newClient(t, restarted))
}

func TestProducerIDsAreNeverGivenTwice(t *testing.T) {
	dir := t.TempDir()
	seen := map[int64]bool{}
	n := startNode(t, dir, testConfig())
	for range 3 {
		c := newClient(t, n)
		for range producerIDBlock/2 + 10 {
			resp := request[*kmsg.InitProducerIDResponse](t, c, 5, kmsg.NewPtrInitProducerIDRequest())
			if resp.ErrorCode != 0 || resp.ProducerEpoch != 0 || seen[resp.ProducerID] {
				t.Fatalf("producer id %+v", resp)
			}
			seen[resp.ProducerID] = true
		}
		dir = copyDir(t, dir) // as kill -9 leaves it
		n = startNode(t, dir, testConfig())
	}
}

func fetchRequest(n *testNode, topic string, offset int64, wait time.Duration, minBytes int32) *kmsg.FetchRequest {
	req := kmsg.NewPtrFetchRequest()
	req.MaxWaitMillis, req.MinBytes, req.MaxBytes = int32(wait.Milliseconds()), minBytes, 10<<20
	p := kmsg.NewFetchRequestTopicPartition()
	p.FetchOffset, p.PartitionMaxBytes, p.CurrentLeaderEpoch = offset, 1<<20, -1
	ft := kmsg.FetchRequestTopic{Topic: topic, Partitions: []kmsg.FetchRequestTopicPartition{p}}
	if s := n.topics.byName(topic); s != nil {
		ft.TopicID = s.id
	}
	req.Topics = []kmsg.FetchRequestTopic{ft}
	return req
}

func fetchOne(t testing.TB, c *kgo.Client, version int16, req *kmsg.FetchRequest) kmsg.FetchResponseTopicPartition {
	t.Helper()
	resp := request[*kmsg.FetchResponse](t, c, version, req)
	if resp.ErrorCode != 0 || resp.SessionID != 0 || len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
		t.Fatalf("v%d: %+v", version, resp)
	}
	return resp.Topics[0].Partitions[0]
}

// fetchLater fetches on a goroutine of its own; without an answer the channel is
// closed and the test has failed.
func fetchLater(t testing.TB, c *kgo.Client, req *kmsg.FetchRequest) <-chan kmsg.FetchResponseTopicPartition {
	fetched := make(chan kmsg.FetchResponseTopicPartition, 1)
	go func() {
		defer close(fetched)
		req.SetVersion(18)
		resp, err := c.Broker(1).Request(t.Context(), pinnedRequest{req, 18})
		if err != nil {
			t.Errorf("fetch: %v", err)
			return
		}
		fetched <- resp.(*kmsg.FetchResponse).Topics[0].Partitions[0]
	}()
	return fetched
}

func TestFetchOfEveryVersion(t *testing.T) {
	n := startNode(t, t.TempDir(), testConfig())
	createTopic(t, n, "t", 1, nil)
	c := newClient(t, n)
	records := buildBatch(t, nil, "a", "b")
	if got := produce(t, n, c, 13, produceRequest("t", -1, records)); got.ErrorCode != 0 {
		t.Fatal(got)
	}
	for version := int16(4); version <= 18; version++ {
		for _, isolation := range []int8{0, 1} {
			req := fetchRequest(n, "t", 1, 0, 1)
			req.IsolationLevel = isolation
			got := fetchOne(t, c, version, req)
			if got.ErrorCode != 0 || got.HighWatermark != 2 || got.LastStableOffset != 2 || len(got.RecordBatches) != len(records) ||
				!bytes.Equal(got.RecordBatches[batch.HeaderSize:], records[batch.HeaderSize:]) || got.PreferredReadReplica != -1 {
				t.Errorf("v%d: %+v", version, got)
			}
			if (got.AbortedTransactions == nil) != (isolation == 0) && isolation == 0 {
				t.Errorf("v%d: aborted transactions %v", version, got.AbortedTransactions)
			}
		}
	}
}

func TestFetchErrors(t *testing.T) {
	n := startNode(t, t.TempDir(), testConfig())
	createTopic(t, n, "t", 1, nil)
	c := newClient(t, n)
	if got := produce(t, n, c, 13, produceRequest("t", -1, buildBatch(t, nil, "a"))); got.ErrorCode != 0 {
		t.Fatal(got)
	}
	with := func(change func(*kmsg.FetchRequest, *kmsg.FetchRequestTopicPartition)) *kmsg.FetchRequest {
		req := fetchRequest(n, "t", 0, time.Minute, 1)
		change(req, &req.Topics[0].Partitions[0])
		return req
	}
	type part = kmsg.FetchRequestTopicPartition
	tests := []struct {
		name    string
		version int16
		req     *kmsg.FetchRequest
		want    *kerr.Error
	}{
		{"unknown topic", 12, fetchRequest(n, "none", 0, time.Minute, 1), kerr.UnknownTopicOrPartition},
		{"unknown topic id", 13, fetchRequest(n, "none", 0, time.Minute, 1), kerr.UnknownTopicID},
		{"unknown partition", 18, with(func(_ *kmsg.FetchRequest, p *part) { p.Partition = 9 }), kerr.UnknownTopicOrPartition},
		{"after the end", 18, with(func(_ *kmsg.FetchRequest, p *part) { p.FetchOffset = 2 }), kerr.OffsetOutOfRange},
		{"negative", 18, with(func(_ *kmsg.FetchRequest, p *part) { p.FetchOffset = -1 }), kerr.OffsetOutOfRange},
		{"newer epoch", 18, with(func(_ *kmsg.FetchRequest, p *part) { p.CurrentLeaderEpoch = 9 }), kerr.UnknownLeaderEpoch},
		{"follower", 14, with(func(r *kmsg.FetchRequest, _ *part) { r.ReplicaID = 5 }), kerr.NotLeaderForPartition},
		{"follower's state", 15, with(func(r *kmsg.FetchRequest, _ *part) { r.ReplicaState.ID = 5 }), kerr.NotLeaderForPartition},
	}
	for _, tt := range tests {
		if got := fetchOne(t, c, tt.version, tt.req); got.ErrorCode != tt.want.Code || len(got.RecordBatches) != 0 {
			t.Errorf("%s: %v", tt.name, kerr.ErrorForCode(got.ErrorCode))
		}
	}
	session := with(func(r *kmsg.FetchRequest, _ *part) { r.SessionID, r.SessionEpoch = 77, 3 })
	if got := request[*kmsg.FetchResponse](t, c, 18, session); got.ErrorCode != kerr.FetchSessionIDNotFound.Code || len(got.Topics) != 0 {
		t.Errorf("unknown session: %+v", got)
	}
	ahead := with(func(_ *kmsg.FetchRequest, p *part) { p.LastFetchedEpoch, p.FetchOffset = 5, 1 })
	if got := fetchOne(t, c, 18, ahead); got.ErrorCode != kerr.OffsetOutOfRange.Code {
		t.Errorf("an epoch that never was: %+v", got)
	}
}

func TestAnOlderLeaderEpochIsFencedAfterARestart(t *testing.T) {
	dir := t.TempDir()
	n := startNode(t, dir, testConfig())
	createTopic(t, n, "t", 1, nil)
	c := newClient(t, n)
	if got := produce(t, n, c, 13, produceRequest("t", -1, buildBatch(t, nil, "a"))); got.ErrorCode != 0 {
		t.Fatal(got)
	}
	n.stop()
	n = startNode(t, dir, testConfig())
	c = newClient(t, n)
	if epoch := n.topics.byName("t").logs[0].LeaderEpoch(); epoch != 1 {
		t.Fatalf("leader epoch is %d", epoch)
	}
	req := fetchRequest(n, "t", 0, 0, 1)
	req.Topics[0].Partitions[0].CurrentLeaderEpoch = 0
	for version := int16(9); version <= 18; version++ {
		resp := request[*kmsg.FetchResponse](t, c, version, req)
		got := resp.Topics[0].Partitions[0]
		if got.ErrorCode != kerr.FencedLeaderEpoch.Code {
			t.Errorf("fetch: %v", kerr.ErrorForCode(got.ErrorCode))
		}
		leader := got.CurrentLeader
		if version < leaderToldVersion {
			if leader.LeaderID != -1 || len(resp.Brokers) != 0 {
				t.Errorf("v%d tells of a leader: %+v", version, resp)
			}
			continue
		}
		// The consumer goes on in the new epoch without asking for metadata (KIP-951).
		if leader.LeaderID != n.cfg.NodeID || leader.LeaderEpoch != 1 || len(resp.Brokers) != 1 {
			t.Fatalf("v%d: leader %+v, brokers %+v", version, leader, resp.Brokers)
		}
		if at := resp.Brokers[0]; at.NodeID != n.cfg.NodeID || net.JoinHostPort(at.Host, strconv.Itoa(int(at.Port))) != n.Addr() || at.Rack != nil {
			t.Errorf("v%d: the leader is at %+v, not %s", version, at, n.Addr())
		}
	}
	if got := produce(t, n, c, 13, produceRequest("t", -1, buildBatch(t, nil, "b"))); got.BaseOffset != 1 {
		t.Fatal(got)
	}
	diverging := fetchRequest(n, "t", 2, time.Minute, 1)
	diverging.Topics[0].Partitions[0].LastFetchedEpoch = 0
	if got := fetchOne(t, c, 18, diverging); got.ErrorCode != 0 || got.DivergingEpoch.Epoch != 0 || got.DivergingEpoch.EndOffset != 1 || got.HighWatermark != 2 || len(got.RecordBatches) != 0 {
		t.Errorf("diverging: %+v", got)
	}
	epochs := kmsg.NewPtrOffsetForLeaderEpochRequest()
	for _, e := range []int32{0, 1, 9} {
		p := kmsg.NewOffsetForLeaderEpochRequestTopicPartition()
		p.LeaderEpoch, p.CurrentLeaderEpoch = e, 1
		epochs.Topics = append(epochs.Topics, kmsg.OffsetForLeaderEpochRequestTopic{Topic: "t", Partitions: []kmsg.OffsetForLeaderEpochRequestTopicPartition{p}})
	}
	got := request[*kmsg.OffsetForLeaderEpochResponse](t, c, 4, epochs)
	for i, want := range [][2]int64{{0, 1}, {1, 2}, {-1, -1}} {
		if p := got.Topics[i].Partitions[0]; p.ErrorCode != 0 || int64(p.LeaderEpoch) != want[0] || p.EndOffset != want[1] {
			t.Errorf("epoch %d: %+v", i, p)
		}
	}
}

func TestAFetchWaitsForDataWithoutPolling(t *testing.T) {
	n := startNode(t, t.TempDir(), testConfig())
	createTopic(t, n, "t", 1, nil)
	consumer, producer := newClient(t, n), newClient(t, n)
	start := time.Now()
	fetched := fetchLater(t, consumer, fetchRequest(n, "t", 0, time.Minute, 1))
	select {
	case got := <-fetched:
		t.Fatalf("answered before there was data: %+v", got)
	case <-time.After(100 * time.Millisecond):
	}
	if got := produce(t, n, producer, 13, produceRequest("t", -1, buildBatch(t, nil, "a"))); got.ErrorCode != 0 {
		t.Fatal(got)
	}
	if got := <-fetched; len(got.RecordBatches) == 0 || time.Since(start) > time.Minute {
		t.Errorf("fetched %+v after %s", got, time.Since(start))
	}
}

func TestAFetchWaitsForMinBytesAndNoLongerThanItSays(t *testing.T) {
	n := startNode(t, t.TempDir(), testConfig())
	createTopic(t, n, "t", 1, nil)
	consumer, producer := newClient(t, n), newClient(t, n)
	records := buildBatch(t, nil, "a")
	if got := produce(t, n, producer, 13, produceRequest("t", -1, records)); got.ErrorCode != 0 {
		t.Fatal(got)
	}
	start := time.Now()
	got := fetchOne(t, consumer, 18, fetchRequest(n, "t", 0, 200*time.Millisecond, int32(2*len(records))))
	if took := time.Since(start); took < 190*time.Millisecond || took > 30*time.Second || len(got.RecordBatches) != len(records) {
		t.Errorf("%d bytes after %s", len(got.RecordBatches), took)
	}
	fetched := fetchLater(t, consumer, fetchRequest(n, "t", 0, time.Minute, int32(2*len(records))))
	start = time.Now()
	if got := produce(t, n, producer, 13, produceRequest("t", -1, records)); got.ErrorCode != 0 {
		t.Fatal(got)
	}
	if got := <-fetched; len(got.RecordBatches) != 2*len(records) || time.Since(start) > time.Minute {
		t.Errorf("%d bytes after %s", len(got.RecordBatches), time.Since(start))
	}
}

func TestAnUndecidedFetchEndsWithTheTopicAndWithTheNode(t *testing.T) {
	reg := prometheus.NewRegistry()
	n := startNodeWith(t, testConfig(), Options{Dir: t.TempDir(), Registerer: reg})
	createTopic(t, n, "t", 1, nil)
	createTopic(t, n, "u", 1, nil)
	c := newClient(t, n)
	fetched := fetchLater(t, c, fetchRequest(n, "t", 0, time.Minute, 1))
	awaitPending(t, reg, "Fetch")
	if _, err := newAdmin(t, n).DeleteTopic(t.Context(), "t"); err != nil {
		t.Fatal(err)
	}
	if got := <-fetched; got.ErrorCode != kerr.UnknownTopicOrPartition.Code && got.ErrorCode != kerr.UnknownTopicID.Code {
		t.Errorf("after deletion: %v", kerr.ErrorForCode(got.ErrorCode))
	}
	fetched = fetchLater(t, c, fetchRequest(n, "u", 0, time.Minute, 1))
	awaitPending(t, reg, "Fetch")
	n.stop()
	if got, answered := <-fetched; got.ErrorCode != 0 || !answered {
		t.Errorf("after the stop: %+v, %v", got, answered)
	}
}

// awaitPending waits until the node has a request of an API that it has not answered yet.
func awaitPending(t *testing.T, reg prometheus.Gatherer, api string) {
	t.Helper()
	awaitMetric(t, reg, "millrace_broker_pending_requests", labelsOf("api", api))
}

func TestFetchReturnsAtLeastOneBatchAndKeepsToItsLimits(t *testing.T) {
	n := startNode(t, t.TempDir(), testConfig())
	createTopic(t, n, "t", 3, nil)
	c := newClient(t, n, kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchCompression(kgo.NoCompression()))
	for p := range int32(3) {
		for range 4 {
			if err := c.ProduceSync(t.Context(), &kgo.Record{Topic: "t", Partition: p, Value: make([]byte, 10_000)}).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
	}
	fetch := func(maxBytes, partitionMax int32) (sizes []int) {
		req := fetchRequest(n, "t", 0, 0, 1)
		req.MaxBytes = maxBytes
		parts := req.Topics[0].Partitions
		for p := range int32(3) {
			q := parts[0]
			q.Partition, q.PartitionMaxBytes = p, partitionMax
			req.Topics[0].Partitions = append(req.Topics[0].Partitions[:p], q)
		}
		for _, p := range request[*kmsg.FetchResponse](t, c, 18, req).Topics[0].Partitions {
			sizes = append(sizes, len(p.RecordBatches)/10_000)
		}
		return sizes
	}
	for _, tt := range []struct {
		max, partition int32
		want           string
	}{
		{1, 1, "[1 0 0]"}, {1 << 20, 1, "[1 0 0]"}, {1 << 20, 25_000, "[2 2 2]"}, {35_000, 25_000, "[2 1 0]"}, {1 << 20, 1 << 20, "[4 4 4]"}, {0, 0, "[1 0 0]"}, {-1, -1, "[1 0 0]"},
	} {
		if got := fmt.Sprint(fetch(tt.max, tt.partition)); got != tt.want {
			t.Errorf("maximum %d, per partition %d: batches %s, want %s", tt.max, tt.partition, got, tt.want)
		}
	}
}

func TestOffsetsAreListed(t *testing.T) {
	n := startNode(t, t.TempDir(), testConfig())
	createTopic(t, n, "t", 1, nil)
	createTopic(t, n, "empty", 1, nil)
	c := newClient(t, n)
	base := time.Now().UnixMilli() - 10_000
	for _, ms := range []int64{0, 500, 200} {
		b, err := batch.Build(batch.Options{}, []batch.Record{{Timestamp: base + ms, Value: []byte("v")}})
		if err != nil {
			t.Fatal(err)
		}
		if got := produce(t, n, c, 13, produceRequest("t", -1, b)); got.ErrorCode != 0 {
			t.Fatal(got)
		}
	}
	tests := []struct {
		topic             string
		version           int16
		timestamp         int64
		epoch             int32
		offset, at, found int64
		want              *kerr.Error
	}{
		{"t", 10, timestampLatest, -1, 3, -1, 0, nil},
		{"t", 10, timestampEarliest, -1, 0, -1, 0, nil},
		{"t", 10, timestampMax, -1, 1, base + 500, 0, nil},
		{"t", 10, timestampEarliestLocal, -1, 0, -1, 0, nil},
		{"t", 10, timestampLatestTiered, -1, -1, -1, -1, nil},
		{"t", 10, base + 1, -1, 1, base + 500, 0, nil},
		{"t", 1, base, -1, 0, base, -1, nil},
		{"t", 10, base + 501, -1, -1, -1, -1, nil},
		{"empty", 10, timestampMax, -1, -1, -1, -1, nil},
		{"empty", 10, timestampLatest, -1, 0, -1, 0, nil},
		{"t", 6, timestampMax, -1, -1, -1, -1, kerr.UnsupportedVersion},
		{"t", 7, timestampEarliestLocal, -1, -1, -1, -1, kerr.UnsupportedVersion},
		{"t", 10, -9, -1, -1, -1, -1, kerr.UnsupportedVersion},
		{"t", 10, math.MinInt64, -1, -1, -1, -1, kerr.UnsupportedVersion},
		{"none", 10, timestampLatest, -1, -1, -1, -1, kerr.UnknownTopicOrPartition},
		{"t", 10, timestampLatest, 5, -1, -1, -1, kerr.UnknownLeaderEpoch},
	}
	for _, tt := range tests {
		req := kmsg.NewPtrListOffsetsRequest()
		p := kmsg.NewListOffsetsRequestTopicPartition()
		p.Timestamp, p.CurrentLeaderEpoch = tt.timestamp, tt.epoch
		req.Topics = []kmsg.ListOffsetsRequestTopic{{Topic: tt.topic, Partitions: []kmsg.ListOffsetsRequestTopicPartition{p}}}
		got := request[*kmsg.ListOffsetsResponse](t, c, tt.version, req).Topics[0].Partitions[0]
		want := error(nil)
		if tt.want != nil {
			want = tt.want
		}
		if err := kerr.ErrorForCode(got.ErrorCode); !errors.Is(err, want) || got.Offset != tt.offset || got.Timestamp != tt.at || int64(got.LeaderEpoch) != tt.found {
			t.Errorf("%s v%d %d: %v %+v", tt.topic, tt.version, tt.timestamp, err, got)
		}
	}
}

func TestAcknowledgedRecordsSurviveAKillAtAnyMoment(t *testing.T) {
	dir := t.TempDir()
	n := startNode(t, dir, testConfig())
	createTopic(t, n, "t", 2, nil)
	c := newClient(t, n, kgo.DefaultProduceTopic("t"))
	acked := map[string]bool{}
	for i := range 300 {
		v := fmt.Sprint(i)
		if err := c.ProduceSync(t.Context(), kgo.StringRecord(v)).FirstErr(); err != nil {
			t.Fatal(err)
		}
		acked[v] = true
		if i%100 != 99 {
			continue
		}
		// The copy is made while the node runs, as kill -9 leaves the files.
		left := startNode(t, copyDir(t, dir), testConfig())
		got := consumeAll(t, left, "t", len(acked))
		for v := range acked {
			if got[v] != 1 {
				t.Fatalf("after %d records: %s is there %d times", i, v, got[v])
			}
		}
		if left.ClusterID() != n.ClusterID() {
			t.Error("another cluster id")
		}
		left.stop()
	}
}

// consumeAll reads count records of a topic.
func consumeAll(t testing.TB, n *testNode, topic string, count int) map[string]int {
	t.Helper()
	c := newClient(t, n, kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	got := map[string]int{}
	for total := 0; total < count; {
		fetches := c.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatalf("%d of %d records: %v", total, count, err)
		}
		fetches.EachRecord(func(r *kgo.Record) { got[string(r.Value)]++; total++ })
	}
	return got
}

func TestADeletionThatACrashInterruptsIsFinishedAtTheNextStart(t *testing.T) {
	dir := t.TempDir()
	n := startNode(t, dir, testConfig())
	createTopic(t, n, "t", 3, nil)
	createTopic(t, n, "kept", 1, nil)
	before := copyDir(t, dir) // has the logs
	if _, err := newAdmin(t, n).DeleteTopic(t.Context(), "t"); err != nil {
		t.Fatal(err)
	}
	n.stop()
	// The removal is recorded, but the files are all still there.
	mixed := copyDir(t, dir)
	replaceDir(t, before+"/logs", mixed+"/logs")
	left := startNode(t, mixed, testConfig())
	if logs := left.store.Logs(); len(logs) != 1 || logs[0].ID().Topic != "kept" {
		t.Errorf("%d logs are left", len(logs))
	}
	createTopic(t, left, "t", 1, nil)
	left.stop()
	// The creation is recorded, but no log was made.
	empty := copyDir(t, dir)
	replaceDir(t, t.TempDir(), empty+"/logs")
	left = startNode(t, empty, testConfig())
	c := newClient(t, left)
	if got := produce(t, left, c, 13, produceRequest("kept", -1, buildBatch(t, nil, "a"))); got.ErrorCode != 0 {
		t.Errorf("produce: %+v", got)
	}
}
