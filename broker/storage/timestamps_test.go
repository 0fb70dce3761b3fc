package storage

import (
	"math"
	"testing"
	"time"

	"github.com/millrace/millrace/broker/batch"
	"github.com/millrace/millrace/internal/vfs"
)

// Timestamps from a broken producer, in microseconds or far in the future,
// keep nothing for ever: retention goes by the time of the append then, also
// after a restart, when it is known from the file alone.
func TestTimestampsFromTheFutureDoNotStopRetention(t *testing.T) {
	for name, restart := range map[string]bool{"running": false, "after a restart": true} {
		t.Run(name, func(t *testing.T) {
			clock := newTestClock()
			mem := vfs.NewMem(clock.Now)
			cfg := DefaultLogConfig()
			cfg.RetentionMs = time.Hour.Milliseconds()
			cfg.SegmentMs = time.Minute.Milliseconds()
			cfg.TimestampAfterMaxMs = math.MaxInt64
			s := mustOpen(t, testConfig(mem, clock))
			l := mustCreate(t, s, cfg)
			for _, timestamp := range []int64{clock.ms() * 1000, clock.ms() + 365*24*time.Hour.Milliseconds(), math.MaxInt64 - 10, clock.ms()} {
				mustAppend(t, l, makeBatch(t, batch.Options{}, timestamp, "a", 2))
				clock.advance(2 * time.Minute)
			}
			mustFlush(t, l, 7)
			if restart {
				mustClose(t, s)
				s = mustOpen(t, testConfig(mem, clock))
				l = mustCreate(t, s, cfg)
			}
			defer func() { mustClose(t, s) }()
			for _, step := range []struct {
				after time.Duration
				start int64
			}{{0, 0}, {50 * time.Minute, 0}, {150 * time.Second, 2}, {2 * time.Minute, 4}, {2 * time.Minute, 8}} {
				clock.advance(step.after)
				if err := s.EnforceRetention(); err != nil {
					t.Fatal(err)
				}
				if l.LogStart() != step.start {
					t.Errorf("after %s: the log starts at %d, want %d", step.after, l.LogStart(), step.start)
				}
			}
		})
	}
}

// A segment is rolled before its index outgrows segment.index.bytes.
func TestRollWhenTheIndexIsFull(t *testing.T) {
	clock := newTestClock()
	s := mustOpen(t, testConfig(vfs.NewMem(clock.Now), clock))
	defer mustClose(t, s)
	cfg := DefaultLogConfig()
	cfg.SegmentIndexBytes, cfg.IndexIntervalBytes = 96, 0
	l := mustCreate(t, s, cfg)
	for range 100 {
		mustAppend(t, l, makeBatch(t, batch.Options{}, clock.ms(), "a", 1))
		clock.advance(time.Millisecond)
	}
	mustFlush(t, l, 99)
	if n := len(l.list()); n < 10 {
		t.Errorf("%d segments", n)
	}
	if err := s.checkpointDue(); err != nil {
		t.Fatal(err)
	}
	for _, seg := range l.list() {
		for _, suffix := range []string{suffixIndex, suffixTimeIndex} {
			info, err := s.fs.Stat(seg.path(suffix))
			if err != nil || info.Size() > cfg.SegmentIndexBytes {
				t.Errorf("%s: %v, %v", seg.path(suffix), info, err)
			}
		}
	}
	if got := readAll(t, l, 0, 1000); len(got) != 100 {
		t.Errorf("%d records", len(got))
	}
}
