package storage

import (
	"errors"
	"testing"
	"time"

	"github.com/millrace/millrace/broker/batch"
	"github.com/millrace/millrace/internal/vfs"
)

// edgeLog is the disk of a killed process whose log has batches of one record, five of them
// below its recovery point, and where each begins.
type edgeLog struct {
	*logFixture
	name      string
	positions []int64
}

const edgePoint = 5

// everyBatch has an index entry for each batch but the first of a segment.
func everyBatch() LogConfig {
	cfg := DefaultLogConfig()
	cfg.IndexIntervalBytes = 0
	return cfg
}

// newEdgeLog makes one with some more batches behind the recovery point; with clean it was closed
// in order, so that the recovery point is its end.
func newEdgeLog(t *testing.T, beyond int, clean bool) edgeLog {
	t.Helper()
	e := edgeLog{logFixture: newLogFixture(t, DurabilityFsync, everyBatch())}
	e.name = e.l.list()[0].path(suffixLog)
	for i := range edgePoint + beyond {
		e.positions = append(e.positions, e.l.SizeBytes())
		e.add(1)
		if i == edgePoint-1 {
			e.checkpoint()
		}
	}
	e.positions = append(e.positions, e.l.SizeBytes())
	e.flush()
	if clean {
		mustClose(t, e.s)
	} else {
		e.crash(vfs.CrashProcess)
	}
	return e
}

func (e edgeLog) size() int64 {
	e.Helper()
	info, err := e.disk.Stat(e.name)
	if err != nil {
		e.Fatal(err)
	}
	return info.Size()
}

// isOffline starts and checks that the log is offline for damage, and that its file was left as it is.
func (e edgeLog) isOffline(size int64) {
	e.Helper()
	e.start()
	if err := e.l.Err(); !errors.Is(err, ErrOffline) || !errors.As(err, new(*CorruptionError)) {
		e.Errorf("the log is not offline for damage: %v, it ends at %d", err, e.l.LogEnd())
	}
	if got := e.size(); got != size {
		e.Errorf("the file has %d bytes, it had %d", got, size)
	}
	if got := e.l.RecoveryPoint(); got < edgePoint {
		e.Errorf("the recovery point has gone back to %d", got)
	}
}

// TestTheLastRecordBelowTheRecoveryPointIsMissed, be it gone with the end of the file or damaged.
func TestTheLastRecordBelowTheRecoveryPointIsMissed(t *testing.T) {
	e := newEdgeLog(t, 0, false)
	at := e.positions[edgePoint-1]
	truncateFile(t, e.disk, e.name, at)
	e.isOffline(at)

	e = newEdgeLog(t, 0, false)
	overwrite(t, e.disk, e.name, e.positions[edgePoint]-1, []byte{0xff})
	e.isOffline(e.positions[edgePoint])
}

// TestTheFirstRecordAtTheRecoveryPointMayBeTorn: it was never promised to be there.
func TestTheFirstRecordAtTheRecoveryPointMayBeTorn(t *testing.T) {
	e := newEdgeLog(t, 1, false)
	overwrite(t, e.disk, e.name, e.positions[edgePoint+1]-1, []byte{0xff})
	e.start()
	if l := e.l; l.Err() != nil || l.LogEnd() != edgePoint || e.size() != e.positions[edgePoint] {
		t.Errorf("%v, the log ends at %d, the file has %d bytes", l.Err(), l.LogEnd(), e.size())
	}
}

// TestAGapAtTheRecoveryPointIsDamage: nothing has compacted there, so a batch that leaves
// out the offset of the recovery point is not the one that was appended.
func TestAGapAtTheRecoveryPointIsDamage(t *testing.T) {
	e := newEdgeLog(t, 2, false)
	second := make([]byte, e.positions[edgePoint+2]-e.positions[edgePoint+1])
	f, err := e.disk.Open(e.name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.ReadAt(second, e.positions[edgePoint+1]); err != nil {
		t.Fatal(err)
	}
	truncateFile(t, e.disk, e.name, e.positions[edgePoint])
	overwrite(t, e.disk, e.name, e.positions[edgePoint], second)
	e.start()
	if l := e.l; l.Err() != nil || l.LogEnd() != edgePoint {
		t.Errorf("%v, the log ends at %d", l.Err(), l.LogEnd())
	}
}

// TestNothingIsCutAfterACleanShutdown: nobody was writing, so what lies behind the end is no torn write.
func TestNothingIsCutAfterACleanShutdown(t *testing.T) {
	e := newEdgeLog(t, 0, true)
	overwrite(t, e.disk, e.name, e.positions[edgePoint], []byte("not a batch"))
	e.isOffline(e.positions[edgePoint] + int64(len("not a batch")))
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

// cutTail kills a store whose log was checkpointed without the file of the recovery points being
// written since, damages the last batch, and starts again: the batch is cut, though indexes, snapshot and
// transaction index have it.
func (f *logFixture) cutTail(end int64) {
	f.Helper()
	if err := f.l.checkpoint(); err != nil {
		f.Fatal(err)
	}
	name, size := f.l.list()[0].path(suffixLog), f.l.SizeBytes()
	f.crash(vfs.CrashProcess)
	overwrite(f.T, f.disk, name, size-1, []byte{0xff})
	f.start()
	if f.l.Err() != nil || f.l.LogEnd() != end {
		f.Fatalf("%v, the log ends at %d, want %d", f.l.Err(), f.l.LogEnd(), end)
	}
}

// TestADamagedBatchHasNoIndexEntry: the indexes have an entry for a batch that is cut. It must go, too.
func TestADamagedBatchHasNoIndexEntry(t *testing.T) {
	f := newLogFixture(t, DurabilityFsync, everyBatch())
	add := func(value string, n int) {
		f.clock.advance(time.Millisecond)
		mustAppend(t, f.l, makeBatch(t, batch.Options{}, f.clock.ms(), value, n))
	}
	for range edgePoint {
		add("v", 1)
	}
	f.checkpoint()
	add("v", 1)
	f.cutTail(edgePoint)
	add("a longer value", 3)
	add("v", 1)
	mustClose(t, f.s)
	ends := map[int64]int64{}
	seg := f.l.list()[0]
	if err := scanPath(f.disk, seg, func(b batch.Batch, at int64) error {
		ends[b.LastOffset()] = at
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	offsets, err := readIndex(f.disk, seg)
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
	f := newLogFixture(t, DurabilityFsync, DefaultLogConfig())
	f.add(1)
	seg, size := f.l.list()[0], f.l.SizeBytes()
	f.roll()
	f.add(1)
	f.flush()
	f.crash(vfs.CrashProcess)
	if err := removeIfThere(f.disk, "/data/"+fileRecoveryPoints); err != nil { // as if no checkpoint had been
		t.Fatal(err)
	}
	overwrite(t, f.disk, seg.path(suffixLog), size-1, []byte{0xff})
	f.start()
	if l := f.l; !errors.Is(l.Err(), ErrOffline) || !errors.As(l.Err(), new(*CorruptionError)) {
		t.Errorf("the log is not offline: %v, it ends at %d", l.Err(), l.LogEnd())
	}
}

// TestACutBatchIsNoDuplicate: the snapshot of the producers was written with a batch that is damaged and cut. When its
// producer sends it again it must be stored, not be taken for one that is there.
func TestACutBatchIsNoDuplicate(t *testing.T) {
	f := newLogFixture(t, DurabilityFsync, DefaultLogConfig())
	send := func(sequence int32) AppendResult {
		return mustAppend(t, f.l, makeBatch(t, batch.Options{Producer: &batch.Producer{ID: 7, Sequence: sequence}}, f.clock.ms(), "v", 1))
	}
	for i := range int32(edgePoint) {
		send(i)
	}
	f.checkpoint()
	send(edgePoint)
	f.cutTail(edgePoint)
	if res := send(edgePoint); res.Duplicate || res.BaseOffset != edgePoint || f.l.LogEnd() != edgePoint+1 {
		t.Errorf("sent again: %+v, the log ends at %d", res, f.l.LogEnd())
	}
	if res := send(edgePoint - 1); !res.Duplicate {
		t.Errorf("one that is there: %+v", res)
	}
}

// TestACutAbortIsForgotten: the transaction index was written with a marker that is damaged and cut. The transaction is
// committed then; whoever reads the index later must not hide its records.
func TestACutAbortIsForgotten(t *testing.T) {
	f := newLogFixture(t, DurabilityFsync, DefaultLogConfig())
	mustVerified(t, f.l, transactional(t, 1, 0, 0, 1))
	f.checkpoint()
	mustMark(t, f.l, Marker{ProducerID: 1})
	f.cutTail(1)
	mustMark(t, f.l, Marker{ProducerID: 1, Commit: true})
	f.roll()
	f.restart()
	res, err := f.l.Read(0, 1000, ReadOptions{Isolation: ReadCommitted})
	if err != nil || len(res.Aborted) > 0 || res.NextOffset != 2 {
		t.Errorf("%+v up to %d, %v", res.Aborted, res.NextOffset, err)
	}
}
