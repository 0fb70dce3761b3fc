package storage

import (
	"bytes"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/millrace/millrace/broker/batch"
	"github.com/millrace/millrace/internal/vfs"
)

// TestGoldenTransactions holds a marker, a transaction index and a snapshot
// against bytes put together from Kafka's schemas (ControlRecordType,
// EndTransactionMarker, AbortedTxn, ProducerSnapshot).
func TestGoldenTransactions(t *testing.T) {
	m := Marker{ProducerID: 42, ProducerEpoch: 3, CoordinatorEpoch: 7, Commit: true}
	raw, err := m.build(1700000000000)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := hex.EncodeToString(raw[batch.HeaderSize:]), "20"+"00"+"00"+"00"+"08"+"00000001"+"0c"+"000000000007"+"00"; got != want {
		t.Errorf("marker record\n got %s\nwant %s", got, want)
	}
	b, err := batch.Parse(raw)
	if err != nil || !b.IsControl() || !b.IsTransactional() || b.ProducerID != 42 || b.ProducerEpoch != 3 || b.BaseSequence != -1 || b.Count != 1 {
		t.Errorf("marker batch %+v, %v", b.Header, err)
	}
	if got, ok, err := parseMarker(&b); err != nil || !ok || got != m {
		t.Errorf("marker %+v, %v, %v", got, ok, err)
	}
	got := hex.EncodeToString(appendAbortedTxns(nil, []abortedTxn{{42, 1000, 1010, 1004}}))
	if want := "0000" + "000000000000002a" + "00000000000003e8" + "00000000000003f2" + "00000000000003ec"; got != want {
		t.Errorf("transaction index\n got %s\nwant %s", got, want)
	}
	p := newProducers()
	p.update(&batch.Header{ProducerID: 42, ProducerEpoch: 3, Attributes: 0x10, LastOffsetDelta: 9, BaseOffset: 1000, Count: 10, MaxTimestamp: 1700000000000}, 1)
	p.complete(&batch.Header{ProducerID: 41, ProducerEpoch: 9, BaseOffset: 1010, Count: 1, MaxTimestamp: 1700000000001}, &m, 1)
	if got, want := hex.EncodeToString(p.snapshot()[6:]), strings.Join([]string{
		"00000002",
		"0000000000000029", "0009", "ffffffff", "ffffffffffffffff", "00000000", "0000018bcfe56801", "00000007", "ffffffffffffffff",
		"000000000000002a", "0003", "00000009", "00000000000003f1", "00000009", "0000018bcfe56800", "ffffffff", "00000000000003e8",
	}, ""); got != want {
		t.Errorf("snapshot\n got %s\nwant %s", got, want)
	}
	q := newProducers()
	if err := q.restore(p.snapshot(), 1); err != nil || !slices.Equal(q.ongoing, ongoingTxns{{1000, 42}}) || *q.byID[41] != *p.byID[41] {
		t.Errorf("restored %+v, %v", q.ongoing, err)
	}
}

func TestBadTransactionIndexes(t *testing.T) {
	good := []abortedTxn{{1, 5, 12, 9}, {2, 9, 14, 15}}
	for name, txns := range map[string][]abortedTxn{
		"marker before the segment":    {{1, 5, 9, 9}},
		"markers go back":              {{1, 5, 14, 9}, {2, 9, 12, 13}},
		"last stable offset goes back": {{1, 5, 12, 9}, {2, 9, 14, 8}},
		"begins after its end":         {{1, 13, 12, 9}},
		"producer id":                  {{-1, 5, 12, 9}},
		"stable beyond the marker":     {{1, 5, 12, 14}},
	} {
		if got, err := decodeAbortedTxns(appendAbortedTxns(nil, txns), 10); err == nil {
			t.Errorf("%s: %v", name, got)
		}
	}
	b := appendAbortedTxns(nil, good)
	if got, err := decodeAbortedTxns(b[:len(b)-1], 10); err == nil || !slices.Equal(got, good[:1]) {
		t.Errorf("cut off: %v, %v", got, err)
	}
	b[1] = 1
	if got, err := decodeAbortedTxns(b, 10); err == nil {
		t.Errorf("version 1: %v", got)
	}
}

// TestAbortedEntriesOfLostBatches: an entry may be on disk before its marker is.
func TestAbortedEntriesOfLostBatches(t *testing.T) {
	clock := newTestClock()
	mem := vfs.NewMem(clock.Now)
	s := mustOpen(t, testConfig(mem, clock))
	l := mustCreate(t, s, DefaultLogConfig())
	mustVerified(t, l, transactional(t, 1, 0, 0, 1)) // 0
	mustFlush(t, l, 0)
	l.flushMu.Lock()                      // what comes now is not flushed
	mustMark(t, l, Marker{ProducerID: 1}) // 1
	created, err := l.list()[0].persistIndex()
	if err != nil || !created || l.store.fs.SyncDir(l.dir) != nil {
		t.Fatal(created, err)
	}
	disk := mem.Crash(vfs.CrashDrop, nil)
	l.flushMu.Unlock()
	mustClose(t, s)
	s = mustOpen(t, testConfig(disk, clock))
	defer mustClose(t, s)
	l = mustCreate(t, s, DefaultLogConfig())
	if l.LogEnd() != 1 || l.LastStableOffset() != 0 {
		t.Fatalf("log ends at %d, stable to %d", l.LogEnd(), l.LastStableOffset())
	}
	mustMark(t, l, Marker{ProducerID: 1, Commit: true}) // 1
	wantStable(t, l, 2, 2)
	if res, err := l.Read(0, 1000, ReadOptions{Isolation: ReadCommitted}); err != nil || len(res.Aborted) > 0 || res.NextOffset != 2 {
		t.Errorf("%+v, %v", res.Aborted, err)
	}
}

// abortedLog makes three segments with aborted transactions and closes the store.
func abortedLog(t *testing.T, mem *vfs.Mem, clock *testClock) (names []string, want []AbortedTransaction) {
	s := mustOpen(t, testConfig(mem, clock))
	l := mustCreate(t, s, DefaultLogConfig())
	mustVerified(t, l, transactional(t, 9, 0, 0, 1)) // goes on over the segments
	for i := range int32(9) {
		res := mustVerified(t, l, transactional(t, 1, 0, i, 1))
		mustMark(t, l, Marker{ProducerID: 1})
		want = append(want, AbortedTransaction{1, res.BaseOffset})
		if i%3 != 2 {
			continue
		}
		names = append(names, l.list()[len(l.list())-1].path(suffixTxnIndex))
		if i < 8 {
			l.mu.Lock()
			_, err := l.roll()
			l.mu.Unlock()
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	mustMark(t, l, Marker{ProducerID: 9})
	want = append(want, AbortedTransaction{9, 0})
	mustClose(t, s)
	return names, want
}

// TestDamagedTransactionIndexes: an index that breaks the rules is made again
// from the batches, at the start after a crash and otherwise when it is first needed.
func TestDamagedTransactionIndexes(t *testing.T) {
	for _, clean := range []bool{true, false} {
		for damaged := range 3 {
			for _, kind := range []string{"version", "entry cut off", "marker before the segment", "empty"} {
				clock := newTestClock()
				mem := vfs.NewMem(clock.Now)
				names, want := abortedLog(t, mem, clock)
				good, err := vfs.ReadFile(mem, names[damaged])
				if err != nil {
					t.Fatal(err)
				}
				switch kind {
				case "version":
					overwrite(t, mem, names[damaged], 1, []byte{9})
				case "entry cut off":
					overwrite(t, mem, names[damaged], int64(len(good)), []byte{0})
				case "marker before the segment":
					if damaged == 0 {
						continue
					}
					overwrite(t, mem, names[damaged], 18, make([]byte, 8))
				case "empty":
					overwrite(t, mem, names[damaged], 0, make([]byte, len(good)))
				}
				if !clean {
					if err := mem.Remove("/data/" + fileCleanShutdown); err != nil {
						t.Fatal(err)
					}
				}
				s := mustOpen(t, testConfig(mem, clock))
				l := mustCreate(t, s, DefaultLogConfig())
				res, err := l.Read(0, 1<<20, ReadOptions{Isolation: ReadCommitted})
				if err != nil {
					t.Fatal(err)
				}
				got := slices.Clone(res.Aborted)
				for res.NextOffset < l.LogEnd() { // segment by segment
					if res, err = l.Read(res.NextOffset, 1<<20, ReadOptions{Isolation: ReadCommitted}); err != nil {
						t.Fatal(err)
					}
					got = append(got, res.Aborted...)
				}
				slices.SortFunc(got, func(a, b AbortedTransaction) int { return int(a.FirstOffset - b.FirstOffset) })
				got = slices.Compact(got)
				slices.SortFunc(want, func(a, b AbortedTransaction) int { return int(a.FirstOffset - b.FirstOffset) })
				if !slices.Equal(got, want) {
					t.Errorf("clean %v, segment %d, %s: %v, want %v", clean, damaged, kind, got, want)
				}
				mustClose(t, s)
				if again, err := vfs.ReadFile(mem, names[damaged]); err != nil || !bytes.Equal(again, good) {
					t.Errorf("clean %v, segment %d, %s: the file is %x, %v, want %x", clean, damaged, kind, again, err, good)
				}
			}
		}
	}
}

// TestManyAbortedTransactions: an index that is too large to be kept is
// searched in its file, and one that is full ends its segment.
func TestManyAbortedTransactions(t *testing.T) {
	clock := newTestClock()
	mem := vfs.NewMem(clock.Now)
	s := mustOpen(t, testConfig(mem, clock))
	defer mustClose(t, s)
	l := mustCreate(t, s, DefaultLogConfig())
	const n = sampledEntriesMax + 10
	for i := range int32(n) {
		mustVerified(t, l, transactional(t, 1, 0, i, 1))
		mustMark(t, l, Marker{ProducerID: 1})
	}
	wantStable(t, l, 2*n, 2*n)
	seg := l.list()[0]
	look := func(in string) {
		t.Helper()
		for _, c := range []struct{ start, end, first, count int64 }{
			{0, 1, 0, 1}, {1, 2, 0, 1}, {2, 3, 2, 1}, {n, n + 20, n, 10}, {n + 1, n + 21, n, 11}, {0, 2 * n, 0, n}, {2*n - 1, 2 * n, 2*n - 2, 1},
		} {
			got, err := l.abortedWithin(c.start, c.end)
			if err != nil || int64(len(got)) != c.count || got[0].FirstOffset != c.first {
				t.Errorf("%s, %d to %d: %d from %v, %v", in, c.start, c.end, len(got), got[:min(len(got), 1)], err)
			}
		}
	}
	look("memory")
	l.mu.Lock()
	x := seg.index.Load()
	for x.aborted.len() < abortedTxnsMax {
		x.aborted.add(abortedTxn{1, 1 << 40, 1<<40 + 1, 2*n + 1}) // as if
	}
	full := x.full(l.Config().SegmentIndexBytes)
	x.aborted.n.Store(n)
	_, err := l.roll()
	l.mu.Unlock()
	if err != nil || !full {
		t.Fatalf("full %v, %v", full, err)
	}
	if err := l.checkpoint(); err != nil || seg.index.Load() != nil {
		t.Fatal(err)
	}
	look("file")
	look("file, checked")
	if !seg.abortedChecked.Load() || seg.handle.Load().aborted.Load() != nil {
		t.Error("the index is kept in memory")
	}
}

// TestDeletionStopsAtTheLastStableOffset: what is undecided is not cut in two.
func TestDeletionStopsAtTheLastStableOffset(t *testing.T) {
	clock := newTestClock()
	s := mustOpen(t, testConfig(vfs.NewMem(clock.Now), clock))
	defer mustClose(t, s)
	cfg := DefaultLogConfig()
	cfg.SegmentBytes, cfg.RetentionBytes, cfg.RetentionMs = 1024, 1, 1
	l := mustCreate(t, s, cfg)
	for range 10 {
		mustAppend(t, l, makeBatch(t, batch.Options{}, clock.ms(), "plain", 5))
	}
	first := mustVerified(t, l, transactional(t, 1, 0, 0, 1)).BaseOffset
	for range 30 {
		mustAppend(t, l, makeBatch(t, batch.Options{}, clock.ms(), "plain", 5))
	}
	wantStable(t, l, l.LogEnd(), first)
	clock.advance(48 * 3600 * 1e9)
	if _, err := l.DeleteRecords(first + 1); !errors.Is(err, ErrOffsetOutOfRange) {
		t.Errorf("delete beyond the last stable offset: %v", err)
	}
	if start, err := l.DeleteRecords(-1); err != nil || start != first {
		t.Errorf("delete everything: %d, %v, want %d", start, err, first)
	}
	for range 2 {
		if err := s.EnforceRetention(); err != nil {
			t.Fatal(err)
		}
		if start := l.LogStart(); start != first {
			t.Fatalf("log starts at %d, want %d", start, first)
		}
	}
	if got := l.ActiveProducers(); len(got) != 1 || got[0].TxnFirstOffset != first {
		t.Errorf("a producer with an ongoing transaction was forgotten: %+v", got)
	}
	mustMark(t, l, Marker{ProducerID: 1, Commit: true})
	wantStable(t, l, l.LogEnd(), l.LogEnd())
	clock.advance(1e9)
	if err := s.EnforceRetention(); err != nil || l.LogStart() != l.LogEnd() {
		t.Errorf("log is %d to %d, %v", l.LogStart(), l.LogEnd(), err)
	}
}

func TestTransactionsAreBounded(t *testing.T) {
	p := newProducers()
	for i := range int64(producersMax) {
		p.update(&batch.Header{ProducerID: i, BaseOffset: i, Count: 1, Attributes: 0x10}, i)
	}
	h := &batch.Header{ProducerID: producersMax, Count: 1, Attributes: 0x10}
	guard := p.verifications.begin(h.ProducerID, 0, 0, 1)
	if _, err := p.check(h, &AppendOptions{Guard: guard}, 1); !errors.Is(err, ErrTooManyTransactions) {
		t.Errorf("one more: %v", err)
	}
	for i := range int64(10) {
		p.complete(&batch.Header{ProducerID: i, BaseOffset: producersMax + i, Count: 1}, &Marker{}, 1)
	}
	if _, err := p.check(h, &AppendOptions{Guard: guard}, 1); err != nil {
		t.Errorf("one more after some have ended: %v", err)
	}
	p.update(h, 1)
	if len(p.byID) > producersMax || p.byID[10] == nil || p.byID[h.ProducerID] == nil {
		t.Errorf("%d producers", len(p.byID))
	}
	if n := p.expire(1<<40, 1); len(p.byID) != len(p.ongoing) {
		t.Errorf("%d were forgotten, %d are left, %d are ongoing", n, len(p.byID), len(p.ongoing))
	}
	var v verifications
	for i := range int64(producersMax + 1) {
		v.begin(i, 0, 0, 1)
	}
	if len(v.byID) > producersMax || v.byID[0] != nil || v.byID[producersMax] == nil {
		t.Errorf("%d verifications", len(v.byID))
	}
	if v.expire(100, 99); len(v.byID) != 0 {
		t.Errorf("%d verifications after their time", len(v.byID))
	}
}

// FuzzTransactionIndex opens a log whose transaction index holds anything. Either
// the entries follow the rules, or they are made again.
func FuzzTransactionIndex(f *testing.F) {
	f.Add(appendAbortedTxns(nil, []abortedTxn{{1, 1, 2, 0}}), true)
	f.Add(make([]byte, 2*abortedTxnSize+3), false)
	f.Add([]byte{}, false)
	f.Fuzz(func(t *testing.T, content []byte, clean bool) {
		if txns, err := decodeAbortedTxns(content, 3); err == nil && !bytes.Equal(appendAbortedTxns(nil, txns), content) {
			t.Fatalf("%x became %x", content, appendAbortedTxns(nil, txns))
		}
		clock := newTestClock()
		mem := vfs.NewMem(clock.Now)
		names, _ := abortedLog(t, mem, clock)
		if err := vfs.WriteFile(mem, names[1], content); err != nil {
			t.Fatal(err)
		}
		if !clean {
			if err := mem.Remove("/data/" + fileCleanShutdown); err != nil {
				t.Fatal(err)
			}
		}
		s := mustOpen(t, testConfig(mem, clock))
		defer mustClose(t, s)
		l := mustCreate(t, s, DefaultLogConfig())
		for at := int64(0); at < l.LogEnd(); {
			res, err := l.Read(at, 1<<20, ReadOptions{Isolation: ReadCommitted, MinOneBatch: true})
			if err != nil || res.NextOffset <= at {
				t.Fatalf("read at %d: %+v, %v", at, res, err)
			}
			at = res.NextOffset
		}
		wantStable(t, l, 20, 20)
	})
}
