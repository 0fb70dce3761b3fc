package storage

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/millrace/millrace/internal/vfs"
	"github.com/millrace/millrace/search/mapping"
)

func smallSegments(t *testing.T, ix *Index) {
	t.Helper()
	for i := range mergeFanIn {
		for j := range 20 {
			put(t, ix, fmt.Sprintf("f:%d", i*20+j), fmt.Sprintf(`{"n":%d}`, i*20+j), true)
		}
		if i == 3 {
			put(t, ix, "f:5", `{"n":"5"}`, false) // leaves a hole in the first segment
		}
		if err := ix.Flush(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestDeletionsWhileAMergeIsWrittenAreKept(t *testing.T) {
	fs := vfs.NewMem(nil)
	s := mustOpen(t, testConfig(fs))
	ix := mustIndex(t, s, "logs")
	smallSegments(t, ix)
	m := &merger{index: ix, sources: ix.chooseMerge()}
	if m.sources == nil {
		t.Fatal("nothing to merge")
	}
	if err := m.write(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := contents(t, ix)
	for _, id := range []string{"f:0", "f:6", "f:19", "f:20", "f:159"} {
		if _, err := ix.Delete(id); err != nil {
			t.Fatal(err)
		}
		delete(want, id)
	}
	put(t, ix, "f:33", `{"n":-33}`, false)
	want["f:33"] = `{"n":-33}`
	if err := m.commit(); err != nil {
		t.Fatal(err)
	}
	for _, src := range m.sources {
		src.seg.release()
	}
	same := func(ix *Index) {
		t.Helper()
		got := contents(t, ix)
		if len(got) != len(want) {
			t.Errorf("%d documents, want %d", len(got), len(want))
		}
		for id, source := range want {
			if got[id] != source {
				t.Errorf("%s is %q, want %q", id, got[id], source)
			}
		}
	}
	same(ix)
	if n := ix.Stats().Segments; n != 1 {
		t.Errorf("%d segments after the merge", n)
	}
	if err := s.Sync(s.End()); err != nil {
		t.Fatal(err)
	}
	for _, mode := range []vfs.CrashMode{vfs.CrashProcess, vfs.CrashDrop} {
		crashed := mustOpen(t, testConfig(fs.Crash(mode, nil)))
		same(crashed.Index("logs"))
	}
}

func TestRunsOfSegments(t *testing.T) {
	rows := func(list ...int64) []*segmentState {
		var states []*segmentState
		for _, n := range list {
			states = append(states, &segmentState{seg: &segment{meta: segmentMeta{Rows: n}}})
		}
		return states
	}
	for _, c := range []struct {
		rows   []int64
		level  int
		first  int64
		length int
	}{
		{[]int64{1, 1, 1}, 0, 0, 0},
		{[]int64{1 << 20, 1, 2, 3, 4, 5, 6, 7, 8}, 0, 1, 8},
		{[]int64{1, 2, 3, 4, 5, 6, 7, 8, 1 << 20}, 0, 1, 8},
		{[]int64{1, 2, 3, 1 << 20, 4, 5, 6, 7, 8}, 0, 0, 0},
		{[]int64{9000, 2, 3, 4, 5, 6, 7, 8}, 0, 0, 0},
		{[]int64{9000, 2, 3, 4, 5, 6, 7, 8}, 1, 9000, 8},
		{[]int64{3 << 20, 3 << 20, 2 << 20, 1, 2, 3, 4, 5, 6, 7}, 9, 2 << 20, 8},
		{[]int64{3 << 20, 3 << 20, 3 << 20, 3 << 20, 3 << 20, 3 << 20, 3 << 20, 3 << 20}, 9, 0, 0},
	} {
		run := runOf(rows(c.rows...), c.level)
		if len(run) != c.length || c.length > 0 && run[0].seg.meta.Rows != c.first {
			t.Errorf("%v at level %d: a run of %d", c.rows, c.level, len(run))
		}
	}
}

// TestEverythingAtOnce writes, searches, flushes, merges and deletes from several
// goroutines.
func TestEverythingAtOnce(t *testing.T) {
	s := mustOpen(t, testConfig(vfs.NewMem(nil)))
	ix := mustIndex(t, s, "logs")
	ctx, cancel := context.WithCancel(t.Context())
	var background, writers sync.WaitGroup
	background.Go(func() {
		for ctx.Err() == nil {
			if err := ix.Flush(); err != nil {
				t.Error(err)
			}
			s.releaseLog()
			if _, err := ix.Merge(ctx); err != nil && !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		}
	})
	background.Go(func() {
		for ctx.Err() == nil {
			contents(t, ix)
		}
	})
	const perWriter = 400
	for w := range 3 {
		writers.Go(func() {
			var p mapping.Parser
			for i := range perWriter {
				id := fmt.Sprintf("w%d:%d", w, i)
				if _, err := ix.Put(&p, id, fmt.Appendf(nil, `{"n":%d,"f%d":"x"}`, i, i%20), true); err != nil {
					t.Error(err)
				}
				if i%3 == 0 {
					if _, err := ix.Delete(id); err != nil {
						t.Error(err)
					}
				}
				if err := s.Sync(s.End()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	writers.Wait()
	cancel()
	background.Wait()
	want := 3 * (perWriter - (perWriter+2)/3)
	if got := len(contents(t, ix)); got != want {
		t.Errorf("%d documents, want %d", got, want)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
