package storage

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/millrace/millrace/broker/batch"
	"github.com/millrace/millrace/internal/vfs"
)

// storedLog is a store with a damaged log to be and one beside it, closed in order
// or left as a crash leaves it.
func storedLog(t *testing.T, clean bool) (*vfs.Mem, *testClock, [][]byte) {
	t.Helper()
	clock := newTestClock()
	mem := vfs.NewMem(clock.Now)
	s := mustOpen(t, testConfig(mem, clock))
	cfg := smallConfig()
	cfg.SegmentBytes = 1024
	l := mustCreate(t, s, cfg)
	beside, err := s.CreateLog(TopicPartition{Topic: "beside"}, [16]byte{2}, smallConfig(), 0)
	if err != nil {
		t.Fatal(err)
	}
	var values [][]byte
	for n := range 40 {
		b := makeBatch(t, batch.Options{Producer: &batch.Producer{ID: 7, Sequence: int32(n)}}, clock.ms(), fmt.Sprint(n), 1)
		res := mustAppend(t, l, b)
		mustFlush(t, l, res.LastOffset)
		values = append(values, fmt.Appendf(nil, "%d-0", n))
		if n%9 == 0 {
			mustFlush(t, beside, mustAppend(t, beside, makeBatch(t, batch.Options{}, clock.ms(), "b", 1)).LastOffset)
			l.checkpointSoon()
			if err := s.checkpointDue(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if len(l.list()) < 3 {
		t.Fatalf("only %d segments", len(l.list()))
	}
	crashed := mem.Crash(vfs.CrashDrop, nil)
	mustClose(t, s)
	if clean {
		return mem, clock, values
	}
	return crashed, clock, values
}

func logFiles(t *testing.T, fsys vfs.FS, dir string) (names []string, sizes []int64) {
	t.Helper()
	entries, err := fsys.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if _, ok := parseOffsetName(e.Name(), suffixLog); ok {
			info, err := e.Info()
			if err != nil {
				t.Fatal(err)
			}
			names, sizes = append(names, filepath.Join(dir, e.Name())), append(sizes, info.Size())
		}
	}
	return names, sizes
}

func flip(t *testing.T, fsys vfs.FS, name string, at int64) {
	t.Helper()
	f, err := fsys.OpenReadWrite(name)
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 1)
	_, err = f.ReadAt(b, at)
	if err == nil {
		_, err = f.WriteAt([]byte{b[0] ^ 0x41}, at)
	}
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		t.Fatal(err)
	}
}

func TestAnIntactLogHasNoProblems(t *testing.T) {
	for _, clean := range []bool{true, false} {
		mem, _, values := storedLog(t, clean)
		r, err := RepairLog(mem, "/data/t-0", true)
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Check.Problems) != 0 || len(r.Steps) != 0 || r.LostFrom != -1 || r.Check.End != int64(len(values)) || r.Check.Batches != 40 {
			t.Errorf("clean %v: %+v, steps %v", clean, r.Check, r.Steps)
		}
	}
}

// Any one byte of the batches is damaged: whatever the store makes of it, the
// check finds it (unless it changes nothing), the repair says first what it would do,
// and after it the log opens with everything that lies before the damage.
func TestARepairedLogOpensWithWhatLiesBeforeTheDamage(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	offline := 0
	for round := range longer(t, 60) {
		mem, clock, values := storedLog(t, round%2 == 0)
		names, sizes := logFiles(t, mem, "/data/t-0")
		i := random.IntN(len(names))
		at := random.Int64N(sizes[i])
		flip(t, mem, names[i], at)
		before, err := vfs.ReadFile(mem, names[i])
		if err != nil {
			t.Fatal(err)
		}
		if s := mustOpen(t, testConfig(mem.Crash(vfs.CrashProcess, nil), clock)); s != nil {
			if l, _ := s.Log(tp0); l.Err() != nil {
				offline++
			}
			if l, _ := s.Log(TopicPartition{Topic: "beside"}); l.Err() != nil {
				t.Fatalf("the log beside it is offline: %v", l.Err())
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
		dry, err := RepairLog(mem, "/data/t-0", false)
		if err != nil {
			t.Fatal(err)
		}
		if now, err := vfs.ReadFile(mem, names[i]); err != nil || !bytes.Equal(now, before) {
			t.Fatalf("a dry run has changed %s: %v", names[i], err)
		}
		done, err := RepairLog(mem, "/data/t-0", true)
		if err != nil || len(done.Steps) != len(dry.Steps) || done.LostFrom != dry.LostFrom {
			t.Fatalf("round %d: repaired %v, planned %v: %v", round, done, dry, err)
		}
		if again, err := RepairLog(mem, "/data/t-0", true); err != nil || len(again.Steps) != 0 {
			t.Fatalf("round %d: steps are left: %+v %v", round, again.Steps, err)
		}
		want := values
		if done.LostFrom >= 0 {
			if done.LostFrom > int64(len(values)) {
				t.Fatalf("round %d: byte %d of %s: lost from %d of %d: %+v", round, at, names[i], done.LostFrom, len(values), done.Check.Problems)
			}
			want = values[:done.LostFrom]
			checkCopies(t, mem, done, names[i], before)
		}
		s := mustOpen(t, testConfig(mem.Crash(vfs.CrashDrop, nil), clock))
		l, ok := s.Log(tp0)
		if !ok || l.Err() != nil {
			t.Fatalf("round %d: byte %d of %s: offline after the repair: %v", round, at, names[i], l.Err())
		}
		got := readAll(t, l, 0, 1000)
		for n := range got {
			if n < len(want) && !bytes.Equal(got[n].Value, want[n]) {
				t.Errorf("record %d is %q, want %q", n, got[n].Value, want[n])
			}
		}
		if len(got) != len(want) {
			t.Errorf("round %d: %d records, want %d", round, len(got), len(want))
		}
		if _, err := s.CreateLog(tp0, [16]byte{1}, smallConfig(), 0); err != nil {
			t.Fatal(err)
		}
		mustAppend(t, l, makeBatch(t, batch.Options{}, clock.ms(), "new", 1))
		mustClose(t, s)
	}
	if offline == 0 {
		t.Error("no damage has taken the log offline")
	}
}

// checkCopies finds what was cut in the copy.
func checkCopies(t *testing.T, fsys vfs.FS, r *Repair, name string, damaged []byte) {
	t.Helper()
	for _, step := range r.Steps {
		if step.What != "cut" || step.File != name {
			continue
		}
		kept, err := vfs.ReadFile(fsys, step.Copy)
		if err != nil || !bytes.Equal(kept, damaged[step.Position:]) || int64(len(kept)) != step.Bytes {
			t.Errorf("%s holds %d bytes of %d: %v", step.Copy, len(kept), step.Bytes, err)
		}
	}
}

func TestARepairNeedsTheBrokerToBeDown(t *testing.T) {
	mem, clock, _ := storedLog(t, true)
	s := mustOpen(t, testConfig(mem, clock))
	defer mustClose(t, s)
	if _, err := RepairLog(mem, "/data/t-0", true); !errors.Is(err, ErrLocked) {
		t.Errorf("repair beside a broker: %v", err)
	}
	if check, err := CheckLog(mem, "/data/t-0"); err != nil || len(check.Problems) != 0 {
		t.Errorf("check beside a broker: %+v %v", check, err)
	}
	if _, err := CheckLog(mem, "/data"); err == nil {
		t.Error("a directory without segments was checked")
	}
}

func TestDamagedSmallFilesAreFound(t *testing.T) {
	mem, clock, values := storedLog(t, true)
	names, _ := logFiles(t, mem, "/data/t-0")
	first := names[0][:len(names[0])-len(suffixLog)]
	for _, name := range []string{first + suffixIndex, first + suffixTimeIndex, "/data/t-0/" + fileEpochs} {
		if err := vfs.WriteFile(mem, name, []byte("not what it should be")); err != nil {
			t.Fatal(err)
		}
	}
	r, err := RepairLog(mem, "/data/t-0", true)
	if err != nil || len(r.Check.Problems) != 3 || r.LostFrom != -1 {
		t.Fatalf("%+v: %v", r, err)
	}
	s := mustOpen(t, testConfig(mem, clock))
	defer mustClose(t, s)
	if l, _ := s.Log(tp0); l.Err() != nil || len(readAll(t, l, 0, 1000)) != len(values) {
		t.Errorf("after the repair: %v", l.Err())
	}
}
