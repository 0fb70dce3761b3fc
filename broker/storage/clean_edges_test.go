package storage

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/millrace/millrace/broker/batch"
	"github.com/millrace/millrace/internal/vfs"
)

// TestATruncatedLogEndsWhereItsBatchesEnd: a log that is cut within a gap, which compaction has left or which
// came from the leader, ends after the last batch that stays. If it ended at the offset itself, a start would miss
// what lies between.
func TestATruncatedLogEndsWhereItsBatchesEnd(t *testing.T) {
	f := newCleanFixture(t, nil)
	for _, pair := range []string{"x=1", "a=1", "a=2", "a=3"} {
		f.put(pair)
	}
	f.roll()
	f.put("end=1")
	compactAll(t, f.s)
	f.want("0:x=1 3:a=3 4:end=1")
	if end, err := f.l.TruncateTo(3); err != nil || end != 1 || f.l.cleaned.Load() != 1 {
		t.Fatalf("the log ends at %d, compacted up to %d, %v", end, f.l.cleaned.Load(), err)
	}
	f.restart()
	f.want("0:x=1")
	f.put("b=1")
	f.restart()
	f.want("0:x=1 1:b=1")
	if end, err := f.l.TruncateTo(0); err != nil || end != 0 {
		t.Fatalf("the log ends at %d, %v", end, err)
	}
	f.restart()
	f.want("")
}

// markersOf counts the control records of a log and the control batches without one.
func markersOf(t *testing.T, l *Log) (markers, emptied int) {
	t.Helper()
	for _, seg := range l.list() {
		err := l.scanSegment(seg, seg.base, func(b batch.Batch, _ int64) error {
			switch {
			case b.IsControl() && b.Count == 0:
				emptied++
			case b.IsControl():
				markers++
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return markers, emptied
}

// inTransaction appends a batch of one producer and the marker of its transaction, under the next epoch.
func (f *cleanFixture) inTransaction(pair string, commit bool) {
	f.Helper()
	f.begin(1, 4, 0, pair)
	mustMark(f, f.l, Marker{ProducerID: 1, ProducerEpoch: 5, Commit: commit})
	f.flush()
}

// begin appends a transactional batch.
func (f *cleanFixture) begin(id int64, epoch int16, sequence int32, pairs ...string) {
	f.Helper()
	o := batch.Options{Transactional: true, Producer: &batch.Producer{ID: id, Epoch: epoch, Sequence: sequence}}
	mustVerified(f, f.l, keyed(f, o, f.clock.ms(), pairs...))
}

// wantCommitted compares what a reader of committed records gets.
func (f *cleanFixture) wantCommitted(text string) {
	f.Helper()
	records, err := readAllCommitted(f.l)
	if got := describe(records); err != nil || got != text {
		f.Fatalf("committed are %s, %v\nwant          %s", got, err, text)
	}
}

// dirty ends the active segment, so that all before the next record can be compacted, and compacts it.
func (f *cleanFixture) dirty(pair string) {
	f.Helper()
	f.roll()
	f.put(pair)
	compactAll(f, f.s)
}

// TestMarkersStayUntilTheirHorizon: a marker whose data is gone stays for delete.retention.ms from when
// that was seen first, because readers may be between the data and it. Then its header stays
// while it is all that is left of its producer, so that the epoch is known to a start that has nothing else.
func TestMarkersStayUntilTheirHorizon(t *testing.T) {
	f := newCleanFixture(t, nil)
	f.inTransaction("a=1", true)
	f.put("a=2")
	for i, c := range []struct {
		wait             time.Duration
		markers, emptied int
	}{{0, 1, 0}, {time.Hour, 1, 0}, {59_999 * time.Millisecond, 1, 0}, {time.Millisecond, 0, 1}} {
		f.clock.advance(c.wait)
		f.dirty(fmt.Sprint("x=", i))
		if markers, emptied := markersOf(t, f.l); markers != c.markers || emptied != c.emptied {
			t.Fatalf("after run %d: %d markers and %d emptied ones, want %d and %d", i, markers, emptied, c.markers, c.emptied)
		}
	}
	mustClose(t, f.s)
	f.loseSnapshots()
	f.start()
	if got := f.l.ActiveProducers(); len(got) != 1 || got[0].Epoch != 5 {
		t.Fatalf("the producers are %+v, want one of epoch 5", got)
	}
	if _, err := verified(f.l, keyed(t, batch.Options{Producer: &batch.Producer{ID: 1, Epoch: 4, Sequence: 1}}, f.clock.ms(), "a=3")); !errors.Is(err, ErrInvalidProducerEpoch) {
		t.Errorf("a batch of the epoch before: %v", err)
	}
}

// loseSnapshots removes the producers' snapshots of a store that is closed.
func (f *cleanFixture) loseSnapshots() {
	f.Helper()
	for _, name := range filesOf(f, f.l, suffixSnapshot) {
		if err := f.disk.Remove(filepath.Join(f.l.dir, name)); err != nil {
			f.Fatal(err)
		}
	}
}

// TestAMarkerStaysWithDataOfAnotherSegment (KAFKA-8351): the data of a transaction and its marker are in segments that
// are compacted into different ones. Without the marker the transaction would be undecided for ever.
func TestAMarkerStaysWithDataOfAnotherSegment(t *testing.T) {
	f := newCleanFixture(t, nil)
	f.begin(1, 4, 0, "a="+strings.Repeat("x", int(f.cfg.SegmentBytes)/2))
	f.roll()
	mustMark(t, f.l, Marker{ProducerID: 1, ProducerEpoch: 5, Commit: true})
	f.put("b=" + strings.Repeat("y", int(f.cfg.SegmentBytes)/2))
	for i := range 3 {
		f.dirty(fmt.Sprint("x=", i))
		f.clock.advance(time.Hour)
	}
	if markers, _ := markersOf(t, f.l); markers != 1 || len(f.l.list()) < 3 {
		t.Fatalf("%d markers in %d segments", markers, len(f.l.list()))
	}
	mustClose(t, f.s)
	f.loseSnapshots()
	f.start()
	if stable := f.l.LastStableOffset(); stable != f.l.LogEnd() {
		t.Errorf("the log is stable up to %d and ends at %d", stable, f.l.LogEnd())
	}
}

// TestTheEndOfAPassIsWithinABatch: the memory for the keys ends between two records of a batch with the same
// key. The older one must go nevertheless: when the newer one is a tombstone whose time has
// come, it would be there again.
func TestTheEndOfAPassIsWithinABatch(t *testing.T) {
	f := newCleanFixture(t, nil)
	f.put("a=1", "k=old", "k=new", "b=1", "c=1", "d=1")
	f.roll()
	f.put("end=1")
	target, err := f.l.cleanTarget(f.clock.ms())
	if err != nil {
		t.Fatal(err)
	}
	r := &cleanRun{l: f.l, target: target, bytesMax: 3 * offsetSlotSize, load: 0.9, pause: func(int) error { return nil }}
	if result, err := r.run(); err != nil || result.passes < 2 {
		t.Fatalf("%d passes, %v", result.passes, err)
	}
	f.want("0:a=1 2:k=new 3:b=1 4:c=1 5:d=1 6:end=1")
}

// TestASegmentEndsWhereItEnded: the newest record of a segment is replaced by one of the next, with which it is not
// merged. The header that stays says up to where the segment has taken the place of others.
func TestASegmentEndsWhereItEnded(t *testing.T) {
	f := newCleanFixture(t, nil)
	large := strings.Repeat("x", int(f.cfg.SegmentBytes)/2)
	f.put("x=" + large)
	f.put("a=1")
	f.roll()
	f.put("a=2")
	f.put("y=" + large)
	f.dirty("end=1")
	f.want("0:x=" + large + " 2:a=2 3:y=" + large + " 4:end=1")
	if n := len(f.l.list()); n != 3 {
		t.Errorf("%d segments", n)
	}
}

// TestEachStepOfAReplacementIsDurableBeforeTheNext: a file system may write the changes of a directory in any
// order, so nothing may be left to be written when the next step begins.
func TestEachStepOfAReplacementIsDurableBeforeTheNext(t *testing.T) {
	f := newCleanFixture(t, nil)
	f.inTransaction("a=1", false) // so that there is a transaction index
	f.roll()
	f.put("a=2")
	f.roll()
	f.put("end=1")
	var steps []string
	f.watch(func(op vfs.Op) error {
		base, _ := baseOf(filepath.Base(op.Name))
		step := filepath.Ext(op.Name)
		if op.Kind != "rename" || base > 0 || !strings.Contains(op.Name, suffixLog) {
			return nil // the log is the first file of each step
		}
		steps = append(steps, step)
		if left := f.undurable(); len(left) > 0 {
			t.Errorf("before the step %s these are not durable: %q", step, left)
		}
		return nil
	})
	compactAll(t, f.s)
	f.watch(nil)
	if left := f.undurable(); len(left) > 0 || strings.Join(steps, " ") != ".swap .deleted .log" {
		t.Errorf("after the steps %q these are not durable: %q", steps, left)
	}
	// A run that is over is not repeated after a crash.
	f.crash(vfs.CrashDrop)
	f.start()
	if f.l.cleaned.Load() != 3 {
		t.Errorf("compacted up to %d", f.l.cleaned.Load())
	}
}

// TestTheTransactionIndexGoesWithTheData: the entry of an aborted transaction stays in the pass that drops its data, as in Apache
// Kafka, and goes with the next.
func TestTheTransactionIndexGoesWithTheData(t *testing.T) {
	f := newCleanFixture(t, nil)
	f.put("a=0", "b=0")
	f.inTransaction("a=1", false)
	f.dirty("x=1")
	f.wantCommitted("0:a=0 1:b=0 4:x=1")
	if n := len(filesOf(t, f.l, suffixTxnIndex)); n != 1 {
		t.Errorf("%d transaction indexes beside the marker", n)
	}
	f.dirty("x=2")
	f.wantCommitted("0:a=0 1:b=0 4:x=1 5:x=2")
	if n := len(filesOf(t, f.l, suffixTxnIndex)); n != 0 {
		t.Errorf("%d transaction indexes without data", n)
	}
}

// TestAReadIsNotMixedWithACompaction: while records of an aborted transaction are read, compaction drops them and
// then what is known of the transaction.
func TestAReadIsNotMixedWithACompaction(t *testing.T) {
	f := newCleanFixture(t, nil)
	f.put("a=0")
	f.inTransaction("a=1", false)
	f.roll()
	f.put("x=1")
	var compacted atomic.Bool
	f.watch(func(op vfs.Op) error {
		if op.Kind == "read" && strings.HasSuffix(op.Name, suffixLog) && compacted.CompareAndSwap(false, true) {
			f.dirty("x=2") // the data goes
			f.dirty("x=3") // the entry of the index goes
		}
		return nil
	})
	f.wantCommitted("0:a=0 4:x=2 5:x=3")
	if !compacted.Load() {
		t.Error("nothing was compacted in the middle of it")
	}
}

// TestTheTailIsAsCompactedAsTheLog: what is kept in memory for followers of the log is not read below what was compacted.
func TestTheTailIsAsCompactedAsTheLog(t *testing.T) {
	clock := newTestClock()
	cfg := testConfig(vfs.NewMem(clock.Now), clock)
	cfg.TailBytesMax = 1 << 20
	s := mustOpen(t, cfg)
	defer mustClose(t, s)
	l := mustCreate(t, s, cleanLogConfig())
	l.tail.follow(clock.ms())
	put := func(pair string) {
		mustFlush(t, l, mustAppend(t, l, keyed(t, batch.Options{}, clock.ms(), pair)).LastOffset)
	}
	put("a=1")
	put("a=2")
	rollNow(t, l)
	put("x=1")
	if got := describe(readAll(t, l, 0, 1<<20)); got != "0:a=1 1:a=2 2:x=1" {
		t.Fatalf("before: %s", got)
	}
	compactAll(t, s)
	if got := describe(readAll(t, l, 0, 1<<20)); got != "1:a=2 2:x=1" {
		t.Errorf("after: %s", got)
	}
}

// TestARunEndsWhenTheLogIsTruncated: a record must not go because of a newer one that was cut, and what is written after a
// truncation has not been compacted.
func TestARunEndsWhenTheLogIsTruncated(t *testing.T) {
	f := newCleanFixture(t, nil)
	large := strings.Repeat("x", int(f.cfg.SegmentBytes)/2)
	f.put("k=old", "x="+large)
	f.roll()
	f.put("k=new", "y="+large)
	f.roll()
	f.put("end=1")
	target, err := f.l.cleanTarget(f.clock.ms())
	if err != nil || target.to != 4 {
		t.Fatalf("compaction up to %d, %v", target.to, err)
	}
	calls := 0
	r := &cleanRun{l: f.l, target: target, bytesMax: 1 << 10, load: 0.9, pause: func(int) error {
		if calls++; calls != 3 { // after the keys, when the first segment is written again
			return nil
		}
		_, err := f.l.TruncateTo(2)
		return err
	}}
	if _, err := r.run(); !errors.Is(err, errSegmentsChanged) || f.l.cleaned.Load() > 0 {
		t.Errorf("compacted up to %d, %v", f.l.cleaned.Load(), err)
	}
	f.want("0:k=old 1:x=" + large)
	if err := f.l.setCleaned(2, r.truncations); !errors.Is(err, errSegmentsChanged) {
		t.Errorf("after the last segment: %v", err)
	}
}

// TestCompactionForgetsNoProducer: of the batches that are dropped before any checkpoint their producers' snapshot is
// all that is left.
func TestCompactionForgetsNoProducer(t *testing.T) {
	f := newCleanFixture(t, nil)
	send := func(sequence int32) AppendResult {
		res := mustAppend(t, f.l, keyed(t, batch.Options{Producer: &batch.Producer{ID: 1, Sequence: sequence}}, f.clock.ms(), "a=1"))
		mustFlush(t, f.l, res.LastOffset)
		return res
	}
	for i := range int32(3) {
		send(i)
	}
	f.dirty("x=1") // which compacts after
	f.want("2:a=1 3:x=1")
	f.crash(vfs.CrashDrop)
	f.start()
	if res := send(1); !res.Duplicate || res.BaseOffset != 1 {
		t.Errorf("a repetition of a batch that is gone: %+v", res)
	}
}
