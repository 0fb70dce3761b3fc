package storage

import (
	"path/filepath"
	"testing"

	"github.com/millrace/millrace/broker/batch"
	"github.com/millrace/millrace/internal/vfs"
)

func (f *logFixture) truncate(to int64) {
	f.Helper()
	if end, err := f.l.TruncateTo(to); err != nil || end != to {
		f.Fatalf("truncated to %d: the log ends at %d, %v", to, end, err)
	}
}

// TestATruncationBelowTheRecoveryPointTakesItBack: it is durable first, so that a loss of power misses nothing.
func TestATruncationBelowTheRecoveryPointTakesItBack(t *testing.T) {
	f := newLogFixture(t, DurabilityFsync, DefaultLogConfig())
	f.add(5)
	f.checkpoint()
	f.truncate(3)
	if got := f.l.RecoveryPoint(); got != 3 {
		t.Errorf("the recovery point is %d", got)
	}
	f.crash(vfs.CrashDrop)
	f.start()
	if f.l.Err() != nil || f.l.LogEnd() != 3 {
		t.Errorf("%v, the log ends at %d", f.l.Err(), f.l.LogEnd())
	}
}

// TestATruncationTakesProducersBack: the snapshot of a roll that was not written yet knows batches that are cut.
func TestATruncationTakesProducersBack(t *testing.T) {
	f := newLogFixture(t, DurabilityFsync, DefaultLogConfig())
	send := func(sequence int32) AppendResult {
		return mustAppend(t, f.l, makeBatch(t, batch.Options{Producer: &batch.Producer{ID: 7, Sequence: sequence}}, f.clock.ms(), "v", 1))
	}
	for i := range int32(5) {
		send(i)
	}
	f.roll() // at 5
	f.truncate(4)
	f.checkpoint()
	f.add(1)
	f.flush()
	f.crash(vfs.CrashProcess)
	f.start()
	if res := send(4); res.Duplicate || res.BaseOffset != 5 {
		t.Errorf("a batch that was cut, sent again: %+v", res)
	}
}

// TestATruncationForgetsAborts: the marker of an abort is cut, whose entry is in the file; then the transaction is committed.
func TestATruncationForgetsAborts(t *testing.T) {
	f := newLogFixture(t, DurabilityFsync, DefaultLogConfig())
	mustVerified(t, f.l, transactional(t, 1, 0, 0, 1))
	mustMark(t, f.l, Marker{ProducerID: 1})
	f.checkpoint()
	f.truncate(1)
	mustMark(t, f.l, Marker{ProducerID: 1, Commit: true})
	f.roll()
	f.restart()
	if res, err := f.l.Read(0, 1000, ReadOptions{Isolation: ReadCommitted}); err != nil || len(res.Aborted) > 0 || res.NextOffset != 2 {
		t.Errorf("%+v up to %d, %v", res.Aborted, res.NextOffset, err)
	}
}

// TestAMarkerAboveTheHighWatermarkDecidesNothingAfterATruncation: the marker at the high watermark is in the log but no reader
// may know of it yet.
func TestAMarkerAboveTheHighWatermarkDecidesNothingAfterATruncation(t *testing.T) {
	f := newLogFixture(t, DurabilityFsync, DefaultLogConfig())
	mustVerified(t, f.l, transactional(t, 1, 0, 0, 1))
	f.flush()
	f.stopBackground()
	mustMark(t, f.l, Marker{ProducerID: 1, Commit: true})
	f.add(1)
	f.truncate(2)
	for _, want := range []struct{ hw, stable int64 }{{1, 0}, {2, 2}} {
		if hw, stable := f.l.HighWatermark(), f.l.LastStableOffset(); hw != want.hw || stable != want.stable {
			t.Errorf("high watermark %d, last stable offset %d, want %d, %d", hw, stable, want.hw, want.stable)
		}
		if err := f.l.flush(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestATruncatedTailIsNotRead: what is kept in memory of the newest batches goes with them.
func TestATruncatedTailIsNotRead(t *testing.T) {
	clock := newTestClock()
	cfg := testConfig(vfs.NewMem(clock.Now), clock)
	cfg.TailBytesMax = 1 << 20
	s := mustOpen(t, cfg)
	defer mustClose(t, s)
	l := mustCreate(t, s, DefaultLogConfig())
	l.tail.follow(clock.ms())
	put := func(value string) {
		mustFlush(t, l, mustAppend(t, l, makeBatch(t, batch.Options{}, clock.ms(), value, 1)).LastOffset)
	}
	put("kept")
	put("cut")
	if end, err := l.TruncateTo(1); err != nil || end != 1 {
		t.Fatal(end, err)
	}
	put("instead")
	if records := readAll(t, l, 0, 1000); len(records) != 2 || string(records[1].Value) != "instead-0" {
		t.Errorf("the records are %s", describe(records))
	}
}

// TestATruncationAtTheEndTrimsTheEpochs (KAFKA-10706): of an epoch whose records are all deleted nothing is left to agree on.
func TestATruncationAtTheEndTrimsTheEpochs(t *testing.T) {
	f := newLogFixture(t, DurabilityFsync, DefaultLogConfig())
	f.add(3)
	f.flush()
	if start, err := f.l.DeleteRecords(-1); err != nil || start != 3 {
		t.Fatal(start, err)
	}
	if epoch, end := f.l.EpochEndOffset(0); epoch != 0 || end != 3 {
		t.Fatalf("epoch %d ends at %d", epoch, end)
	}
	f.truncate(3)
	if epoch, end := f.l.EpochEndOffset(0); epoch != -1 || end != -1 {
		t.Errorf("epoch %d ends at %d", epoch, end)
	}
	f.isDurable("after the truncation", filepath.Ext(fileEpochs))
}

// TestATruncatedLogHasNoProblems for who checks its files beside the broker, before any checkpoint.
func TestATruncatedLogHasNoProblems(t *testing.T) {
	f := newLogFixture(t, DurabilityFsync, everyBatch())
	f.add(5)
	f.checkpoint()
	f.truncate(2)
	if check, err := CheckLog(f.disk, f.l.dir); err != nil || len(check.Problems) > 0 || check.End != 2 {
		t.Errorf("the log ends at %d, %v, %+v", check.End, err, check.Problems)
	}
}
