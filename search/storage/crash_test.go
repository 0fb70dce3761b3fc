package storage

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/millrace/millrace/internal/vfs"
	"github.com/millrace/millrace/search/apierror"
	"github.com/millrace/millrace/search/mapping"
)

// model is what the documents of an index must be.
type model struct {
	// acked is what was answered: it must be there after a crash.
	acked map[string]string
	// maybe is what was written after the last answer: it may be there.
	maybe map[string][]string // "" is: not there
}

func (m *model) write(id, source string) {
	m.maybe[id] = append(m.maybe[id], source)
}

func (m *model) ack() {
	for id, versions := range m.maybe {
		m.acked[id] = versions[len(versions)-1]
	}
	clear(m.maybe)
}

// contents reads all live documents of an index.
func contents(t *testing.T, ix *Index) map[string]string {
	t.Helper()
	ix.Refresh()
	snap, err := ix.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Release()
	found := map[string]string{}
	for _, b := range snap.Blocks {
		var rows []int
		for row := range b.Live().Rows {
			rows = append(rows, row)
		}
		err := b.Fetch(rows, func(_ int, d Document) error {
			if _, twice := found[d.ID]; twice {
				t.Errorf("document %s is there twice", d.ID)
			}
			found[d.ID] = string(d.Source)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return found
}

// check compares what a store holds after a crash with the model.
func (m *model) check(t *testing.T, found map[string]string) {
	t.Helper()
	for id, want := range m.acked {
		got, there := found[id]
		if (there && got == want) || (!there && want == "") {
			continue
		}
		allowed := false
		for _, version := range m.maybe[id] {
			allowed = allowed || there && got == version || !there && version == ""
		}
		if !allowed {
			t.Errorf("document %s is %q (%v) after the crash, acknowledged as %q", id, got, there, want)
		}
	}
	for id, got := range found {
		if _, known := m.acked[id]; known {
			continue
		}
		allowed := false
		for _, version := range m.maybe[id] {
			allowed = allowed || got == version
		}
		if !allowed {
			t.Errorf("document %s is %q after the crash and was never written so", id, got)
		}
	}
}

// workload writes, replaces and deletes documents, flushes and merges.
func workload(t *testing.T, s *Store, m *model, random *rand.Rand, steps int) error {
	ix := s.Index("logs")
	if ix == nil {
		var err error
		if ix, err = s.CreateIndex("logs", mapping.Empty(), nil); err != nil {
			return err
		}
	}
	var p mapping.Parser
	for step := range steps {
		for range 1 + random.IntN(4) {
			id := fmt.Sprintf("f%d:%d", random.IntN(3), random.IntN(40))
			if random.IntN(4) == 0 {
				id = fmt.Sprintf("other-%dx", random.IntN(20))
			}
			source := fmt.Sprintf(`{"n":%d,"m":"step %d","f%d":true}`, step, random.IntN(100), random.IntN(6))
			if err := mutate(ix, &p, m, random, id, source); err != nil {
				return err
			}
		}
		switch random.IntN(4) {
		case 0:
			if err := ix.Flush(); err != nil {
				return err
			}
			s.releaseLog()
		case 1:
			if _, err := ix.Merge(t.Context()); err != nil {
				return err
			}
		}
		if err := s.Sync(s.End()); err != nil {
			return err
		}
		m.ack()
	}
	return nil
}

func mutate(ix *Index, p *mapping.Parser, m *model, random *rand.Rand, id, source string) error {
	switch random.IntN(5) {
	case 0:
		m.write(id, "")
		_, err := ix.Delete(id)
		return err
	case 1, 2:
		before := m.maybe[id]
		m.write(id, source)
		_, err := ix.Put(p, id, []byte(source), true)
		if e, known := apierror.From(err); known && e.Status == 409 {
			if m.maybe[id] = before; before == nil {
				delete(m.maybe, id)
			}
			return nil
		}
		return err
	default:
		m.write(id, source)
		_, err := ix.Put(p, id, []byte(source), false)
		return err
	}
}

var errInjected = errors.New("injected")

// TestCrashAtEveryChange stops the file system at every call that changes it, loses what
// was not synced, and opens what is left: everything acknowledged is there, once.
func TestCrashAtEveryChange(t *testing.T) {
	const steps = 60
	total := countChanges(t, steps)
	modes := []vfs.CrashMode{vfs.CrashProcess, vfs.CrashDrop, vfs.CrashPrefix, vfs.CrashHoles}
	stride := max(1, total/250)
	if testing.Short() {
		stride = max(1, total/60)
	}
	for at := 0; at < total; at += stride {
		mode := modes[at/stride%len(modes)]
		fs, m := vfs.NewMem(nil), newModel()
		runUntil(t, fs, m, steps, at)
		crashed := fs.Crash(mode, rand.New(rand.NewPCG(uint64(at), 9)))
		s, err := Open(testConfig(crashed))
		if err != nil {
			t.Fatalf("open after a crash (mode %d) at change %d: %v", mode, at, err)
		}
		if ix := s.Index("logs"); ix != nil {
			m.check(t, contents(t, ix))
			verifyConflicts(t, s, ix)
		} else if len(m.acked) > 0 {
			t.Errorf("the index is gone after a crash at change %d", at)
		}
		if t.Failed() {
			t.Fatalf("crash (mode %d) at change %d of %d", mode, at, total)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func newModel() *model { return &model{acked: map[string]string{}, maybe: map[string][]string{}} }

// verifyConflicts creates every document again: each must be found to exist.
func verifyConflicts(t *testing.T, s *Store, ix *Index) {
	t.Helper()
	var p mapping.Parser
	for id := range contents(t, ix) {
		_, err := ix.Put(&p, id, []byte(`{"again":1}`), true)
		if e, known := apierror.From(err); !known || e.Status != 409 {
			t.Errorf("create of %s, which exists: %v", id, err)
		}
	}
	// The store goes on.
	if _, err := ix.Put(&p, "after-the-crash", []byte(`{"n":1}`), false); err != nil {
		t.Error(err)
	}
	if err := s.Sync(s.End()); err != nil {
		t.Error(err)
	}
}

func countChanges(t *testing.T, steps int) int {
	t.Helper()
	total := 0
	fs := vfs.Observe(vfs.NewMem(nil), vfs.Hooks{After: func(op vfs.Op) {
		if op.Changes() {
			total++
		}
	}})
	s := mustOpen(t, testConfig(fs))
	m := newModel()
	if err := workload(t, s, m, rand.New(rand.NewPCG(1, 2)), steps); err != nil {
		t.Fatal(err)
	}
	m.check(t, contents(t, s.Index("logs")))
	before := total
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return before
}

// runUntil runs the workload and fails every call that changes the disk from the
// given one on.
func runUntil(t *testing.T, base *vfs.Mem, m *model, steps, at int) {
	t.Helper()
	calls := 0
	fs := vfs.Observe(base, vfs.Hooks{Before: func(op vfs.Op) error {
		if !op.Changes() {
			return nil
		}
		if calls++; calls > at {
			return errInjected
		}
		return nil
	}})
	s, err := Open(testConfig(fs))
	if err == nil {
		err = workload(t, s, m, rand.New(rand.NewPCG(1, 2)), steps)
	}
	if err != nil && !errors.Is(err, errInjected) {
		t.Fatalf("change %d: %v", at, err)
	}
}

// TestFailuresAreSurvived fails single calls; what is acknowledged stays, in the running
// store and after a crash.
func TestFailuresAreSurvived(t *testing.T) {
	const steps = 40
	total := countChanges(t, steps)
	for at := 5; at < total; at += max(1, total/80) {
		base, m := vfs.NewMem(nil), newModel()
		calls := 0
		fs := vfs.Observe(base, vfs.Hooks{Before: func(op vfs.Op) error {
			if op.Changes() {
				if calls++; calls == at {
					return errInjected
				}
			}
			return nil
		}})
		s, err := Open(testConfig(fs))
		if err != nil {
			continue
		}
		random := rand.New(rand.NewPCG(3, 4))
		for range 5 {
			if err = workload(t, s, m, random, steps/5); err != nil && !errors.Is(err, errInjected) {
				t.Fatalf("failure at change %d: %v", at, err)
			}
		}
		ix := s.Index("logs")
		if ix == nil {
			continue
		}
		m.check(t, contents(t, ix))
		crashed, err := Open(testConfig(base.Crash(vfs.CrashDrop, nil)))
		if err != nil {
			t.Fatalf("open after a failure at change %d: %v", at, err)
		}
		m.check(t, contents(t, crashed.Index("logs")))
		if t.Failed() {
			t.Fatalf("failure at change %d of %d", at, total)
		}
	}
}
