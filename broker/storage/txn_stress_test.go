package storage

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/millrace/millrace/broker/batch"
	"github.com/millrace/millrace/internal/vfs"
)

// TestProducersOfTransactionsAndReaders has several producers of transactions
// and readers of committed records at once. Each reader must see all committed
// records of each producer, in order, and none that was aborted or is undecided.
func TestProducersOfTransactionsAndReaders(t *testing.T) {
	const producers, readers, txns, perTxn = 4, 3, 40, 3
	for _, durability := range []Durability{DurabilityFsync, DurabilityOS} {
		clock := newTestClock()
		scfg := testConfig(vfs.NewMem(clock.Now), clock)
		scfg.Durability, scfg.OpenFilesMax, scfg.TailBytesMax = durability, 2, 100_000
		scfg.CheckpointInterval = time.Millisecond
		s := mustOpen(t, scfg)
		cfg := DefaultLogConfig()
		cfg.SegmentBytes, cfg.IndexIntervalBytes = 20_000, 1000
		l := mustCreate(t, s, cfg)
		var wg sync.WaitGroup
		for id := range int64(producers) {
			wg.Go(func() {
				if err := produceTransactions(t, l, id, txns, perTxn); err != nil {
					t.Errorf("producer %d: %v", id, err)
				}
			})
		}
		for r := range readers {
			wg.Go(func() {
				if err := followCommitted(l, producers*txns*perTxn/2, 1000*(1+10*r)); err != nil {
					t.Errorf("reader %d: %v", r, err)
				}
			})
		}
		wg.Wait()
		if len(l.list()) < 3 {
			t.Errorf("%d segments", len(l.list()))
		}
		mustClose(t, s)
	}
}

// produceTransactions writes transactions of single records, every second of
// which is committed; its records say so.
func produceTransactions(t *testing.T, l *Log, id int64, txns, perTxn int) error {
	sequence, committed := int32(0), 0
	for i := range txns {
		for range perTxn {
			value := "aborted"
			if i%2 == 1 {
				value = fmt.Sprint(committed)
				committed++
			}
			raw, err := batch.Build(batch.Options{Transactional: true, Producer: &batch.Producer{ID: id, Sequence: sequence}},
				[]batch.Record{{Value: fmt.Appendf(nil, "%s/%s", value, strings.Repeat("x", 100+10*i))}})
			if err != nil {
				return err
			}
			if _, err := verified(l, raw); err != nil {
				return err
			}
			sequence++
		}
		res, err := l.AppendMarker(Marker{ProducerID: id, Commit: i%2 == 1})
		if err == nil && i%5 == 0 {
			err = l.WaitFlushed(t.Context(), res.LastOffset)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// followCommitted reads n committed records as they become stable.
func followCommitted(l *Log, n, bytesMax int) error {
	signal := NewSignal()
	l.AddWaiter(signal)
	defer l.RemoveWaiter(signal)
	next := map[int64]int{}
	for at, seen := int64(0), 0; seen < n; {
		res, err := l.Read(at, bytesMax, ReadOptions{Isolation: ReadCommitted, MinOneBatch: true})
		if err != nil {
			return err
		}
		if len(res.Data) == 0 {
			<-signal
			continue
		}
		at = res.NextOffset
		for r, err := range committedRecords(&res) {
			if err != nil {
				return err
			}
			if value, _, _ := strings.Cut(string(r.Value), "/"); value != fmt.Sprint(next[r.producerID]) {
				return fmt.Errorf("offset %d: producer %d wrote %q, expected %d", r.Offset, r.producerID, value, next[r.producerID])
			}
			next[r.producerID]++
			seen++
		}
		res.Release()
	}
	return nil
}
