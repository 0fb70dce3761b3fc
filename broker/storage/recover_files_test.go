package storage

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/millrace/millrace/broker/batch"
	"github.com/millrace/millrace/internal/vfs"
)

// lose removes a file of the data directory of a store that is closed.
func (f *logFixture) lose(name string) {
	f.Helper()
	if err := removeIfThere(f.disk, filepath.Join("/data", name)); err != nil {
		f.Fatal(err)
	}
}

// TestEpochsBeginAtTheLogStartAfterACrash, though the file of the epochs was not written since records were deleted.
func TestEpochsBeginAtTheLogStartAfterACrash(t *testing.T) {
	f := newLogFixture(t, DurabilityFsync, DefaultLogConfig())
	for epoch := range int32(3) {
		if err := f.l.SetLeaderEpoch(epoch); err != nil {
			t.Fatal(err)
		}
		f.add(2)
	}
	f.checkpoint()
	if _, err := f.l.DeleteRecords(3); err != nil {
		t.Fatal(err)
	}
	check := func(when string) {
		if epoch, end := f.l.EpochEndOffset(0); epoch != 0 || end != 3 {
			t.Errorf("%s: epoch %d ends at %d", when, epoch, end)
		}
		if got := []int32{f.l.EpochAt(2), f.l.EpochAt(3), f.l.EpochAt(4)}; got[0] != -1 || got[1] != 1 || got[2] != 2 {
			t.Errorf("%s: the epochs from offset 2 are %v", when, got)
		}
	}
	check("before")
	f.crash(vfs.CrashDrop)
	f.start()
	check("after")
}

// TestAGapThatCompactionHasLeftIsNoDamage, up to the cleaner checkpoint, also in the segment that is written: Apache Kafka leaves
// one when it cuts a compacted log.
func TestAGapThatCompactionHasLeftIsNoDamage(t *testing.T) {
	for cleaned, end := range map[string]int64{"4": 1, "5": 6} {
		f := newLogFixture(t, DurabilityFsync, DefaultLogConfig())
		f.add(1)
		if _, err := f.l.Append(makeBatch(t, batch.Options{BaseOffset: 5}, f.clock.ms(), "v", 1), AppendOptions{Origin: OriginReplica}); err != nil {
			t.Fatal(err)
		}
		f.flush()
		f.crash(vfs.CrashDrop)
		f.lose(fileRecoveryPoints)
		if err := vfs.WriteFile(f.disk, filepath.Join("/data", fileCleanerOffsets), []byte("0\n1\nt 0 "+cleaned+"\n")); err != nil {
			t.Fatal(err)
		}
		f.start()
		if f.l.Err() != nil || f.l.LogEnd() != end {
			t.Errorf("compacted up to %s: %v, the log ends at %d, want %d", cleaned, f.l.Err(), f.l.LogEnd(), end)
		}
	}
}

// TestWhatIsCutDoesNotComeBack: under DurabilityOS the segments after a damaged one go, and neither they nor what they
// knew of transactions are there again when other records have taken their offsets.
func TestWhatIsCutDoesNotComeBack(t *testing.T) {
	f := newLogFixture(t, DurabilityOS, DefaultLogConfig())
	f.checkpoint()
	f.add(2)
	size := f.l.SizeBytes()
	f.roll()
	mustVerified(t, f.l, transactional(t, 1, 0, 0, 1)) // 2
	mustMark(t, f.l, Marker{ProducerID: 1})
	f.checkpoint()
	f.crash(vfs.CrashProcess)
	f.lose(fileRecoveryPoints)
	overwrite(t, f.disk, f.l.list()[0].path(suffixLog), 60, []byte{0xff}) // the first batch
	f.start()
	if f.l.Err() != nil || f.l.LogEnd() != 0 || len(f.l.list()) != 1 {
		t.Fatalf("%v, the log ends at %d in %d segments", f.l.Err(), f.l.LogEnd(), len(f.l.list()))
	}
	f.add(2)
	if err := f.l.flush(); err != nil || f.l.SizeBytes() != size {
		t.Fatalf("%d bytes, there were %d; %v", f.l.SizeBytes(), size, err)
	}
	dark := f.disk.Crash(vfs.CrashDrop, nil)
	f.roll() // at 2 again
	f.add(2)
	f.restart()
	res, err := f.l.Read(2, 1000, ReadOptions{Isolation: ReadCommitted})
	if err != nil || len(res.Aborted) > 0 || res.NextOffset != 4 {
		t.Errorf("%+v up to %d, %v", res.Aborted, res.NextOffset, err)
	}
	mustClose(t, f.s)
	f.disk = dark
	f.start()
	if f.l.Err() != nil || f.l.LogEnd() != 2 {
		t.Errorf("after a loss of power: %v, the log ends at %d", f.l.Err(), f.l.LogEnd())
	}
}

// TestACleanShutdownIsOneWithoutRecoveryPoints: nothing is cut though the file is damaged that says up to where all is there.
func TestACleanShutdownIsOneWithoutRecoveryPoints(t *testing.T) {
	e := newEdgeLog(t, 0, true)
	overwrite(t, e.disk, filepath.Join("/data", fileRecoveryPoints), 0, []byte("?"))
	overwrite(t, e.disk, e.name, e.positions[edgePoint]-1, []byte{0xff})
	e.start()
	if err := e.l.Err(); !errors.Is(err, ErrOffline) || e.size() != e.positions[edgePoint] {
		t.Errorf("%v, the file has %d bytes, it had %d", err, e.size(), e.positions[edgePoint])
	}
}

// TestTheMarkerOfACleanShutdownIsGoneForGood when a store has opened: after a loss of power there is none.
func TestTheMarkerOfACleanShutdownIsGoneForGood(t *testing.T) {
	f := newLogFixture(t, DurabilityFsync, DefaultLogConfig())
	f.add(1)
	f.restart()
	if found, err := exists(f.disk.Crash(vfs.CrashDrop, nil), filepath.Join("/data", fileCleanShutdown)); found || err != nil {
		t.Errorf("the marker is there (%v)", err)
	}
}

// TestALogThatIsOfflineKeepsItsCheckpoints, all of them, for when it is in order again.
func TestALogThatIsOfflineKeepsItsCheckpoints(t *testing.T) {
	f := newCleanFixture(t, nil)
	f.put("a=1", "b=1")
	f.put("a=2")
	f.dirty("end=1")
	f.checkpoint()
	if _, err := f.l.DeleteRecords(2); err != nil {
		t.Fatal(err)
	}
	mustClose(t, f.s)
	metadata := filepath.Join(f.l.dir, filePartitionMetadata)
	content, err := vfs.ReadFile(f.disk, metadata)
	if err != nil {
		t.Fatal(err)
	}
	for _, damage := range []string{"?", ""} {
		if err := vfs.WriteFile(f.disk, metadata, []byte(damage+string(content))); err != nil {
			t.Fatal(err)
		}
		f.logFixture.start()
		if offline := f.l.Err() != nil; offline != (damage != "") {
			t.Fatal(f.l.Err())
		}
		if f.l.RecoveryPoint() != 4 || f.l.LogStart() != 2 || f.l.cleaned.Load() != 3 {
			t.Errorf("after damage %q: from %d, recovery point %d, compacted up to %d", damage, f.l.LogStart(), f.l.RecoveryPoint(), f.l.cleaned.Load())
		}
		if f.l.Err() == nil {
			break
		}
		mustCloseUnclean(t, f.s)
	}
}

// TestALogOfAnEarlierNameLeavesNothing: neither one that was deleted nor one whose directory was taken away. The next log of
// its name begins anew, also for a start after a loss of power.
func TestALogOfAnEarlierNameLeavesNothing(t *testing.T) {
	for _, how := range []string{"deleted", "taken away"} {
		f := newLogFixture(t, DurabilityFsync, DefaultLogConfig())
		f.add(5)
		f.checkpoint()
		if how == "deleted" {
			if err := f.s.DeleteLog(tp0); err != nil {
				t.Fatal(err)
			}
		} else {
			mustClose(t, f.s)
			if err := errors.Join(f.disk.RemoveAll(f.l.dir), f.disk.SyncDir("/data")); err != nil {
				t.Fatal(err)
			}
			f.s = mustOpen(t, f.config())
		}
		f.l = mustCreate(t, f.s, DefaultLogConfig())
		f.crash(vfs.CrashDrop)
		f.start()
		if f.l.Err() != nil || f.l.LogEnd() != 0 || f.l.TopicID() != [16]byte{1} {
			t.Errorf("%s: %v, the log ends at %d, topic id %x", how, f.l.Err(), f.l.LogEnd(), f.l.TopicID())
		}
	}
}

// TestADeletionIsDurable, also of a log that no checkpoint has known.
func TestADeletionIsDurable(t *testing.T) {
	f := newLogFixture(t, DurabilityFsync, DefaultLogConfig())
	for i := range 2 { // the second time no checkpoint changes with it
		if i > 0 {
			mustCreate(t, f.s, DefaultLogConfig())
		}
		if err := f.s.DeleteLog(tp0); err != nil {
			t.Fatal(err)
		}
	}
	f.crash(vfs.CrashDrop)
	f.s = mustOpen(t, f.config())
	if logs := f.s.Logs(); len(logs) != 0 {
		t.Errorf("%s is there again", logs[0].ID())
	}
}

// TestTheOrderOfACheckpoint: recovery takes a snapshot for a sign that the transactions before it are in their index, and the
// recovery point for one that everything is there.
func TestTheOrderOfACheckpoint(t *testing.T) {
	f := newLogFixture(t, DurabilityFsync, DefaultLogConfig())
	mustVerified(t, f.l, transactional(t, 1, 0, 0, 1))
	mustMark(t, f.l, Marker{ProducerID: 1})
	f.flush()
	snapshots := 0
	f.watch(func(op vfs.Op) error {
		if op.Kind == "rename" && strings.HasSuffix(op.Name, suffixSnapshot) {
			f.isDurable("before the snapshot", suffixTxnIndex, suffixIndex, suffixTimeIndex)
			if snapshots++; snapshots == 1 {
				return errors.New("disk error")
			}
		}
		return nil
	})
	if err := f.l.checkpoint(); err == nil || f.l.RecoveryPoint() != 0 {
		t.Errorf("recovery point %d after a checkpoint that failed: %v", f.l.RecoveryPoint(), err)
	}
	if err := f.l.checkpoint(); err != nil || f.l.RecoveryPoint() != 2 {
		t.Errorf("recovery point %d, %v", f.l.RecoveryPoint(), err)
	}
	f.watch(nil)
}

// TestASegmentIsOnDiskBeforeTheNext exists, so that only the last one can have a torn tail.
func TestASegmentIsOnDiskBeforeTheNext(t *testing.T) {
	f := newLogFixture(t, DurabilityFsync, DefaultLogConfig())
	f.add(1)
	f.flush()
	f.stopBackground()
	f.add(1)
	f.watch(func(op vfs.Op) error {
		if op.Kind == "create" && strings.HasSuffix(op.Name, suffixLog) {
			f.isDurable("before the next segment", suffixLog)
		}
		return nil
	})
	f.roll()
	f.watch(nil)
}
