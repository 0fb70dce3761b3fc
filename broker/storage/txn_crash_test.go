package storage

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/millrace/millrace/internal/vfs"
)

// txnCrashPoint is a disk as a crash left it, and what was promised before.
type txnCrashPoint struct {
	op              vfs.Op
	mode            vfs.CrashMode
	disk            *vfs.Mem
	acked, logStart int64
}

// txnCrash takes crash clones at every change that a workload with
// transactions makes to the disk.
type txnCrash struct {
	*txnRun
	mem             *vfs.Mem
	acked, logStart atomic.Int64
	mu              sync.Mutex
	points          []txnCrashPoint
	dice            *rand.Rand
}

func (c *txnCrash) observe(op vfs.Op) {
	if !op.Changes() {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, mode := range []vfs.CrashMode{vfs.CrashProcess, vfs.CrashDrop, vfs.CrashPrefix, vfs.CrashHoles} {
		c.points = append(c.points, txnCrashPoint{op, mode, c.mem.Crash(mode, c.dice), c.acked.Load(), c.logStart.Load()})
	}
}

func (c *txnCrash) flushed(l *Log) {
	mustFlush(c, l, l.LogEnd()-1)
	c.acked.Store(l.LogEnd())
}

func txnCrashConfig() LogConfig {
	cfg := DefaultLogConfig()
	cfg.SegmentBytes, cfg.IndexIntervalBytes = 1024, 200
	return cfg
}

func (c *txnCrash) workload() {
	cfg := testConfig(vfs.Observe(c.mem, vfs.Hooks{After: c.observe}), c.clock)
	for round := range 3 {
		c.s = mustOpen(c, cfg)
		l, err := c.s.CreateLog(tp0, [16]byte{1}, txnCrashConfig(), int32(round))
		if err != nil {
			c.Fatal(err)
		}
		c.l = l
		for i := range 24 {
			if i%3 == 2 {
				c.mark(1 + c.random.Int64N(4))
			} else {
				c.write(1+c.random.Int64N(4), i%4 > 0)
			}
			if i%8 == 7 {
				if err := errors.Join(l.checkpoint(), c.s.writeCheckpoints()); err != nil {
					c.Fatal(err)
				}
			}
			if i%2 == 0 {
				c.flushed(l)
			}
		}
		if err := c.deleteSome(l); err != nil {
			c.Fatal(err)
		}
		mustClose(c, c.s)
		c.acked.Store(l.LogEnd())
	}
}

func (c *txnCrash) deleteSome(l *Log) error {
	c.flushed(l)
	start, err := l.DeleteRecords((l.LogStart() + l.LastStableOffset()) / 2)
	if err != nil {
		return err
	}
	c.logStart.Store(start)
	return c.s.EnforceRetention()
}

// check opens a crashed disk and holds it to its promises: what is left is a
// first part of what was written, and its transactions are known as before. Then all
// are aborted, and it is looked at again, also after a restart.
func (c *txnCrash) check(p *txnCrashPoint) (offline bool, err error) {
	cfg := testConfig(p.disk, c.clock)
	m := txnModel{slices.Clone(c.m.entries)}
	for range 2 {
		cfg.Registerer = nil
		s, err := Open(cfg)
		if err != nil {
			return false, fmt.Errorf("open: %w", err)
		}
		l, err := s.CreateLog(tp0, [16]byte{1}, txnCrashConfig(), 10)
		if err == nil && l.Err() != nil {
			err = l.Err()
		}
		if err != nil {
			offline = p.mode == vfs.CrashHoles && errors.As(err, new(*CorruptionError))
			closeErr := s.Close()
			if offline {
				return true, nil
			}
			return false, errors.Join(err, closeErr)
		}
		if err := c.checkLog(l, &m, p); err != nil {
			return false, errors.Join(err, s.Close())
		}
		if err := s.Close(); err != nil {
			return false, err
		}
	}
	return false, nil
}

func (c *txnCrash) checkLog(l *Log, m *txnModel, p *txnCrashPoint) error {
	if l.LogEnd() < p.acked || l.LogStart() < p.logStart {
		return fmt.Errorf("log is %d to %d, promised were %d to %d", l.LogStart(), l.LogEnd(), p.logStart, p.acked)
	}
	if end := m.cut(l.LogEnd()); end != l.LogEnd() {
		return fmt.Errorf("log ends at %d, within a batch from %d", l.LogEnd(), end)
	}
	if err := compareTransactions(l, m, l.LogStart(), 400); err != nil {
		return err
	}
	for _, producer := range l.ActiveProducers() {
		res, err := l.AppendMarker(Marker{ProducerID: producer.ProducerID, ProducerEpoch: producer.Epoch, CoordinatorEpoch: producer.CoordinatorEpoch})
		if err != nil {
			return err
		}
		m.add(txnEntry{base: res.BaseOffset, last: res.LastOffset, producer: producer.ProducerID, marker: true})
	}
	mustFlush(c, l, l.LogEnd()-1)
	return compareTransactions(l, m, (l.LogStart()+l.LogEnd())/2, 400)
}

func newTxnCrash(t *testing.T, seed uint64) *txnCrash {
	clock := newTestClock()
	r := &txnRun{T: t, clock: clock, random: rand.New(rand.NewPCG(seed, 3)), epochs: map[int64]int16{}, sequences: map[int64]int32{}}
	return &txnCrash{txnRun: r, mem: vfs.NewMem(clock.Now), dice: rand.New(rand.NewPCG(seed, 4))}
}

func TestCrashesWithTransactions(t *testing.T) {
	for seed := range longer(t, 1) {
		c := newTxnCrash(t, uint64(seed))
		c.workload()
		offline, withIndex := 0, 0
		for i := range c.points {
			p := &c.points[i]
			off, err := c.check(p)
			if err != nil {
				t.Fatalf("seed %d, point %d of %d, after %s %s, crash mode %d, acknowledged %d: %v", seed, i, len(c.points), p.op.Kind, p.op.Name, p.mode, p.acked, err)
			}
			if off {
				offline++
			}
			if suffix := p.op.Name[max(len(p.op.Name)-len(suffixTxnIndex), 0):]; suffix == suffixTxnIndex {
				withIndex++
			}
			p.disk = nil
		}
		if len(c.points) < 800 || withIndex < 30 {
			t.Fatalf("only %d crash points, %d of them in transaction indexes", len(c.points), withIndex)
		}
		t.Logf("seed %d: %d crash points, %d in transaction indexes, %d offline", seed, len(c.points), withIndex, offline)
	}
}

// TestCrashesInRecoveryOfTransactions crashes again at every change that recovery makes.
func TestCrashesInRecoveryOfTransactions(t *testing.T) {
	first := newTxnCrash(t, 7)
	first.workload()
	n := 0
	for i := 1; i < len(first.points); i += 331 {
		p := first.points[i]
		if p.mode == vfs.CrashHoles {
			p = first.points[i-1]
		}
		second := newTxnCrash(t, 7)
		second.mem, second.m = p.disk, first.m
		second.acked.Store(p.acked)
		second.logStart.Store(p.logStart)
		mustClose(t, mustOpen(t, testConfig(vfs.Observe(p.disk, vfs.Hooks{After: second.observe}), second.clock)))
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
