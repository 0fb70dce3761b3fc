package registry_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/millrace/millrace/agent/batch"
	"github.com/millrace/millrace/agent/registry"
)

func open(t testing.TB, dir string, o registry.Options) *registry.Registry {
	t.Helper()
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	r, err := registry.Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

var key = registry.LaneKey{Topic: "logs", Partition: 3}

// fill makes a registry with a bit of everything.
func fill(t testing.TB, r *registry.Registry) {
	t.Helper()
	r.SetIdentity("agent", "machine")
	r.SetInputSeen("in", 7)
	n, err := r.Intern(&batch.Settings{Agent: "agent", Topic: "logs", LineMax: 10})
	if err != nil {
		t.Fatal(err)
	}
	f := r.Mint(registry.File{Path: "/a", Current: "/a", Topic: "logs", Input: "in", Device: 1, Inode: 2, BirthNs: 3, HeadLen: 4, HeadSum: 1 << 63, Partition: -1})
	r.SetLane(registry.Lane{LaneKey: key, Cluster: "c", TopicID: [16]byte{1}, ProducerID: 9, Epoch: 1})
	for i := range int64(4) {
		r.AddPlan(key, plan(f.Number, n, i*10, i*10+10))
	}
	r.Ack(key, r.Lane(key).Plans[0].ID)
	if err := r.SyncAll(); err != nil {
		t.Fatal(err)
	}
}

func plan(file uint64, settings uint32, start, end int64) batch.Plan {
	return batch.Plan{Records: 2, CreatedMs: 5, Segments: []batch.Segment{{
		File: file, Settings: settings, Start: start, End: end, Records: 2, TimeMs: 5, Sum: uint32(end), TailLen: 3, TailSum: 7,
	}}}
}

// dump shows all that a registry holds.
func dump(r *registry.Registry) string {
	return fmt.Sprintf("%+v\n%+v\n%+v\n%d", r.Meta(), r.Files(), r.Lanes(), r.InputSeenMs("in"))
}

func TestReopenHasTheSameState(t *testing.T) {
	dir := t.TempDir()
	r := open(t, dir, registry.Options{})
	fill(t, r)
	want := dump(r)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	for range 3 { // the second time it is read from a snapshot
		r = open(t, dir, registry.Options{})
		if got := dump(r); got != want {
			t.Fatalf("after reopening:\n%s\nbefore:\n%s", got, want)
		}
		lane := r.Lane(key)
		if len(lane.Plans) != 3 || lane.Plans[0].FirstSequence != 2 || lane.NextSequence != 8 {
			t.Fatalf("lane: %+v", lane)
		}
		if f, ok := r.File(0); !ok || f.Planned != 40 || f.Acked != 10 || f.Partition != 3 {
			t.Fatalf("file: %+v", f)
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestTornAtEveryByte cuts the journal at every byte after its snapshot: each time it opens, with the state of a
// moment of the past, in order.
func TestTornAtEveryByte(t *testing.T) {
	dir := t.TempDir()
	r := open(t, dir, registry.Options{})
	name := onlyJournal(t, dir)
	snapshot := len(read(t, name))
	fill(t, r)
	whole := read(t, name)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	before := -1
	for size := snapshot; size <= len(whole); size++ {
		for _, garbage := range []string{"", "\xff\xff\x00\x05garbage"} {
			torn := t.TempDir()
			if err := os.WriteFile(filepath.Join(torn, filepath.Base(name)), append(bytes.Clone(whole[:size]), garbage...), 0o600); err != nil {
				t.Fatal(err)
			}
			again := open(t, torn, registry.Options{FS: unsynced{}})
			lane := again.Lane(key)
			progress := int(lane.NextSequence) + len(again.Files())
			if progress < before {
				t.Fatalf("cut at %d: %d, less is there than with a shorter journal, %d:\n%s", size, progress, before, dump(again))
			}
			before = progress
			for i := 1; i < len(lane.Plans); i++ {
				if lane.Plans[i].FirstSequence != lane.Plans[i-1].FirstSequence+lane.Plans[i-1].Records {
					t.Fatalf("cut at %d: plans are not in sequence: %+v", size, lane.Plans)
				}
			}
			// It can be written to, and what is written is there the next time.
			again.SetIdentity("after", "m")
			want := dump(again)
			if err := again.Close(); err != nil {
				t.Fatal(err)
			}
			last := open(t, torn, registry.Options{FS: unsynced{}})
			if got := dump(last); got != want {
				t.Fatalf("cut at %d, then written:\n%s\nwant\n%s", size, got, want)
			}
			if err := last.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if before == 0 {
		t.Fatal("nothing was ever there")
	}
}

func onlyJournal(t testing.TB, dir string) string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "journal-*.mj"))
	if err != nil || len(names) != 1 {
		t.Fatalf("journals: %v %v", names, err)
	}
	return names[0]
}

func read(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestNewerFormatIsRefused(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "journal-000000000001.mj"), []byte("MLRJRNL\x02"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := registry.Open(dir, registry.Options{Logger: slog.New(slog.DiscardHandler)})
	if !errors.Is(err, registry.ErrNewerFormat) {
		t.Fatalf("got %v", err)
	}
}

func TestRewriteKeepsTheState(t *testing.T) {
	dir := t.TempDir()
	r := open(t, dir, registry.Options{Rewrite: 1 << 10})
	fill(t, r)
	for i := range int64(500) {
		r.AddPlan(key, plan(0, 0, 40+i*10, 50+i*10))
		r.Ack(key, r.Lane(key).Plans[0].ID)
		if err := r.SyncAll(); err != nil {
			t.Fatal(err)
		}
	}
	want := dump(r)
	if size := len(read(t, onlyJournal(t, dir))); size > 8<<10 {
		t.Fatalf("the journal has %d bytes: it is never rewritten", size)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if got := dump(open(t, dir, registry.Options{})); got != want {
		t.Fatalf("got\n%s\nwant\n%s", got, want)
	}
}

// failing is a file system whose writes or syncs fail on request.
type failing struct {
	registry.OS
	mu    sync.Mutex
	fail  map[string]int // operation: how often
	trace []string
}

// unsynced spares the syncs of a test that crashes nowhere.
type unsynced struct{ registry.OS }

func (u unsynced) Create(name string) (registry.JournalFile, error) {
	file, err := u.OS.Create(name)
	return unsyncedFile{file}, err
}

func (unsynced) SyncDir(string) error { return nil }

type unsyncedFile struct{ registry.JournalFile }

func (unsyncedFile) Sync() error { return nil }

var errInjected = errors.New("injected")

func (f *failing) step(op string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.trace = append(f.trace, op)
	if f.fail[op] > 0 {
		f.fail[op]--
		return errInjected
	}
	return nil
}

func (f *failing) Create(name string) (registry.JournalFile, error) {
	if err := f.step("create"); err != nil {
		return nil, err
	}
	file, err := f.OS.Create(name)
	return failingFile{file, f}, err
}

func (f *failing) Rename(from, to string) error {
	if err := f.step("rename"); err != nil {
		return err
	}
	return f.OS.Rename(from, to)
}

func (f *failing) SyncDir(dir string) error {
	if err := f.step("syncdir"); err != nil {
		return err
	}
	return f.OS.SyncDir(dir)
}

type failingFile struct {
	registry.JournalFile
	f *failing
}

func (f failingFile) Write(b []byte) (int, error) {
	if err := f.f.step("write"); err != nil {
		n, _ := f.JournalFile.Write(b[:len(b)/2]) // a torn write
		return n, err
	}
	return f.JournalFile.Write(b)
}

func (f failingFile) Sync() error {
	if err := f.f.step("sync"); err != nil {
		return err
	}
	return f.JournalFile.Sync()
}

// TestFailedWrites injects an error into each operation: Sync reports it, a later Sync makes everything durable.
func TestFailedWrites(t *testing.T) {
	for _, op := range []string{"write", "sync", "create", "rename", "syncdir"} {
		t.Run(op, func(t *testing.T) {
			dir := t.TempDir()
			fsys := &failing{fail: map[string]int{}}
			r := open(t, dir, registry.Options{FS: fsys})
			fill(t, r)
			fsys.mu.Lock()
			fsys.fail[op] = 2
			fsys.fail["write"]++ // makes it begin another file
			fsys.mu.Unlock()
			failed := 0
			for i := range int64(6) {
				r.AddPlan(key, plan(0, 0, 40+i*10, 50+i*10))
				if err := r.SyncAll(); err != nil {
					if !errors.Is(err, errInjected) {
						t.Fatal(err)
					}
					failed++
				}
			}
			if failed == 0 {
				t.Fatal("no error was reported")
			}
			want := dump(r)
			// A crash now: nothing is closed.
			if got := dump(open(t, dir, registry.Options{})); got != want {
				t.Fatalf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// TestBeginIsDurableBeforeItCounts is the order of file operations of a rewrite.
func TestBeginIsDurableBeforeItCounts(t *testing.T) {
	fsys := &failing{fail: map[string]int{}}
	open(t, t.TempDir(), registry.Options{FS: fsys})
	if got, want := strings.Join(fsys.trace, " "), "create write sync rename syncdir"; got != want {
		t.Fatalf("got %q, want %q", got, want)
	}
}

func TestLeftoversAreRemoved(t *testing.T) {
	dir := t.TempDir()
	r := open(t, dir, registry.Options{})
	fill(t, r)
	want := dump(r)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	tmp := filepath.Join(dir, "journal-000000000099.mj.tmp")
	if err := os.WriteFile(tmp, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := dump(open(t, dir, registry.Options{})); got != want {
		t.Fatalf("got\n%s", got)
	}
	if _, err := os.Stat(tmp); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("the leftover is still there: %v", err)
	}
}

func TestConcurrentSyncs(t *testing.T) {
	fsys := &failing{fail: map[string]int{}}
	r := open(t, t.TempDir(), registry.Options{FS: fsys})
	fill(t, r)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				_, position := r.AddPlan(key, plan(0, 0, 0, 10))
				if err := r.Sync(position); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if n := len(r.Lane(key).Plans); n != 403 {
		t.Fatalf("%d plans", n)
	}
}

func TestRewindReadsFilesAgain(t *testing.T) {
	r := open(t, t.TempDir(), registry.Options{})
	fill(t, r)
	if r.Rewind("logs", 4) || !r.Rewind("logs", 3) {
		t.Fatal("only partitions beyond the number are given up")
	}
	f, _ := r.File(0)
	if f.Planned != 10 || f.Partition != -1 || !f.Moved {
		t.Fatalf("file: %+v", f)
	}
	if l := r.Lane(key); len(l.Plans) != 0 || l.ProducerID != -1 {
		t.Fatalf("lane: %+v", l)
	}
	if r.Rewind("logs", 3) {
		t.Fatal("there was nothing left to give up")
	}
}

func TestForkGivesNewIdentities(t *testing.T) {
	r := open(t, t.TempDir(), registry.Options{})
	fill(t, r)
	r.SetIdentity("clone", "other")
	r.Fork()
	files := r.Files()
	if len(files) != 2 || !files[0].Forked || files[1].ID != "clone-1" || files[1].Planned != 40 {
		t.Fatalf("files: %+v", files)
	}
	if l := r.Lane(key); l.ProducerID != -1 || len(l.Plans) != 3 {
		t.Fatalf("lane: %+v", l)
	}
}

// FuzzReplay feeds damaged journals: an error or an earlier state, never a panic.
func FuzzReplay(f *testing.F) {
	dir := f.TempDir()
	r := open(f, dir, registry.Options{})
	fill(f, r)
	whole := read(f, onlyJournal(f, dir))
	f.Add(whole)
	f.Add(whole[:len(whole)-3])
	f.Fuzz(func(t *testing.T, data []byte) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "journal-000000000001.mj"), data, 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := registry.Open(dir, registry.Options{Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			return
		}
		want := dump(r)
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		if got := dump(open(t, dir, registry.Options{})); !reflect.DeepEqual(got, want) {
			t.Fatalf("got\n%s\nwant\n%s", got, want)
		}
	})
}
