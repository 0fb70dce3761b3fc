package raftlog

import (
	"errors"
	"math"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/millrace/millrace/internal/vfs"
)

// mustSave saves and ends the test when that fails.
func mustSave(t *testing.T, l *Log, hard *raftpb.HardState, entries ...*raftpb.Entry) {
	t.Helper()
	if err := l.Save(hard, entries); err != nil {
		t.Fatal(err)
	}
}

// appendBytes puts bytes behind the end of a file, durably.
func appendBytes(t *testing.T, mem *vfs.Mem, name string, b []byte) {
	t.Helper()
	f := must(t)(mem.OpenReadWrite(name))
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(b, info.Size()); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		t.Fatal(err)
	}
}

func sizeOf(t *testing.T, mem *vfs.Mem, name string) int64 {
	t.Helper()
	info, err := mem.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

// TestATermAloneIsDurable: a term that changes without a vote or an entry must not be
// forgotten either: a node that fell back could vote twice in it.
func TestATermAloneIsDurable(t *testing.T) {
	mem := vfs.NewMem(nil)
	l := create(t, mem)
	mustSave(t, l, hard(4, 0, 1))
	mustSave(t, l, hard(7, 0, 1))
	if again := reopen(t, mem.Crash(vfs.CrashDrop, nil)); again.hard.term != 7 {
		t.Errorf("the term is %d", again.hard.term)
	}
}

// TestACutIsDurable: what is torn is gone for good when the log is open, so that shorter
// frames that follow cannot end in the middle of it.
func TestACutIsDurable(t *testing.T) {
	mem := vfs.NewMem(nil)
	l := create(t, mem)
	mustSave(t, l, hard(2, 1, 1), entry(2, 2, "two"))
	name, end := l.file.Name(), l.end
	for _, torn := range [][]byte{
		{'M'},
		[]byte(logMagic + "\x00\x00\x00\x00\x00\x00\x00\x00"), // the header came, the rest is a hole
		[]byte(logMagic + "\x00\x00\x01\x00\x12\x34\x56\x78abc"),
	} {
		crashed := mem.Crash(vfs.CrashProcess, nil)
		appendBytes(t, crashed, name, torn)
		again := reopen(t, crashed)
		if got := sizeOf(t, crashed.Crash(vfs.CrashDrop, nil), name); again.end != end || got != end {
			t.Errorf("%q: the log ends at %d, its file after a loss of power at %d, want %d", torn, again.end, got, end)
		}
	}
}

// TestFramesThatCannotFollowAreDamage: each frame is intact by itself.
func TestFramesThatCannotFollowAreDamage(t *testing.T) {
	for what, frame := range map[string]struct {
		hard    hardState
		entries []*raftpb.Entry
	}{
		"a term that goes back":               {hardState{2, 1, 2}, nil},
		"a commit index that goes back":       {hardState{3, 1, 1}, nil},
		"a commit index beyond the log":       {hardState{3, 1, 5}, nil},
		"a commit index beyond a new entry":   {hardState{3, 1, 6}, []*raftpb.Entry{entry(5, 3, "")}},
		"an entry in place of a committed":    {hardState{3, 1, 2}, []*raftpb.Entry{entry(2, 3, "")}},
		"a gap before an entry":               {hardState{3, 1, 2}, []*raftpb.Entry{entry(6, 3, "")}},
		"a gap between entries":               {hardState{3, 1, 2}, []*raftpb.Entry{entry(5, 3, ""), entry(7, 3, "")}},
		"an entry of a term before":           {hardState{3, 1, 2}, []*raftpb.Entry{entry(5, 2, "")}},
		"an entry of a term yet to come":      {hardState{3, 1, 2}, []*raftpb.Entry{entry(5, 4, "")}},
		"an entry of a term before, in order": {hardState{4, 1, 2}, []*raftpb.Entry{entry(5, 4, ""), entry(6, 3, "")}},
	} {
		mem := vfs.NewMem(nil)
		l := create(t, mem)
		mustSave(t, l, hard(3, 1, 2), entry(2, 2, ""), entry(3, 3, ""), entry(4, 3, ""))
		b, err := encodeFrame(frame.hard, frame.entries)
		if err != nil {
			t.Fatal(err)
		}
		appendBytes(t, mem, l.file.Name(), b)
		_, _, err = Open(Config{Dir: testDir, FS: mem})
		if c, ok := errors.AsType[*CorruptionError](err); !ok || c.Position != l.end {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// TestASnapshotCommitsWhatItHolds: also where the hard state that came with it is of before.
func TestASnapshotCommitsWhatItHolds(t *testing.T) {
	for what, with := range map[string]*raftpb.HardState{"none": nil, "an older one": hard(3, 0, 2)} {
		mem := vfs.NewMem(nil)
		l := create(t, mem)
		mustSave(t, l, hard(3, 0, 2), entry(2, 2, ""))
		if err := l.Install(snapshot(9, 3, "state"), with, nil); err != nil {
			t.Fatal(err)
		}
		if again := reopen(t, mem.Crash(vfs.CrashDrop, nil)); again.hard.commit != 9 || l.hard.commit != 9 {
			t.Errorf("%s: committed is %d, after a crash %d", what, l.hard.commit, again.hard.commit)
		}
	}
}

// TestAFullDiskLeavesTheFileAsItWas: the part of the frame that was written is cut; where
// that fails too, nobody knows what the file holds.
func TestAFullDiskLeavesTheFileAsItWas(t *testing.T) {
	for _, cutFails := range []bool{false, true} {
		mem := vfs.NewMem(nil)
		l := create(t, mem)
		name, end := l.file.Name(), l.end
		l.cfg.FS = vfs.Observe(mem, vfs.Hooks{Before: func(op vfs.Op) error {
			switch {
			case op.Kind == "write":
				return &vfs.ShortWrite{N: int(op.Size / 2), Err: syscall.ENOSPC}
			case op.Kind == "truncate" && cutFails:
				return syscall.EIO
			}
			return nil
		}})
		l.file = must(t)(l.cfg.FS.OpenReadWrite(name))
		err := l.Save(hard(2, 0, 1), []*raftpb.Entry{entry(2, 2, strings.Repeat("x", 100))})
		switch {
		case cutFails && (!errors.Is(err, ErrFailed) || errors.Is(err, ErrNoSpace)):
			t.Errorf("a frame that could not be cut: %v", err)
		case !cutFails && (!errors.Is(err, ErrNoSpace) || l.Err() != nil || sizeOf(t, mem, name) != end):
			t.Errorf("a full disk: %v, then %v, and the file has %d bytes of %d", err, l.Err(), sizeOf(t, mem, name), end)
		}
	}
}

// TestAnUndoneSnapshotDoesNotComeBack: the disk is full when the name of a new snapshot is made
// durable, which it may be all the same. What the log takes afterwards must survive.
func TestAnUndoneSnapshotDoesNotComeBack(t *testing.T) {
	mem := vfs.NewMem(nil)
	l := create(t, mem)
	mustSave(t, l, hard(2, 0, 3), entry(2, 2, ""), entry(3, 2, ""))
	syncs := 0
	l.cfg.FS = vfs.Observe(mem, vfs.Hooks{Before: func(op vfs.Op) error {
		if op.Kind != "syncdir" {
			return nil
		}
		if syncs++; syncs != 2 { // that of the log, then that of the snapshot
			return nil
		}
		return errors.Join(syscall.ENOSPC, mem.SyncDir(testDir))
	}})
	if err := l.Compact(3, members(1, 2, 3), []byte("state")); !errors.Is(err, ErrNoSpace) {
		t.Fatalf("%d syncs: %v", syncs, err)
	}
	mustSave(t, l, nil, entry(4, 2, "after"))
	want := state(t, l)
	if got := state(t, reopen(t, mem.Crash(vfs.CrashDrop, nil))); got != want {
		t.Errorf("after a loss of power the log is\n%s\nwant\n%s", got, want)
	}
}

// TestEntriesAreBoundedBySize: one at least, as Raft wants it.
func TestEntriesAreBoundedBySize(t *testing.T) {
	l := create(t, vfs.NewMem(nil))
	mustSave(t, l, hard(2, 0, 1), entry(2, 2, "0123456789"), entry(3, 2, "0123456789"), entry(4, 2, "0123456789"))
	const each = entryHeaderBytes + 10
	for sizeMax, want := range map[uint64]int{0: 1, each - 1: 1, each: 1, 2*each - 1: 1, 2 * each: 2, 3*each - 1: 2, 3 * each: 3, math.MaxUint64: 3} {
		got, err := l.Entries(2, 5, sizeMax)
		if err != nil || len(got) != want {
			t.Errorf("at most %d bytes: %d entries, %v, want %d", sizeMax, len(got), err, want)
		}
	}
}

// TestFilesThatDoNotBelongTogether are told from those that a crash leaves, which go.
func TestFilesThatDoNotBelongTogether(t *testing.T) {
	mem := vfs.NewMem(nil)
	l := create(t, mem)
	mustSave(t, l, hard(2, 0, 3), entry(2, 2, ""), entry(3, 2, ""))
	if err := l.Compact(2, members(1, 2, 3), []byte("state")); err != nil {
		t.Fatal(err)
	}
	refused := func(what string, change func(*vfs.Mem) error) {
		t.Helper()
		c := mem.Crash(vfs.CrashProcess, nil)
		if err := change(c); err != nil {
			t.Fatal(err)
		}
		if _, _, err := Open(Config{Dir: testDir, FS: c}); !isCorrupt(err) {
			t.Errorf("%s: %v", what, err)
		}
	}
	refused("a log whose one frame has entries, without its snapshot", func(c *vfs.Mem) error { return c.Remove(l.path(2, snapshotSuffix)) })
	refused("a snapshot under another index", func(c *vfs.Mem) error {
		return errors.Join(c.Rename(l.path(2, snapshotSuffix), l.path(3, snapshotSuffix)), c.Rename(l.path(2, logSuffix), l.path(3, logSuffix)))
	})
	half := l.path(7, snapshotSuffix+tempSuffix)
	if err := vfs.WriteFile(mem, half, []byte("half")); err != nil {
		t.Fatal(err)
	}
	reopen(t, mem)
	if names, err := mem.ReadDir(testDir); err != nil || len(names) != 2 {
		t.Errorf("%s is there among %d files (%v)", filepath.Base(half), len(names), err)
	}
}

func isCorrupt(err error) bool {
	_, ok := errors.AsType[*CorruptionError](err)
	return ok
}
