package storage

import (
	"fmt"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/millrace/millrace/broker/batch"
)

func benchLog(b *testing.B, durability Durability, tail int64) *Log {
	b.Helper()
	s := mustOpen(b, Config{Dir: b.TempDir(), Durability: durability, TailBytesMax: tail})
	b.Cleanup(func() { mustClose(b, s) })
	cfg := DefaultLogConfig()
	cfg.SegmentBytes = 1 << 30
	cfg.MaxMessageBytes = 10 << 20
	return mustCreate(b, s, cfg)
}

// cpuSeconds is what the process has used of all processors.
func cpuSeconds(b *testing.B) float64 {
	b.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()).Seconds()
}

// reportCPU adds CPU-seconds per GiB, which a busy machine does not blur as
// it does the time.
func reportCPU(b *testing.B, begin float64, bytes int) {
	b.Helper()
	b.ReportMetric((cpuSeconds(b)-begin)/(float64(b.N)*float64(bytes))*(1<<30), "cpu-s/GiB")
}

func benchBatch(b *testing.B, size int) []byte {
	b.Helper()
	records := make([]batch.Record, max(size/200, 1))
	for i := range records {
		records[i] = batch.Record{Timestamp: 1, Value: make([]byte, min(size, 190))}
	}
	raw, err := batch.Build(batch.Options{}, records)
	if err != nil {
		b.Fatal(err)
	}
	return raw
}

func BenchmarkAppend(b *testing.B) {
	for _, size := range []int{1 << 10, 16 << 10, 64 << 10, 1 << 20} {
		b.Run(fmt.Sprintf("batch=%dKiB", size>>10), func(b *testing.B) {
			l, raw := benchLog(b, DurabilityOS, 0), benchBatch(b, size)
			b.SetBytes(int64(len(raw)))
			b.ReportAllocs()
			begin := cpuSeconds(b)
			for b.Loop() {
				if _, err := l.Append(raw, AppendOptions{}); err != nil {
					b.Fatal(err)
				}
			}
			reportCPU(b, begin, len(raw))
		})
	}
}

// BenchmarkAppendFsync has many producers that each wait for their record to
// be on disk: what group commit is for.
func BenchmarkAppendFsync(b *testing.B) {
	for _, producers := range []int{1, 16, 128} {
		b.Run(fmt.Sprintf("producers=%d", producers), func(b *testing.B) {
			l, raw := benchLog(b, DurabilityFsync, 0), benchBatch(b, 16<<10)
			b.SetBytes(int64(len(raw)))
			b.SetParallelism(producers)
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				own := append([]byte(nil), raw...)
				for pb.Next() {
					res, err := l.Append(own, AppendOptions{})
					if err == nil {
						err = l.WaitFlushed(b.Context(), res.LastOffset)
					}
					if err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}

func BenchmarkRead(b *testing.B) {
	for _, from := range []string{"tail", "disk"} {
		for _, size := range []int{64 << 10, 1 << 20} {
			b.Run(fmt.Sprintf("%s/%dKiB", from, size>>10), func(b *testing.B) {
				tail := int64(-1)
				if from == "tail" {
					tail = 256 << 20
				}
				l, raw := benchLog(b, DurabilityOS, tail), benchBatch(b, 16<<10)
				l.tail.follow(l.store.nowMs())
				for l.SizeBytes() < 64<<20 {
					if _, err := l.Append(raw, AppendOptions{}); err != nil {
						b.Fatal(err)
					}
				}
				b.SetBytes(int64(size))
				b.ReportAllocs()
				at, bytes, begin := int64(0), 0, cpuSeconds(b)
				for b.Loop() {
					res, err := l.Read(at, size, ReadOptions{MinOneBatch: true})
					if err != nil {
						b.Fatal(err)
					}
					if res.NextOffset >= l.LogEnd() {
						res.NextOffset = 0
					}
					at, bytes = res.NextOffset, bytes+len(res.Data)
					res.Release()
				}
				reportCPU(b, begin, bytes/b.N)
			})
		}
	}
}

// BenchmarkTransaction is a transaction of one batch: verification, append, marker.
func BenchmarkTransaction(b *testing.B) {
	for _, commit := range []bool{true, false} {
		b.Run(fmt.Sprintf("commit=%v", commit), func(b *testing.B) {
			l := benchLog(b, DurabilityOS, 0)
			value := make([]byte, 1000)
			b.ReportAllocs()
			begin, sequence := cpuSeconds(b), int32(0)
			for b.Loop() {
				raw, err := batch.Build(batch.Options{Transactional: true, Producer: &batch.Producer{ID: 1, Sequence: sequence}}, []batch.Record{{Value: value}})
				if err == nil {
					_, err = verified(l, raw)
				}
				if err == nil {
					_, err = l.AppendMarker(Marker{ProducerID: 1, Commit: commit})
				}
				if err != nil {
					b.Fatal(err)
				}
				sequence++
			}
			b.ReportMetric((cpuSeconds(b)-begin)/float64(b.N)*1e6, "cpu-µs/op")
		})
	}
}

// TestAppendsDoNotAllocate: neither outside of transactions nor within an ongoing one.
func TestAppendsDoNotAllocate(t *testing.T) {
	s := mustOpen(t, Config{Dir: t.TempDir(), Durability: DurabilityOS, TailBytesMax: -1})
	defer mustClose(t, s)
	l := mustCreate(t, s, DefaultLogConfig())
	plain := makeBatch(t, batch.Options{}, 1, "plain", 5)
	if n := testing.AllocsPerRun(100, func() { mustAppend(t, l, plain) }); n > 0 {
		t.Errorf("%v allocations for each plain batch", n)
	}
	var batches [][]byte
	for i := range int32(202) {
		batches = append(batches, transactional(t, 1, 0, i, 1))
	}
	mustVerified(t, l, batches[0])
	i := 1
	if n := testing.AllocsPerRun(100, func() {
		mustAppend(t, l, batches[i])
		i++
	}); n > 0 {
		t.Errorf("%v allocations for each batch of an ongoing transaction", n)
	}
}
