package storage

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
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

// logFixture is a store with one log on a disk in memory, which can be killed and started again.
type logFixture struct {
	*testing.T
	clock      *testClock
	disk       *vfs.Mem
	durability Durability
	s          *Store
	l          *Log
	// before is called before every call of the file system; see watch.
	before atomic.Pointer[func(vfs.Op) error]
}

// newLogFixture makes the store and its log; the store is closed when the test ends.
func newLogFixture(t *testing.T, durability Durability, cfg LogConfig) *logFixture {
	t.Helper()
	clock := newTestClock()
	f := &logFixture{T: t, clock: clock, disk: vfs.NewMem(clock.Now), durability: durability}
	f.s = mustOpen(t, f.config())
	f.l = mustCreate(t, f.s, cfg)
	t.Cleanup(func() { mustClose(t, f.s) })
	return f
}

func (f *logFixture) config() Config {
	fsys := vfs.Observe(f.disk, vfs.Hooks{Before: func(op vfs.Op) error {
		if before := f.before.Load(); before != nil {
			return (*before)(op)
		}
		return nil
	}})
	cfg := testConfig(fsys, f.clock)
	cfg.Durability = f.durability
	return cfg
}

// watch has before called before every call of the file system, from any goroutine; nil ends it.
func (f *logFixture) watch(before func(vfs.Op) error) {
	if before == nil {
		f.before.Store(nil)
		return
	}
	f.before.Store(&before)
}

// undurable lists the files of the log that a loss of power at this moment would bring back, take away or change.
func (f *logFixture) undurable() []string {
	f.Helper()
	content := func(disk *vfs.Mem) map[string]string {
		entries, err := disk.ReadDir(f.l.dir)
		if err != nil {
			f.Error(err)
		}
		out := map[string]string{}
		for _, e := range entries {
			b, err := vfs.ReadFile(disk, filepath.Join(f.l.dir, e.Name()))
			if err != nil {
				f.Error(err)
			}
			out[e.Name()] = string(b)
		}
		return out
	}
	now, after := content(f.disk), content(f.disk.Crash(vfs.CrashDrop, nil))
	var out []string
	for name, b := range now {
		if a, ok := after[name]; !ok || a != b {
			out = append(out, name)
		}
		delete(after, name)
	}
	out = slices.AppendSeq(out, maps.Keys(after))
	slices.Sort(out)
	return out
}

// crash ends the store and goes on with the disk as a crash at this moment leaves it.
func (f *logFixture) crash(mode vfs.CrashMode) {
	f.Helper()
	disk := f.disk.Crash(mode, nil)
	mustClose(f, f.s)
	f.disk = disk
}

// start opens the store on what is on the disk; the log may be offline.
func (f *logFixture) start() {
	f.Helper()
	f.s = mustOpen(f, f.config())
	var ok bool
	if f.l, ok = f.s.Log(tp0); !ok {
		f.Fatal("the log is gone")
	}
}

func (f *logFixture) restart() {
	f.Helper()
	mustClose(f, f.s)
	f.start()
}

// stopBackground ends the goroutines that flush logs and look after them.
func (f *logFixture) stopBackground() {
	close(f.s.stop)
	f.s.background.Wait()
	f.s.stop = make(chan struct{})
}

// checkpoint makes everything durable, with the recovery point after it.
func (f *logFixture) checkpoint() {
	f.Helper()
	if err := errors.Join(f.l.checkpoint(), f.s.writeCheckpoints()); err != nil {
		f.Fatal(err)
	}
}

// add appends n batches of one record.
func (f *logFixture) add(n int) {
	f.Helper()
	for range n {
		mustAppend(f, f.l, makeBatch(f, batch.Options{}, f.clock.ms(), "v", 1))
	}
}

// flush waits until everything is on disk.
func (f *logFixture) flush() {
	f.Helper()
	mustFlush(f, f.l, f.l.LogEnd()-1)
}

// roll begins a new segment, as an append would.
func (f *logFixture) roll() {
	f.Helper()
	rollNow(f, f.l)
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
