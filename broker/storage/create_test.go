package storage

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/millrace/millrace/broker/batch"
	"github.com/millrace/millrace/internal/vfs"
)

func specs(n int) []LogSpec {
	out := make([]LogSpec, n)
	for i := range out {
		out[i] = LogSpec{ID: TopicPartition{Topic: "many", Partition: int32(i)}, TopicID: [16]byte{7}}
	}
	return out
}

func idsOf(specs []LogSpec) []TopicPartition {
	out := make([]TopicPartition, len(specs))
	for i := range specs {
		out[i] = specs[i].ID
	}
	return out
}

// Logs are made and deleted together, with one sync of the data directory,
// and a loss of power at any change leaves a directory that opens: what was
// reported is there (or gone), what was not is whole or not there.
func TestLogsAreCreatedAndDeletedTogetherOverACrash(t *testing.T) {
	clock := newTestClock()
	const n = 6
	for _, mode := range []vfs.CrashMode{vfs.CrashProcess, vfs.CrashDrop, vfs.CrashPrefix, vfs.CrashHoles} {
		crashAt := 0
		for done := false; !done; crashAt++ {
			mem := vfs.NewMem(clock.Now)
			var mu sync.Mutex
			var crashed *vfs.Mem
			var created, deleted, wasCreated, wasDeleted bool
			changes, rootSyncs := 0, 0
			random := rand.New(rand.NewPCG(uint64(crashAt), uint64(mode)))
			fsys := vfs.Observe(mem, vfs.Hooks{After: func(op vfs.Op) {
				mu.Lock()
				defer mu.Unlock()
				if op.Kind == "syncdir" && op.Name == "/data" {
					rootSyncs++
				}
				if !op.Changes() {
					return
				}
				if changes == crashAt {
					crashed, wasCreated, wasDeleted = mem.Crash(mode, random), created, deleted
				}
				changes++
			}})
			s := mustOpen(t, testConfig(fsys, clock))
			changes, rootSyncs = 0, 0
			logs, err := s.CreateLogs(specs(n), smallConfig())
			if err != nil {
				t.Fatal(err)
			}
			if rootSyncs != 1 {
				t.Fatalf("%d syncs of the data directory for %d logs", rootSyncs, n)
			}
			mu.Lock()
			created = true
			mu.Unlock()
			mustAppend(t, logs[n-1], makeBatch(t, batch.Options{}, clock.ms(), "a", 1))
			mustFlush(t, logs[n-1], 0)
			rootSyncs = 0
			if err := s.DeleteLogs(idsOf(specs(n))[:n-1]); err != nil {
				t.Fatal(err)
			}
			mu.Lock()
			deleted = true
			mu.Unlock()
			mustClose(t, s)
			if done = crashed == nil; done {
				continue
			}
			checkCrashed(t, crashed, clock, fmt.Sprintf("mode %d, change %d", mode, crashAt), n, wasCreated, wasDeleted)
		}
	}
}

func checkCrashed(t *testing.T, fsys vfs.FS, clock *testClock, at string, n int, created, deleted bool) {
	t.Helper()
	s := mustOpen(t, testConfig(fsys, clock))
	defer mustClose(t, s)
	for _, l := range s.Logs() {
		if l.Err() != nil {
			t.Errorf("%s: %s is offline: %v", at, l.ID(), l.Err())
		}
	}
	found := len(s.Logs())
	switch {
	case deleted && found != 1:
		t.Errorf("%s: %d logs, all but one were deleted", at, found)
	case created && !deleted && found == 0:
		t.Errorf("%s: no log is left", at)
	}
	// Whatever was left half done, the same logs can be had again.
	if _, err := s.CreateLogs(specs(n), smallConfig()); err != nil {
		t.Errorf("%s: create again: %v", at, err)
	}
}

// A log of an earlier name that fails does not keep the others from being made.
func TestLogsThatFailDoNotKeepOthersFromBeingMade(t *testing.T) {
	clock := newTestClock()
	s := mustOpen(t, testConfig(vfs.NewMem(clock.Now), clock))
	defer mustClose(t, s)
	if _, err := s.CreateLog(TopicPartition{Topic: "many", Partition: 1}, [16]byte{8}, smallConfig(), 0); err != nil {
		t.Fatal(err)
	}
	wanted := append(specs(3), LogSpec{ID: TopicPartition{Topic: "many", Partition: 2}, TopicID: [16]byte{7}}, LogSpec{ID: TopicPartition{Topic: "a/b"}})
	logs, err := s.CreateLogs(wanted, smallConfig())
	if err == nil || logs[0] == nil || logs[1] != nil || logs[2] == nil || logs[3] != nil || logs[4] != nil {
		t.Fatalf("%v: %v", logs, err)
	}
}

// What is done for a checkpoint does not grow with the logs that are idle.
func TestIdleLogsCostNothingAtACheckpoint(t *testing.T) {
	clock := newTestClock()
	var mu sync.Mutex
	ops := 0
	fsys := vfs.Observe(vfs.NewMem(clock.Now), vfs.Hooks{After: func(vfs.Op) { mu.Lock(); ops++; mu.Unlock() }})
	s := mustOpen(t, testConfig(fsys, clock))
	defer mustClose(t, s)
	logs, err := s.CreateLogs(specs(200), smallConfig())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.checkpointDue(); err != nil {
		t.Fatal(err)
	}
	ops = 0
	if err := s.checkpointDue(); err != nil || ops != 0 {
		t.Fatalf("%d calls of the file system for idle logs: %v", ops, err)
	}
	res := mustAppend(t, logs[3], makeBatch(t, batch.Options{}, clock.ms(), "a", 1))
	mustFlush(t, logs[3], res.LastOffset)
	clock.advance(2 * checkpointAge)
	if err := s.checkpointDue(); err != nil {
		t.Fatal(err)
	}
	if logs[3].RecoveryPoint() != 1 {
		t.Errorf("recovery point %d of the log that was written", logs[3].RecoveryPoint())
	}
	if ops == 0 || ops > 60 {
		t.Errorf("%d calls of the file system for one log of 200", ops)
	}
	if s.grown.bytes.Load() != 0 || len(s.grown.queue) != 0 {
		t.Errorf("%d bytes and %d logs are still to be checkpointed", s.grown.bytes.Load(), len(s.grown.queue))
	}
}
