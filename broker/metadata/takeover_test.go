package metadata

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/millrace/millrace/internal/vfs"
)

// format1 returns a directory as the last version before the Raft group has left it, with
// records of all kinds in a snapshot and a log, and its image as that version wrote it.
func format1(t *testing.T) (*vfs.Mem, string) {
	t.Helper()
	mem := vfs.NewMem(nil)
	if err := vfs.MkdirAllDurable(mem, testDir); err != nil {
		t.Fatal(err)
	}
	source := filepath.Join("testdata", "format-1")
	entries, err := os.ReadDir(source)
	if err != nil || len(entries) != 2 {
		t.Fatalf("%d files, %v", len(entries), err)
	}
	for _, e := range entries {
		content, err := os.ReadFile(filepath.Join(source, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if err := vfs.WriteFile(mem, filepath.Join(testDir, e.Name()), content); err != nil {
			t.Fatal(err)
		}
	}
	image, err := os.ReadFile(filepath.Join("testdata", "format-1.image"))
	if err != nil {
		t.Fatal(err)
	}
	return mem, strings.TrimSpace(string(image))
}

// format1Text is an image as the version of format 1 wrote it.
func format1Text(t *testing.T, i *Image) string {
	t.Helper()
	return strings.Replace(text(t, i), fmt.Sprintf(`{"index":%d,`, i.Index), "{", 1)
}

func openNode1(fsys vfs.FS) (*Store, error) {
	return Open(Config{Dir: testDir, FS: fsys, NodeID: 1})
}

func checkFormat1(t *testing.T, fsys vfs.FS, want string) {
	t.Helper()
	s, err := openNode1(fsys)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if got := format1Text(t, s.Image()); got != want {
		t.Fatalf("image is\n%s\nwant\n%s", got, want)
	}
	entries, err := fsys.ReadDir(testDir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), namePrefix) {
			t.Fatalf("%s is still there", e.Name())
		}
	}
}

func TestADirectoryOfFormat1IsTakenOver(t *testing.T) {
	mem, want := format1(t)
	checkFormat1(t, mem, want)
	s, err := openNode1(mem)
	if err != nil {
		t.Fatal(err)
	}
	old := s.Image().Index
	after := commit(t, s, &ProducerIDsRecord{Next: 3000})
	if after.Index <= old || s.Group().Status().Term < firstTerm+2 {
		t.Errorf("index %d follows %d, %+v", after.Index, old, s.Group().Status())
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	checkFormat1(t, mem, format1Text(t, after))
}

func TestATakeOverSurvivesACrashAtAnyPoint(t *testing.T) {
	random := rand.New(rand.NewPCG(9, 9))
	for stopAt := 1; ; stopAt++ {
		mem, want := format1(t)
		changes := 0
		var crashed []*vfs.Mem
		s, err := openNode1(vfs.Observe(mem, vfs.Hooks{After: func(op vfs.Op) {
			if !op.Changes() {
				return
			}
			if changes++; changes == stopAt {
				for _, mode := range []vfs.CrashMode{vfs.CrashProcess, vfs.CrashDrop, vfs.CrashPrefix, vfs.CrashHoles} {
					crashed = append(crashed, mem.Crash(mode, random))
				}
			}
		}}))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		for _, c := range crashed {
			checkFormat1(t, c, want)
		}
		if len(crashed) == 0 {
			if stopAt < 15 {
				t.Errorf("only %d changes", stopAt)
			}
			return
		}
	}
}

// A take-over that finds no space, or fails in another way, leaves a directory that can be taken over.
func TestATakeOverThatFailsIsDoneAgain(t *testing.T) {
	for _, failure := range []error{syscall.ENOSPC, errors.New("input/output error")} {
		for failAt := 1; ; failAt++ {
			mem, want := format1(t)
			changes := 0
			s, err := openNode1(vfs.Observe(mem, vfs.Hooks{Before: func(op vfs.Op) error {
				if op.Changes() {
					if changes++; changes == failAt {
						return failure
					}
				}
				return nil
			}}))
			if err == nil {
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
				if changes >= failAt {
					t.Fatalf("failure %d was not told", failAt)
				}
				break
			}
			if !errors.Is(err, failure) {
				t.Fatalf("failure %d: %v", failAt, err)
			}
			checkFormat1(t, mem, want)
		}
	}
}

func TestATornEndOfFormat1IsLeftOut(t *testing.T) {
	mem, _ := format1(t)
	name := format1LogName(t, mem)
	info, err := mem.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	f, err := mem.OpenReadWrite(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Truncate(info.Size()-5), f.Close()); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	s, err := Open(Config{Dir: testDir, FS: mem, NodeID: 1, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if s.Image().Index != 11 || s.Image().NextProducerID != 2000 || !strings.Contains(log.String(), "torn end of the metadata log cut") {
		t.Errorf("image %s, log %s", text(t, s.Image()), log.String())
	}
}

func TestDamageInFormat1RefusesTheStart(t *testing.T) {
	mem, _ := format1(t)
	name := format1LogName(t, mem)
	f, err := mem.OpenReadWrite(name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte{'X'}, frameHeaderBytes+3); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = openNode1(mem)
	if c, ok := errors.AsType[*CorruptionError](err); !ok || c.File != name || c.Position != 0 {
		t.Fatalf("opened with %v", err)
	}
	if _, err := mem.Stat(name); err != nil {
		t.Error("the damaged file is gone")
	}
}

func format1LogName(t *testing.T, fsys vfs.FS) string {
	t.Helper()
	entries, err := fsys.ReadDir(testDir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), logSuffix) {
			return filepath.Join(testDir, e.Name())
		}
	}
	t.Fatal(fs.ErrNotExist)
	return ""
}

func TestTheMetadataOfAnotherNodeIsRefused(t *testing.T) {
	mem := vfs.NewMem(nil)
	open(t, mem).Close()
	if _, err := openNode1(mem); err == nil || !strings.Contains(err.Error(), "group that node 1 is not in") {
		t.Errorf("opened with %v", err)
	}
}

func TestFilesOfFormat1BesideALogThatWentOnAreKept(t *testing.T) {
	mem, _ := format1(t)
	s, err := openNode1(mem)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(testDir, format1Name(0, logSuffix))
	if err := vfs.WriteFile(mem, name, encodeFrame(1, []byte("[]"))); err != nil {
		t.Fatal(err)
	}
	if _, err := openNode1(mem); err == nil || !strings.Contains(err.Error(), "beside the newer") {
		t.Errorf("opened with %v", err)
	}
	if _, err := mem.Stat(name); err != nil {
		t.Error(err)
	}
}
