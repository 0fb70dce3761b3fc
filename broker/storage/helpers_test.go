package storage

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/millrace/millrace/broker/batch"
	"github.com/millrace/millrace/internal/vfs"
)

// longer returns n, times MILLRACE_TEST_LONGER where that is set.
func longer(t *testing.T, n int) int {
	t.Helper()
	factor := os.Getenv("MILLRACE_TEST_LONGER")
	if factor == "" {
		return n
	}
	f, err := strconv.Atoi(factor)
	if err != nil {
		t.Fatalf("MILLRACE_TEST_LONGER: %v", err)
	}
	return n * f
}

// testClock is a clock that only the test moves.
type testClock struct {
	mu  sync.Mutex
	now time.Time
}

func newTestClock() *testClock { return &testClock{now: time.UnixMilli(1_700_000_000_000)} }

func (c *testClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *testClock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func (c *testClock) ms() int64 { return c.Now().UnixMilli() }

var tp0 = TopicPartition{Topic: "t", Partition: 0}

// testConfig has no background work but the flusher.
func testConfig(fsys vfs.FS, clock *testClock) Config {
	return Config{
		Dir: "/data", FS: fsys, Clock: clock.Now, Logger: slog.New(slog.DiscardHandler),
		Registerer:             prometheus.NewRegistry(),
		RetentionCheckInterval: -1, CheckpointInterval: -1, TailBytesMax: -1,
		Cleaner: CleanerConfig{Threads: -1},
	}
}

func mustOpen(t testing.TB, cfg Config) *Store {
	t.Helper()
	s, err := Open(cfg)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	return s
}

func mustClose(t testing.TB, s *Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
}

// mustCloseUnclean closes a store with a log that is offline: without an error,
// and without the marker of a clean shutdown.
func mustCloseUnclean(t testing.TB, s *Store) {
	t.Helper()
	mustClose(t, s)
	if clean, err := exists(s.fs, filepath.Join(s.cfg.Dir, fileCleanShutdown)); err != nil || clean {
		t.Fatalf("a store with an offline log closed as clean (%v)", err)
	}
}

func mustCreate(t testing.TB, s *Store, cfg LogConfig) *Log {
	t.Helper()
	l, err := s.CreateLog(tp0, [16]byte{1}, cfg, 0)
	if err != nil {
		t.Fatalf("create log: %v", err)
	}
	if l.Err() != nil {
		t.Fatalf("log is offline: %v", l.Err())
	}
	return l
}

// makeBatch builds n records with values that say prefix and number.
func makeBatch(t testing.TB, o batch.Options, timestampMs int64, prefix string, n int) []byte {
	t.Helper()
	records := make([]batch.Record, n)
	for i := range records {
		timestamp := timestampMs + int64(i)
		if timestampMs < 0 {
			timestamp = batch.NoTimestamp
		}
		records[i] = batch.Record{Timestamp: timestamp, Key: []byte("k"), Value: fmt.Appendf(nil, "%s-%d", prefix, i)}
	}
	b, err := batch.Build(o, records)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func mustAppend(t testing.TB, l *Log, b []byte) AppendResult {
	t.Helper()
	res, err := l.Append(b, AppendOptions{LeaderEpoch: l.LeaderEpoch()})
	if err != nil {
		t.Fatalf("append: %v", err)
	}
	return res
}

func mustFlush(t testing.TB, l *Log, offset int64) {
	t.Helper()
	if err := l.WaitFlushed(t.Context(), offset); err != nil {
		t.Fatalf("wait for offset %d: %v", offset, err)
	}
}

// readAll reads all records below the high watermark, in reads of at most max bytes.
func readAll(t testing.TB, l *Log, from int64, max int) []batch.Record {
	t.Helper()
	out, err := tryReadAll(l, from, max)
	if err != nil {
		t.Fatalf("read: %v", err)
	}
	return out
}

func tryReadAll(l *Log, from int64, max int) ([]batch.Record, error) {
	var out []batch.Record
	for {
		res, err := l.Read(from, max, ReadOptions{MinOneBatch: true})
		if err != nil {
			return out, err
		}
		if len(res.Data) == 0 {
			if from < res.HighWatermark {
				return out, fmt.Errorf("nothing at %d, below the high watermark %d", from, res.HighWatermark)
			}
			return out, nil
		}
		for b, err := range batch.All(append([]byte(nil), res.Data...)) {
			if err == nil {
				err = b.CheckCRC()
			}
			if err != nil {
				return out, err
			}
			for r, err := range b.Records() {
				if err != nil {
					return out, err
				}
				if r.Offset >= from {
					out = append(out, r)
				}
			}
		}
		if res.NextOffset <= from {
			return out, fmt.Errorf("no progress at %d", from)
		}
		from = res.NextOffset
		res.Release()
	}
}

// readIndex reads the index file of a segment.
func readIndex(fsys vfs.FS, seg *segment) ([]offsetEntry, error) {
	content, err := vfs.ReadFile(fsys, seg.path(suffixIndex))
	if err != nil {
		return nil, err
	}
	return decodeOffsetEntries(content, seg.size.Load())
}
