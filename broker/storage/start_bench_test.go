package storage

import (
	"os"
	"testing"
	"time"
)

// crashedStore makes logs of 100 MiB as a killed process leaves them: one
// segment with a complete index up to the recovery point (a hole on disk: recovery
// must not read it) and batches above it, as many as the bound over all logs allows.
func crashedStore(b *testing.B, cfg Config, logsMany int) {
	b.Helper()
	s := mustOpen(b, cfg)
	all := make([]LogSpec, logsMany)
	for i := range all {
		all[i] = LogSpec{ID: TopicPartition{Topic: "start", Partition: int32(i)}, TopicID: [16]byte{1}}
	}
	logs, err := s.CreateLogs(all, DefaultLogConfig())
	if err != nil {
		b.Fatal(err)
	}
	raw := benchBatch(b, 16<<10)
	perLog := unsavedBytesMax / logsMany / len(raw)
	for _, l := range logs {
		pretendRecords(b, l, 100<<20)
		mustAppend(b, l, raw)
		if err := l.checkpoint(); err != nil {
			b.Fatal(err)
		}
	}
	if err := s.writeCheckpoints(); err != nil {
		b.Fatal(err)
	}
	for _, l := range logs {
		for range perLog {
			mustAppend(b, l, raw)
		}
	}
	abandon(b, s)
}

// pretendRecords makes a log look as if it had size bytes in batches of 4 KiB:
// the file has a hole, the index all entries, of which the last is right once a batch follows.
func pretendRecords(b *testing.B, l *Log, size int64) {
	b.Helper()
	const batchBytes = 4096
	l.mu.Lock()
	defer l.mu.Unlock()
	seg := l.list()[0]
	x, nowMs := seg.index.Load(), l.store.nowMs()
	for at := int64(0); at < size; at += batchBytes {
		x.bytesSinceEntry = batchBytes
		x.add(0, at/batchBytes, at, batchBytes, batchBytes-1, nowMs+at/batchBytes, at/batchBytes)
	}
	x.bytesSinceEntry = 2 * batchBytes
	seg.size.Store(size)
	l.end.Store(size / batchBytes)
	if err := os.Truncate(seg.path(suffixLog), size); err != nil {
		b.Fatal(err)
	}
}

// abandon ends a store as kill -9 does, but gives its descriptors back.
func abandon(b testing.TB, s *Store) {
	b.Helper()
	s.cleaner.halt()
	close(s.stop)
	s.background.Wait()
	if err := s.handles.closeAll(); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkOpenAfterAKill is the start of a store with 1,000 partitions of 100
// MiB after kill -9, up to when all of them take records.
func BenchmarkOpenAfterAKill(b *testing.B) {
	const logsMany = 1000
	cfg := Config{Dir: b.TempDir(), Locked: true, CheckpointInterval: -1, RetentionCheckInterval: -1, TailBytesMax: -1}
	crashedStore(b, cfg, logsMany)
	begin := cpuSeconds(b)
	var read int64
	var took time.Duration
	for b.Loop() {
		began := time.Now()
		s := mustOpen(b, cfg)
		took += time.Since(began)
		logs := s.sorted()
		if len(logs) != logsMany {
			b.Fatalf("%d logs", len(logs))
		}
		read = 0
		for _, l := range logs {
			if l.Err() != nil {
				b.Fatal(l.Err())
			}
			list := l.list()
			read += list[len(list)-1].size.Load()
		}
		abandon(b, s)
	}
	b.ReportMetric(took.Seconds()/float64(b.N), "start-s")
	b.ReportMetric((cpuSeconds(b)-begin)/float64(b.N), "cpu-s")
	b.ReportMetric(float64(read)/(1<<20), "MiB-read")
}
