package storage

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/broker/batch"
	"github.com/millrace/millrace/internal/vfs"
)

// fill appends n batches, a minute apart by the broker's clock, stamped with at(i).
func fill(t *testing.T, l *Log, clock *testClock, n int, at func(int) int64) {
	t.Helper()
	for i := range n {
		clock.advance(time.Minute)
		mustAppend(t, l, makeBatch(t, batch.Options{}, at(i), "some text to fill the segment", 5))
	}
	mustFlush(t, l, l.LogEnd()-1)
}

func TestRetention(t *testing.T) {
	day := 24 * time.Hour
	now := newTestClock().ms()
	stamped := func(i int) int64 { return now + int64(i)*60_000 }
	for _, c := range []struct {
		name   string
		change func(*LogConfig)
		at     func(int) int64
		wait   time.Duration
		// left is the number of segments wanted, -1 for all.
		left int
	}{
		{"young", func(*LogConfig) {}, stamped, 6 * day, -1},
		{"old: all go, the active one is rolled first", func(*LogConfig) {}, stamped, 8 * day, 1},
		{"for ever", func(c *LogConfig) { c.RetentionMs = -1 }, stamped, 8 * day, -1},
		{"size", func(c *LogConfig) { c.RetentionBytes = 3000 }, stamped, 0, 3},
		{"size 0 keeps the active one", func(c *LogConfig) { c.RetentionBytes = 0 }, stamped, 0, 1},
		{"compacted topics keep everything", func(c *LogConfig) { c.CleanupPolicy = CleanupCompact; c.RetentionBytes = 0 }, stamped, 80 * day, -1},
		{"no policy keeps everything", func(c *LogConfig) { c.CleanupPolicy = 0; c.RetentionBytes = 0 }, stamped, 80 * day, -1},
		{"compact and delete", func(c *LogConfig) { c.CleanupPolicy |= CleanupCompact }, stamped, 8 * day, 1},
		{"future timestamps", func(c *LogConfig) { c.TimestampAfterMaxMs = 1 << 60 }, func(int) int64 { return now * 1000 }, 8 * day, 1},
		{"future timestamps are not older than they are", func(c *LogConfig) { c.TimestampAfterMaxMs = 1 << 60 }, func(int) int64 { return now * 1000 }, 6 * day, -1},
		{"no timestamps", func(*LogConfig) {}, func(int) int64 { return -1 }, 8 * day, 1},
		{"no timestamps, young", func(*LogConfig) {}, func(int) int64 { return -1 }, 6 * day, -1},
	} {
		for _, restart := range []bool{false, true} {
			clock := newTestClock()
			scfg := testConfig(vfs.NewMem(clock.Now), clock)
			s := mustOpen(t, scfg)
			cfg := DefaultLogConfig()
			cfg.SegmentBytes = 1100
			c.change(&cfg)
			l := mustCreate(t, s, cfg)
			fill(t, l, clock, 40, c.at)
			if restart {
				mustClose(t, s)
				s = mustOpen(t, scfg)
				l = mustCreate(t, s, cfg)
			}
			before, end := len(l.list()), l.LogEnd()
			clock.advance(c.wait)
			if err := s.EnforceRetention(); err != nil {
				t.Fatal(err)
			}
			want := c.left
			if want < 0 {
				want = before
			}
			if got := len(l.list()); got != want || before < 10 {
				t.Errorf("%s, restart %v: %d of %d segments left, want %d", c.name, restart, got, before, want)
			}
			start := l.LogStart()
			if start != l.list()[0].base || l.LogEnd() != end {
				t.Errorf("%s: log start %d, first segment %d, end %d", c.name, start, l.list()[0].base, l.LogEnd())
			}
			if _, err := l.Read(start-1, 100, ReadOptions{}); !errors.Is(err, ErrOffsetOutOfRange) {
				t.Errorf("%s: read before the start: %v", c.name, err)
			}
			mustClose(t, s)
			s = mustOpen(t, scfg)
			if l, _ := s.Log(tp0); l.LogStart() != start || len(readAll(t, l, start, 1000)) != int(end-start) {
				t.Errorf("%s: after restart the log is %d to %d, want %d to %d", c.name, l.LogStart(), l.LogEnd(), start, end)
			}
			mustClose(t, s)
		}
	}
}

func TestRetentionNeedsTheTopicsConfiguration(t *testing.T) {
	clock := newTestClock()
	cfg := testConfig(vfs.NewMem(clock.Now), clock)
	s := mustOpen(t, cfg)
	l := mustCreate(t, s, smallConfig())
	fill(t, l, clock, 20, func(int) int64 { return clock.ms() })
	mustClose(t, s)
	clock.advance(100 * 24 * time.Hour)
	s = mustOpen(t, cfg)
	defer mustClose(t, s)
	if err := s.EnforceRetention(); err != nil {
		t.Fatal(err)
	}
	if l, _ := s.Log(tp0); l.LogStart() != 0 {
		t.Fatal("a log was emptied by the default retention before its own was known")
	}
}

func TestDeleteRecords(t *testing.T) {
	clock := newTestClock()
	cfg := testConfig(vfs.NewMem(clock.Now), clock)
	s := mustOpen(t, cfg)
	l := mustCreate(t, s, smallConfig())
	fill(t, l, clock, 20, func(int) int64 { return clock.ms() })
	if _, err := l.DeleteRecords(101); !errors.Is(err, ErrOffsetOutOfRange) {
		t.Fatalf("beyond the high watermark: %v", err)
	}
	for _, c := range []struct{ before, want int64 }{{42, 42}, {10, 42}, {-1, 100}} {
		if got, err := l.DeleteRecords(c.before); err != nil || got != c.want || l.LogStart() != c.want {
			t.Fatalf("before %d: %d, %v", c.before, got, err)
		}
		if epoch, offset := l.EpochEndOffset(0); epoch != 0 || offset != 100 {
			t.Fatalf("epoch 0 ends at %d, %d", epoch, offset)
		}
	}
	if err := s.EnforceRetention(); err != nil || len(l.list()) != 1 {
		t.Fatalf("%d segments are left, %v", len(l.list()), err)
	}
	mustClose(t, s)
	s = mustOpen(t, cfg)
	defer mustClose(t, s)
	if l, _ := s.Log(tp0); l.LogStart() != 100 || l.LogEnd() != 100 {
		t.Fatalf("after restart: %d to %d", l.LogStart(), l.LogEnd())
	}
}

// expiring is a log that keeps a second of records.
func expiring() LogConfig {
	cfg := DefaultLogConfig()
	cfg.RetentionMs = 1000
	return cfg
}

// expire lets everything that is there expire and be deleted.
func (f *logFixture) expire() {
	f.Helper()
	f.clock.advance(time.Minute)
	if err := f.s.EnforceRetention(); err != nil {
		f.Fatal(err)
	}
}

// TestADeletionCutsNoTransaction that began with the last record of the segment that has expired.
func TestADeletionCutsNoTransaction(t *testing.T) {
	f := newLogFixture(t, DurabilityFsync, expiring())
	f.add(1)
	mustVerified(t, f.l, transactional(t, 1, 0, 0, 1)) // 1
	f.roll()
	f.add(1)
	f.roll()
	f.add(1)
	wantStable(t, f.l, 4, 1)
	f.expire()
	if start := f.l.LogStart(); start != 0 {
		t.Errorf("the log starts at %d, a transaction is open since 1", start)
	}
}

// TestWhatADeletionNeedsIsOnDiskBefore: the log start before the first file is renamed, so that a loss of power leaves no hole, and
// the producers of what goes.
func TestWhatADeletionNeedsIsOnDiskBefore(t *testing.T) {
	f := newLogFixture(t, DurabilityFsync, expiring())
	send := func(sequence int32) AppendResult {
		return mustAppend(t, f.l, makeBatch(t, batch.Options{Producer: &batch.Producer{ID: 7, Sequence: sequence}}, f.clock.ms(), "v", 1))
	}
	send(0)
	f.roll()
	send(1)
	f.flush()
	deleted := 0
	f.watch(func(op vfs.Op) error {
		if op.Kind == "rename" && strings.HasSuffix(op.Name, suffixDeleted) {
			deleted++
			starts, _, err := readOffsets(f.disk.Crash(vfs.CrashDrop, nil), filepath.Join("/data", fileLogStarts))
			if err != nil || starts[tp0] != 2 {
				t.Errorf("the log start on disk is %d, %v", starts[tp0], err)
			}
		}
		return nil
	})
	f.expire()
	f.watch(nil)
	f.crash(vfs.CrashDrop)
	f.start()
	if deleted == 0 || f.l.LogStart() != 2 || f.l.LogEnd() != 2 {
		t.Errorf("%d files were renamed, the log is %d to %d", deleted, f.l.LogStart(), f.l.LogEnd())
	}
	if res := send(0); !res.Duplicate || res.BaseOffset != 0 {
		t.Errorf("a repetition of what was deleted: %+v", res)
	}
}

// TestDeletedRecordsWereOnDisk: a log start beyond the end that a loss of power leaves would be damage for a store
// that is under DurabilityFsync from now on.
func TestDeletedRecordsWereOnDisk(t *testing.T) {
	f := newLogFixture(t, DurabilityOS, DefaultLogConfig())
	f.add(5)
	if start, err := f.l.DeleteRecords(3); err != nil || start != 3 {
		t.Fatal(start, err)
	}
	f.crash(vfs.CrashDrop)
	f.durability = DurabilityFsync
	f.start()
	if f.l.Err() != nil || f.l.LogStart() != 3 || f.l.LogEnd() < 3 {
		t.Errorf("%v, the log is %d to %d", f.l.Err(), f.l.LogStart(), f.l.LogEnd())
	}
}
