package storage

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/millrace/millrace/broker/batch"
	"github.com/millrace/millrace/internal/vfs"
)

// edgeLog is the disk of a killed process whose log has batches of one record, five of them
// below its recovery point, and where each begins.
type edgeLog struct {
	mem       *vfs.Mem
	clock     *testClock
	name      string
	positions []int64
}

const edgePoint = 5

// newEdgeLog makes one with some more batches behind the recovery point; with clean it was closed
// in order, so that the recovery point is its end.
func newEdgeLog(t *testing.T, beyond int, clean bool) edgeLog {
	t.Helper()
	clock := newTestClock()
	mem := vfs.NewMem(clock.Now)
	s := mustOpen(t, testConfig(mem, clock))
	cfg := DefaultLogConfig()
	cfg.IndexIntervalBytes = 0
	l := mustCreate(t, s, cfg)
	e := edgeLog{clock: clock, name: l.list()[0].path(suffixLog)}
	for i := range edgePoint + beyond {
		e.positions = append(e.positions, l.SizeBytes())
		mustAppend(t, l, makeBatch(t, batch.Options{}, clock.ms(), fmt.Sprint("v", i), 1))
		if i == edgePoint-1 {
			if err := errors.Join(l.checkpoint(), s.writeCheckpoints()); err != nil {
				t.Fatal(err)
			}
		}
	}
	e.positions = append(e.positions, l.SizeBytes())
	mustFlush(t, l, int64(edgePoint+beyond-1))
	if clean {
		mustClose(t, s)
		e.mem = mem
		return e
	}
	e.mem = mem.Crash(vfs.CrashProcess, nil)
	mustClose(t, s)
	return e
}

// open starts on what is there; the store is closed when the test ends.
func (e edgeLog) open(t *testing.T) *Log {
	t.Helper()
	s := mustOpen(t, testConfig(e.mem, e.clock))
	t.Cleanup(func() { mustClose(t, s) })
	l, ok := s.Log(tp0)
	if !ok {
		t.Fatal("the log is gone")
	}
	return l
}

func (e edgeLog) size(t *testing.T) int64 {
	t.Helper()
	info, err := e.mem.Stat(e.name)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

// isOffline checks that a log is offline for damage, and that its file was left as it is.
func (e edgeLog) isOffline(t *testing.T, size int64) {
	t.Helper()
	l := e.open(t)
	if err := l.Err(); !errors.Is(err, ErrOffline) || !errors.As(err, new(*CorruptionError)) {
		t.Errorf("the log is not offline for damage: %v, it ends at %d", err, l.LogEnd())
	}
	if got := e.size(t); got != size {
		t.Errorf("the file has %d bytes, it had %d", got, size)
	}
	if got := l.RecoveryPoint(); got < edgePoint {
		t.Errorf("the recovery point has gone back to %d", got)
	}
}

// TestTheLastRecordBelowTheRecoveryPointIsMissed, be it gone with the end of the file or damaged.
func TestTheLastRecordBelowTheRecoveryPointIsMissed(t *testing.T) {
	e := newEdgeLog(t, 0, false)
	at := e.positions[edgePoint-1]
	truncateFile(t, e.mem, e.name, at)
	e.isOffline(t, at)

	e = newEdgeLog(t, 0, false)
	overwrite(t, e.mem, e.name, e.positions[edgePoint]-1, []byte{0xff})
	e.isOffline(t, e.positions[edgePoint])
}

// TestTheFirstRecordAtTheRecoveryPointMayBeTorn: it was never promised to be there.
func TestTheFirstRecordAtTheRecoveryPointMayBeTorn(t *testing.T) {
	e := newEdgeLog(t, 1, false)
	overwrite(t, e.mem, e.name, e.positions[edgePoint+1]-1, []byte{0xff})
	if l := e.open(t); l.Err() != nil || l.LogEnd() != edgePoint || e.size(t) != e.positions[edgePoint] {
		t.Errorf("%v, the log ends at %d, the file has %d bytes", l.Err(), l.LogEnd(), e.size(t))
	}
}

// TestAGapAtTheRecoveryPointIsDamage: nothing has compacted there, so a batch that leaves
// out the offset of the recovery point is not the one that was appended.
func TestAGapAtTheRecoveryPointIsDamage(t *testing.T) {
	e := newEdgeLog(t, 2, false)
	second := make([]byte, e.positions[edgePoint+2]-e.positions[edgePoint+1])
	f, err := e.mem.Open(e.name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.ReadAt(second, e.positions[edgePoint+1]); err != nil {
		t.Fatal(err)
	}
	truncateFile(t, e.mem, e.name, e.positions[edgePoint])
	overwrite(t, e.mem, e.name, e.positions[edgePoint], second)
	if l := e.open(t); l.Err() != nil || l.LogEnd() != edgePoint {
		t.Errorf("%v, the log ends at %d", l.Err(), l.LogEnd())
	}
}

// TestNothingIsCutAfterACleanShutdown: nobody was writing, so what lies behind the end is no torn write.
func TestNothingIsCutAfterACleanShutdown(t *testing.T) {
	e := newEdgeLog(t, 0, true)
	overwrite(t, e.mem, e.name, e.positions[edgePoint], []byte("not a batch"))
	e.isOffline(t, e.positions[edgePoint]+int64(len("not a batch")))
}

// TestWhatAStartHasServedSurvivesALossOfPower: the process was killed between a roll and
// the sync of the directory; the next start must force the new segment's name to disk, not
// its content alone.
func TestWhatAStartHasServedSurvivesALossOfPower(t *testing.T) {
	clock := newTestClock()
	mem := vfs.NewMem(clock.Now)
	cfg := testConfig(mem, clock)
	cfg.Locked, cfg.Registerer = true, nil // the killed process is one of this test, too
	s := mustOpen(t, cfg)
	l := mustCreate(t, s, DefaultLogConfig())
	mustAppend(t, l, makeBatch(t, batch.Options{}, clock.ms(), "a", 1))
	mustFlush(t, l, 0)
	l.flushMu.Lock() // nothing is flushed from now on
	l.mu.Lock()
	_, err := l.roll()
	l.mu.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	mustAppend(t, l, makeBatch(t, batch.Options{}, clock.ms(), "b", 1))
	if err := l.fail(errors.New("killed")); err == nil {
		t.Fatal("the log goes on")
	}
	l.flushMu.Unlock()
	abandon(t, s)
	if found, err := exists(mem.Crash(vfs.CrashDrop, nil), l.list()[1].path(suffixLog)); found || err != nil {
		t.Fatalf("the name of the new segment is durable before the start (%v)", err)
	}

	s = mustOpen(t, cfg)
	l, _ = s.Log(tp0)
	if l.Err() != nil || l.HighWatermark() != 2 {
		t.Fatalf("after the kill: %v, high watermark %d", l.Err(), l.HighWatermark())
	}
	dark := mem.Crash(vfs.CrashDrop, nil)
	mustClose(t, s)
	s = mustOpen(t, testConfig(dark, clock))
	defer mustClose(t, s)
	if l, _ = s.Log(tp0); l.Err() != nil || l.LogEnd() != 2 {
		t.Errorf("after a loss of power: %v, the log ends at %d", l.Err(), l.LogEnd())
	}
}

// TestADamagedBatchHasNoIndexEntry: a checkpoint was interrupted after its indexes, so that they
// have an entry for a batch beyond the recovery point. When that batch is cut its entry must go, too.
func TestADamagedBatchHasNoIndexEntry(t *testing.T) {
	clock := newTestClock()
	mem := vfs.NewMem(clock.Now)
	s := mustOpen(t, testConfig(mem, clock))
	cfg := DefaultLogConfig()
	cfg.IndexIntervalBytes = 0
	l := mustCreate(t, s, cfg)
	add := func() {
		clock.advance(time.Millisecond)
		mustAppend(t, l, makeBatch(t, batch.Options{}, clock.ms(), "v", 1))
	}
	for range edgePoint {
		add()
	}
	if err := errors.Join(l.checkpoint(), s.writeCheckpoints()); err != nil {
		t.Fatal(err)
	}
	add()
	if err := l.checkpoint(); err != nil { // the file of the recovery points is not written
		t.Fatal(err)
	}
	seg := l.list()[0]
	size := l.SizeBytes()
	killed := mem.Crash(vfs.CrashProcess, nil)
	mustClose(t, s)
	overwrite(t, killed, seg.path(suffixLog), size-1, []byte{0xff})

	s = mustOpen(t, testConfig(killed, clock))
	if l, _ = s.Log(tp0); l.Err() != nil || l.LogEnd() != edgePoint {
		t.Fatalf("%v, the log ends at %d", l.Err(), l.LogEnd())
	}
	mustAppend(t, l, makeBatch(t, batch.Options{}, clock.ms()+10, "a longer value", 3))
	mustAppend(t, l, makeBatch(t, batch.Options{}, clock.ms()+20, "v", 1))
	mustClose(t, s)
	ends := map[int64]int64{}
	seg = l.list()[0]
	seg.fs = killed
	if err := scanPath(killed, seg, func(b batch.Batch, at int64) error {
		ends[b.LastOffset()] = at
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	offsets, err := readIndex(killed, seg)
	if err != nil || len(offsets) < edgePoint-1 {
		t.Fatalf("%d entries for %d batches, %v", len(offsets), len(ends), err)
	}
	for _, e := range offsets {
		if at, ok := ends[int64(e.relative)]; !ok || at != int64(e.position) {
			t.Errorf("an entry says %d is at %d, batches are at %v", e.relative, e.position, ends)
		}
	}
}

// TestDamageBeforeALaterSegmentIsNotCut: the segment was forced to disk before the next
// one was made, so its end is no torn write.
func TestDamageBeforeALaterSegmentIsNotCut(t *testing.T) {
	clock := newTestClock()
	mem := vfs.NewMem(clock.Now)
	s := mustOpen(t, testConfig(mem, clock))
	l := mustCreate(t, s, DefaultLogConfig())
	mustAppend(t, l, makeBatch(t, batch.Options{}, clock.ms(), "a", 1))
	seg, size := l.list()[0], l.SizeBytes()
	rollNow(t, l)
	mustAppend(t, l, makeBatch(t, batch.Options{}, clock.ms(), "b", 1))
	mustFlush(t, l, 1)
	killed := mem.Crash(vfs.CrashProcess, nil)
	mustClose(t, s)
	if err := removeIfThere(killed, "/data/"+fileRecoveryPoints); err != nil { // as if no checkpoint had been
		t.Fatal(err)
	}
	overwrite(t, killed, seg.path(suffixLog), size-1, []byte{0xff})
	s = mustOpen(t, testConfig(killed, clock))
	defer mustClose(t, s)
	if l, _ = s.Log(tp0); !errors.Is(l.Err(), ErrOffline) || !errors.As(l.Err(), new(*CorruptionError)) {
		t.Errorf("the log is not offline: %v, it ends at %d", l.Err(), l.LogEnd())
	}
}

// cutTail kills a store whose log was checkpointed without the file of the recovery points being
// written since, damages the last batch, and starts again: the batch is cut, though index, snapshot and
// transaction index have it.
func cutTail(t *testing.T, s *Store, mem *vfs.Mem, clock *testClock, l *Log, end int64) (*Store, *Log) {
	t.Helper()
	if err := l.checkpoint(); err != nil {
		t.Fatal(err)
	}
	name, size := l.list()[0].path(suffixLog), l.SizeBytes()
	killed := mem.Crash(vfs.CrashProcess, nil)
	mustClose(t, s)
	overwrite(t, killed, name, size-1, []byte{0xff})
	s = mustOpen(t, testConfig(killed, clock))
	l, _ = s.Log(tp0)
	if l.Err() != nil || l.LogEnd() != end {
		t.Fatalf("%v, the log ends at %d, want %d", l.Err(), l.LogEnd(), end)
	}
	return s, l
}

// TestACutBatchIsNoDuplicate: the snapshot of the producers was written with a batch that is damaged and cut. When its
// producer sends it again it must be stored, not be taken for one that is there.
func TestACutBatchIsNoDuplicate(t *testing.T) {
	clock := newTestClock()
	mem := vfs.NewMem(clock.Now)
	s := mustOpen(t, testConfig(mem, clock))
	l := mustCreate(t, s, DefaultLogConfig())
	send := func(l *Log, sequence int32) AppendResult {
		return mustAppend(t, l, makeBatch(t, batch.Options{Producer: &batch.Producer{ID: 7, Sequence: sequence}}, clock.ms(), "v", 1))
	}
	for i := range int32(edgePoint) {
		send(l, i)
	}
	if err := errors.Join(l.checkpoint(), s.writeCheckpoints()); err != nil {
		t.Fatal(err)
	}
	send(l, edgePoint)
	s, l = cutTail(t, s, mem, clock, l, edgePoint)
	defer mustClose(t, s)
	if res := send(l, edgePoint); res.Duplicate || res.BaseOffset != edgePoint || l.LogEnd() != edgePoint+1 {
		t.Errorf("sent again: %+v, the log ends at %d", res, l.LogEnd())
	}
	if res := send(l, edgePoint-1); !res.Duplicate {
		t.Errorf("one that is there: %+v", res)
	}
}

// TestACutAbortIsForgotten: the transaction index was written with a marker that is damaged and cut. The transaction is
// committed then; whoever reads the index later must not hide its records.
func TestACutAbortIsForgotten(t *testing.T) {
	clock := newTestClock()
	mem := vfs.NewMem(clock.Now)
	s := mustOpen(t, testConfig(mem, clock))
	l := mustCreate(t, s, DefaultLogConfig())
	mustVerified(t, l, transactional(t, 1, 0, 0, 1))
	if err := errors.Join(l.checkpoint(), s.writeCheckpoints()); err != nil {
		t.Fatal(err)
	}
	mustMark(t, l, Marker{ProducerID: 1})
	s, l = cutTail(t, s, mem, clock, l, 1)
	mustMark(t, l, Marker{ProducerID: 1, Commit: true})
	l.mu.Lock()
	_, err := l.roll()
	l.mu.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	disk := l.store.fs
	mustClose(t, s)
	s = mustOpen(t, testConfig(disk, clock))
	defer mustClose(t, s)
	l, _ = s.Log(tp0)
	res, err := l.Read(0, 1000, ReadOptions{Isolation: ReadCommitted})
	if err != nil || len(res.Aborted) > 0 || res.NextOffset != 2 {
		t.Errorf("%+v up to %d, %v", res.Aborted, res.NextOffset, err)
	}
}
