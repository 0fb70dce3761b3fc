package storage

import (
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/millrace/millrace/broker/batch"
	"github.com/millrace/millrace/internal/vfs"
)

func TestJitterSpreadsRolls(t *testing.T) {
	cfg := DefaultLogConfig()
	cfg.SegmentMs, cfg.SegmentJitterMs = 1000, 400
	var ages []int64
	for i := range 500 {
		ages = append(ages, cfg.rollAfterMs(newSegment(nil, "/data/t-0", int64(i))))
	}
	slices.Sort(ages)
	if ages[0] < 600 || ages[0] > 620 || ages[len(ages)-1] > 1000 || ages[len(ages)-1] < 980 || ages[250] < 750 || ages[250] > 850 {
		t.Fatalf("segments roll between %d and %d ms, in the middle %d", ages[0], ages[len(ages)-1], ages[250])
	}
	cfg.SegmentJitterMs = 1 << 40 // more than the age
	if age := cfg.rollAfterMs(newSegment(nil, "/data/t-0", 7)); age < 0 || age > 1000 {
		t.Fatalf("rolled after %d ms", age)
	}
	cfg.SegmentJitterMs, cfg.MaxCompactionLagMs = 0, 300
	if age := cfg.rollAfterMs(newSegment(nil, "/data/t-0", 7)); age != 1000 {
		t.Fatalf("max.compaction.lag.ms rolls a topic that is not compacted after %d ms", age)
	}
	cfg.CleanupPolicy = CleanupCompact
	if age := cfg.rollAfterMs(newSegment(nil, "/data/t-0", 7)); age != 300 {
		t.Fatalf("a compacted topic is rolled after %d ms", age)
	}
}

// TestFlushByNumberAndTime counts the times that a log is forced to disk under
// DurabilityOS.
func TestFlushByNumberAndTime(t *testing.T) {
	clock := newTestClock()
	var syncs atomic.Int64
	fsys := vfs.Observe(vfs.NewMem(clock.Now), vfs.Hooks{After: func(op vfs.Op) {
		if op.Kind == "sync" && strings.HasSuffix(op.Name, suffixLog) {
			syncs.Add(1)
		}
	}})
	scfg := testConfig(fsys, clock)
	scfg.Durability = DurabilityOS
	s := mustOpen(t, scfg)
	defer mustClose(t, s)
	cfg := DefaultLogConfig()
	cfg.FlushMessages, cfg.FlushMs = 10, 20_000
	l := mustCreate(t, s, cfg)
	for i := range 9 {
		mustAppend(t, l, makeBatch(t, batch.Options{}, clock.ms(), "v", 2))
		if want := int64(i+1) / 5; syncs.Load() != want {
			t.Fatalf("after %d records the log was forced to disk %d times, want %d", 2*(i+1), syncs.Load(), want)
		}
	}
	if l.FlushedEnd() != 10 {
		t.Fatalf("flushed up to %d", l.FlushedEnd())
	}
	for _, wait := range []time.Duration{19 * time.Second, 2 * time.Second} {
		clock.advance(wait)
		if err := s.checkpointDue(); err != nil {
			t.Fatal(err)
		}
	}
	if syncs.Load() != 2 || l.FlushedEnd() != 18 {
		t.Fatalf("after flush.ms: forced to disk %d times, up to %d", syncs.Load(), l.FlushedEnd())
	}
}
