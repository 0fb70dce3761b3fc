package bench

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sys/unix"
)

// loadCase is one row of the broker's load matrix.
type loadCase struct {
	recordBytes, partitions, producers, consumers int
	leaderAckOnly                                 bool // acks=1, otherwise all
	codec                                         kgo.CompressionCodec
	codecName                                     string
	transactional                                 bool
	bytes                                         int64 // that are produced in all
	passes                                        int   // how often a consumer reads them
}

func (c loadCase) name() string {
	acks := "all"
	if c.leaderAckOnly {
		acks = "1"
	}
	kind := "idempotent"
	if c.transactional {
		kind = "transactions"
	}
	return fmt.Sprintf("%d B, %d partitions, acks=%s, %s, %s, %d producers", c.recordBytes, c.partitions, acks, c.codecName, kind, c.producers)
}

func (c loadCase) records() int { return int(c.bytes) / c.recordBytes }

// generator drives one broker with franz-go.
type generator struct {
	t         testing.TB
	bootstrap string
}

func (g generator) client(opts ...kgo.Opt) *kgo.Client {
	g.t.Helper()
	c, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(g.bootstrap), kgo.MetadataMinAge(250 * time.Millisecond)}, opts...)...)
	if err != nil {
		g.t.Fatal(err)
	}
	return c
}

func (g generator) createTopic(topic string, partitions int) {
	g.t.Helper()
	c := g.client()
	defer c.Close()
	if _, err := kadm.NewClient(c).CreateTopic(g.t.Context(), int32(partitions), 1, nil, topic); err != nil {
		g.t.Fatal(err)
	}
}

func (g generator) deleteTopic(topic string) {
	g.t.Helper()
	c := g.client()
	defer c.Close()
	if _, err := kadm.NewClient(c).DeleteTopic(g.t.Context(), topic); err != nil {
		g.t.Fatal(err)
	}
}

// settle deletes what a load has produced and waits until its files are gone and the disk
// has everything that anybody wrote, so that the next load, which may be another system's, does not pay for it.
func (s target) settle(t testing.TB, topics ...string) {
	t.Helper()
	for _, topic := range topics {
		generator{t, s.bootstrap}.deleteTopic(topic)
	}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for late := time.After(2 * time.Minute); slices.ContainsFunc(topics, func(topic string) bool { return hasFiles(t, s.dir, topic) }); {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("%s still has files of %v in %s", s.name, topics, s.dir)
		}
	}
	unix.Sync()
}

// hasFiles reports whether a directory of a topic's partition is below dir, also one that is being deleted.
func hasFiles(t testing.TB, dir, topic string) (found bool) {
	t.Helper()
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // deleted since its directory was read
		}
		if err == nil && d.IsDir() && strings.HasPrefix(d.Name(), topic+"-") {
			found = true
			return fs.SkipAll
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// produce sends the case's records and returns how long it took until the last
// one was acknowledged.
func (g generator) produce(topic string, c loadCase) time.Duration {
	g.t.Helper()
	payload := logLike(c.recordBytes)
	began := time.Now()
	var wg sync.WaitGroup
	var failed atomic.Pointer[error]
	for p := range c.producers {
		wg.Go(func() {
			if err := g.produceOne(topic, c, p, payload); err != nil {
				failed.Store(&err)
			}
		})
	}
	wg.Wait()
	if err := failed.Load(); err != nil {
		g.t.Fatal(*err)
	}
	return time.Since(began)
}

func (g generator) produceOne(topic string, c loadCase, producer int, payload []byte) error {
	opts := []kgo.Opt{
		kgo.DefaultProduceTopic(topic), kgo.ProducerBatchCompression(c.codec), kgo.ProducerLinger(5 * time.Millisecond),
		kgo.MaxBufferedRecords(20_000), kgo.ProducerBatchMaxBytes(1 << 19),
	}
	if c.leaderAckOnly {
		opts = append(opts, kgo.RequiredAcks(kgo.LeaderAck()), kgo.DisableIdempotentWrite())
	}
	if c.transactional {
		opts = append(opts, kgo.TransactionalID(fmt.Sprintf("%s-%d", topic, producer)))
	}
	client := g.client(opts...)
	defer client.Close()
	ctx := g.t.Context()
	count := c.records() / c.producers
	const perTransaction = 20_000
	var failed atomic.Pointer[error]
	for sent := 0; sent < count; {
		n := count - sent
		if c.transactional {
			n = min(n, perTransaction)
			if err := client.BeginTransaction(); err != nil {
				return err
			}
		}
		for range n {
			client.Produce(ctx, &kgo.Record{Value: payload}, func(_ *kgo.Record, err error) {
				if err != nil {
					failed.Store(&err)
				}
			})
		}
		sent += n
		if err := client.Flush(ctx); err != nil {
			return err
		}
		if c.transactional {
			if err := client.EndTransaction(ctx, kgo.TryCommit); err != nil {
				return err
			}
		}
	}
	if err := failed.Load(); err != nil {
		return *err
	}
	return nil
}

// consume reads the topic from its start as often as the case says, each consumer all of it, and
// returns how long it took until the last of them had every record.
func (g generator) consume(topic string, c loadCase) time.Duration {
	g.t.Helper()
	began := time.Now()
	for range c.passes {
		g.consumeOnce(topic, c)
	}
	return time.Since(began)
}

func (g generator) consumeOnce(topic string, c loadCase) {
	g.t.Helper()
	var wg sync.WaitGroup
	want := c.records() / c.producers * c.producers
	for range c.consumers {
		wg.Go(func() {
			client := g.client(kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
				kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.FetchMaxPartitionBytes(1<<20))
			defer client.Close()
			for got := 0; got < want; {
				fetches := client.PollFetches(g.t.Context())
				if err := fetches.Err(); err != nil {
					g.t.Error(err)
					return
				}
				got += fetches.NumRecords()
			}
		})
	}
	wg.Wait()
}

// latencies sends records at a fixed rate and returns how long each took until
// a consumer had it, in order of size. Those that were sent before warmUp had passed
// are left out: connections, caches and a compiler that works while the program runs settle then.
func (g generator) latencies(topic string, perSecond int, warmUp, lasting time.Duration) []time.Duration {
	g.t.Helper()
	ctx, cancel := context.WithTimeout(g.t.Context(), warmUp+lasting+time.Minute)
	defer cancel()
	consumer := g.client(kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	defer consumer.Close()
	producer := g.client(kgo.DefaultProduceTopic(topic), kgo.ProducerLinger(0))
	defer producer.Close()
	count := perSecond * int((warmUp+lasting)/time.Second)
	all := make([]time.Duration, 0, count)
	counted := time.Now().Add(warmUp).UnixNano()
	arrived := 0
	var wg sync.WaitGroup
	wg.Go(func() {
		for arrived < count && ctx.Err() == nil {
			consumer.PollFetches(ctx).EachRecord(func(r *kgo.Record) {
				arrived++
				if sent := int64(binary.BigEndian.Uint64(r.Value)); sent >= counted {
					all = append(all, time.Duration(time.Now().UnixNano()-sent))
				}
			})
		}
	})
	tick := time.NewTicker(time.Second / time.Duration(perSecond))
	defer tick.Stop()
	for range count {
		<-tick.C
		value := make([]byte, 200)
		binary.BigEndian.PutUint64(value, uint64(time.Now().UnixNano()))
		producer.Produce(ctx, &kgo.Record{Value: value}, nil)
	}
	wg.Wait()
	if arrived < count {
		g.t.Fatalf("%d of %d records came back", arrived, count)
	}
	slices.Sort(all)
	return all
}

// logLike is a line of a size that compresses as logs do.
func logLike(size int) []byte {
	const line = `10.1.2.3 - - [21/Nov/2026:10:11:12 +0000] "GET /item/48151623 HTTP/1.1" 200 5123 "-" "curl/8.5.0" rt=0.043 `
	return []byte(strings.Repeat(line, size/len(line)+1)[:size])
}
