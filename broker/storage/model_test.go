package storage

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/millrace/millrace/broker/batch"
	"github.com/millrace/millrace/internal/vfs"
)

// model is a log as a list: what a reader must find.
type model struct {
	start, flushed int64
	values         []string // by offset
}

// TestRandomOperations does anything in any order and compares the log with
// the model after each step. MILLRACE_TEST_LONGER multiplies the runs.
func TestRandomOperations(t *testing.T) {
	for seed := range longer(t, 8) {
		runRandomOperations(t, uint64(seed), 250)
	}
}

type randomRun struct {
	*testing.T
	clock  *testClock
	disk   *vfs.Mem
	random *rand.Rand
	cfg    LogConfig
	s      *Store
	l      *Log
	m      model
	epoch  int32
}

func runRandomOperations(t *testing.T, seed uint64, steps int) {
	clock := newTestClock()
	r := &randomRun{T: t, clock: clock, disk: vfs.NewMem(clock.Now), random: rand.New(rand.NewPCG(seed, 1))}
	r.cfg = DefaultLogConfig()
	r.cfg.SegmentBytes = int64(1024 + r.random.IntN(4000))
	r.cfg.IndexIntervalBytes = int64(r.random.IntN(600))
	r.open()
	for i := range steps {
		name := r.step()
		if err := r.compare(); err != nil {
			t.Fatalf("seed %d, step %d, %s: %v", seed, i, name, err)
		}
	}
	mustClose(t, r.s)
}

func (r *randomRun) open() {
	cfg := testConfig(r.disk, r.clock)
	cfg.TailBytesMax = []int64{-1, 2000, 1 << 20}[r.random.IntN(3)]
	cfg.OpenFilesMax = 1 + r.random.IntN(3)
	r.s = mustOpen(r, cfg)
	r.epoch++
	l, err := r.s.CreateLog(tp0, [16]byte{1}, r.cfg, r.epoch)
	if err != nil || l.Err() != nil {
		r.Fatal(err, l.Err())
	}
	r.l = l
}

func (r *randomRun) step() string {
	switch n := r.random.IntN(100); {
	case n < 70:
		r.append()
		return "append"
	case n < 76:
		if err := r.l.checkpoint(); err != nil {
			r.Fatal(err)
		}
		return "checkpoint"
	case n < 82:
		before := r.m.start + r.random.Int64N(int64(len(r.m.values))-r.m.start+1)
		r.flush()
		start, err := r.l.DeleteRecords(before)
		if err != nil {
			r.Fatal(err)
		}
		r.m.start = start
		return "delete records"
	case n < 86:
		if err := r.s.EnforceRetention(); err != nil {
			r.Fatal(err)
		}
		return "retention"
	case n < 90:
		end, err := r.l.TruncateTo(r.m.start + r.random.Int64N(int64(len(r.m.values))-r.m.start+1))
		if err != nil || end < r.m.start {
			// A batch that the log start cuts in two goes as a whole.
			if err != nil {
				r.Fatal(err)
			}
		}
		r.m.values = r.m.values[:end]
		r.m.flushed = min(r.m.flushed, end)
		r.m.start = min(r.m.start, end)
		return "truncate"
	case n < 95:
		mustClose(r, r.s)
		r.open()
		r.m.flushed = int64(len(r.m.values))
		return "restart"
	}
	r.crash()
	return "crash"
}

func (r *randomRun) append() {
	n := 1 + r.random.IntN(5)
	records := make([]batch.Record, n)
	for i := range records {
		value := fmt.Sprintf("%d-%d", len(r.m.values)+i, r.random.IntN(1<<30))
		records[i] = batch.Record{Timestamp: r.clock.ms() + int64(r.random.IntN(2000)), Value: []byte(value)}
	}
	b, err := batch.Build(batch.Options{Codec: batch.Codec(r.random.IntN(5))}, records)
	if err != nil {
		r.Fatal(err)
	}
	res := mustAppend(r, r.l, b)
	if res.BaseOffset != int64(len(r.m.values)) {
		r.Fatalf("append at %d, want %d", res.BaseOffset, len(r.m.values))
	}
	for _, rec := range records {
		r.m.values = append(r.m.values, string(rec.Value))
	}
	r.clock.advance(time.Duration(r.random.IntN(1000)) * time.Millisecond)
	if r.random.IntN(2) == 0 {
		r.flush()
	}
}

func (r *randomRun) flush() {
	if n := int64(len(r.m.values)); n > 0 {
		mustFlush(r, r.l, n-1)
		r.m.flushed = n
	}
}

// crash drops power: what was flushed is there again, and of the rest perhaps
// a first part.
func (r *randomRun) crash() {
	mode := vfs.CrashMode(r.random.IntN(3))
	disk := r.disk.Crash(mode, r.random)
	mustClose(r, r.s)
	r.disk = disk
	r.open()
	end := r.l.LogEnd()
	if end < r.m.flushed || end > int64(len(r.m.values)) {
		r.Fatalf("after a crash the log ends at %d, flushed were %d of %d", end, r.m.flushed, len(r.m.values))
	}
	r.m.values, r.m.flushed = r.m.values[:end], end
}

func (r *randomRun) compare() error {
	if r.l.LogStart() != r.m.start || r.l.LogEnd() != int64(len(r.m.values)) {
		return fmt.Errorf("log is %d to %d, want %d to %d", r.l.LogStart(), r.l.LogEnd(), r.m.start, len(r.m.values))
	}
	r.flush()
	from := r.m.start + r.random.Int64N(int64(len(r.m.values))-r.m.start+1)
	records, err := tryReadAll(r.l, from, 1+r.random.IntN(3000))
	if err != nil {
		return err
	}
	if int64(len(records)) != int64(len(r.m.values))-from {
		return fmt.Errorf("%d records from %d, want %d", len(records), from, int64(len(r.m.values))-from)
	}
	for i, rec := range records {
		if offset := from + int64(i); rec.Offset != offset || string(rec.Value) != r.m.values[offset] {
			return fmt.Errorf("record %d is %d %q, want %q", offset, rec.Offset, rec.Value, r.m.values[offset])
		}
	}
	return nil
}
