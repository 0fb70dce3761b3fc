package raftgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
	"testing"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/millrace/millrace/broker/raftlog"
	"github.com/millrace/millrace/internal/vfs"
)

// words is a state machine that keeps what it is told.
type words struct {
	text []string
	bad  string // what Apply refuses
}

func (w *words) Apply(entries []Entry) error {
	for _, e := range entries {
		if string(e.Data) == w.bad {
			return &EntryError{Index: e.Index, Err: errors.New("a bad word")}
		}
		w.text = append(w.text, string(e.Data))
	}
	return nil
}

func (w *words) Snapshot() ([]byte, error) { return []byte(strings.Join(w.text, " ")), nil }

func (w *words) Restore(_ uint64, data []byte) error {
	w.text = strings.Fields(string(data))
	return nil
}

func (w *words) String() string { return strings.Join(w.text, " ") }

func openGroup(fsys vfs.FS, w *words, voters ...uint64) (*Group, error) {
	c := raftlog.Config{Dir: "/log", FS: fsys}
	log, data, err := raftlog.Open(c)
	if errors.Is(err, fs.ErrNotExist) {
		log, err = raftlog.Create(c, raftlog.Base{Index: 1, Term: 1, Members: &raftpb.ConfState{Voters: voters}}, nil)
	}
	if err != nil {
		return nil, err
	}
	return Open(Config{ID: 1, Log: log, Data: data, StateMachine: w, SnapshotBytes: 1 << 20})
}

func mustOpen(t *testing.T, fsys vfs.FS, w *words, voters ...uint64) *Group {
	t.Helper()
	g, err := openGroup(fsys, w, voters...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := g.Close(); err != nil {
			t.Error(err)
		}
	})
	return g
}

// say proposes a word and returns what became of it.
func say(g *Group, word string) error {
	term, err := g.Lead()
	if err != nil {
		return err
	}
	result := errors.New("not done yet")
	if err := g.Propose(term, []byte(word), func(err error) { result = err }); err != nil {
		return err
	}
	return result
}

func newMem(t *testing.T) *vfs.Mem {
	t.Helper()
	mem := vfs.NewMem(nil)
	if err := vfs.MkdirAllDurable(mem, "/log"); err != nil {
		t.Fatal(err)
	}
	return mem
}

func TestAnOnlyVoterLeadsAtOnceAndSyncsOncePerProposal(t *testing.T) {
	mem, syncs, writes := newMem(t), 0, 0
	fsys := vfs.Observe(mem, vfs.Hooks{After: func(op vfs.Op) {
		switch op.Kind {
		case "sync":
			syncs++
		case "write":
			writes++
		}
	}})
	w := new(words)
	g := mustOpen(t, fsys, w, 1)
	if s := g.Status(); s.Leader != 1 || s.Term != 2 || s.Applied != s.Last || s.Commit != s.Last || s.Members[0] != (Member{1, true, s.Last}) {
		t.Fatalf("status after open is %+v", s)
	}
	syncs, writes = 0, 0
	for n := range 5 {
		if err := say(g, fmt.Sprint("w", n)); err != nil {
			t.Fatal(err)
		}
	}
	if syncs != 5 || writes != 5 {
		t.Errorf("5 proposals took %d writes and %d syncs", writes, syncs)
	}
	again := new(words)
	h := mustOpen(t, mem.Crash(vfs.CrashDrop, nil), again, 1)
	if again.String() != "w0 w1 w2 w3 w4" || h.Status().Term != 3 {
		t.Errorf("after a loss of power: %s, %+v", again, h.Status())
	}
}

func TestAMemberOfManyDoesNotLeadAlone(t *testing.T) {
	g := mustOpen(t, newMem(t), new(words), 1, 2, 3)
	for range 100 {
		if err := g.Tick(); err != nil {
			t.Fatal(err)
		}
	}
	if err := say(g, "w"); !errors.Is(err, ErrNotLeader) {
		t.Errorf("proposal: %v", err)
	}
}

func TestAProposalForAnotherTermIsRefused(t *testing.T) {
	w := new(words)
	g := mustOpen(t, newMem(t), w, 1)
	term, err := g.Lead()
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Propose(term-1, []byte("w"), func(error) { t.Error("done was called") }); !errors.Is(err, ErrNotLeader) {
		t.Errorf("proposal for an earlier term: %v", err)
	}
	if w.String() != "" {
		t.Errorf("applied %s", w)
	}
}

// A full disk refuses the proposal of the moment, also when it lasts: the group leads again when there is room.
func TestAFullDiskRefusesWhatItFinds(t *testing.T) {
	mem, full := newMem(t), false
	w := new(words)
	g := mustOpen(t, vfs.Observe(mem, vfs.Hooks{Before: func(op vfs.Op) error {
		if full && (op.Kind == "write" || op.Kind == "create") {
			return syscall.ENOSPC
		}
		return nil
	}}), w, 1)
	if err := say(g, "one"); err != nil {
		t.Fatal(err)
	}
	full = true
	for range 3 {
		if err := say(g, "lost"); !errors.Is(err, raftlog.ErrNoSpace) {
			t.Fatalf("on a full disk: %v", err)
		}
	}
	if err := g.Compact(); !errors.Is(err, raftlog.ErrNoSpace) {
		t.Fatalf("snapshot on a full disk: %v", err)
	}
	full = false
	if err := say(g, "two"); err != nil {
		t.Fatal(err)
	}
	again := new(words)
	mustOpen(t, mem.Crash(vfs.CrashDrop, nil), again, 1)
	if w.String() != "one two" || again.String() != "one two" {
		t.Errorf("applied %s, after a loss of power %s", w, again)
	}
}

func TestAnEntryThatMakesNoSenseIsNamed(t *testing.T) {
	mem := newMem(t)
	g := mustOpen(t, mem, new(words), 1)
	if err := say(g, "good"); err != nil {
		t.Fatal(err)
	}
	if err := say(g, "evil"); err != nil {
		t.Fatal(err)
	}
	_, err := openGroup(mem.Crash(vfs.CrashProcess, nil), &words{bad: "evil"}, 1)
	c, ok := errors.AsType[*raftlog.CorruptionError](err)
	if !ok || !strings.HasSuffix(c.File, ".log") || c.Position == 0 || !strings.Contains(c.Reason, "bad word") {
		t.Fatalf("opened with %v", err)
	}
	running := mustOpen(t, newMem(t), &words{bad: "evil"}, 1)
	if err := say(running, "evil"); !errors.Is(err, raftlog.ErrFailed) {
		t.Errorf("an entry that cannot be applied: %v", err)
	}
	if err := say(running, "good"); !errors.Is(err, raftlog.ErrFailed) {
		t.Errorf("after it: %v", err)
	}
}

func TestProposalsEndWithTheGroup(t *testing.T) {
	mem := newMem(t)
	g, err := openGroup(mem, new(words), 1)
	if err != nil {
		t.Fatal(err)
	}
	// With a second voter, who never answers, a proposal waits.
	term, err := g.Lead()
	if err != nil {
		t.Fatal(err)
	}
	added := errors.New("not done yet")
	change := &raftpb.ConfChangeV2{Changes: []*raftpb.ConfChangeSingle{{Type: raftpb.ConfChangeAddNode.Enum(), NodeId: new(uint64(2))}}}
	if err := g.ChangeMembers(term, change, func(err error) { added = err }); err != nil || added != nil {
		t.Fatal(err, added)
	}
	waits := errors.New("not done yet")
	if err := g.Propose(term, []byte("w"), func(err error) { waits = err }); err != nil || errors.Is(waits, nil) {
		t.Fatal(err, waits)
	}
	if err := g.Close(); err != nil {
		t.Fatal(err)
	}
	if !errors.Is(waits, ErrUncertain) {
		t.Errorf("the proposal ended with %v", waits)
	}
	if err := say(g, "w"); !errors.Is(err, ErrClosed) {
		t.Errorf("after close: %v", err)
	}
}

func TestChangesThatRaftCannotMakeAreRefused(t *testing.T) {
	g := mustOpen(t, newMem(t), new(words), 1)
	term, err := g.Lead()
	if err != nil {
		t.Fatal(err)
	}
	last := &raftpb.ConfChangeV2{Changes: []*raftpb.ConfChangeSingle{{Type: raftpb.ConfChangeRemoveNode.Enum(), NodeId: new(uint64(1))}}}
	if err := g.ChangeMembers(term, last, func(error) { t.Error("done was called") }); err == nil {
		t.Error("the last voter was removed")
	}
	if err := say(g, "w"); err != nil {
		t.Error(err)
	}
}
