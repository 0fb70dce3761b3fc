package storage

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/broker/batch"
	"github.com/millrace/millrace/internal/vfs"
)

func TestOffsetMapHoldsTheNewest(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	m := newOffsetMap(1000, 1<<20, 0.9)
	want := map[string]int64{}
	for offset := range int64(5000) {
		key := fmt.Sprint(random.IntN(900))
		if !m.put([]byte(key), offset) {
			t.Fatalf("no room for key %d of 1000", len(want))
		}
		want[key] = offset
	}
	for key, offset := range want {
		if got := m.newest([]byte(key)); got != offset {
			t.Fatalf("%s is at %d, want %d", key, got, offset)
		}
	}
	if m.newest([]byte("none")) != -1 || m.latest != 4999 {
		t.Fatalf("a key that is not there: %d; latest %d", m.newest([]byte("none")), m.latest)
	}
}

func TestOffsetMapIsBounded(t *testing.T) {
	m := newOffsetMap(1<<40, 100*offsetSlotSize, 0.9)
	n := int64(0)
	for m.put(fmt.Appendf(nil, "k%d", n), n) {
		n++
	}
	if n != 90 || len(m.slots) != 100 || m.latest != 89 {
		t.Fatalf("%d keys in %d slots up to %d, want 90 in 100", n, len(m.slots), m.latest)
	}
	if !m.put([]byte("k3"), 1000) || m.newest([]byte("k3")) != 1000 {
		t.Fatal("a key that is there is refused when the map is full")
	}
	if small := newOffsetMap(3, 1<<30, 0.9); len(small.slots) > 8 {
		t.Fatalf("%d slots for 3 keys", len(small.slots))
	}
	for _, factor := range []float64{0.01, 1} { // never without a free slot
		if m := newOffsetMap(2, 2*offsetSlotSize, factor); m.full < 1 || m.full >= len(m.slots) || m.newest([]byte("x")) != -1 {
			t.Fatalf("load factor %g: %d of %d", factor, m.full, len(m.slots))
		}
	}
}

// TestCleanTxns follows transactions over several segments.
func TestCleanTxns(t *testing.T) {
	h := func(producer, base int64, control bool) *batch.Header {
		raw, err := batch.Build(batch.Options{BaseOffset: base, Transactional: true, Control: control, Producer: &batch.Producer{ID: producer}}, []batch.Record{{Key: []byte("k")}})
		if err != nil {
			t.Fatal(err)
		}
		header, err := batch.ParseHeader(raw)
		if err != nil {
			t.Fatal(err)
		}
		return &header
	}
	c := newCleanTxns()
	over := abortedTxn{producerID: 1, first: 0, last: 20, lastStable: 21}
	c.expect([]abortedTxn{over})
	if !c.data(h(1, 0, false)) || c.data(h(2, 1, false)) {
		t.Fatal("aborted data is not told from other data")
	}
	c.expect([]abortedTxn{over, {producerID: 2, first: 12, last: 14, lastStable: 0}}) // the next segment: the first one goes on
	if done := c.marker(h(2, 10, true), controlCommit); done {
		t.Fatal("a commit marker whose data was met is done")
	}
	if done := c.marker(h(2, 11, true), controlCommit); !done {
		t.Fatal("a commit marker without data is not done")
	}
	if done := c.marker(h(2, 14, true), controlAbort); !done {
		t.Fatal("an abort marker whose data is gone is not done")
	}
	if len(c.takeKept()) != 0 {
		t.Fatal("a transaction without data is kept in the index")
	}
	c.expect([]abortedTxn{over})
	if done := c.marker(h(1, 20, true), controlAbort); done {
		t.Fatal("an abort marker whose data was met in an earlier segment is done")
	}
	if kept := c.takeKept(); !slices.Equal(kept, []abortedTxn{over}) {
		t.Fatalf("kept in the index: %v", kept)
	}
	if c.data(h(1, 21, false)) {
		t.Fatal("data after the abort marker counts as aborted")
	}
	if !c.marker(h(1, 30, true), controlNone) || c.marker(h(1, 31, true), controlKind(2)) {
		t.Fatal("emptied markers are done, markers of other kinds never")
	}
}

// TestInterruptedReplacements makes by hand what Kafka's cleaner leaves when it
// is killed, and looks at the files after a start.
func TestInterruptedReplacements(t *testing.T) {
	log := func(base int64, extra string) string { return offsetName(base, suffixLog) + extra }
	for _, c := range []struct {
		name string
		// rename maps files to what they are called when the start finds them.
		rename map[string]string
		// copies are made before; "new" is what compaction would write for
		// segments 0 and 4.
		copies map[string]string
		want   []string
	}{
		{"cleaned files go", nil, map[string]string{log(0, ""): log(0, suffixCleaned), offsetName(0, suffixIndex): offsetName(0, suffixIndex) + suffixCleaned}, []string{log(0, ""), log(4, ""), log(8, "")}},
		{"swap beside the old segments", nil, map[string]string{"new": log(0, suffixSwap)}, []string{log(0, ""), log(8, "")}},
		{"swap without aborted transactions, old segments with", nil, map[string]string{"new": log(0, suffixSwap), "aborted": offsetName(0, suffixTxnIndex)}, []string{log(0, ""), log(8, "")}},
		{"swap, old segments deleted", map[string]string{log(0, ""): log(0, suffixDeleted), log(4, ""): log(4, suffixDeleted)}, map[string]string{"new": log(0, suffixSwap)}, []string{log(0, ""), log(8, "")}},
		{"log in its place, index not", map[string]string{log(4, ""): log(4, suffixDeleted), offsetName(0, suffixIndex): offsetName(0, suffixIndex) + suffixSwap}, map[string]string{"new": log(0, "")}, []string{log(0, ""), log(8, "")}},
		{"swap after a cleaned file is not complete", nil, map[string]string{"new": log(0, suffixSwap), log(4, ""): log(0, suffixCleaned)}, []string{log(0, ""), log(4, ""), log(8, "")}},
	} {
		f := newCleanFixture(t, nil)
		disk := f.disk
		for i := range 5 {
			f.put(fmt.Sprint("a=", i), fmt.Sprint("b", i, "=1"))
			if i%2 == 1 {
				rollNow(t, f.l)
			}
		}
		mustClose(t, f.s)
		dir := f.l.dir + "/"
		copyTo := func(from, to string) {
			content, err := vfs.ReadFile(disk, dir+from)
			if from == "new" {
				a, errA := vfs.ReadFile(disk, dir+log(0, ""))
				b, errB := vfs.ReadFile(disk, dir+log(4, ""))
				content, err = append(a, b...), errors.Join(errA, errB)
			}
			if from == "aborted" {
				content, err = appendAbortedTxns(nil, []abortedTxn{{1, 1, 2, 3}}), nil
			}
			if err == nil {
				err = vfs.WriteFile(disk, dir+to, content)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		for from, to := range c.copies {
			copyTo(from, to)
		}
		for from, to := range c.rename {
			if err := disk.Rename(dir+from, dir+to); err != nil {
				t.Fatal(err)
			}
		}
		if err := disk.SyncDir(f.l.dir); err != nil {
			t.Fatal(err)
		}
		f.watch(func(op vfs.Op) error {
			// What they make invalid goes before them, what was in a place before what takes it.
			switch {
			case op.Kind == "remove" && strings.HasSuffix(op.Name, suffixCleaned):
				f.isDurable(c.name+", with .cleaned files", suffixSwap)
			case op.Kind == "rename" && strings.HasSuffix(op.Name, suffixLog):
				f.isDurable(c.name+", before a replacement", suffixLog, suffixIndex, suffixTimeIndex, suffixTxnIndex)
			}
			return nil
		})
		f.start()
		f.watch(nil)
		f.isDurable(c.name+", after the start", suffixSwap, suffixCleaned)
		logs := filesOf(t, f.l, suffixLog)
		all := strings.Join(filesOf(t, f.l, ""), " ")
		if !slices.Equal(logs, c.want) || strings.Contains(all, suffixSwap) || strings.Contains(all, suffixTxnIndex) || strings.Contains(all, suffixCleaned) || strings.Contains(all, suffixDeleted) {
			t.Errorf("%s: logs %q, want %q; files %s", c.name, logs, c.want, all)
		}
		f.want("0:a=0 1:b0=1 2:a=1 3:b1=1 4:a=2 5:b2=1 6:a=3 7:b3=1 8:a=4 9:b4=1")
		mustClose(t, f.s)
	}
}

// isDurable checks that a loss of power changes no file with these suffixes.
func (f *logFixture) isDurable(when string, suffixes ...string) {
	f.Helper()
	for _, name := range f.undurable() {
		if slices.Contains(suffixes, filepath.Ext(name)) {
			f.Errorf("%s: %s is not durable", when, name)
		}
	}
}

// TestASwapThatIsInterruptedTwice: the start after a crash puts the files of a replacement in their places and fails
// at one of them. The next start must not take what is in its place already for a file of the old segment.
func TestASwapThatIsInterruptedTwice(t *testing.T) {
	for failing := 2; failing <= len(segmentSuffixes()); failing++ {
		f := newCleanFixture(t, nil)
		f.put("a=0")
		f.inTransaction("a=1", false)
		f.roll()
		f.put("end=1")
		mustClose(t, f.s)
		for _, suffix := range segmentSuffixes() {
			name := filepath.Join(f.l.dir, offsetName(0, suffix))
			if err := f.disk.Rename(name, name+suffixSwap); err != nil {
				t.Fatal(err)
			}
		}
		renames := 0
		f.watch(func(op vfs.Op) error {
			if op.Kind == "rename" && strings.HasPrefix(op.Name, f.l.dir) {
				if renames++; renames == failing {
					return errors.New("disk error")
				}
			}
			return nil
		})
		f.logFixture.start()
		if renames != failing || !errors.Is(f.l.Err(), ErrOffline) {
			t.Fatalf("%d renames, %v", renames, f.l.Err())
		}
		f.watch(nil)
		f.restart()
		f.wantCommitted("0:a=0 3:end=1")
	}
}

// TestDamagedSwapReplacesNothing takes the log offline and leaves every file.
func TestDamagedSwapReplacesNothing(t *testing.T) {
	f := newCleanFixture(t, nil)
	disk := f.disk
	f.put("a=1", "b=1")
	rollNow(t, f.l)
	f.put("a=2")
	mustClose(t, f.s)
	content, err := vfs.ReadFile(disk, f.l.dir+"/"+offsetName(0, suffixLog))
	if err != nil {
		t.Fatal(err)
	}
	content[len(content)-1] ^= 1
	if err := vfs.WriteFile(disk, f.l.dir+"/"+offsetName(0, suffixLog)+suffixSwap, content); err != nil {
		t.Fatal(err)
	}
	s := mustOpen(t, f.config())
	l, ok := s.Log(tp0)
	var damage *CorruptionError
	if !ok || !errors.As(l.Err(), &damage) || !strings.HasSuffix(damage.File, suffixSwap) {
		t.Fatalf("log is %v", l.Err())
	}
	if logs := filesOf(t, l, suffixLog); len(logs) != 2 {
		t.Fatalf("left are %q", logs)
	}
	mustCloseUnclean(t, s)
}

func TestPaceBoundsBytesPerSecond(t *testing.T) {
	var p pace
	now := time.Unix(1000, 0)
	if p.claim(1<<30, now) != 0 {
		t.Fatal("no limit, but a wait")
	}
	p.set(1000)
	if wait := p.claim(100, now); wait > 0 {
		t.Fatalf("the first bytes wait %v", wait)
	}
	if wait := p.claim(1900, now); wait != 2*time.Second-pacePiece {
		t.Fatalf("2000 bytes at 1000 a second wait %v", wait)
	}
	if wait := p.claim(100, now.Add(10*time.Second)); wait > 0 {
		t.Fatalf("after a rest there is a wait of %v", wait)
	}
	stop := make(chan struct{})
	close(stop)
	if err := p.take(1<<30, stop); !errors.Is(err, errCleanStopped) {
		t.Fatalf("a wait that is stopped: %v", err)
	}
}
