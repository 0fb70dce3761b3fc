package storage

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/millrace/millrace/broker/batch"
)

// benchCompacted is a log on the real file system with segments full of keyed records.
func benchCompacted(b *testing.B, batches int, codec batch.Codec) (*Store, *Log) {
	b.Helper()
	s := mustOpen(b, Config{Dir: b.TempDir(), Durability: DurabilityOS, Cleaner: CleanerConfig{Threads: -1}})
	b.Cleanup(func() { mustClose(b, s) })
	cfg := cleanLogConfig()
	cfg.SegmentBytes, cfg.IndexIntervalBytes = 16<<20, 4096
	l := mustCreate(b, s, cfg)
	for n := range batches {
		mustAppend(b, l, benchKeyed(b, codec, n))
	}
	if err := l.flush(); err != nil {
		b.Fatal(err)
	}
	rollNow(b, l)
	return s, l
}

// benchKeyed makes a batch of 100 records of about 200 bytes, of 50,000 keys.
func benchKeyed(b *testing.B, codec batch.Codec, n int) []byte {
	b.Helper()
	records := make([]batch.Record, 100)
	for i := range records {
		records[i] = batch.Record{Timestamp: 1_700_000_000_000, Key: fmt.Appendf(nil, "user-%d", (n*7919+i*104729)%50_000), Value: fmt.Appendf(nil, "%0180d", n*100+i)}
	}
	raw, err := batch.Build(batch.Options{Codec: codec}, records)
	if err != nil {
		b.Fatal(err)
	}
	return raw
}

// BenchmarkCompaction counts the bytes of the log's records once, without their
// compression, though they are read twice.
func BenchmarkCompaction(b *testing.B) {
	const batches = 1500
	raw := int64(len(benchKeyed(b, batch.None, 0)))
	for _, codec := range []batch.Codec{batch.None, batch.LZ4} {
		b.Run(codec.String(), func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				s, l := benchCompacted(b, batches, codec)
				b.SetBytes(batches * raw)
				b.StartTimer()
				if !s.cleaner.cleanDirtiest(nil) || l.Uncleanable() != nil {
					b.Fatal("nothing compacted", l.Uncleanable())
				}
			}
		})
	}
}

// BenchmarkAppendBesideCompaction is the time of single appends while another
// log of the store is compacted all the time, and without that.
func BenchmarkAppendBesideCompaction(b *testing.B) {
	for _, beside := range []bool{false, true} {
		b.Run(fmt.Sprintf("compaction=%v", beside), func(b *testing.B) {
			s, dirty := benchCompacted(b, 1500, batch.None)
			l, err := s.CreateLog(TopicPartition{Topic: "other"}, [16]byte{2}, DefaultLogConfig(), 0)
			if err != nil {
				b.Fatal(err)
			}
			stop := make(chan struct{})
			var cleaner sync.WaitGroup
			if beside {
				cleaner.Go(func() {
					for {
						dirty.cleaned.Store(0)
						s.cleaner.cleanDirtiest(stop)
						select {
						case <-stop:
							return
						default:
						}
					}
				})
			}
			raw := benchKeyed(b, batch.None, 1)
			var took []time.Duration
			b.SetBytes(int64(len(raw)))
			for b.Loop() {
				begin := time.Now()
				mustAppend(b, l, raw)
				took = append(took, time.Since(begin))
			}
			close(stop)
			cleaner.Wait()
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-us")
		})
	}
}
