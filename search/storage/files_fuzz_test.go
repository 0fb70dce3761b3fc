package storage

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/millrace/millrace/internal/vfs"
)

func fileOf(t testing.TB, content []byte) (vfs.FS, string) {
	t.Helper()
	fs := vfs.NewMem(nil)
	if err := writeFile(fs, "/file", content); err != nil {
		t.Fatal(err)
	}
	return fs, "/file"
}

func someIDs() *idsBuilder {
	b := newIDsBuilder()
	for i := range 1000 {
		b.add(fmt.Sprintf("file-%d:%d", i%3, i*137), makeAddress(i/500, i%500))
		b.add(fmt.Sprintf("uuid-%dx", i), makeAddress(i/500, i%500))
	}
	b.add("few:1", 7)
	b.add("12", 8)
	b.add("lead:007", 9)
	return b
}

func TestIDsAreFound(t *testing.T) {
	fs, name := fileOf(t, someIDs().encode())
	r, err := openIDs(fs, name)
	if err != nil {
		t.Fatal(err)
	}
	expect := func(id string, want address, there bool) {
		t.Helper()
		if at, ok, err := r.find(id); err != nil || ok != there || ok && at != want {
			t.Errorf("%s is at %d (%v), want %d (%v): %v", id, at, ok, want, there, err)
		}
	}
	for i := range 1000 {
		expect(fmt.Sprintf("file-%d:%d", i%3, i*137), makeAddress(i/500, i%500), true)
		expect(fmt.Sprintf("file-%d:%d", i%3, i*137+1), 0, false)
		expect(fmt.Sprintf("uuid-%dx", i), makeAddress(i/500, i%500), true)
		expect(fmt.Sprintf("uuid-%dy", i), 0, false)
	}
	expect("few:1", 7, true)
	expect("few:2", 0, false)
	expect("12", 8, true)
	expect("lead:007", 9, true)
	expect("lead:7", 0, false)
	expect("", 0, false)
}

// FuzzIDsFile opens damaged ids files: an error, never a panic.
func FuzzIDsFile(f *testing.F) {
	f.Add(someIDs().encode(), 10, byte(1))
	f.Add([]byte(idsMagic), 0, byte(0))
	f.Fuzz(func(t *testing.T, content []byte, at int, with byte) {
		if len(content) > 0 {
			content[uint(at)%uint(len(content))] ^= with
		}
		fs, name := fileOf(t, content)
		r, err := openIDs(fs, name)
		if err != nil {
			return
		}
		for _, id := range []string{"file-1:137", "uuid-5x", "x", ""} {
			_, _, _ = r.find(id) // any answer but a panic
		}
	})
}

func FuzzTokensFile(f *testing.F) {
	b := newTokensBuilder()
	f.Add(b.encode(), 0, byte(0))
	f.Fuzz(func(t *testing.T, content []byte, at int, with byte) {
		if len(content) > 0 {
			content[uint(at)%uint(len(content))] ^= with
		}
		fs, name := fileOf(t, content)
		r, err := openTokens(fs, name)
		if err != nil {
			return
		}
		for group := range len(r.groups) {
			_, _ = r.mayHave(group, "x", 5) // any answer but a panic
		}
	})
}

// FuzzLog opens a log with any content: what is not a record is cut.
func FuzzLog(f *testing.F) {
	fs := vfs.NewMem(nil)
	s := mustOpen(f, testConfig(fs))
	ix := mustIndex(f, s, "logs")
	put(f, ix, "f:1", `{"a":1}`, true)
	put(f, ix, "f:2", `{"a":2}`, true)
	if err := s.Sync(s.End()); err != nil {
		f.Fatal(err)
	}
	content, err := readFile(fs, walName("/data/wal", 1))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(content, 30, byte(1))
	f.Add(content[:len(content)-3], 0, byte(0))
	f.Add([]byte{}, 0, byte(0))
	f.Fuzz(func(t *testing.T, damaged []byte, at int, with byte) {
		if len(damaged) > 0 {
			damaged[uint(at)%uint(len(damaged))] ^= with
		}
		fs := fs.Crash(vfs.CrashProcess, nil)
		if err := writeFile(fs, walName("/data/wal", 1), damaged); err != nil {
			t.Fatal(err)
		}
		s, err := Open(testConfig(fs))
		if err != nil {
			return
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

// TestDamagedSegmentsAreReported flips bytes of a segment's files: a search fails, or
// finds what was there; it never panics.
func TestDamagedSegmentsAreReported(t *testing.T) {
	base := vfs.NewMem(nil)
	s := mustOpen(t, testConfig(base))
	ix := mustIndex(t, s, "logs")
	for i := range 300 {
		put(t, ix, fmt.Sprintf("f:%d", i), fmt.Sprintf(`{"n":%d,"m":"a message of some length, number %d"}`, i, i), true)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(5, 5))
	for _, extension := range []string{"parquet", "ids", "tokens"} {
		name := segmentPath(ix.dir, 0, extension)
		whole, err := readFile(base, name)
		if err != nil {
			t.Fatal(err)
		}
		for range 150 {
			damaged := append([]byte(nil), whole...)
			for range 1 + random.IntN(4) {
				damaged[random.IntN(len(damaged))] ^= byte(1 + random.IntN(255))
			}
			fs := base.Crash(vfs.CrashProcess, nil)
			if err := writeFile(fs, name, damaged); err != nil {
				t.Fatal(err)
			}
			s, err := Open(testConfig(fs))
			if err != nil {
				continue
			}
			if err := readAll(s.Index("logs")); err != nil && errors.Is(err, errInjected) {
				t.Fatal(err)
			}
		}
	}
}

// readAll reads every column of every block.
func readAll(ix *Index) error {
	snap, err := ix.Snapshot()
	if err != nil {
		return err
	}
	defer snap.Release()
	for _, b := range snap.Blocks {
		for _, f := range snap.Mapping.Fields() {
			if _, err := b.Column(f); err != nil {
				return err
			}
			if _, err := b.MayHave(f, 7); err != nil {
				return err
			}
		}
		if err := b.Fetch([]int{0, 5, 100}, func(int, Document) error { return nil }); err != nil {
			return err
		}
	}
	_, _, err = ix.Get("f:7")
	return err
}
