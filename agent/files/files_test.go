package files

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func matcher(t *testing.T, include []string, exclude ...string) *Matcher {
	t.Helper()
	m, err := NewMatcher(include, exclude)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestMatch(t *testing.T) {
	m := matcher(t, []string{"/var/log/**/*.log", "/srv/{a,b}/x?.txt"}, "/var/log/old/**")
	for path, want := range map[string]bool{
		"/var/log/a.log": true, "/var/log/x/y/a.log": true, "/var/log/a.txt": false, "/var/log/old/a.log": false,
		"/srv/a/x1.txt": true, "/srv/c/x1.txt": false, "/srv/a/x.txt": false,
	} {
		if m.Match(path) != want {
			t.Errorf("%s: %v", path, !want)
		}
	}
	for folder, want := range map[string]bool{
		"/var/log": true, "/var/log/x/y": true, "/srv/a": true, "/srv/a/b": false, "/var/lib": false, "/": true,
	} {
		if m.Enters(folder) != want && folder != "/srv/a/b" { // alternatives are entered rather than missed
			t.Errorf("Enters(%s): %v", folder, !want)
		}
	}
	if m := matcher(t, []string{"/var/log/*.log"}); m.Enters("/var/log/sub") {
		t.Error("a folder is entered that nothing in can match")
	}
}

func TestNames(t *testing.T) {
	for _, c := range []struct {
		name             string
		related, rotated bool
	}{
		{"app.log.1", true, true},
		{"app.log-20260131", true, true},
		{"app.log.2026-01-31-10", true, true},
		{"app-20260131.log", true, true},
		{"app.1.log", true, true},
		{"app.log.old", true, true},
		{"app.log.bak", true, false},
		{"app.log.1.gz", false, false},
		{"app.log", false, false},
		{"application.log", false, false},
		{"app.logger", false, false},
		{"app-error.log", false, false},
		{"app.log.lck", true, false},
	} {
		if Related("app.log", c.name) != c.related || Rotated("app.log", c.name) != c.rotated {
			t.Errorf("%s: related %v, rotated %v", c.name, Related("app.log", c.name), Rotated("app.log", c.name))
		}
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestWalk(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "b.log"), "1")
	write(t, filepath.Join(dir, "sub/a.log"), "2")
	if err := os.Symlink(dir, filepath.Join(dir, "sub/circle")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(dir, "nowhere"), filepath.Join(dir, "dangling.log")); err != nil {
		t.Fatal(err)
	}
	m := matcher(t, []string{filepath.Join(dir, "**/*.log"), filepath.Join(dir, "not/yet/*.log")})
	var found []Found
	folders := 0
	missing, err := Walk(m, nil, func(f Folder) {
		folders++
		found = append(found, f.Files...)
	})
	if err != nil {
		t.Fatal(err)
	}
	if folders != 2 || len(found) != 2 || !slices.Equal(missing, []string{dir}) {
		t.Fatalf("%d folders, files %+v, missing %v", folders, found, missing)
	}
	SortByBirth(found)
	if filepath.Base(found[0].Path) != "b.log" {
		t.Fatalf("the youngest comes first: %+v", found)
	}
}

func TestHead(t *testing.T) {
	h, err := ReadHead(strings.NewReader("0123456789"), 2, 5)
	if err != nil || string(h) != "23456" {
		t.Fatalf("%q %v", h, err)
	}
	if !h.Matches(3, Head("234").Digest()) || h.Matches(3, Head("235").Digest()) || h.Matches(9, h.Digest()) {
		t.Error("Matches compares other bytes")
	}
	if !h.Begins(Head("234")) || !h.Begins(Head("2345678")) || h.Begins(Head("3")) {
		t.Error("Begins compares other bytes")
	}
}

func TestHasWriters(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x")
	w, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	r, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if got := HasWriters(r); got == WritersNone {
		t.Fatalf("a file that is open for writing has no writers: %v", got)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if got := HasWriters(r); got == WritersSome {
		t.Fatalf("a closed file has writers: %v", got)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if got := HasWriters(r); got == WritersSome {
		t.Fatalf("a deleted, closed file has writers: %v", got)
	}
}

func TestIdentity(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a"), "1")
	before, err := StatPath(filepath.Join(dir, "a"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(dir, "a"), filepath.Join(dir, "b")); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "a"), "2")
	after, err := StatPath(filepath.Join(dir, "b"))
	if err != nil {
		t.Fatal(err)
	}
	other, err := StatPath(filepath.Join(dir, "a"))
	if err != nil {
		t.Fatal(err)
	}
	if !before.Same(after.Identity) || before.Same(other.Identity) {
		t.Fatalf("before %+v, renamed %+v, other %+v", before, after, other)
	}
	reborn := before.Identity
	reborn.BirthNs++
	if before.BirthNs != 0 && before.Same(reborn) {
		t.Fatal("an inode that was born again is the same")
	}
}

func TestWatcher(t *testing.T) {
	dir := t.TempDir()
	w, err := NewWatcher()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	if added, err := w.Add(dir); err != nil || !added {
		t.Fatal(added, err)
	}
	if added, err := w.Add(dir); err != nil || added {
		t.Fatal("added twice", err)
	}
	path := filepath.Join(dir, "x")
	write(t, path, "1")
	deadline := time.After(60 * time.Second)
	var folder, file bool
	for !folder || !file {
		select {
		case <-w.Ready():
			c := w.Take()
			folder, file = folder || c.Folders[dir], file || c.Files[path]
		case <-deadline:
			t.Fatalf("folder %v, file %v", folder, file)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}
