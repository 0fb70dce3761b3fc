package raftlog

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"

	"github.com/millrace/millrace/internal/vfs"
)

const testDir = "/data/log"

func members(ids ...uint64) *raftpb.ConfState { return &raftpb.ConfState{Voters: ids} }

func hard(term, vote, commit uint64) *raftpb.HardState { return hardState{term, vote, commit}.proto() }

func entry(index, term uint64, data string) *raftpb.Entry {
	e := &raftpb.Entry{Index: new(index), Term: new(term), Type: raftpb.EntryNormal.Enum()}
	if data != "" {
		e.Data = []byte(data)
	}
	return e
}

func create(t *testing.T, fsys vfs.FS) *Log {
	t.Helper()
	l, err := Create(Config{Dir: testDir, FS: fsys}, Base{Index: 1, Term: 1, Members: members(1, 2, 3)}, []byte("first"))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func reopen(t *testing.T, fsys vfs.FS) *Log {
	t.Helper()
	l, _, err := Open(Config{Dir: testDir, FS: fsys})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// state is what a log holds, in a form that can be compared. The commit index is left out:
// it may be behind after a crash.
func state(t *testing.T, l *Log) string {
	t.Helper()
	h, _, err := l.InitialState()
	if err != nil {
		t.Fatal(err)
	}
	s, err := l.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "term %d vote %d snapshot %d/%d %v %q", h.GetTerm(), h.GetVote(), l.base.Index, l.base.Term, l.base.Members.GetVoters(), s.GetData())
	for _, e := range l.entries {
		fmt.Fprintf(&b, " %d/%d/%d=%q", e.GetIndex(), e.GetTerm(), e.GetType(), e.GetData())
	}
	return b.String()
}

func TestALogOpensAsItWasSaved(t *testing.T) {
	mem := vfs.NewMem(nil)
	l := create(t, mem)
	change := entry(4, 2, "change")
	change.Type = raftpb.EntryConfChangeV2.Enum()
	for _, step := range []func() error{
		func() error { return l.Save(hard(2, 3, 1), []*raftpb.Entry{entry(2, 1, ""), entry(3, 2, "a")}) },
		func() error { return l.Save(nil, []*raftpb.Entry{change, entry(5, 2, "lost")}) },
		func() error { return l.Save(hard(5, 2, 4), []*raftpb.Entry{entry(5, 5, "kept")}) },
		func() error { return l.Save(hard(6, 0, 4), nil) },
		func() error { return l.Save(hard(6, 1, 4), nil) }, // a vote in a term that is known already
	} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	want := `term 6 vote 1 snapshot 1/1 [1 2 3] "first" 2/1/0="" 3/2/0="a" 4/2/2="change" 5/5/0="kept"`
	if got := state(t, l); got != want {
		t.Errorf("log is\n%s\nwant\n%s", got, want)
	}
	again := reopen(t, mem.Crash(vfs.CrashDrop, nil))
	if got := state(t, again); got != want || again.hard.commit != 4 {
		t.Errorf("opened again it is\n%s, commit %d", got, again.hard.commit)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := l.Save(nil, []*raftpb.Entry{entry(6, 6, "")}); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("save after close: %v", err)
	}
}

func TestADirectoryWithoutALogIsToldApart(t *testing.T) {
	mem := vfs.NewMem(nil)
	if err := mem.MkdirAll(testDir); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Open(Config{Dir: testDir, FS: mem}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an empty directory: %v", err)
	}
	l := create(t, mem)
	if err := l.Save(hard(2, 1, 1), []*raftpb.Entry{entry(2, 2, "x")}); err != nil {
		t.Fatal(err)
	}
	for _, suffix := range []string{logSuffix, snapshotSuffix} {
		damaged := mem.Crash(vfs.CrashProcess, nil)
		if err := damaged.Remove(l.path(1, suffix)); err != nil {
			t.Fatal(err)
		}
		_, _, err := Open(Config{Dir: testDir, FS: damaged})
		if c, ok := errors.AsType[*CorruptionError](err); !ok || !strings.Contains(c.Reason, "missing") {
			t.Errorf("without its %s: %v", suffix, err)
		}
	}
}

// TestALogIsAStorageOfRaft compares with the storage in memory that Raft comes with.
func TestALogIsAStorageOfRaft(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	mem := vfs.NewMem(nil)
	l := create(t, mem)
	model := raft.NewMemoryStorage()
	if err := model.ApplySnapshot(snapshot(1, 1, "first")); err != nil {
		t.Fatal(err)
	}
	term := uint64(1)
	for range 1500 {
		first, last := l.base.Index+1, l.Last()
		switch random.IntN(10) {
		case 0:
			if at := first + uint64(random.IntN(5)); at <= last {
				data := fmt.Sprint("state ", at)
				if _, err := model.CreateSnapshot(at, members(1, 2, 3), []byte(data)); err != nil {
					t.Fatal(err)
				}
				if err := errors.Join(l.Compact(at, members(1, 2, 3), []byte(data)), model.Compact(at)); err != nil {
					t.Fatal(err)
				}
			}
		case 1:
			term++
			s := snapshot(last+uint64(1+random.IntN(3)), term, "installed")
			if err := errors.Join(l.Install(s, hard(term, 0, s.GetMetadata().GetIndex()), nil), model.ApplySnapshot(s)); err != nil {
				t.Fatal(err)
			}
		case 2:
			l = reopen(t, mem)
		default:
			term += uint64(random.IntN(2))
			from := max(first, l.hard.commit+1) + uint64(random.IntN(3))
			entries := entriesFrom(random, min(from, last+1), term)
			if err := errors.Join(l.Save(hard(term, 1, l.hard.commit), entries), model.Append(entries)); err != nil {
				t.Fatal(err)
			}
		}
		same(t, random, l, model)
	}
}

func snapshot(index, term uint64, data string) *raftpb.Snapshot {
	return &raftpb.Snapshot{Data: []byte(data), Metadata: &raftpb.SnapshotMetadata{Index: new(index), Term: new(term), ConfState: members(1, 2, 3)}}
}

func entriesFrom(random *rand.Rand, from, term uint64) []*raftpb.Entry {
	var entries []*raftpb.Entry
	for i := range uint64(1 + random.IntN(4)) {
		entries = append(entries, entry(from+i, term, strings.Repeat("x", random.IntN(50))))
	}
	return entries
}

func same(t *testing.T, random *rand.Rand, l *Log, model *raft.MemoryStorage) {
	t.Helper()
	first, _ := model.FirstIndex()
	last, _ := model.LastIndex()
	if gotFirst, _ := l.FirstIndex(); gotFirst != first || l.Last() != last {
		t.Fatalf("entries %d to %d, want %d to %d", gotFirst, l.Last(), first, last)
	}
	for i := first - min(first, 2); i <= last+1; i++ {
		got, err := l.Term(i)
		want, wantErr := model.Term(i)
		if got != want || !errors.Is(err, wantErr) {
			t.Fatalf("term of %d is %d, %v, want %d, %v", i, got, err, want, wantErr)
		}
	}
	s, err := l.Snapshot()
	want, wantErr := model.Snapshot()
	if err != nil || wantErr != nil || s.GetMetadata().GetIndex() != want.GetMetadata().GetIndex() || !bytes.Equal(s.GetData(), want.GetData()) {
		t.Fatalf("snapshot %v, %v, want %v", s, err, want)
	}
	if last < first {
		return
	}
	lo := first + uint64(random.IntN(int(last-first+1)))
	limit := []uint64{0, 60, math.MaxUint64}[random.IntN(3)]
	entries, err := l.Entries(lo, last+1, limit)
	all, wantErr := model.Entries(lo, last+1, math.MaxUint64)
	if err != nil || wantErr != nil || len(entries) == 0 || limit == math.MaxUint64 && len(entries) != len(all) {
		t.Fatalf("%d entries, %v, want %d, %v", len(entries), err, len(all), wantErr)
	}
	for i, e := range entries {
		if e.String() != all[i].String() {
			t.Fatalf("entry %s, want %s", e, all[i])
		}
	}
	if _, err := l.Entries(first-1, last+1, limit); !errors.Is(err, raft.ErrCompacted) {
		t.Fatalf("entries from before the log: %v", err)
	}
	if _, err := l.Entries(first, last+2, limit); !errors.Is(err, raft.ErrUnavailable) {
		t.Fatalf("entries behind the log: %v", err)
	}
}

// script does all that changes a log; done is called with the state after each step.
func script(t *testing.T, l *Log, done func(string)) error {
	for _, step := range []func() error{
		func() error { return l.Save(hard(2, 1, 1), nil) },
		func() error {
			return l.Save(nil, []*raftpb.Entry{entry(2, 2, ""), entry(3, 2, strings.Repeat("a", 600))})
		},
		func() error { return l.Save(nil, []*raftpb.Entry{entry(4, 2, strings.Repeat("b", 900))}) },
		func() error { return l.Save(hard(3, 2, 2), []*raftpb.Entry{entry(3, 3, "overwritten")}) },
		func() error { return l.Compact(2, members(1, 2), []byte("second")) },
		func() error { return l.Save(hard(4, 3, 3), []*raftpb.Entry{entry(4, 4, "c"), entry(5, 4, "d")}) },
		func() error {
			return l.Install(snapshot(9, 4, "third"), hard(5, 0, 9), []*raftpb.Entry{entry(10, 5, "e")})
		},
		func() error { return l.Save(hard(5, 1, 9), nil) },
	} {
		if err := step(); err != nil {
			return err
		}
		done(state(t, l))
	}
	return nil
}

// TestNothingSavedIsLostByACrashAtAnyPoint stops the power at every change of the file
// system, in all ways that unsynced data may be lost.
func TestNothingSavedIsLostByACrashAtAnyPoint(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 8))
	for stopAt := 1; ; stopAt++ {
		mem := vfs.NewMem(nil)
		l := create(t, mem)
		saved, next, changes := state(t, l), "", 0
		var crashed []*vfs.Mem
		was := ""
		l.cfg.FS = vfs.Observe(mem, vfs.Hooks{After: func(op vfs.Op) {
			if !op.Changes() {
				return
			}
			if changes++; changes != stopAt {
				return
			}
			was = saved
			for range 5 {
				for _, mode := range []vfs.CrashMode{vfs.CrashProcess, vfs.CrashDrop, vfs.CrashPrefix, vfs.CrashHoles} {
					crashed = append(crashed, mem.Crash(mode, random))
				}
			}
		}})
		l.file = must(t)(l.cfg.FS.OpenReadWrite(l.file.Name()))
		if err := script(t, l, func(s string) {
			if saved = s; next == "" && len(crashed) > 0 {
				next = s // what was being saved at the crash
			}
		}); err != nil {
			t.Fatal(err)
		}
		if len(crashed) == 0 {
			if stopAt < 30 {
				t.Fatalf("only %d changes", stopAt)
			}
			return
		}
		for i, c := range crashed {
			if got := state(t, reopen(t, c)); got != was && got != next {
				t.Fatalf("change %d, crash %d: log is\n%s\nsaved was\n%s\nbeing saved\n%s", stopAt, i, got, was, next)
			}
		}
	}
}

func must(t *testing.T) func(vfs.File, error) vfs.File {
	return func(f vfs.File, err error) vfs.File {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
}

// TestAFailureAtAnyPoint fails each change in turn. For want of space the log goes on as if the call
// had not been made; after anything else it takes nothing more. What was saved is there in any case.
func TestAFailureAtAnyPoint(t *testing.T) {
	clean := create(t, vfs.NewMem(nil))
	states := []string{state(t, clean)}
	if err := script(t, clean, func(s string) { states = append(states, s) }); err != nil {
		t.Fatal(err)
	}
	for _, failure := range []error{syscall.ENOSPC, errors.New("input/output error")} {
		for failAt := 1; ; failAt++ {
			mem := vfs.NewMem(nil)
			l := create(t, mem)
			saved, changes, failed := state(t, l), 0, ""
			l.cfg.FS = vfs.Observe(mem, vfs.Hooks{Before: func(op vfs.Op) error {
				if !op.Changes() {
					return nil
				}
				if changes++; changes != failAt {
					return nil
				}
				failed = op.Kind
				if op.Kind == "write" {
					return &vfs.ShortWrite{N: int(op.Size / 2), Err: failure}
				}
				return failure
			}})
			l.file = must(t)(l.cfg.FS.OpenReadWrite(l.file.Name()))
			err := script(t, l, func(s string) { saved = s })
			if err == nil && failed == "" {
				break
			}
			checkFailure(t, l, failure, err, fmt.Sprintf("%v at %s %d", failure, failed, failAt))
			if errors.Is(err, ErrNoSpace) {
				if got := state(t, l); got != saved {
					t.Fatalf("failure %d: log is\n%s\nwas\n%s", failAt, got, saved)
				}
				if err := l.Save(hard(9, 9, l.hard.commit), nil); err != nil {
					t.Fatalf("failure %d: the log does not go on: %v", failAt, err)
				}
				saved = state(t, l)
			}
			got := state(t, reopen(t, mem.Crash(vfs.CrashDrop, nil)))
			next := min(slices.Index(states, saved)+1, len(states)-1) // perhaps it came through after all
			if got != saved && (errors.Is(err, ErrNoSpace) || got != states[next]) {
				t.Fatalf("failure %d: after a loss of power the log is\n%s\nsaved was\n%s", failAt, got, saved)
			}
		}
	}
}

func checkFailure(t *testing.T, l *Log, failure, err error, what string) {
	t.Helper()
	switch {
	case !errors.Is(err, failure):
		t.Fatalf("%s: %v", what, err)
	case errors.Is(err, ErrNoSpace):
		if !errors.Is(failure, syscall.ENOSPC) || l.Err() != nil {
			t.Fatalf("%s: %v, %v", what, err, l.Err())
		}
	case !errors.Is(err, ErrFailed) || !errors.Is(l.Save(hard(9, 9, 9), nil), ErrFailed):
		t.Fatalf("%s: %v, and the log goes on", what, err)
	}
}

func TestATornFrameIsCutAndDamageIsNot(t *testing.T) {
	mem := vfs.NewMem(nil)
	l := create(t, mem)
	first := l.end
	if err := l.Save(hard(2, 1, 1), []*raftpb.Entry{entry(2, 2, "two")}); err != nil {
		t.Fatal(err)
	}
	want, second := state(t, l), l.end
	if err := l.Save(nil, []*raftpb.Entry{entry(3, 2, "three")}); err != nil {
		t.Fatal(err)
	}
	name := l.file.Name()
	change := func(edit func(f vfs.File) error) *vfs.Mem {
		c := mem.Crash(vfs.CrashProcess, nil)
		f := must(t)(c.OpenReadWrite(name))
		if err := errors.Join(edit(f), f.Close()); err != nil {
			t.Fatal(err)
		}
		return c
	}
	for cut := second + 1; cut < l.end; cut++ {
		c := change(func(f vfs.File) error { return f.Truncate(cut) })
		var lines bytes.Buffer
		again, _, err := Open(Config{Dir: testDir, FS: c, Logger: slog.New(slog.NewTextHandler(&lines, nil))})
		if err != nil {
			t.Fatal(err)
		}
		if got := state(t, again); got != want || !strings.Contains(lines.String(), "torn end of the raft log cut") {
			t.Fatalf("cut at %d: %s\n%s", cut, got, &lines)
		}
	}
	for at := range second {
		c := change(func(f vfs.File) error {
			b := make([]byte, 1)
			if _, err := f.ReadAt(b, at); err != nil {
				return err
			}
			_, err := f.WriteAt([]byte{b[0] ^ 0x10}, at)
			return err
		})
		_, _, err := Open(Config{Dir: testDir, FS: c})
		position := int64(0)
		if at >= first {
			position = first
		}
		if e, ok := errors.AsType[*CorruptionError](err); !ok || e.File != name || e.Position != position {
			t.Fatalf("damage at %d: %v", at, err)
		}
	}
	c := change(func(f vfs.File) error { return f.Truncate(first - 1) })
	if _, _, err := Open(Config{Dir: testDir, FS: c}); err == nil {
		t.Error("a log without its first frame was opened")
	}
}

// FuzzOpen opens files with any content under a checksum that fits: it is refused or makes sense to Raft.
func FuzzOpen(f *testing.F) {
	frame, err := encodeFrame(hardState{2, 1, 2}, []*raftpb.Entry{entry(2, 2, "a"), entry(3, 2, "b")})
	if err != nil {
		f.Fatal(err)
	}
	snapshot, err := encodeSnapshot(Base{Index: 1, Term: 1, Members: members(1, 2)}, []byte("data"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(frame[frameHeaderBytes:], snapshot[frameHeaderBytes:], []byte(nil))
	f.Add(frame[frameHeaderBytes:], snapshot[frameHeaderBytes:], frame)
	f.Fuzz(func(t *testing.T, log, snapshot, tail []byte) {
		mem := vfs.NewMem(nil)
		if err := mem.MkdirAll(testDir); err != nil {
			t.Fatal(err)
		}
		for suffix, payload := range map[string][]byte{logSuffix: log, snapshotSuffix: snapshot} {
			magic, rest := logMagic, tail
			if suffix == snapshotSuffix {
				magic, rest = snapshotMagic, nil
			}
			b, err := sealFrame(append(newFrame(magic, len(payload)), payload...))
			if err != nil {
				t.Skip()
			}
			if err := vfs.WriteFile(mem, filepath.Join(testDir, fileName(1, suffix)), append(b, rest...)); err != nil {
				t.Fatal(err)
			}
		}
		l, _, err := Open(Config{Dir: testDir, FS: mem})
		if err != nil {
			return
		}
		if _, err := raft.NewRawNode(&raft.Config{
			ID: 1, Storage: l, ElectionTick: 10, HeartbeatTick: 1, MaxInflightMsgs: 1, MaxSizePerMsg: 1, Logger: &raft.DefaultLogger{Logger: slog.NewLogLogger(slog.DiscardHandler, 0)},
		}); err != nil {
			t.Fatal(err)
		}
	})
}
