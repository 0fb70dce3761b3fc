package storage

import (
	"fmt"
	"testing"
	"time"

	"github.com/millrace/millrace/internal/vfs"
	"github.com/millrace/millrace/search/mapping"
)

func testConfig(fs vfs.FS) Config {
	return Config{Dir: "/data", FS: fs, MemoryBuffer: 64 << 20, RefreshInterval: time.Nanosecond}
}

func mustOpen(t testing.TB, cfg Config) *Store {
	t.Helper()
	s, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func mustIndex(t testing.TB, s *Store, name string) *Index {
	t.Helper()
	ix, err := s.CreateIndex(name, mapping.Empty(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return ix
}

func put(t testing.TB, ix *Index, id, source string, create bool) Result {
	t.Helper()
	var p mapping.Parser
	r, err := ix.Put(&p, id, []byte(source), create)
	if err != nil {
		t.Fatalf("put %s: %v", id, err)
	}
	return r
}

func TestPutFlushMergeReopen(t *testing.T) {
	fs := vfs.NewMem(nil)
	s := mustOpen(t, testConfig(fs))
	ix := mustIndex(t, s, "logs")
	n := 0
	for range 10 {
		for range 300 {
			put(t, ix, fmt.Sprintf("file-a:%d", n*100), fmt.Sprintf(`{"@timestamp":"2024-01-02T03:04:05.%03dZ","message":"line number %d","n":%d,"tags":["a","b%d"],"f":1.5}`, n%1000, n, n, n%7), true)
			n++
		}
		if err := ix.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	put(t, ix, "file-a:500", `{"message":"replaced"}`, false)
	check := func(ix *Index) {
		t.Helper()
		ix.Refresh()
		snap, err := ix.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		defer snap.Release()
		seen := map[string]string{}
		for _, b := range snap.Blocks {
			var rows []int
			for row := range b.Live().Rows {
				rows = append(rows, row)
			}
			if err := b.Fetch(rows, func(_ int, d Document) error {
				if _, twice := seen[d.ID]; twice {
					t.Errorf("%s twice", d.ID)
				}
				seen[d.ID] = string(d.Source)
				return nil
			}); err != nil {
				t.Fatal(err)
			}
		}
		if len(seen) != n {
			t.Fatalf("%d documents, want %d", len(seen), n)
		}
		if seen["file-a:500"] != `{"message":"replaced"}` {
			t.Fatalf("got %s", seen["file-a:500"])
		}
	}
	check(ix)
	merged, err := ix.Merge(t.Context())
	if err != nil || !merged {
		t.Fatalf("merged %v, %v", merged, err)
	}
	check(ix)
	var p mapping.Parser
	if _, err := ix.Put(&p, "file-a:700", []byte(`{"message":"x"}`), true); err == nil {
		t.Fatal("no conflict")
	}
	if err := s.Sync(s.End()); err != nil {
		t.Fatal(err)
	}
	crashed := fs.Crash(vfs.CrashDrop, nil)
	s2 := mustOpen(t, testConfig(crashed))
	check(s2.Index("logs"))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s3 := mustOpen(t, testConfig(fs))
	check(s3.Index("logs"))
	if err := s3.Close(); err != nil {
		t.Fatal(err)
	}
}
