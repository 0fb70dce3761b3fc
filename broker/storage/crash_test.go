package storage

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/millrace/millrace/broker/batch"
	"github.com/millrace/millrace/internal/vfs"
)

// crashPoint is a disk as a crash left it, and what was promised before.
type crashPoint struct {
	op    vfs.Op
	mode  vfs.CrashMode
	disk  *vfs.Mem
	acked int64
	// sent counts the batches that the producer had sent by then.
	sent     int64
	logStart int64
}

// crashRun drives one producer against a store and takes crash clones at
// every change of the disk.
type crashRun struct {
	t        *testing.T
	clock    *testClock
	mem      *vfs.Mem
	random   *rand.Rand
	acked    atomic.Int64
	sent     atomic.Int64
	logStart atomic.Int64
	mu       sync.Mutex
	points   []crashPoint
	// bases[i] is the offset of batch i, sizes[i] its number of records.
	bases, sizes []int64
}

func (r *crashRun) observe(op vfs.Op) {
	if !op.Changes() {
		return
	}
	p := crashPoint{op: op, acked: r.acked.Load(), sent: r.sent.Load(), logStart: r.logStart.Load()}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, mode := range []vfs.CrashMode{vfs.CrashProcess, vfs.CrashDrop, vfs.CrashPrefix, vfs.CrashHoles} {
		p.mode, p.disk = mode, r.mem.Crash(mode, r.random)
		r.points = append(r.points, p)
	}
}

func crashLogConfig() LogConfig {
	cfg := DefaultLogConfig()
	cfg.SegmentBytes = 1500
	cfg.IndexIntervalBytes = 150
	cfg.ProducerIDExpirationMs *= 30
	return cfg
}

// batchOf makes batch i of the producer; what it holds follows from i alone.
func (r *crashRun) batchOf(i int64) []byte {
	var sequence int64
	for _, n := range r.sizes[:i] {
		sequence += n
	}
	return makeBatch(r.t, batch.Options{Producer: &batch.Producer{ID: 7, Epoch: 1, Sequence: int32(sequence)}}, newTestClock().ms()+1000*i, fmt.Sprint("batch", i), int(r.sizes[i]))
}

func (r *crashRun) append(l *Log, wait bool) {
	r.t.Helper()
	i := r.sent.Add(1) - 1
	r.sizes = append(r.sizes, 1+i%4)
	res := mustAppend(r.t, l, r.batchOf(i))
	r.bases = append(r.bases, res.BaseOffset)
	if wait {
		mustFlush(r.t, l, res.LastOffset)
		r.acked.Store(res.LastOffset + 1)
	}
}

func (r *crashRun) workload() {
	cfg := testConfig(vfs.Observe(r.mem, vfs.Hooks{After: r.observe}), r.clock)
	for round := range 3 {
		s := mustOpen(r.t, cfg)
		l, err := s.CreateLog(tp0, [16]byte{1}, crashLogConfig(), int32(round))
		if err != nil {
			r.t.Fatal(err)
		}
		for i := range 25 {
			r.append(l, i%3 != 0)
			if i%10 == 9 {
				if err := errors.Join(l.checkpoint(), s.writeCheckpoints()); err != nil {
					r.t.Fatal(err)
				}
			}
		}
		start, err := l.DeleteRecords(l.LogStart() + 10)
		if err != nil {
			r.t.Fatal(err)
		}
		r.logStart.Store(start)
		if round == 1 {
			r.clock.advance(8 * 24 * time.Hour) // everything expires
		}
		if err := s.EnforceRetention(); err != nil {
			r.t.Fatal(err)
		}
		r.append(l, true)
		mustClose(r.t, s)
		r.acked.Store(l.LogEnd())
	}
}

// expected returns the value of the record at offset.
func (r *crashRun) expected(offset int64) string {
	for i, base := range slices.Backward(r.bases) {
		if base <= offset {
			return fmt.Sprintf("batch%d-%d", i, offset-base)
		}
	}
	return ""
}

// check opens a crashed disk and holds the store to its promises.
func (r *crashRun) check(p *crashPoint) (offline bool, err error) {
	cfg := testConfig(p.disk, r.clock)
	cfg.Registerer = nil
	s, err := Open(cfg)
	if err != nil {
		return false, fmt.Errorf("open: %w", err)
	}
	defer func() {
		if closeErr := s.Close(); err == nil && !offline {
			err = closeErr
		}
	}()
	l, err := s.CreateLog(tp0, [16]byte{1}, crashLogConfig(), 10)
	if err != nil {
		return false, err
	}
	if l.Err() != nil {
		if p.mode == vfs.CrashHoles && errors.As(l.Err(), new(*CorruptionError)) {
			return true, nil
		}
		return false, fmt.Errorf("offline: %w", l.Err())
	}
	if l.LogEnd() < p.acked || l.LogStart() < p.logStart {
		return false, fmt.Errorf("log is %d to %d, promised were %d to %d", l.LogStart(), l.LogEnd(), p.logStart, p.acked)
	}
	records, err := tryReadAll(l, l.LogStart(), 300)
	if err != nil {
		return false, err
	}
	if int64(len(records)) != l.LogEnd()-l.LogStart() {
		return false, fmt.Errorf("%d records from %d to %d", len(records), l.LogStart(), l.LogEnd())
	}
	for i, rec := range records {
		if offset := l.LogStart() + int64(i); rec.Offset != offset || string(rec.Value) != r.expected(offset) {
			return false, fmt.Errorf("record %d is %d %q, want %q", offset, rec.Offset, rec.Value, r.expected(offset))
		}
	}
	return false, r.resend(l, p)
}

// resend sends the last five batches again, as the producer would: each must
// be found at its old offset, whether it had survived or not.
func (r *crashRun) resend(l *Log, p *crashPoint) error {
	survived := int64(0)
	for survived < int64(len(r.bases)) && r.bases[survived] < l.LogEnd() {
		survived++
	}
	for i := max(survived-5, 0); i < max(p.sent, survived); i++ {
		res, err := l.Append(r.batchOf(i), AppendOptions{LeaderEpoch: 10})
		if err != nil {
			return fmt.Errorf("send batch %d again: %w", i, err)
		}
		if res.BaseOffset != r.bases[i] {
			return fmt.Errorf("batch %d again at %d, was at %d (duplicate %v)", i, res.BaseOffset, r.bases[i], res.Duplicate)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
		err = l.WaitFlushed(ctx, res.LastOffset)
		cancel()
		if err != nil {
			return err
		}
	}
	return nil
}

func TestCrashAfterEveryChange(t *testing.T) {
	for seed := range longer(t, 1) {
		clock := newTestClock()
		r := &crashRun{t: t, clock: clock, mem: vfs.NewMem(clock.Now), random: rand.New(rand.NewPCG(uint64(seed), 0))}
		r.workload()
		offline, holes := 0, 0
		for i := range r.points {
			p := &r.points[i]
			off, err := r.check(p)
			if err != nil {
				t.Fatalf("seed %d, point %d of %d, after %s %s, crash mode %d, acknowledged %d: %v", seed, i, len(r.points), p.op.Kind, p.op.Name, p.mode, p.acked, err)
			}
			if p.mode == vfs.CrashHoles {
				holes++
			}
			if off {
				offline++
			}
			p.disk = nil
		}
		if len(r.points) < 1000 {
			t.Fatalf("only %d crash points", len(r.points))
		}
		t.Logf("seed %d: %d crash points; %d of %d with holes are offline", seed, len(r.points), offline, holes)
	}
}

// TestCrashDuringRecovery crashes again at every change that recovery makes.
func TestCrashDuringRecovery(t *testing.T) {
	clock := newTestClock()
	first := &crashRun{t: t, clock: clock, mem: vfs.NewMem(clock.Now), random: rand.New(rand.NewPCG(4, 0))}
	first.workload()
	n := 0
	for i := 3; i < len(first.points); i += 97 {
		p := first.points[i]
		if p.mode == vfs.CrashHoles {
			p = first.points[i-1]
		}
		second := &crashRun{t: t, clock: clock, mem: p.disk, random: first.random, bases: first.bases, sizes: first.sizes}
		second.acked.Store(p.acked)
		second.sent.Store(p.sent)
		second.logStart.Store(p.logStart)
		cfg := testConfig(vfs.Observe(p.disk, vfs.Hooks{After: second.observe}), clock)
		s := mustOpen(t, cfg)
		mustClose(t, s)
		for j := range second.points {
			q := &second.points[j]
			if _, err := second.check(q); err != nil {
				t.Fatalf("point %d.%d, after %s %s, crash mode %d then %d: %v", i, j, q.op.Kind, q.op.Name, p.mode, q.mode, err)
			}
			n++
		}
	}
	if n < 100 {
		t.Fatalf("only %d crash points", n)
	}
}

// TestFailedCalls fails each call of the file system once, in turn.
func TestFailedCalls(t *testing.T) {
	errDisk := errors.New("disk error")
	for n := 0; ; n++ {
		clock := newTestClock()
		mem := vfs.NewMem(clock.Now)
		var calls atomic.Int64
		fired := atomic.Bool{}
		var where vfs.Op
		fsys := vfs.Observe(mem, vfs.Hooks{Before: func(op vfs.Op) error {
			if op.Kind == "lock" || calls.Add(1) != int64(n)+1 {
				return nil
			}
			where = op
			fired.Store(true)
			if op.Kind == "write" {
				return &vfs.ShortWrite{N: int(op.Size / 2), Err: errDisk}
			}
			return errDisk
		}})
		r := &crashRun{t: t, clock: clock, mem: mem, random: rand.New(rand.NewPCG(1, 0))}
		r.withFailures(fsys)
		p := &crashPoint{mode: vfs.CrashDrop, disk: mem.Crash(vfs.CrashDrop, nil), acked: r.acked.Load(), sent: int64(len(r.bases)), logStart: r.logStart.Load()}
		if _, err := r.check(p); err != nil {
			t.Fatalf("call %d (%s %s) failed: %v", n, where.Kind, where.Name, err)
		}
		if !fired.Load() {
			if n < 100 {
				t.Fatalf("only %d calls", n)
			}
			return
		}
	}
}

// withFailures is a workload that goes on after errors as a producer would:
// it never sends a batch before the one before it has an offset.
func (r *crashRun) withFailures(fsys vfs.FS) {
	cfg := testConfig(fsys, r.clock)
	cfg.Registerer = nil
	for range 3 {
		s, err := Open(cfg)
		if err != nil {
			continue
		}
		l, err := s.CreateLog(tp0, [16]byte{1}, crashLogConfig(), 0)
		for i := 0; err == nil && i < 20; i++ {
			err = r.tryAppend(l)
			if i == 10 {
				err = errors.Join(err, l.checkpoint(), s.writeCheckpoints())
			}
		}
		if closeErr := s.Close(); closeErr == nil && err == nil && !errors.Is(l.Err(), ErrOffline) {
			r.acked.Store(l.LogEnd())
		}
	}
}

func (r *crashRun) tryAppend(l *Log) error {
	i := int64(len(r.bases))
	r.sizes = append(r.sizes[:i:i], 1+i%4)
	res, err := l.Append(r.batchOf(i), AppendOptions{})
	if err != nil {
		return err
	}
	r.bases = append(r.bases, res.BaseOffset)
	if err := l.WaitFlushed(context.Background(), res.LastOffset); err != nil {
		r.bases = r.bases[:i] // it is sent again, as a producer does
		return err
	}
	r.acked.Store(res.LastOffset + 1)
	return nil
}

func TestAcknowledgedNeverAfterFailedSync(t *testing.T) {
	clock := newTestClock()
	var fail atomic.Bool
	fsys := vfs.Observe(vfs.NewMem(clock.Now), vfs.Hooks{Before: func(op vfs.Op) error {
		if fail.Load() && op.Kind == "sync" && strings.HasSuffix(op.Name, suffixLog) {
			fail.Store(false) // once: a second try would succeed
			return errors.New("lost pages")
		}
		return nil
	}})
	s := mustOpen(t, testConfig(fsys, clock))
	l := mustCreate(t, s, DefaultLogConfig())
	fail.Store(true)
	res := mustAppend(t, l, makeBatch(t, batch.Options{}, 1, "a", 1))
	if err := l.WaitFlushed(t.Context(), res.LastOffset); !errors.Is(err, ErrOffline) {
		t.Fatalf("wait: %v", err)
	}
	if _, err := l.Append(makeBatch(t, batch.Options{}, 1, "b", 1), AppendOptions{}); !errors.Is(err, ErrOffline) {
		t.Fatalf("append: %v", err)
	}
	mustCloseUnclean(t, s)
}
