package ship

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/agent/batch"
	"github.com/millrace/millrace/agent/registry"
	"github.com/millrace/millrace/configs"
)

const topicName = "logs"

// bench is a shipper against a cluster that can be told to fail.
type bench struct {
	t       *testing.T
	cluster *kfake.Cluster
	dir     string
	reg     *registry.Registry
	s       *Shipper
	stop    func() error
	source  *batch.Source
	offset  int64
	log     *lockedBuffer

	mu     sync.Mutex
	acked  int
	lost   []string
	cuts   int
	splits int
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) count(s string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.b.String(), s)
}

func (b *bench) Acked(held *batch.Batch) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.acked += held.Len()
}

func (b *bench) Lost(_ registry.LaneKey, p *batch.Plan, _ *batch.Batch, reason string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lost = append(b.lost, fmt.Sprintf("%d records: %s", p.Records, reason))
}

func (b *bench) Cut(registry.LaneKey) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.cuts++
}

func (b *bench) Split(_, _, _ *batch.Batch) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.splits++
}

func (b *bench) Retried(registry.LaneKey) {}

func (b *bench) state() (acked int, lost []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.acked, slices.Clone(b.lost)
}

func newBench(t *testing.T, partitions int32) *bench {
	t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(partitions, topicName))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	b := &bench{t: t, cluster: cluster, dir: t.TempDir(), log: &lockedBuffer{}}
	settings := &batch.Settings{Agent: "agent", Host: "h", Topic: topicName, Codec: "raw", Encoding: "utf-8", LineMax: 1 << 20, Compression: "lz4"}
	framer, err := batch.NewFramer(settings)
	if err != nil {
		t.Fatal(err)
	}
	b.source = batch.NewSource(0, "agent-0", "/x.log", 0, settings, framer)
	b.open()
	b.reg.SetIdentity("agent", "")
	b.reg.Mint(registry.File{Path: "/x.log", Current: "/x.log", Topic: topicName, Partition: -1})
	return b
}

func (b *bench) open() {
	b.t.Helper()
	reg, err := registry.Open(b.dir, registry.Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.t.Fatal(err)
	}
	b.reg = reg
	kafka := configs.Default().Kafka
	kafka.Brokers = b.cluster.ListenAddrs()
	b.s, err = New(Options{
		Kafka: kafka, Registry: reg, Logger: slog.New(slog.NewTextHandler(b.log, nil)), Observer: b,
		BackoffMax: 100 * time.Millisecond, LaneMax: 64 << 20,
	})
	if err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) run() {
	b.t.Helper()
	b.s.Want(topicName)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	s := b.s
	go func() { done <- s.Run(ctx) }()
	var once sync.Once
	var err error
	b.stop = func() error {
		once.Do(func() {
			cancel()
			err = <-done
		})
		return err
	}
	b.t.Cleanup(func() {
		_ = b.stop()
		if b.t.Failed() {
			b.t.Log(b.log.b.String())
		}
	})
}

// batchOf makes a batch of lines.
func (b *bench) batchOf(lines ...string) *batch.Batch {
	out := &batch.Batch{}
	for _, l := range lines {
		end := b.offset + int64(len(l)) + 1
		out.Add(b.source, batch.Event{Start: b.offset, End: end, Value: []byte(l)}, 1_700_000_000_000, false, 0)
		b.offset = end
	}
	return out
}

func laneKey(p int32) registry.LaneKey { return registry.LaneKey{Topic: topicName, Partition: p} }

func (b *bench) submit(lines ...string) { b.s.Submit(laneKey(0), b.batchOf(lines...)) }

func (b *bench) drained() {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	if err := b.s.Drained(ctx); err != nil {
		b.t.Fatalf("the lanes are not empty: %v, %+v", err, b.reg.Lanes())
	}
}

// topic returns the values in a partition.
func (b *bench) topic() []string {
	b.t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(b.cluster.ListenAddrs()...), kgo.ConsumeTopics(topicName))
	if err != nil {
		b.t.Fatal(err)
	}
	defer client.Close()
	ends, err := kadm.NewClient(client).ListEndOffsets(context.Background(), topicName)
	if err != nil {
		b.t.Fatal(err)
	}
	var want int64
	ends.Each(func(o kadm.ListedOffset) { want += o.Offset })
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	var out []string
	for int64(len(out)) < want && ctx.Err() == nil {
		client.PollFetches(ctx).EachRecord(func(r *kgo.Record) { out = append(out, string(r.Value)) })
	}
	return out
}

func (b *bench) expect(want ...string) {
	b.t.Helper()
	if got := b.topic(); !slices.Equal(got, want) {
		b.t.Fatalf("the topic holds %d lines %.200q, want %d %.200q", len(got), got, len(want), want)
	}
}

// failProduce answers produce requests with err as long as pick says so.
func (b *bench) failProduce(err *kerr.Error, pick func(n int, req *kmsg.ProduceRequest) bool) {
	n := 0
	b.cluster.ControlKey(int16(kmsg.Produce), func(r kmsg.Request) (kmsg.Response, error, bool) {
		b.cluster.KeepControl()
		req := r.(*kmsg.ProduceRequest)
		n++
		if !pick(n, req) {
			return nil, nil, false
		}
		res := req.ResponseKind().(*kmsg.ProduceResponse)
		for _, t := range req.Topics {
			rt := kmsg.NewProduceResponseTopic()
			rt.Topic = t.Topic
			for _, p := range t.Partitions {
				rp := kmsg.NewProduceResponseTopicPartition()
				rp.Partition, rp.ErrorCode = p.Partition, err.Code
				rt.Partitions = append(rt.Partitions, rp)
			}
			res.Topics = append(res.Topics, rt)
		}
		return res, nil, true
	})
}

func TestShipsInOrder(t *testing.T) {
	b := newBench(t, 1)
	b.run()
	var want []string
	for i := range 200 {
		line := fmt.Sprint("line ", i)
		b.submit(line)
		want = append(want, line)
		if n := len(b.reg.Lane(laneKey(0)).Plans); n > WindowMax {
			t.Fatalf("%d batches are unacknowledged", n)
		}
	}
	b.drained()
	b.expect(want...)
	if l := b.reg.Lane(laneKey(0)); l.NextSequence != 200 || len(l.Plans) != 0 {
		t.Fatalf("lane: %+v", l)
	}
	if f, _ := b.reg.File(0); f.Acked != b.offset || f.Planned != b.offset {
		t.Fatalf("file: %+v, want %d", f, b.offset)
	}
}

// TestErrorCodes lets the third request, and the two after it, fail in every way.
func TestErrorCodes(t *testing.T) {
	for _, err := range []*kerr.Error{
		kerr.NotLeaderForPartition, kerr.RequestTimedOut, kerr.NotEnoughReplicas, kerr.NotEnoughReplicasAfterAppend,
		kerr.LeaderNotAvailable, kerr.KafkaStorageError, kerr.UnknownTopicOrPartition, kerr.CorruptMessage,
		kerr.OutOfOrderSequenceNumber, kerr.UnknownProducerID, kerr.InvalidProducerEpoch, kerr.ProducerFenced,
		kerr.InvalidProducerIDMapping, kerr.InvalidTimestamp, kerr.TopicAuthorizationFailed, kerr.UnknownServerError,
	} {
		t.Run(err.Message, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, 1)
			b.failProduce(err, func(n int, _ *kmsg.ProduceRequest) bool { return n >= 3 && n <= 5 })
			b.run()
			var want []string
			for i := range 20 {
				line := fmt.Sprint("line ", i)
				b.submit(line)
				want = append(want, line)
			}
			b.drained()
			b.expect(want...)
			if acked, lost := b.state(); acked != 20 || len(lost) != 0 {
				t.Fatalf("acked %d, lost %q", acked, lost)
			}
		})
	}
}

// TestDuplicateSequence is an answer that says the cluster has the batch.
func TestDuplicateSequence(t *testing.T) {
	b := newBench(t, 1)
	b.failProduce(kerr.DuplicateSequenceNumber, func(n int, _ *kmsg.ProduceRequest) bool { return n == 1 })
	b.run()
	b.submit("known")
	b.drained()
	if acked, lost := b.state(); acked != 1 || len(lost) != 0 {
		t.Fatalf("acked %d, lost %q", acked, lost)
	}
}

func records(req *kmsg.ProduceRequest) int {
	var rb kmsg.RecordBatch
	if err := rb.ReadFrom(req.Topics[0].Partitions[0].Records); err != nil {
		return -1
	}
	return int(rb.NumRecords)
}

func size(req *kmsg.ProduceRequest) int { return len(req.Topics[0].Partitions[0].Records) }

func TestTooLargeIsSplit(t *testing.T) {
	b := newBench(t, 1)
	b.failProduce(kerr.MessageTooLarge, func(_ int, req *kmsg.ProduceRequest) bool { return records(req) > 3 })
	b.run()
	var want []string
	for i := range 10 {
		var lines []string
		for j := range i + 1 {
			lines = append(lines, fmt.Sprintf("%d.%d", i, j))
		}
		b.submit(lines...)
		want = append(want, lines...)
	}
	b.drained()
	b.expect(want...)
	if f, _ := b.reg.File(0); f.Acked != b.offset {
		t.Fatalf("file: %+v, want %d", f, b.offset)
	}
}

// noise does not compress.
func noise(n int) string {
	out, x := make([]byte, n), uint32(1)
	for i := range out {
		x = x*1664525 + 1013904223
		out[i] = byte('!' + x>>24%90)
	}
	return string(out)
}

func TestTooLargeRecordIsCut(t *testing.T) {
	b := newBench(t, 1)
	b.failProduce(kerr.MessageTooLarge, func(_ int, req *kmsg.ProduceRequest) bool { return size(req) > 3000 })
	b.run()
	long := noise(20_000)
	b.submit("before", long, "after")
	b.submit("last")
	b.drained()
	got := b.topic()
	if len(got) != 4 || got[0] != "before" || got[2] != "after" || got[3] != "last" || !strings.HasPrefix(long, got[1]) || len(got[1]) < 1000 {
		t.Fatalf("got %d lines: %.100q", len(got), got)
	}
	if b.cuts == 0 {
		t.Error("the cut is not counted")
	}
}

// TestTooLargeForEver gives the one record up, by name, and goes on.
func TestTooLargeForEver(t *testing.T) {
	b := newBench(t, 1)
	b.failProduce(kerr.MessageTooLarge, func(_ int, req *kmsg.ProduceRequest) bool { return size(req) > 230 })
	b.run()
	b.submit("before", noise(20_000), "after")
	b.submit("last")
	b.drained()
	b.expect("before", "after", "last")
	if _, lost := b.state(); len(lost) != 1 {
		t.Fatalf("lost %q", lost)
	}
}

// restart stops without waiting, as a crash does, and opens the registry again.
func (b *bench) restart() {
	b.t.Helper()
	if err := b.stop(); err != nil {
		b.t.Fatal(err)
	}
	if err := b.reg.Close(); err != nil {
		b.t.Fatal(err)
	}
	b.open()
}

// hang lets no produce request be answered: answered is false for those that are not even appended.
func (b *bench) hang() (release func()) {
	blocked := make(chan struct{})
	b.cluster.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		b.cluster.KeepControl()
		select {
		case <-blocked:
			return nil, nil, false
		default:
			return nil, errors.New("no answer"), true // closes the connection
		}
	})
	return func() { close(blocked) }
}

// TestRestartResends makes plans that were never answered, and restores them in the next process.
func TestRestartResends(t *testing.T) {
	b := newBench(t, 1)
	release := b.hang()
	b.run()
	for i := range 9 {
		b.submit(fmt.Sprint(i))
	}
	b.await("five plans", func() bool { return len(b.reg.Lane(laneKey(0)).Plans) == WindowMax })
	b.restart()
	release()
	b.offset = 0
	state := b.reg.Lane(laneKey(0))
	if len(state.Plans) != WindowMax {
		t.Fatalf("plans: %+v", state.Plans)
	}
	var again []*batch.Batch
	for i := range WindowMax {
		again = append(again, b.batchOf(fmt.Sprint(i)))
	}
	b.s.Restore(state, again)
	b.run()
	b.submit("new")
	b.drained()
	b.expect("0", "1", "2", "3", "4", "new")
	// The same again, after the cluster has them all: it must not take them twice.
	b.restart()
	b.offset = 0
	state.Plans = state.Plans[1:]
	b.reg.SetLane(state)
	again = nil
	b.batchOf("0")
	for i := 1; i < WindowMax; i++ {
		again = append(again, b.batchOf(fmt.Sprint(i)))
	}
	b.s.Restore(b.reg.Lane(laneKey(0)), again)
	b.run()
	b.drained()
	b.expect("0", "1", "2", "3", "4", "new")
}

func (b *bench) await(what string, ok func() bool) {
	b.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(60 * time.Second)
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			b.t.Fatalf("it never happened: %s", what)
		}
	}
}

// noDescribeProducers makes the broker one that cannot be asked.
func (b *bench) noDescribeProducers() {
	b.cluster.ControlKey(int16(kmsg.DescribeProducers), func(r kmsg.Request) (kmsg.Response, error, bool) {
		b.cluster.KeepControl()
		return r.ResponseKind(), nil, true
	})
}

// TestBytesGone restores a plan without its bytes. The cluster has it, or not; it can be asked, or the next
// batch tells.
func TestBytesGone(t *testing.T) {
	for _, asked := range []bool{true, false} {
		for _, arrived := range []bool{true, false} {
			t.Run(fmt.Sprintf("asked=%v arrived=%v", asked, arrived), func(t *testing.T) {
				t.Parallel()
				b := newBench(t, 1)
				if !asked {
					b.noDescribeProducers()
				}
				b.run()
				b.submit("first")
				b.drained()
				if arrived {
					b.submit("gone")
					b.drained()
				}
				b.restart()
				state := b.reg.Lane(laneKey(0))
				if arrived {
					state.NextSequence--
					b.offset -= 5
				}
				b.reg.SetLane(state)
				p := b.batchOf("gone").Plan()
				b.reg.AddPlan(laneKey(0), p)
				b.s.Restore(b.reg.Lane(laneKey(0)), []*batch.Batch{nil})
				b.run()
				b.submit("next")
				b.drained()
				want := []string{"first", "gone", "next"}
				if !arrived {
					want = []string{"first", "next"}
				}
				b.expect(want...)
				if _, lost := b.state(); arrived != (len(lost) == 0) {
					t.Fatalf("lost: %q", lost)
				}
			})
		}
	}
}

func (b *bench) admin(use func(*kadm.Client)) {
	b.t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(b.cluster.ListenAddrs()...))
	if err != nil {
		b.t.Fatal(err)
	}
	defer client.Close()
	use(kadm.NewClient(client))
}

func (b *bench) recreate(partitions int32) {
	b.t.Helper()
	b.admin(func(a *kadm.Client) {
		if _, err := a.DeleteTopics(context.Background(), topicName); err != nil {
			b.t.Fatal(err)
		}
		if _, err := a.CreateTopics(context.Background(), partitions, 1, nil, topicName); err != nil {
			b.t.Fatal(err)
		}
	})
}

// TestTopicRecreated sends to the new topic what was not acknowledged, and
// goes on.
func TestTopicRecreated(t *testing.T) {
	b := newBench(t, 1)
	b.run()
	b.submit("old")
	b.drained()
	release := b.hang()
	b.submit("unacknowledged")
	b.await("a plan", func() bool { return len(b.reg.Lane(laneKey(0)).Plans) == 1 })
	b.recreate(1)
	release()
	b.submit("new")
	b.drained()
	b.expect("unacknowledged", "new")
}

func TestFewerPartitions(t *testing.T) {
	b := newBench(t, 3)
	b.run()
	b.s.Submit(laneKey(2), b.batchOf("old"))
	b.drained()
	b.recreate(1)
	b.s.askRefresh()
	b.await("the shipper ends", func() bool {
		select {
		case err := <-b.s.fatal:
			b.s.fatal <- err
			return true
		default:
		}
		return b.reg.Lane(laneKey(2)).ProducerID == -1
	})
	if err := b.stop(); !errors.Is(err, ErrPartitions) {
		t.Fatalf("Run returned %v", err)
	}
}

func TestMorePartitions(t *testing.T) {
	b := newBench(t, 1)
	b.run()
	b.submit("first")
	b.drained()
	b.admin(func(a *kadm.Client) {
		if _, err := a.CreatePartitions(context.Background(), 2, topicName); err != nil {
			t.Fatal(err)
		}
	})
	b.s.askRefresh()
	b.await("the new partitions", func() bool { return b.s.Partitions(topicName) == 3 })
	b.s.Submit(laneKey(2), b.batchOf("second"))
	b.drained()
	if got := b.topic(); len(got) != 2 {
		t.Fatalf("got %q", got)
	}
}

// TestOutageIsSaidOnce counts what is logged while the cluster is away.
func TestOutageIsSaidOnce(t *testing.T) {
	b := newBench(t, 1)
	release := b.hang()
	b.run()
	for i := range 3 {
		b.submit(fmt.Sprint(i))
	}
	b.await("an outage", func() bool { return b.log.count("waiting for the Kafka cluster") > 0 })
	release()
	b.drained()
	b.await("its end", func() bool { return b.log.count("the Kafka cluster is back") > 0 })
	if n, m := b.log.count("waiting for the Kafka cluster"), b.log.count("the Kafka cluster is back"); n != m {
		t.Fatalf("said %d times that it is away, %d times that it is back", n, m)
	}
}

// TestRefusedLinesAreKept lets the topic refuse the lines for a while, as a compacted one does: that is said once, and
// nothing is lost.
func TestRefusedLinesAreKept(t *testing.T) {
	b := newBench(t, 1)
	var tries, allowed atomic.Int64
	b.failProduce(kerr.InvalidRecord, func(int, *kmsg.ProduceRequest) bool { return tries.Add(1) > 1 && allowed.Load() == 0 })
	b.run()
	b.submit("before")
	b.await("the first line", func() bool { acked, _ := b.state(); return acked == 1 })
	want := []string{"before"}
	for i := range 8 {
		line := fmt.Sprint("line ", i)
		b.submit(line)
		want = append(want, line)
	}
	b.await("many tries", func() bool { return tries.Load() > 20 })
	if n := b.log.count("level=ERROR"); n != 1 {
		t.Errorf("%d errors are logged", n)
	}
	for _, part := range []string{"the topic refuses the lines", "cleanup.policy", "topic=logs partition=0 path=/x.log files=1 lines=1"} {
		if b.log.count(part) != 1 {
			t.Errorf("the log has %q %d times", part, b.log.count(part))
		}
	}
	if n := b.log.count("waiting for the Kafka cluster"); n != 0 {
		t.Errorf("said %d times that the cluster is away", n)
	}
	if acked, lost := b.state(); acked != 1 || len(lost) != 0 {
		t.Errorf("acked %d, lost %q", acked, lost)
	}
	allowed.Store(1)
	b.drained()
	b.expect(want...)
	if acked, lost := b.state(); acked != 9 || len(lost) != 0 || b.log.count("the topic takes the lines again") != 1 {
		t.Errorf("acked %d, lost %q", acked, lost)
	}
}

// TestMissingTopicIsCreated ships to a topic that is not there.
func TestMissingTopicIsCreated(t *testing.T) {
	b := newBench(t, 1)
	b.admin(func(a *kadm.Client) {
		if _, err := a.DeleteTopics(context.Background(), topicName); err != nil {
			t.Fatal(err)
		}
	})
	b.run()
	b.submit("line")
	b.drained()
	b.expect("line")
}

func TestSequencesWrap(t *testing.T) {
	if got := batch.AddSequence(1<<31-1, 1); got != 0 {
		t.Fatalf("got %d", got)
	}
	if got := batch.AddSequence(1<<31-3, 5); got != 2 {
		t.Fatalf("got %d", got)
	}
	for _, c := range []struct {
		last, end int32
		want      bool
	}{{5, 5, true}, {6, 5, true}, {4, 5, false}, {2, 1<<31 - 1, true}, {1<<31 - 1, 2, false}, {-1, 0, false}} {
		if batch.SequenceReached(c.last, c.end) != c.want {
			t.Errorf("%+v", c)
		}
	}
}
