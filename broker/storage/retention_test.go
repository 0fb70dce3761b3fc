package storage

import (
	"errors"
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
