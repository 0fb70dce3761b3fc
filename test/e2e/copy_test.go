package e2e

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/test/process"
)

// The exactly-once test: partitions of both topics, copiers in the group, and how many
// records are copied between two kills.
const (
	copyPartitions = 3
	copyCopiers    = 2
	copyBetween    = 500
)

// TestExactlyOnceCopyThroughKills reads one topic and writes another in transactions
// that also commit the offsets (KIP-447), as stream processors do, while the broker is killed
// with -9 again and again. At the end a reader of committed records sees every record once.
//
// MILLRACE_E2E_COPY_KILLS is the number of kills; make crash-test sets it.
func TestExactlyOnceCopyThroughKills(t *testing.T) {
	if testing.Short() {
		t.Skip("skipped: -short kills no servers")
	}
	kills := setting(t, "MILLRACE_E2E_COPY_KILLS", 2)
	n := process.New(t, binary, "broker: {group_session_timeout_min: 1s, group_initial_rebalance_delay: 0s}\n", "broker")
	n.Start()
	c := &copyTest{t: t, n: n}
	c.produce, c.stopProducing = context.WithCancel(t.Context())
	c.copy, c.stopCopying = context.WithCancel(t.Context())
	defer func() {
		c.stopProducing()
		c.stopCopying()
		c.all.Wait()
	}()
	admin := kadm.NewClient(c.client())
	if _, err := admin.CreateTopics(t.Context(), copyPartitions, 1, nil, "source", "target"); err != nil {
		t.Fatal(err)
	}
	var producing sync.WaitGroup
	producing.Add(1)
	c.all.Go(func() {
		defer producing.Done()
		c.producer()
	})
	for i := range copyCopiers {
		c.all.Go(func() { c.copier(fmt.Sprint("copier-", i)) })
	}
	for range kills {
		goal := c.copied.Load() + copyBetween
		n.Eventually(2*time.Minute, "records are copied", func() error {
			if have := c.copied.Load(); have < goal {
				return fmt.Errorf("%d of %d", have, goal)
			}
			return nil
		})
		n.Pause() // in the middle of whatever it does
		n.Kill()
		n.Start()
	}
	c.stopProducing()
	producing.Wait()
	c.everyRecordOnce()
	t.Logf("%d records, %d kills, %d transactions failed", c.sent.Load(), kills, c.failed.Load())
	if c.failed.Load() == 0 && kills > 3 {
		t.Error("no kill came in the middle of a transaction")
	}
}

type copyTest struct {
	t                          *testing.T
	n                          *process.Process
	produce, copy              context.Context
	stopProducing, stopCopying context.CancelFunc
	all                        sync.WaitGroup
	// sent were acknowledged, copied are in transactions whose commit was answered, and
	// failed transactions were not.
	sent, copied, failed atomic.Int64
}

func (c *copyTest) options(opts ...kgo.Opt) []kgo.Opt {
	return append([]kgo.Opt{
		kgo.SeedBrokers(c.n.Broker), kgo.RetryBackoffFn(func(int) time.Duration { return 20 * time.Millisecond }), kgo.RequestRetries(10_000),
		kgo.RetryTimeout(2 * time.Minute), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.MetadataMinAge(20 * time.Millisecond),
	}, opts...)
}

func (c *copyTest) client(opts ...kgo.Opt) *kgo.Client {
	client, err := kgo.NewClient(c.options(opts...)...)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(client.Close)
	return client
}

// producer sends numbered records, each in its own partition's order.
func (c *copyTest) producer() {
	client, err := kgo.NewClient(c.options()...)
	if err != nil {
		c.t.Error(err)
		return
	}
	defer client.Close()
	for number := int64(0); c.produce.Err() == nil; {
		records := make([]*kgo.Record, 6)
		for i := range records {
			records[i] = &kgo.Record{Topic: "source", Partition: int32(number % copyPartitions), Value: strconv.AppendInt(nil, number, 10)}
			number++
		}
		if err := client.ProduceSync(context.Background(), records...).FirstErr(); err != nil {
			c.t.Errorf("produce: %v", err)
			return
		}
		c.sent.Store(number)
	}
}

// copier copies in transactions; a session whose transaction failed for good is
// replaced by another with the same transactional id.
func (c *copyTest) copier(id string) {
	for c.copy.Err() == nil {
		s, err := kgo.NewGroupTransactSession(c.options(
			kgo.TransactionalID(id), kgo.ConsumerGroup("copy"), kgo.ConsumeTopics("source"), kgo.FetchIsolationLevel(kgo.ReadCommitted()),
			kgo.SessionTimeout(3*time.Second), kgo.HeartbeatInterval(100*time.Millisecond),
			kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxWait(100*time.Millisecond),
		)...)
		if err != nil {
			c.t.Error(err)
			return
		}
		_, _, err = s.Client().ProducerID(c.copy) // ends what the last session left open
		for err == nil && c.copy.Err() == nil {
			err = c.copySome(s)
		}
		s.Close()
	}
}

func (c *copyTest) copySome(s *kgo.GroupTransactSession) error {
	fetches := s.PollRecords(c.copy, 100)
	if c.copy.Err() != nil || fetches.Empty() {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	if err := s.Begin(); err != nil {
		return err
	}
	count := int64(0)
	fetches.EachRecord(func(r *kgo.Record) {
		count++
		s.Produce(ctx, &kgo.Record{Topic: "target", Partition: r.Partition, Value: r.Value}, nil)
	})
	committed, err := s.End(ctx, kgo.TryCommit)
	if committed {
		c.copied.Add(count)
	} else {
		c.failed.Add(1)
	}
	return err
}

// everyRecordOnce reads the copies until all are there, and wants each once, in the order of the source.
func (c *copyTest) everyRecordOnce() {
	c.t.Helper()
	reader := c.client(kgo.ConsumeTopics("target"), kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	ctx, cancel := context.WithTimeout(c.t.Context(), 3*time.Minute)
	defer cancel()
	next := map[int32]int64{0: 0, 1: 1, 2: 2}
	for left := c.sent.Load(); left > 0; {
		fetches := reader.PollFetches(ctx)
		if ctx.Err() != nil {
			c.t.Fatalf("%d of %d records are not copied\n%s", left, c.sent.Load(), c.n.Logs())
		}
		fetches.EachRecord(func(r *kgo.Record) {
			left--
			if want := next[r.Partition]; string(r.Value) != strconv.FormatInt(want, 10) {
				c.t.Fatalf("partition %d has %s at offset %d, want %d", r.Partition, r.Value, r.Offset, want)
			}
			next[r.Partition] += copyPartitions
		})
	}
	c.stopCopying()
	c.all.Wait()
	c.nothingAfter(reader, next)
}

// nothingAfter: what the reader has seen is all that is committed.
func (c *copyTest) nothingAfter(reader *kgo.Client, next map[int32]int64) {
	c.t.Helper()
	end := c.client()
	for p := range int32(copyPartitions) {
		if err := end.ProduceSync(c.t.Context(), &kgo.Record{Topic: "target", Partition: p, Value: []byte("end")}).FirstErr(); err != nil {
			c.t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(c.t.Context(), time.Minute)
	defer cancel()
	for ends := 0; ends < copyPartitions; {
		fetches := reader.PollFetches(ctx)
		if ctx.Err() != nil {
			c.t.Fatalf("the reader stands still after %d ends, next are %v", ends, next)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			if ends++; string(r.Value) != "end" {
				c.t.Fatalf("partition %d has %s once more at offset %d", r.Partition, r.Value, r.Offset)
			}
		})
	}
}
