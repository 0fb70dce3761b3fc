package storage

import (
	"fmt"
	"path"
	"path/filepath"
	"sync"
	"testing"

	"github.com/millrace/millrace/broker/batch"
	"github.com/millrace/millrace/internal/vfs"
)

// callCounter counts the calls of a file system by kind.
type callCounter struct {
	mu    sync.Mutex
	calls map[string]int
	// logBytes were read of .log files, otherBytes of all others.
	logBytes, otherBytes int64
}

func (c *callCounter) before(op vfs.Op) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	kind := op.Kind
	if kind == "stat" || kind == "readdir" || kind == "syncdir" {
		kind += " " + path.Base(op.Name)[:1] // d of the data directory, t of a log
	}
	c.calls[kind]++
	switch {
	case op.Kind != "read":
	case filepath.Ext(op.Name) == suffixLog:
		c.logBytes += op.Size
	default:
		c.otherBytes += op.Size
	}
	return nil
}

// TestAStartAfterAKillTouchesLittle counts what a start does for each of many
// partitions with a long index: each directory is listed once, batches beyond the recovery
// point are read once, indexes are searched and not read, and the disk is waited for once for all
// and not for each.
func TestAStartAfterAKillTouchesLittle(t *testing.T) {
	const logsMany = settleTogetherMin * 2
	clock := newTestClock()
	mem := vfs.NewMem(clock.Now)
	s := mustOpen(t, testConfig(mem, clock))
	cfg := everyBatch()
	var tail int64
	for i := range logsMany {
		l, err := s.CreateLog(TopicPartition{"t", int32(i)}, [16]byte{1}, cfg, 0)
		if err != nil {
			t.Fatal(err)
		}
		for n := range 1000 {
			mustAppend(t, l, makeBatch(t, batch.Options{}, clock.ms()+int64(n), "v", 1))
		}
		if err := l.checkpoint(); err != nil {
			t.Fatal(err)
		}
		before := l.SizeBytes()
		for n := range 100 {
			mustAppend(t, l, makeBatch(t, batch.Options{Producer: &batch.Producer{ID: 1, Sequence: int32(n)}}, clock.ms(), "w", 1))
		}
		tail += l.SizeBytes() - before
	}
	if err := s.writeCheckpoints(); err != nil {
		t.Fatal(err)
	}
	disk := mem.Crash(vfs.CrashProcess, nil)
	mustClose(t, s)

	calls := callCounter{calls: map[string]int{}}
	s = mustOpen(t, testConfig(vfs.Observe(disk, vfs.Hooks{Before: calls.before}), clock))
	for i := range logsMany {
		l, ok := s.Log(TopicPartition{"t", int32(i)})
		if !ok || l.Err() != nil || l.LogEnd() != 1100 {
			t.Fatalf("log %d: %v", i, l)
		}
		if res := mustAppend(t, l, makeBatch(t, batch.Options{Producer: &batch.Producer{ID: 1, Sequence: 99}}, clock.ms(), "w", 1)); !res.Duplicate {
			t.Fatalf("log %d has forgotten its producer", i)
		}
	}
	calls.mu.Lock()
	defer calls.mu.Unlock()
	perLog := func(n int) float64 { return float64(n) / logsMany }
	// metadata, epochs, snapshot, two indexes, the log.
	if n := perLog(calls.calls["open"] + calls.calls["openrw"]); n > 6.5 {
		t.Errorf("%v files are opened per log", n)
	}
	for kind, most := range map[string]float64{"readdir t": 1, "stat t": 0, "syncdir t": 0, "sync": 0.5, "create": 0.5} {
		if n := perLog(calls.calls[kind]); n > most {
			t.Errorf("%v calls of %q per log, want at most %v", n, kind, most)
		}
	}
	if n := calls.calls["syncall"]; n != 1 {
		t.Errorf("%d calls of syncall", n)
	}
	// The batch of the last index entry is read too, and headers.
	if most := tail + logsMany*1000; calls.logBytes > most {
		t.Errorf("%d bytes of logs are read, %d lie beyond the recovery points", calls.logBytes, tail)
	}
	if n := calls.otherBytes / logsMany; n > 4000 {
		t.Errorf("%d bytes of other files are read per log: the indexes have 20,000", n)
	}
	mustCloseObserved(t, s, &calls)
}

// mustCloseObserved closes a store whose calls are counted under the lock that the test holds.
func mustCloseObserved(t *testing.T, s *Store, c *callCounter) {
	t.Helper()
	c.mu.Unlock()
	defer c.mu.Lock()
	mustClose(t, s)
}

// TestIndexesDoNotStayInMemory: of a segment that is written only the index entries
// since the last checkpoint are in memory, and offsets and times are found everywhere.
func TestIndexesDoNotStayInMemory(t *testing.T) {
	f := newLogFixture(t, DurabilityFsync, everyBatch())
	begin := f.clock.ms()
	add := func(i int) {
		mustAppend(t, f.l, makeBatch(t, batch.Options{}, begin+int64(i), "v", 1))
	}
	check := func(when string, records int) {
		t.Helper()
		for offset := range records {
			res, err := f.l.Read(int64(offset), 1, ReadOptions{MinOneBatch: true})
			if err != nil {
				t.Fatalf("%s: offset %d: %v", when, offset, err)
			}
			if h, err := batch.ParseHeader(res.Data); err != nil || h.BaseOffset != int64(offset) {
				t.Fatalf("%s: offset %d: got %d, %v", when, offset, h.BaseOffset, err)
			}
			res.Release()
			if got, _, _, err := f.l.OffsetForTimestamp(begin + int64(offset)); err != nil || offset%50 == 0 && got != int64(offset) {
				t.Fatalf("%s: the record of time %d is %d, %v", when, offset, got, err)
			}
		}
	}
	for i := range 300 {
		add(i)
		if i%100 == 99 {
			f.flush()
			before := f.l.list()[0].index.Load()
			if n := before.offsets.len() + before.times.len(); n < 190 || n > 210 {
				t.Fatalf("%d entries in memory before the checkpoint", n)
			}
			if err := f.l.checkpoint(); err != nil {
				t.Fatal(err)
			}
			after := f.l.list()[0].index.Load()
			if n := after.offsets.len() + after.times.len(); n != 0 || after.filedOffsets != i {
				t.Fatalf("%d entries in memory, %d in the file after %d batches", n, after.filedOffsets, i)
			}
			check(fmt.Sprint("after checkpoint at ", i), i+1)
		}
	}
	for i := 300; i < 350; i++ {
		add(i)
	}
	f.flush()
	check("files and memory", 350)
	f.crash(vfs.CrashDrop)
	f.start()
	check("after a crash", 350)
	// Damage of the index costs time only.
	overwrite(t, f.disk, "/data/t-0/00000000000000000000.index", 100, []byte{0, 0, 0, 13, 0, 0, 0, 13})
	overwrite(t, f.disk, "/data/t-0/00000000000000000000.timeindex", 120, []byte{0, 0, 0, 13, 0, 0, 0, 13})
	check("with damaged indexes", 350)
}

// TestIndexFilesAreSearched holds the search in a file against one in memory.
func TestIndexFilesAreSearched(t *testing.T) {
	clock := newTestClock()
	mem := vfs.NewMem(clock.Now)
	if err := mem.MkdirAll("/d"); err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{0, 1, 2, searchBlock - 1, searchBlock, searchBlock + 1, 1000} {
		for _, room := range []int{0, 1, 500} {
			var entries []offsetEntry
			var times []timeEntry
			for i := range n {
				entries = append(entries, offsetEntry{uint32(3*i + 2), uint32(100*i + 100)})
				times = append(times, timeEntry{int64(10 * i), uint32(3*i + 2)})
			}
			name := fmt.Sprintf("/d/%d-%d", n, room)
			write := func(name string, content []byte) vfs.File {
				t.Helper()
				if err := vfs.ReplaceFile(mem, name, content); err != nil {
					t.Fatal(err)
				}
				f, err := mem.Open(name)
				if err != nil {
					t.Fatal(err)
				}
				return f
			}
			f := write(name, append(appendOffsetEntries(nil, entries), make([]byte, room*offsetEntrySize)...))
			g := write(name+"t", append(appendTimeEntries(nil, times), make([]byte, room*timeEntrySize)...))
			for relative := range int64(3*n + 10) {
				count, last, err := floorInFile(f, n+room, relative)
				if want := floorPosition(entries, 0, relative); err != nil || int64(last.position) != want || count != int(want)/100 {
					t.Fatalf("%d entries, room %d: %d is at %d, number %d (%v), want %d", n, room, relative, last.position, count, err, want)
				}
				count, lastTime, err := timesInFile(g, n+room, uint32(relative))
				if want := int(floorPosition(entries, 0, relative)) / 100; err != nil || n > 0 && count != want || count > 0 && n > 0 && lastTime.relative != uint32(3*count-1) {
					t.Fatalf("%d times, room %d: %d: number %d %+v (%v), want %d", n, room, relative, count, lastTime, err, want)
				}
			}
		}
	}
	// A file that is shorter than its entries, and one whose times go back.
	f, err := mem.Open("/d/1000-0")
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := floorInFile(f, 5000, 2990); err == nil {
		t.Error("a search beyond the end of the file finds something")
	}
	if err := vfs.ReplaceFile(mem, "/d/back", appendTimeEntries(nil, []timeEntry{{5, 1}, {4, 2}})); err != nil {
		t.Fatal(err)
	}
	if f, err = mem.Open("/d/back"); err != nil {
		t.Fatal(err)
	}
	if _, _, err := timesInFile(f, 2, 9); err == nil {
		t.Error("times that go back are taken")
	}
}

// TestTheLastTimestampBeforeARollIsNotLost: a checkpoint just before a roll leaves the
// time index without the entry that the roll adds; after a crash it is there again.
func TestTheLastTimestampBeforeARollIsNotLost(t *testing.T) {
	f := newLogFixture(t, DurabilityFsync, DefaultLogConfig())
	begin := f.clock.ms()
	f.add(1)
	f.checkpoint()
	// Nothing looks for logs to checkpoint after the roll.
	f.stopBackground()
	f.roll()
	f.crash(vfs.CrashProcess)
	for _, when := range []string{"after a crash", "after a restart"} {
		f.start()
		if n := len(f.l.list()); n != 2 {
			t.Fatalf("%s: %d segments", when, n)
		}
		if offset, at, _, err := f.l.OffsetForTimestamp(begin); err != nil || offset != 0 || at != begin {
			t.Errorf("%s: offset %d, timestamp %d, %v", when, offset, at, err)
		}
		mustClose(t, f.s)
	}
}
