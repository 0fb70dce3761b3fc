package storage

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/broker/batch"
	"github.com/millrace/millrace/internal/vfs"
)

// cleanLogConfig has small segments and compacts whenever there is something dirty.
func cleanLogConfig() LogConfig {
	cfg := DefaultLogConfig()
	cfg.CleanupPolicy = CleanupCompact
	cfg.SegmentBytes, cfg.IndexIntervalBytes = 1024, 150
	cfg.MinCleanableDirtyRatio = 0
	cfg.DeleteRetentionMs = 60_000
	return cfg
}

// keyed makes a batch of records "key=value"; "key" alone is a tombstone, "=value" has no key.
func keyed(t testing.TB, o batch.Options, timestampMs int64, pairs ...string) []byte {
	t.Helper()
	records := make([]batch.Record, len(pairs))
	for i, p := range pairs {
		key, value, ok := strings.Cut(p, "=")
		records[i].Timestamp = timestampMs + int64(i)
		if key != "" {
			records[i].Key = []byte(key)
		}
		if ok {
			records[i].Value = []byte(value)
		}
	}
	b, err := batch.Build(o, records)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// rollNow begins a new segment, as an append would: not after an empty one.
func rollNow(t testing.TB, l *Log) {
	t.Helper()
	if list := l.list(); list[len(list)-1].size.Load() == 0 {
		return
	}
	l.mu.Lock()
	_, err := l.roll()
	l.mu.Unlock()
	if err != nil {
		t.Fatal(err)
	}
}

// compactAll compacts whatever is wanted.
func compactAll(t testing.TB, s *Store) int {
	t.Helper()
	n := 0
	for s.cleaner.cleanDirtiest(nil) {
		n++
	}
	for _, l := range s.Logs() {
		if err := errors.Join(l.Err(), l.Uncleanable()); err != nil {
			t.Fatal(err)
		}
	}
	return n
}

// describe lists the records as "offset:key=value".
func describe(records []batch.Record) string {
	var out []string
	for _, r := range records {
		text := fmt.Sprintf("%d:%s", r.Offset, r.Key)
		if r.Value != nil {
			text += "=" + string(r.Value)
		}
		out = append(out, text)
	}
	return strings.Join(out, " ")
}

// cleanFixture is a log that is compacted.
type cleanFixture struct {
	*logFixture
	cfg LogConfig
}

func newCleanFixture(t *testing.T, change func(*LogConfig)) *cleanFixture {
	t.Helper()
	cfg := cleanLogConfig()
	if change != nil {
		change(&cfg)
	}
	return &cleanFixture{newLogFixture(t, DurabilityFsync, cfg), cfg}
}

// start opens the store and the log with its configuration; it must be online.
func (f *cleanFixture) start() {
	f.Helper()
	f.s = mustOpen(f, f.config())
	f.l = mustCreate(f, f.s, f.cfg)
}

func (f *cleanFixture) restart() {
	f.Helper()
	mustClose(f, f.s)
	f.start()
}

func (f *cleanFixture) put(pairs ...string) AppendResult {
	f.Helper()
	res := mustAppend(f, f.l, keyed(f, batch.Options{}, f.clock.ms(), pairs...))
	mustFlush(f, f.l, res.LastOffset)
	return res
}

func (f *cleanFixture) want(text string) {
	f.Helper()
	if got := describe(readAll(f, f.l, f.l.LogStart(), 1<<20)); got != text {
		f.Fatalf("log holds  %s\nwant       %s", got, text)
	}
	checkIndexes(f, f.l)
}

// checkIndexes holds the index files of closed segments against the batches,
// by the rules of DumpLogSegments, and their ends against what follows.
func checkIndexes(t testing.TB, l *Log) {
	t.Helper()
	for i, seg := range l.list() {
		if seg.index.Load() != nil {
			continue
		}
		at := map[int64]int64{}
		top, end := int64(-1), seg.base
		err := l.scanSegment(seg, seg.base, func(b batch.Batch, position int64) error {
			at[b.LastOffset()], end = position, b.LastOffset()+1
			top = max(top, effectiveMaxTimestamp(&b.Header))
			return b.CheckCRC()
		})
		if err != nil {
			t.Fatal(err)
		}
		if next := l.endOf(l.list(), i); end != next {
			t.Fatalf("segment %d ends at %d, the next begins at %d", seg.base, end, next)
		}
		offsets, err := readIndex(seg.fs, seg)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range offsets {
			if position, ok := at[seg.base+int64(e.relative)]; !ok || position != int64(e.position) {
				t.Fatalf("segment %d: index says %d at %d, log has %d (%v)", seg.base, e.relative, e.position, position, ok)
			}
		}
		times, err := seg.timeEntries()
		if err != nil {
			t.Fatal(err)
		}
		if n := len(times); top >= 0 && (n == 0 || times[n-1].timestamp != top) {
			t.Fatalf("segment %d: time index %v, the largest timestamp is %d", seg.base, times, top)
		}
	}
}

func TestCompactionKeepsTheNewestOfEachKey(t *testing.T) {
	for codec := batch.None; codec <= batch.Zstd; codec++ {
		f := newCleanFixture(t, nil)
		for i := range 6 {
			res := mustAppend(t, f.l, keyed(t, batch.Options{Codec: codec}, f.clock.ms(), fmt.Sprint("a=", i), fmt.Sprint("b", i, "=x"), fmt.Sprint("c=", i)))
			mustFlush(t, f.l, res.LastOffset)
			if i%2 == 1 {
				rollNow(t, f.l)
			}
		}
		f.put("a=active", "b0")
		if n := compactAll(t, f.s); n != 1 {
			t.Fatalf("%d runs, want 1", n)
		}
		want := "1:b0=x 4:b1=x 7:b2=x 10:b3=x 13:b4=x 15:a=5 16:b5=x 17:c=5 18:a=active 19:b0"
		f.want(want)
		if n := len(f.l.list()); n != 2 {
			t.Fatalf("%d segments, want the compacted ones in one and the active one", n)
		}
		if f.l.cleaned.Load() != 18 {
			t.Fatalf("cleaner checkpoint is %d", f.l.cleaned.Load())
		}
		f.restart()
		f.want(want)
		if f.l.cleaned.Load() != 18 || f.l.LogEnd() != 20 {
			t.Fatalf("after a restart the cleaner checkpoint is %d, the end %d", f.l.cleaned.Load(), f.l.LogEnd())
		}
		if n := compactAll(t, f.s); n != 0 {
			t.Fatalf("%d runs with nothing dirty", n)
		}
	}
}

func TestTombstonesStayUntilTheirHorizon(t *testing.T) {
	f := newCleanFixture(t, nil)
	f.put("a=1", "b=1")
	rollNow(t, f.l)
	f.put("a", "c=1")
	rollNow(t, f.l)
	f.put("d=1")
	compactAll(t, f.s)
	f.want("1:b=1 2:a 3:c=1 4:d=1")
	// The horizon counts from the first compaction, not from the record, and
	// later ones do not move it.
	f.clock.advance(40 * time.Second)
	rollNow(t, f.l)
	f.put("e=1")
	compactAll(t, f.s)
	f.want("1:b=1 2:a 3:c=1 4:d=1 5:e=1")
	f.restart()
	f.clock.advance(19 * time.Second)
	rollNow(t, f.l)
	f.put("f=1")
	compactAll(t, f.s)
	f.want("1:b=1 2:a 3:c=1 4:d=1 5:e=1 6:f=1")
	f.clock.advance(time.Second)
	rollNow(t, f.l)
	f.put("g=1")
	compactAll(t, f.s)
	f.want("1:b=1 3:c=1 4:d=1 5:e=1 6:f=1 7:g=1")
	if err := f.l.Err(); err != nil {
		t.Fatal(err)
	}
}

// TestTimestampsOfTombstones reads a record by time whose batch has a delete
// horizon in the place of its base timestamp.
func TestTimestampsOfTombstones(t *testing.T) {
	f := newCleanFixture(t, nil)
	at := f.clock.ms()
	f.put("a", "b=1")
	rollNow(t, f.l)
	f.put("c=1")
	compactAll(t, f.s)
	records := readAll(t, f.l, 0, 1<<20)
	if records[0].Timestamp != at || records[1].Timestamp != at+1 {
		t.Fatalf("timestamps are %d and %d, were %d and %d", records[0].Timestamp, records[1].Timestamp, at, at+1)
	}
	offset, timestamp, _, err := f.l.OffsetForTimestamp(at + 1)
	if err != nil || offset != 1 || timestamp != at+1 {
		t.Fatalf("offset for %d is %d (%d), %v", at+1, offset, timestamp, err)
	}
	f.restart()
	if _, timestamp, _, err := f.l.MaxTimestamp(); err != nil || timestamp != at+1 {
		t.Fatalf("largest timestamp is %d, want %d, %v", timestamp, at+1, err)
	}
}

func TestProducersLastBatchStaysAsHeader(t *testing.T) {
	f := newCleanFixture(t, nil)
	send := func(id int64, sequence int32, pairs ...string) AppendResult {
		t.Helper()
		res := mustAppend(t, f.l, keyed(t, batch.Options{Producer: &batch.Producer{ID: id, Epoch: 1, Sequence: sequence}}, f.clock.ms(), pairs...))
		mustFlush(t, f.l, res.LastOffset)
		return res
	}
	send(1, 0, "a=1", "b=1")
	last := send(1, 2, "a=2")
	rollNow(t, f.l)
	send(2, 0, "a=3", "b=3")
	rollNow(t, f.l)
	f.put("x=1")
	compactAll(t, f.s)
	f.want("3:a=3 4:b=3 5:x=1")
	// Without snapshots the producers come from the batches that are left.
	mustClose(t, f.s)
	f.loseSnapshots()
	f.start()
	if res := send(1, 2, "a=2"); !res.Duplicate || res.BaseOffset != last.BaseOffset {
		t.Fatalf("a repetition of the emptied batch: %+v, want a duplicate at %d", res, last.BaseOffset)
	}
	if res := send(1, 3, "c=1"); res.Duplicate || res.BaseOffset != 6 {
		t.Fatalf("the next batch: %+v", res)
	}
}

func TestNullKeysGoWhenATopicIsCompacted(t *testing.T) {
	f := newCleanFixture(t, func(c *LogConfig) { c.CleanupPolicy = CleanupDelete })
	f.put("=old", "a=1", "=last")
	rollNow(t, f.l)
	f.put("a=2")
	if n := compactAll(t, f.s); n != 0 {
		t.Fatalf("a topic with cleanup.policy=delete was compacted %d times", n)
	}
	f.cfg.CleanupPolicy = CleanupCompact
	if err := f.l.SetConfig(f.cfg); err != nil {
		t.Fatal(err)
	}
	if _, err := f.l.Append(keyed(t, batch.Options{}, f.clock.ms(), "=new"), AppendOptions{}); !errors.Is(err, ErrInvalidRecord) {
		t.Fatalf("a record without a key: %v", err)
	}
	compactAll(t, f.s)
	f.want("1:a=1 3:a=2")
	// Back again: what compaction has left is as good as any log, gaps and all.
	rollNow(t, f.l)
	f.put("a=3")
	compactAll(t, f.s)
	f.cfg.CleanupPolicy = CleanupDelete
	if err := f.l.SetConfig(f.cfg); err != nil {
		t.Fatal(err)
	}
	f.want("3:a=2 4:a=3")
	f.restart()
	f.want("3:a=2 4:a=3")
	f.put("=new")
	f.want("3:a=2 4:a=3 5:=new")
}

func TestSeveralPassesWhenMemoryIsShort(t *testing.T) {
	f := newCleanFixture(t, nil)
	want := map[string]string{}
	for i := range 200 {
		pairs := make([]string, 5)
		for j := range pairs {
			key, value := fmt.Sprint("k", (i*7+j*3)%61), fmt.Sprint("v", i, "-", j)
			pairs[j] = key + "=" + value
			want[key] = value
		}
		f.put(pairs...)
	}
	rollNow(t, f.l)
	f.put("end=1")
	want["end"] = "1"
	target, err := f.l.cleanTarget(f.clock.ms())
	if err != nil {
		t.Fatal(err)
	}
	passes := 0
	r := &cleanRun{l: f.l, target: target, bytesMax: 10 * offsetSlotSize, load: 0.9, pause: func(int) error { return nil }}
	result, err := r.run()
	if err != nil {
		t.Fatal(err)
	}
	passes += result.passes
	if passes < 10 || result.to != 1000 {
		t.Fatalf("%d passes up to %d", passes, result.to)
	}
	got := map[string]string{}
	records := readAll(t, f.l, 0, 1<<20)
	for _, r := range records {
		got[string(r.Key)] = string(r.Value)
	}
	if !maps.Equal(got, want) || len(records) != len(want) {
		t.Fatalf("%d records, want %d of %v, got %v", len(records), len(want), want, got)
	}
	checkIndexes(t, f.l)
}

// TestReadersFinishWithOldSegments holds the segments of a reader while they
// are replaced twice and their files removed.
func TestReadersFinishWithOldSegments(t *testing.T) {
	f := newCleanFixture(t, func(c *LogConfig) { c.FileDeleteDelayMs = 0 })
	f.put("a=1", "b=1")
	f.put("a=2")
	rollNow(t, f.l)
	f.put("c=1")
	opened := f.l.list()[0]
	h, err := opened.acquire(&f.s.handles)
	if err != nil {
		t.Fatal(err)
	}
	size := opened.size.Load()
	compactAll(t, f.s)
	rollNow(t, f.l)
	f.put("d=1")
	compactAll(t, f.s)
	b := make([]byte, size)
	if err := readFull(h.file, b, 0); err != nil {
		t.Fatalf("a reader in the middle of an old segment: %v", err)
	}
	var offsets []int64
	for p, err := range batch.All(b) {
		if err == nil {
			err = p.CheckCRC()
		}
		if err != nil {
			t.Fatal(err)
		}
		offsets = append(offsets, p.BaseOffset)
	}
	if !slices.Equal(offsets, []int64{0, 2}) {
		t.Fatalf("the old segment has batches at %v", offsets)
	}
	if err := h.release(); err != nil {
		t.Fatal(err)
	}
	// A reader that has not opened it yet is told to look again.
	calls := 0
	stale := []*segment{opened}
	err = f.l.withSegments(func(list []*segment) error {
		if calls++; calls == 1 {
			other := slices.Clone(list)
			f.l.segments.Store(&other)
			list = stale
		}
		_, err := list[0].acquire(&f.s.handles)
		return err
	})
	if err != nil || calls != 2 {
		t.Fatalf("%d calls, %v", calls, err)
	}
}

// TestDamageTakesOneLogOutOfCompaction leaves the others in it.
func TestDamageTakesOneLogOutOfCompaction(t *testing.T) {
	f := newCleanFixture(t, nil)
	other, err := f.s.CreateLog(TopicPartition{Topic: "other"}, [16]byte{2}, f.cfg, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range []*Log{f.l, other} {
		for range 3 {
			mustFlush(t, l, mustAppend(t, l, keyed(t, batch.Options{}, f.clock.ms(), "a=1", "b=1")).LastOffset)
			rollNow(t, l)
		}
	}
	file, err := f.disk.OpenReadWrite(f.l.dir + "/" + offsetName(2, suffixLog))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.WriteAt([]byte{0xff}, batch.HeaderSize+3); err != nil {
		t.Fatal(err)
	}
	for f.s.cleaner.cleanDirtiest(nil) {
	}
	var damage *CorruptionError
	if err := f.l.Uncleanable(); !errors.As(err, &damage) || damage.Offset != 2 || damage.Position != 0 || !strings.HasSuffix(damage.File, offsetName(2, suffixLog)) {
		t.Fatalf("damaged log: %v", err)
	}
	if f.l.Err() != nil || other.Uncleanable() != nil || other.cleaned.Load() != 6 {
		t.Fatalf("log %v; the other is compacted up to %d, %v", f.l.Err(), other.cleaned.Load(), other.Uncleanable())
	}
	if left := append(filesOf(t, f.l, suffixCleaned), filesOf(t, f.l, suffixSwap)...); len(left) > 0 {
		t.Fatalf("left behind: %q", left)
	}
	f.put("still=writable")
	// When the damage is gone the log is compacted again.
	if _, err := f.l.DeleteRecords(4); err != nil {
		t.Fatal(err)
	}
	if err := f.s.EnforceRetention(); err != nil {
		t.Fatal(err)
	}
	compactAll(t, f.s)
	f.want("4:a=1 5:b=1 6:still=writable")
}

func TestCompactionWaitsForLagAndRatio(t *testing.T) {
	f := newCleanFixture(t, func(c *LogConfig) { c.MinCleanableDirtyRatio = 0.5; c.MinCompactionLagMs = 10_000 })
	f.put("a=1", "b=1")
	rollNow(t, f.l)
	f.put("a=2")
	f.clock.advance(9999 * time.Millisecond)
	if n := compactAll(t, f.s); n != 0 {
		t.Fatal("compacted before min.compaction.lag.ms was over")
	}
	f.clock.advance(time.Millisecond)
	if n := compactAll(t, f.s); n != 1 {
		t.Fatal("not compacted after min.compaction.lag.ms")
	}
	rollNow(t, f.l)
	f.clock.advance(time.Minute)
	if n := compactAll(t, f.s); n != 0 {
		t.Fatalf("compacted at a ratio below min.cleanable.dirty.ratio")
	}
	f.cfg.MaxCompactionLagMs = 61_000
	if err := f.l.SetConfig(f.cfg); err != nil {
		t.Fatal(err)
	}
	if n := compactAll(t, f.s); n != 1 {
		t.Fatal("not compacted after max.compaction.lag.ms")
	}
	// Nobody writes any more: the active segment is rolled for it.
	f.put("b=2")
	f.clock.advance(62 * time.Second)
	compactAll(t, f.s)
	compactAll(t, f.s)
	if f.l.cleaned.Load() != 4 {
		t.Fatalf("compacted up to %d, want 4", f.l.cleaned.Load())
	}
	f.want("2:a=2 3:b=2")
}

func TestTruncationTakesTheCleanerBack(t *testing.T) {
	f := newCleanFixture(t, nil)
	for i := range 4 {
		f.put(fmt.Sprint("a=", i), fmt.Sprint("b=", i))
		rollNow(t, f.l)
	}
	compactAll(t, f.s)
	f.want("6:a=3 7:b=3")
	if end, err := f.l.TruncateTo(5); err != nil || end != 0 { // everything before 6 is gone
		t.Fatal(end, err)
	}
	if f.l.cleaned.Load() != 0 {
		t.Fatalf("cleaner checkpoint is %d behind the end", f.l.cleaned.Load())
	}
	f.put("c=1")
	rollNow(t, f.l)
	f.put("c=2")
	rollNow(t, f.l)
	compactAll(t, f.s)
	f.want("1:c=2")
	f.restart()
	f.want("1:c=2")
}

// TestFullDiskAndCompaction: compaction leaves the reserve alone, and deleted
// segments go at once when their room is needed.
func TestFullDiskAndCompaction(t *testing.T) {
	clock := newTestClock()
	free := int64(1 << 30)
	cfg := testConfig(vfs.NewMem(clock.Now), clock)
	cfg.DiskReserveBytes = 1 << 20
	cfg.DiskSpace = func(string) (DiskSpace, error) { return DiskSpace{FreeBytes: free, TotalBytes: 2 << 30}, nil }
	s := mustOpen(t, cfg)
	defer mustClose(t, s)
	l := mustCreate(t, s, cleanLogConfig())
	for range 8 {
		mustFlush(t, l, mustAppend(t, l, keyed(t, batch.Options{}, clock.ms(), "a=1", "b="+strings.Repeat("x", 300))).LastOffset)
	}
	rollNow(t, l)
	free = 1500
	if err := s.space.look(); err != nil || s.WritesRefused() == nil {
		t.Fatal("producers are not refused", err)
	}
	s.cleaner.cleanDirtiest(nil)
	if l.cleaned.Load() != 0 || l.Uncleanable() != nil || len(filesOf(t, l, suffixCleaned)) > 0 {
		t.Fatalf("compacted up to %d on a full disk; %v", l.cleaned.Load(), l.Uncleanable())
	}
	free = 100_000
	clock.advance(2 * cleanRetryDelay)
	s.cleaner.cleanDirtiest(nil)
	if l.cleaned.Load() != 16 || len(filesOf(t, l, suffixDeleted)) > 0 {
		t.Fatalf("compacted up to %d; left are %q", l.cleaned.Load(), filesOf(t, l, suffixDeleted))
	}
}
