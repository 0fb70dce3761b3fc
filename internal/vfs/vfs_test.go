package vfs

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"testing"
)

func write(t *testing.T, fsys FS, name, content string, sync bool) {
	t.Helper()
	f, err := fsys.OpenReadWrite(name)
	if errors.Is(err, fs.ErrNotExist) {
		f, err = fsys.Create(name)
	}
	if err != nil {
		t.Fatal(err)
	}
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte(content), info.Size()); err != nil {
		t.Fatal(err)
	}
	if sync {
		if err := f.Sync(); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, fsys FS, name string) string {
	t.Helper()
	f, err := fsys.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return "(none)"
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b := make([]byte, 1000)
	n, err := f.ReadAt(b, 0)
	if !errors.Is(err, io.EOF) {
		t.Fatalf("read %s: %v", name, err)
	}
	return string(b[:n])
}

// TestSyncAll: contents and names of all directories survive a loss of power.
func TestSyncAll(t *testing.T) {
	for name, change := range map[string]func(FS) error{
		"synced":     func(fsys FS) error { return fsys.SyncAll("/a") },
		"not synced": func(FS) error { return nil },
	} {
		m := NewMem(nil)
		if err := errors.Join(m.MkdirAll("/a/b"), m.MkdirAll("/c")); err != nil {
			t.Fatal(err)
		}
		write(t, m, "/a/b/x", "one", false)
		write(t, m, "/c/y", "two", false)
		if err := change(m); err != nil {
			t.Fatal(err)
		}
		write(t, m, "/c/y", "three", false)
		after, want := m.Crash(CrashDrop, nil), [2]string{"(none)", "(none)"}
		if name == "synced" {
			want = [2]string{"one", "two"}
		}
		if got := [2]string{read(t, after, "/a/b/x"), read(t, after, "/c/y")}; got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if err := OS().SyncAll(filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a directory that is not there: %v", err)
	}
	if err := OS().SyncAll(t.TempDir()); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		t.Error(err)
	}
}

// TestConformance holds the operating system's and the one in memory against
// the same expectations.
func TestConformance(t *testing.T) {
	for name, fsys := range map[string]FS{"os": OS(), "mem": NewMem(nil), "observed": Observe(NewMem(nil), Hooks{})} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "a", "b")
			must := func(err error) {
				t.Helper()
				if err != nil {
					t.Fatal(err)
				}
			}
			at := func(n string) string { return filepath.Join(dir, n) }
			must(fsys.MkdirAll(dir))
			must(fsys.MkdirAll(dir))
			write(t, fsys, at("x"), "one", true)
			write(t, fsys, at("x"), "two", false)
			if got := read(t, fsys, at("x")); got != "onetwo" {
				t.Errorf("content %q", got)
			}
			f, err := fsys.OpenReadWrite(at("x"))
			must(err)
			must(f.Truncate(2))
			must(f.Truncate(4))
			if _, err := f.WriteAt([]byte("!"), 6); err != nil {
				t.Error(err)
			}
			must(f.Close())
			if got := read(t, fsys, at("x")); got != "on\x00\x00\x00\x00!" {
				t.Errorf("after truncation %q", got)
			}
			write(t, fsys, at("y"), "why", true)
			must(fsys.Rename(at("x"), at("y")))
			if read(t, fsys, at("x")) != "(none)" || len(read(t, fsys, at("y"))) != 7 {
				t.Error("rename")
			}
			must(fsys.Link(at("y"), at("second")))
			write(t, fsys, at("second"), "+", true)
			if got := read(t, fsys, at("y")); len(got) != 8 {
				t.Errorf("a link does not show what was written by its other name: %q", got)
			}
			if err := fsys.Link(at("y"), at("second")); !errors.Is(err, fs.ErrExist) {
				t.Errorf("link over a file: %v", err)
			}
			must(fsys.Remove(at("second")))
			must(fsys.SyncDir(dir))
			entries, err := fsys.ReadDir(dir)
			if err != nil || len(entries) != 1 || entries[0].Name() != "y" || entries[0].IsDir() {
				t.Errorf("entries %v, %v", entries, err)
			}
			lock, err := fsys.Lock(at("lock"))
			must(err)
			if _, err := fsys.Lock(at("lock")); !errors.Is(err, ErrLocked) {
				t.Errorf("second lock: %v", err)
			}
			must(lock.Close())
			lock, err = fsys.Lock(at("lock"))
			must(err)
			must(lock.Close())
			if err := fsys.Remove(dir); err == nil {
				t.Error("a directory that is not empty was removed")
			}
			must(fsys.Remove(at("y")))
			for what, err := range map[string]error{
				"remove": fsys.Remove(at("y")), "rename": fsys.Rename(at("y"), at("z")),
				"open": second(fsys.Open(at("y"))), "stat": second(fsys.Stat(at("y"))), "list": second(fsys.ReadDir(at("none"))),
			} {
				if !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("%s of what is not there: %v", what, err)
				}
			}
			must(fsys.RemoveAll(dir))
			must(fsys.RemoveAll(dir))
			if _, err := fsys.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("after RemoveAll: %v", err)
			}
		})
	}
}

func second[T any](_ T, err error) error { return err }

func TestCrash(t *testing.T) {
	m := NewMem(nil)
	if err := errors.Join(m.MkdirAll("/d"), m.SyncDir("/")); err != nil {
		t.Fatal(err)
	}
	write(t, m, "/d/kept", "synced", true)
	if err := m.SyncDir("/d"); err != nil {
		t.Fatal(err)
	}
	write(t, m, "/d/kept", " not synced", false)
	write(t, m, "/d/nameless", "synced, but not its name", true)
	if err := m.Remove("/d/nothing"); !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 2))
	if c := m.Crash(CrashProcess, nil); read(t, c, "/d/kept") != "synced not synced" || read(t, c, "/d/nameless") == "(none)" {
		t.Error("the death of a process loses nothing")
	}
	if c := m.Crash(CrashDrop, nil); read(t, c, "/d/kept") != "synced" || read(t, c, "/d/nameless") != "(none)" {
		t.Errorf("dropped: %q %q", read(t, c, "/d/kept"), read(t, c, "/d/nameless"))
	}
	lengths := map[int]bool{}
	for range 200 {
		c := m.Crash(CrashPrefix, random)
		got := read(t, c, "/d/kept")
		if !bytes.HasPrefix([]byte("synced not synced"), []byte(got)) || len(got) < len("synced") {
			t.Fatalf("prefix crash left %q", got)
		}
		lengths[len(got)] = true
		if got := read(t, m.Crash(CrashHoles, random), "/d/kept"); len(got) < len("synced") || got[:6] != "synced" {
			t.Fatalf("crash with holes left %q", got)
		}
	}
	if len(lengths) < 8 {
		t.Errorf("only lengths %v", lengths)
	}
	// What a removal leaves until the directory is synced.
	if err := m.Remove("/d/kept"); err != nil {
		t.Fatal(err)
	}
	if read(t, m.Crash(CrashDrop, nil), "/d/kept") != "synced" {
		t.Error("a removal that was not synced was kept")
	}
	if err := m.SyncDir("/d"); err != nil {
		t.Fatal(err)
	}
	if read(t, m.Crash(CrashDrop, nil), "/d/kept") != "(none)" {
		t.Error("a synced removal was lost")
	}
}

func TestInjectedErrors(t *testing.T) {
	errTest := errors.New("injected")
	var last Op
	fail := ""
	m := NewMem(nil)
	o := Observe(m, Hooks{
		Before: func(op Op) error {
			if op.Kind == fail {
				if op.Kind == "write" {
					return &ShortWrite{N: 2, Err: errTest}
				}
				return errTest
			}
			return nil
		},
		After: func(op Op) { last = op },
	})
	f, err := o.Create("/f")
	if err != nil || last.Kind != "create" || last.Name != "/f" || !last.Changes() {
		t.Fatal(err, last)
	}
	fail = "write"
	if n, err := f.WriteAt([]byte("hello"), 0); n != 2 || !errors.Is(err, errTest) {
		t.Errorf("short write: %d %v", n, err)
	}
	if read(t, m, "/f") != "he" {
		t.Errorf("content %q", read(t, m, "/f"))
	}
	fail = "sync"
	if err := f.Sync(); !errors.Is(err, errTest) {
		t.Error(err)
	}
	fail = "rename"
	if err := o.Rename("/f", "/g"); !errors.Is(err, errTest) || read(t, m, "/f") != "he" {
		t.Error(err)
	}
}
