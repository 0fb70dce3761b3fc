package metadata

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/millrace/millrace/internal/vfs"
)

// A disk that is full for a moment, at any call that takes space, refuses at most
// the commit of that moment: later ones are taken, and all that were
// acknowledged survive a loss of power.
func TestAFullDiskRefusesAndGoesOn(t *testing.T) {
	const space = 64 << 10
	large := string(bytes.Repeat([]byte("x"), space/3))
	refused, snapshots := 0, 0
	for failAt := 1; ; failAt++ {
		mem := vfs.NewMem(nil)
		calls, opened := 0, false
		fsys := vfs.Observe(mem, vfs.Hooks{Before: func(op vfs.Op) error {
			takesSpace := op.Kind == "create" || op.Kind == "write" || op.Kind == "rename"
			if !opened || !takesSpace {
				return nil
			}
			if calls++; calls != failAt {
				return nil
			}
			if op.Kind == "write" {
				return &vfs.ShortWrite{N: 17, Err: syscall.ENOSPC}
			}
			return syscall.ENOSPC
		}})
		s, err := Open(Config{Dir: testDir, FS: fsys, snapshotBytes: space})
		if err != nil {
			t.Fatal(err)
		}
		opened = true
		for n := range 7 {
			was := text(t, s.Image())
			_, err := s.Update(func(*Image) ([]Record, error) {
				return []Record{&ConfigRecord{Kind: ResourceBroker, Key: "k", Value: new(fmt.Sprint(n, large))}}, nil
			})
			switch {
			case errors.Is(err, ErrNoSpace):
				refused++
				if got := text(t, s.Image()); got != was {
					t.Fatalf("failure %d: the image changed with a refused commit", failAt)
				}
			case err != nil:
				t.Fatalf("failure %d, commit %d: %v", failAt, n, err)
			}
		}
		if _, err := mem.Stat(filepath.Join(testDir, logName)); errors.Is(err, fs.ErrNotExist) {
			snapshots++
		}
		want := text(t, s.Image())
		crashed := mem.Crash(vfs.CrashDrop, rand.New(rand.NewPCG(1, 1)))
		if got := text(t, open(t, crashed).Image()); got != want {
			t.Fatalf("failure %d: the image differs after a loss of power", failAt)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if calls < failAt {
			break
		}
	}
	if refused != 7 || snapshots == 0 {
		t.Errorf("%d commits were refused, want each once; %d runs took a snapshot", refused, snapshots)
	}
}
