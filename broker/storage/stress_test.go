package storage

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/millrace/millrace/broker/batch"
	"github.com/millrace/millrace/internal/vfs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestProducersAndReaders has several producers and readers at once, with
// segments, tail and descriptors small enough that everything is rolled,
// evicted and opened again all the time. Each reader must see every record once, in order.
func TestProducersAndReaders(t *testing.T) {
	const producers, readers, batches, perBatch = 4, 3, 60, 5
	for _, durability := range []Durability{DurabilityFsync, DurabilityOS} {
		clock := newTestClock()
		scfg := testConfig(vfs.NewMem(clock.Now), clock)
		scfg.Durability, scfg.OpenFilesMax, scfg.TailBytesMax = durability, 2, 100_000
		scfg.CheckpointInterval = time.Millisecond
		s := mustOpen(t, scfg)
		cfg := DefaultLogConfig()
		cfg.SegmentBytes, cfg.IndexIntervalBytes = 50_000, 1000
		l := mustCreate(t, s, cfg)
		var wg sync.WaitGroup
		for p := range producers {
			wg.Go(func() {
				for i := range batches {
					o := batch.Options{Producer: &batch.Producer{ID: int64(p), Sequence: int32(i * perBatch)}}
					b := makeBatch(t, o, clock.ms(), fmt.Sprintf("%d/%d/%s", p, i, strings.Repeat("x", i*10)), perBatch)
					res, err := l.Append(b, AppendOptions{})
					for i == 0 && errors.Is(err, ErrOutOfOrderSequence) {
						t.Error(err)
						return
					}
					if err == nil && i%8 == 0 {
						err = l.WaitFlushed(t.Context(), res.LastOffset)
					}
					if err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		for r := range readers {
			wg.Go(func() {
				if err := follow(l, producers*batches*perBatch, 1000*(1+20*r)); err != nil {
					t.Errorf("reader %d: %v", r, err)
				}
			})
		}
		wg.Wait()
		if len(l.list()) < 5 {
			t.Errorf("%d segments", len(l.list()))
		}
		mustClose(t, s)
	}
}

// follow reads n records as they become readable, at most max bytes at a time.
func follow(l *Log, n int64, max int) error {
	signal := NewSignal()
	l.AddWaiter(signal)
	defer l.RemoveWaiter(signal)
	next := map[string]int{}
	for at := int64(0); at < n; {
		res, err := l.Read(at, max, ReadOptions{MinOneBatch: true})
		if err != nil {
			return err
		}
		if len(res.Data) == 0 {
			<-signal
			continue
		}
		for b, err := range batch.All(res.Data) {
			if err == nil {
				err = b.CheckCRC()
			}
			if err != nil {
				return err
			}
			for rec, err := range b.Records() {
				if err != nil || rec.Offset != at {
					return fmt.Errorf("offset %d, want %d: %w", rec.Offset, at, err)
				}
				at++
			}
			p := fmt.Sprint(b.ProducerID)
			if int(b.BaseSequence) != next[p] {
				return fmt.Errorf("producer %s: sequence %d, want %d", p, b.BaseSequence, next[p])
			}
			next[p] += int(b.Count)
		}
		if res.NextOffset != at {
			return fmt.Errorf("next offset %d, want %d", res.NextOffset, at)
		}
		res.Release()
	}
	return nil
}

// TestManyLogsOneFlusher appends to many logs at once and waits for all.
func TestManyLogsOneFlusher(t *testing.T) {
	clock := newTestClock()
	s := mustOpen(t, testConfig(vfs.NewMem(clock.Now), clock))
	var wg sync.WaitGroup
	for p := range int32(40) {
		l, err := s.CreateLog(TopicPartition{"many", p}, [16]byte{9}, smallConfig(), 1)
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			for i := range 20 {
				res, err := l.Append(makeBatch(t, batch.Options{}, clock.ms(), fmt.Sprint(p, i), 2), AppendOptions{LeaderEpoch: 1})
				if err == nil {
					err = l.WaitFlushed(t.Context(), res.LastOffset)
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	for _, l := range s.Logs() {
		if l.HighWatermark() != 40 || l.FlushedEnd() != 40 {
			t.Errorf("%s: high watermark %d, flushed end %d", l.ID(), l.HighWatermark(), l.FlushedEnd())
		}
	}
	mustClose(t, s)
}

// TestDiskFull refuses appends while the disk is full and goes on afterwards.
func TestDiskFull(t *testing.T) {
	clock := newTestClock()
	mem := vfs.NewMem(clock.Now)
	full := false
	var mu sync.Mutex
	fsys := vfs.Observe(mem, vfs.Hooks{Before: func(op vfs.Op) error {
		mu.Lock()
		defer mu.Unlock()
		if full && (op.Kind == "write" || op.Kind == "create") {
			return &vfs.ShortWrite{N: 17, Err: syscall.ENOSPC}
		}
		return nil
	}})
	set := func(v bool) { mu.Lock(); defer mu.Unlock(); full = v }
	s := mustOpen(t, testConfig(fsys, clock))
	l := mustCreate(t, s, smallConfig())
	want := 0
	for round := range 6 {
		set(true)
		for range 3 {
			if _, err := l.Append(makeBatch(t, batch.Options{}, clock.ms(), "no", 3), AppendOptions{}); !errors.Is(err, ErrNoSpace) {
				t.Fatalf("round %d: %v", round, err)
			}
		}
		set(false)
		for range 7 {
			mustAppend(t, l, makeBatch(t, batch.Options{}, clock.ms(), "yes", 3))
			want += 3
		}
	}
	mustFlush(t, l, l.LogEnd()-1)
	if got := readAll(t, l, 0, 500); len(got) != want || l.Err() != nil {
		t.Fatalf("%d records, want %d; %v", len(got), want, l.Err())
	}
	mustClose(t, s)
}
