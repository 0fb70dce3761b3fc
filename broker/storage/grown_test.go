package storage

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/millrace/millrace/broker/batch"
	"github.com/millrace/millrace/internal/vfs"
)

// Topics that come and go leave nothing behind: a log that is deleted, or offline, before its turn at a
// checkpoint has come does not wait for it, and its bytes do not press the others.
func TestLogsThatAreGoneWaitForNoCheckpoint(t *testing.T) {
	clock := newTestClock()
	s := mustOpen(t, testConfig(vfs.NewMem(clock.Now), clock))
	defer mustClose(t, s)
	logs, err := s.CreateLogs(specs(3), smallConfig())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.checkpointDue(); err != nil {
		t.Fatal(err)
	}
	for _, l := range logs {
		res := mustAppend(t, l, makeBatch(t, batch.Options{}, clock.ms(), "a", 1))
		mustFlush(t, l, res.LastOffset)
	}
	if err := s.DeleteLog(logs[0].id); err != nil {
		t.Fatal(err)
	}
	if err := logs[1].fail(errors.New("as if a read had failed")); !errors.Is(err, ErrOffline) {
		t.Fatal(err)
	}
	if err := s.checkpointDue(); err != nil {
		t.Fatal(err)
	}
	if len(s.grown.queue) != 1 || s.grown.queue[0] != logs[2] {
		t.Errorf("%d logs wait for a checkpoint, only the one that is in use should", len(s.grown.queue))
	}
	if got, want := s.grown.bytes.Load(), logs[2].bytesSinceCheckpoint.Load(); got != want {
		t.Errorf("%d bytes are to be checkpointed, %d of the log that is in use", got, want)
	}
}

// A full segment does not wait for the next look: nothing of it is read again at a start after a crash.
func TestAFullSegmentIsCheckpointedAtOnce(t *testing.T) {
	clock := newTestClock()
	written := make(chan struct{}, 1)
	fsys := vfs.Observe(vfs.NewMem(clock.Now), vfs.Hooks{After: func(op vfs.Op) {
		if op.Kind == "rename" && filepath.Base(op.Name) == fileRecoveryPoints {
			select {
			case written <- struct{}{}:
			default:
			}
		}
	}})
	scfg := testConfig(fsys, clock)
	scfg.CheckpointInterval = time.Hour
	s := mustOpen(t, scfg)
	defer mustClose(t, s)
	l := mustCreate(t, s, smallConfig())
	for len(l.list()) == 1 {
		mustAppend(t, l, makeBatch(t, batch.Options{}, clock.ms(), "a", 1))
	}
	full := l.list()[1].base
	for l.RecoveryPoint() < full {
		select {
		case <-written:
		case <-time.After(time.Minute):
			t.Fatalf("the recovery point is %d, the full segment ends at %d", l.RecoveryPoint(), full)
		}
	}
}
