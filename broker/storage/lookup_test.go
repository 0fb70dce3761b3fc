package storage

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/millrace/millrace/broker/batch"
	"github.com/millrace/millrace/internal/vfs"
)

// TestTimestampLookups compares both searches with a walk over all records,
// for timestamps in any order, all codecs, several segments and after a restart.
func TestTimestampLookups(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	for _, spread := range []int64{1, 50, 5000} {
		clock := newTestClock()
		scfg := testConfig(vfs.NewMem(clock.Now), clock)
		s := mustOpen(t, scfg)
		l := mustCreate(t, s, smallConfig())
		var all []batch.Record
		for i := range 120 {
			var records []batch.Record
			for range 1 + random.IntN(4) {
				ts := clock.ms() - 100_000 + int64(i)*20 + random.Int64N(spread)
				records = append(records, batch.Record{Offset: int64(len(all)), Timestamp: ts, Value: []byte("some value")})
				all = append(all, records[len(records)-1])
			}
			b, err := batch.Build(batch.Options{Codec: batch.Codec(i % 5)}, records)
			if err != nil {
				t.Fatal(err)
			}
			mustAppend(t, l, b)
		}
		mustFlush(t, l, l.LogEnd()-1)
		start, err := l.DeleteRecords(20)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			checkLookups(t, l, all[start:], fmt.Sprint("spread ", spread))
			mustClose(t, s)
			s = mustOpen(t, scfg)
			l = mustCreate(t, s, smallConfig())
		}
		mustClose(t, s)
	}
}

func checkLookups(t *testing.T, l *Log, all []batch.Record, name string) {
	t.Helper()
	times := []int64{-5, 0, 1 << 60}
	for _, r := range all {
		times = append(times, r.Timestamp-1, r.Timestamp, r.Timestamp+1)
	}
	for _, ts := range times {
		want, wantTS := int64(-1), int64(-1)
		if i := slices.IndexFunc(all, func(r batch.Record) bool { return r.Timestamp >= ts }); i >= 0 {
			want, wantTS = all[i].Offset, all[i].Timestamp
		}
		if got, gotTS, _, err := l.OffsetForTimestamp(ts); err != nil || got != want || gotTS != wantTS {
			t.Fatalf("%s: timestamp %d is at %d (%d), want %d (%d); %v", name, ts, got, gotTS, want, wantTS, err)
		}
	}
	top := slices.MaxFunc(all, func(a, b batch.Record) int {
		if a.Timestamp != b.Timestamp {
			return int(a.Timestamp - b.Timestamp)
		}
		return int(b.Offset - a.Offset)
	})
	if offset, ts, epoch, err := l.MaxTimestamp(); err != nil || offset != top.Offset || ts != top.Timestamp || epoch != 0 {
		t.Fatalf("%s: largest timestamp %d at %d, want %d at %d; %v", name, ts, offset, top.Timestamp, top.Offset, err)
	}
}

func TestLookupsInAnEmptyLog(t *testing.T) {
	clock := newTestClock()
	s := mustOpen(t, testConfig(vfs.NewMem(clock.Now), clock))
	defer mustClose(t, s)
	l := mustCreate(t, s, smallConfig())
	if offset, ts, epoch, err := l.OffsetForTimestamp(0); offset != -1 || ts != -1 || epoch != -1 || err != nil {
		t.Error(offset, ts, epoch, err)
	}
	if offset, ts, epoch, err := l.MaxTimestamp(); offset != -1 || ts != -1 || epoch != -1 || err != nil {
		t.Error(offset, ts, epoch, err)
	}
}

func TestLookupInRecordsThatDoNotOpen(t *testing.T) {
	clock := newTestClock()
	s := mustOpen(t, testConfig(vfs.NewMem(clock.Now), clock))
	defer mustClose(t, s)
	cfg := smallConfig()
	cfg.TimestampType = LogAppendTime
	l := mustCreate(t, s, cfg)
	raw := makeBatch(t, batch.Options{Codec: batch.Zstd}, clock.ms(), "x", 3)
	copy(raw[batch.HeaderSize:], "this is not zstd")
	batch.SetLogAppendTime(raw, clock.ms()) // for its new checksum
	res := mustAppend(t, l, raw)
	mustFlush(t, l, res.LastOffset)
	if offset, _, _, err := l.OffsetForTimestamp(clock.ms()); err != nil || offset != 0 {
		t.Fatalf("offset %d, %v", offset, err)
	}
}

func TestLeaderEpochs(t *testing.T) {
	clock := newTestClock()
	scfg := testConfig(vfs.NewMem(clock.Now), clock)
	s := mustOpen(t, scfg)
	l := mustCreate(t, s, smallConfig())
	add := func(n int) {
		for range n {
			mustAppend(t, l, makeBatch(t, batch.Options{}, clock.ms(), "v", 1))
		}
		mustFlush(t, l, l.LogEnd()-1)
	}
	add(10) // epoch 0: 0 to 10
	for _, epoch := range []int32{3, 5} {
		if err := l.SetLeaderEpoch(epoch); err != nil {
			t.Fatal(err)
		}
		add(10) // 3: 10 to 20, 5: 20 to 30
	}
	if err := l.SetLeaderEpoch(4); !errors.Is(err, ErrFenced) {
		t.Errorf("lower epoch: %v", err)
	}
	for epoch, want := range map[int32]error{4: ErrFenced, 6: ErrUnknownLeaderEpoch} {
		if _, err := l.Append(makeBatch(t, batch.Options{}, clock.ms(), "v", 1), AppendOptions{LeaderEpoch: epoch}); !errors.Is(err, want) {
			t.Errorf("append under epoch %d: %v", epoch, err)
		}
	}
	check := func(when string) {
		t.Helper()
		for _, c := range []struct {
			epoch, found int32
			end          int64
		}{{-1, -1, -1}, {0, 0, 10}, {1, 0, 10}, {3, 3, 20}, {4, 3, 20}, {5, 5, 30}, {6, -1, -1}} {
			if found, end := l.EpochEndOffset(c.epoch); found != c.found || end != c.end {
				t.Errorf("%s: epoch %d: %d ends at %d, want %d at %d", when, c.epoch, found, end, c.found, c.end)
			}
		}
		if l.EpochAt(9) != 0 || l.EpochAt(10) != 3 || l.EpochAt(29) != 5 {
			t.Errorf("%s: epochs at 9, 10, 29: %d %d %d", when, l.EpochAt(9), l.EpochAt(10), l.EpochAt(29))
		}
	}
	check("running")
	mustClose(t, s)
	s = mustOpen(t, scfg)
	l, _ = s.Log(tp0)
	check("restarted")
	if end, err := l.TruncateTo(15); err != nil || end != 15 {
		t.Fatalf("truncate: %d %v", end, err)
	}
	if found, end := l.EpochEndOffset(3); found != 3 || end != 15 || l.EpochAt(14) != 3 {
		t.Errorf("after truncation epoch 3 ends at %d %d", found, end)
	}
	mustClose(t, s)
	s = mustOpen(t, scfg)
	defer mustClose(t, s)
	if l, _ = s.Log(tp0); l.LogEnd() != 15 || len(readAll(t, l, 0, 100)) != 15 {
		t.Errorf("log end after truncation and restart: %d", l.LogEnd())
	}
}

func TestReplicaAppendAndTruncate(t *testing.T) {
	clock := newTestClock()
	mem := vfs.NewMem(clock.Now)
	s := mustOpen(t, testConfig(mem, clock))
	l := mustCreate(t, s, smallConfig())
	replicate := func(base int64, epoch int32, n int) error {
		_, err := l.Append(makeBatch(t, batch.Options{BaseOffset: base, LeaderEpoch: epoch, Producer: &batch.Producer{ID: 3, Sequence: int32(base)}}, clock.ms(), fmt.Sprint("r", base), n), AppendOptions{Origin: OriginReplica})
		return err
	}
	for base := int64(0); base < 200; base += 5 {
		if err := replicate(base, int32(base/50), 5); err != nil {
			t.Fatal(err)
		}
	}
	if err := replicate(100, 9, 5); !errors.Is(err, ErrInvalidRecord) {
		t.Errorf("a batch before the log end: %v", err)
	}
	mustFlush(t, l, 199)
	for _, to := range []int64{200, 187, 100, 60, 1, 0} {
		end, err := l.TruncateTo(to)
		if err != nil || end != to-to%5 || l.LogEnd() != end || l.HighWatermark() != end || l.FlushedEnd() != end {
			t.Fatalf("truncate to %d: %d, %v", to, end, err)
		}
		if got := readAll(t, l, 0, 300); int64(len(got)) != end {
			t.Fatalf("%d records up to %d", len(got), end)
		}
		crashed := mem.Crash(vfs.CrashDrop, nil)
		s2 := mustOpen(t, testConfig(crashed, clock))
		if l2, _ := s2.Log(tp0); l2.Err() != nil || l2.LogEnd() != end {
			t.Fatalf("after a crash the log ends at %d, want %d; %v", l2.LogEnd(), end, l2.Err())
		}
		mustClose(t, s2)
		if end > 0 {
			if err := replicate(end, 20, 5); err != nil {
				t.Fatal(err)
			}
			if epoch, at := l.EpochEndOffset(20); epoch != 20 || at != end+5 {
				t.Fatalf("epoch 20 ends at %d", at)
			}
			if _, err := l.TruncateTo(end); err != nil {
				t.Fatal(err)
			}
		}
	}
	mustClose(t, s)
}

// TestABatchBehindItsTimeIsDamage: base offsets are not part of the checksum. A batch whose
// offset goes back, behind the one that was looked for, ends what is read.
func TestABatchBehindItsTimeIsDamage(t *testing.T) {
	var b []byte
	for _, base := range []int64{0, 5, 1, math.MaxInt64} {
		b = append(b, makeBatch(t, batch.Options{BaseOffset: base}, 1, "v", 1)...)
	}
	one := len(b) / 4
	for start, want := range map[int64]walkResult{
		0: {to: 2 * one, next: 6},
		5: {from: one, to: 2 * one, next: 6},
		6: {from: 2 * one, to: 2 * one},
	} {
		got := walk(b, start, math.MaxInt64, len(b), false)
		if !errors.Is(got.err, batch.ErrCorrupt) || got.from != want.from || got.to != want.to || got.next != want.next {
			t.Errorf("from %d: %+v, want %+v and damage", start, got, want)
		}
	}
}
