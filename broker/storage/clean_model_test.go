package storage

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/millrace/millrace/broker/batch"
	"github.com/millrace/millrace/internal/vfs"
)

// cleanEntry is one batch as it was appended.
type cleanEntry struct {
	base, last int64
	producer   int64 // -1 for none
	txn        bool
	marker     bool
	commit     bool
	sequence   int32
	codec      batch.Codec
	records    []batch.Record // with offsets
}

// cleanModel is everything that was ever appended to a compacted log, and what
// is known about when its tombstones could be compacted first.
type cleanModel struct {
	entries []cleanEntry
	// firstMs is when a tombstone, by offset, was first below the end of a run.
	firstMs map[int64]int64
	// lastRunMs is when the last run began.
	lastRunMs int64
}

func (m *cleanModel) end() int64 {
	if len(m.entries) == 0 {
		return 0
	}
	return m.entries[len(m.entries)-1].last + 1
}

// cut forgets what a crash has taken, which begins at a batch.
func (m *cleanModel) cut(end int64) {
	for len(m.entries) > 0 && m.entries[len(m.entries)-1].base >= end {
		m.entries = m.entries[:len(m.entries)-1]
	}
}

// sequence is the next one of a producer.
func (m *cleanModel) sequence(producer int64) int32 {
	var n int32
	for i := range m.entries {
		if e := &m.entries[i]; e.producer == producer && !e.marker {
			n += int32(len(e.records))
		}
	}
	return n
}

func (m *cleanModel) ongoing(producer int64) bool {
	for i := len(m.entries) - 1; i >= 0; i-- {
		if e := &m.entries[i]; e.producer == producer && (e.txn || e.marker) {
			return !e.marker
		}
	}
	return false
}

// visible returns the committed records below end by offset, and the offset
// below which all transactions are decided.
func (m *cleanModel) visible(end int64) (map[int64]batch.Record, int64) {
	out, open, stable := map[int64]batch.Record{}, map[int64][]*cleanEntry{}, end
	take := func(e *cleanEntry) {
		for _, r := range e.records {
			out[r.Offset] = r
		}
	}
	for i := range m.entries {
		e := &m.entries[i]
		switch {
		case e.base >= end:
		case e.marker:
			if e.commit {
				for _, o := range open[e.producer] {
					take(o)
				}
			}
			delete(open, e.producer)
		case e.txn:
			open[e.producer] = append(open[e.producer], e)
		default:
			take(e)
		}
	}
	for _, o := range open {
		stable = min(stable, o[0].base)
	}
	return out, stable
}

// run notes that compaction up to offset to begins.
func (m *cleanModel) run(to, nowMs int64) {
	m.lastRunMs = nowMs
	for i := range m.entries {
		for _, r := range m.entries[i].records {
			if _, known := m.firstMs[r.Offset]; !known && r.Offset < to && r.Value == nil {
				m.firstMs[r.Offset] = nowMs
			}
		}
	}
}

// check holds a log, all of which is below its high watermark, against the
// model: nothing that was never written, nothing of an aborted transaction, of
// each key the newest record and no older one in its place, tombstones long enough.
func (m *cleanModel) check(l *Log, retentionMs int64) error {
	all, stable := m.visible(l.LogEnd())
	records, err := readAllCommitted(l)
	if err != nil {
		return err
	}
	newest, got := map[string]int64{}, map[string]int64{}
	for offset, r := range all {
		if offset >= l.LogStart() && offset < stable {
			newest[string(r.Key)] = max(newest[string(r.Key)], offset+1)
		}
	}
	last := int64(-1)
	for _, r := range records {
		want, ok := all[r.Offset]
		if !ok || fmt.Sprint(want) != fmt.Sprint(r) {
			return fmt.Errorf("record %v: written was %v (%v)", r, want, ok)
		}
		if r.Offset <= last {
			return fmt.Errorf("offset %d after %d", r.Offset, last)
		}
		last = r.Offset
		if before, ok := got[string(r.Key)]; ok && r.Offset < l.cleaned.Load() {
			return fmt.Errorf("key %s is at %d and %d, below the cleaner checkpoint %d", r.Key, before-1, r.Offset, l.cleaned.Load())
		}
		got[string(r.Key)] = r.Offset + 1
	}
	for key, offset := range newest {
		if got[key] == offset {
			continue
		}
		first, cleaned := m.firstMs[offset-1]
		if all[offset-1].Value == nil && cleaned && m.lastRunMs-first >= retentionMs && got[key] == 0 {
			continue
		}
		return fmt.Errorf("key %s: newest is %d, found %d (of %v; first compacted at %d, last run at %d)", key, offset-1, got[key]-1, all[offset-1], first, m.lastRunMs)
	}
	return nil
}

// readAllCommitted reads what a client that reads committed records sees.
func readAllCommitted(l *Log) ([]batch.Record, error) {
	var out []batch.Record
	for from := l.LogStart(); ; {
		res, err := l.Read(from, 1<<20, ReadOptions{Isolation: ReadCommitted, MinOneBatch: true})
		if err != nil {
			return out, err
		}
		if len(res.Data) == 0 {
			if from < res.LastStableOffset {
				return out, fmt.Errorf("nothing at %d, below the last stable offset %d", from, res.LastStableOffset)
			}
			return out, nil
		}
		for r, err := range committedRecords(&res) {
			if err != nil {
				return out, err
			}
			if r.Offset >= from {
				out = append(out, r.Record)
			}
		}
		from = res.NextOffset
	}
}

// cleanRandom does random things with a compacted log.
type cleanRandom struct {
	*testing.T
	clock  *testClock
	disk   *vfs.Mem
	random *rand.Rand
	cfg    LogConfig
	s      *Store
	l      *Log
	m      cleanModel
	epoch  int32
	acked  int64
	// observing is held while a change of the disk is looked at: the store's maintenance, which an
	// earlier step may have woken, changes it beside the compaction.
	observing sync.Mutex
	cleaning  bool // protected by observing
	// runs of compaction, every fourth of which is cloned; clones that were
	// checked, nested those of crashes while another crash was recovered from.
	runs, clones, nested int
	// changes of the disk in this run; the clones begin at from.
	changes, from int
}

func newCleanRandom(t *testing.T, seed uint64) *cleanRandom {
	clock := newTestClock()
	r := &cleanRandom{T: t, clock: clock, disk: vfs.NewMem(clock.Now), random: rand.New(rand.NewPCG(seed, 12)), cfg: cleanLogConfig()}
	r.m.firstMs = map[int64]int64{}
	r.cfg.SegmentBytes = int64(1024 + r.random.IntN(1500))
	r.cfg.DeleteRetentionMs = int64(r.random.IntN(20_000))
	r.cfg.FileDeleteDelayMs = int64(r.random.IntN(2) * 5000)
	r.cfg.ProducerIDExpirationMs *= 30
	return r
}

func (r *cleanRandom) open() {
	cfg := testConfig(vfs.Observe(r.disk, vfs.Hooks{After: r.observe}), r.clock)
	cfg.TailBytesMax = []int64{-1, 4000, 1 << 20}[r.random.IntN(3)]
	cfg.OpenFilesMax = 1 + r.random.IntN(3)
	cfg.Cleaner.MemoryBytesMax = []int64{1, 6, 1000}[r.random.IntN(3)] * offsetSlotSize
	r.s = mustOpen(r, cfg)
	r.epoch++
	l, err := r.s.CreateLog(tp0, [16]byte{1}, r.cfg, r.epoch)
	if err != nil || l.Err() != nil {
		r.Fatal(err, l.Err())
	}
	r.l = l
}

// watch says whether changes of the disk are looked at from now on.
func (r *cleanRandom) watch(cleaning bool) {
	r.observing.Lock()
	defer r.observing.Unlock()
	r.cleaning = cleaning
}

// observe clones the disk as a crash at this moment would leave it, and checks the clone.
func (r *cleanRandom) observe(op vfs.Op) {
	if !op.Changes() {
		return
	}
	r.observing.Lock()
	defer r.observing.Unlock()
	if !r.cleaning {
		return
	}
	// A run in many passes changes the disk many times: a part of them will do.
	if r.changes++; r.changes < r.from || r.changes >= r.from+40 {
		return
	}
	for _, mode := range []vfs.CrashMode{vfs.CrashProcess, vfs.CrashDrop, vfs.CrashPrefix, vfs.CrashHoles} {
		r.clones++
		disk := r.disk.Crash(mode, r.random)
		if mode != vfs.CrashHoles && r.clones%149 == 1 {
			r.crashAgain(disk)
		}
		if err := r.checkClone(disk, mode); err != nil {
			r.Fatalf("after %s %s, crash mode %d: %v", op.Kind, op.Name, mode, err)
		}
	}
}

// crashAgain opens a copy of a disk and crashes at every change that recovery makes.
func (r *cleanRandom) crashAgain(disk *vfs.Mem) {
	disk = disk.Crash(vfs.CrashProcess, r.random)
	cfg := testConfig(vfs.Observe(disk, vfs.Hooks{After: func(op vfs.Op) {
		if !op.Changes() {
			return
		}
		for _, mode := range []vfs.CrashMode{vfs.CrashProcess, vfs.CrashDrop, vfs.CrashPrefix} {
			r.nested++
			if err := r.checkClone(disk.Crash(mode, r.random), mode); err != nil {
				r.Fatalf("in recovery, after %s %s, crash mode %d: %v", op.Kind, op.Name, mode, err)
			}
		}
	}}), r.clock)
	cfg.Registerer = nil
	s, err := Open(cfg)
	if err != nil {
		r.Fatal(err)
	}
	mustClose(r, s)
}

func (r *cleanRandom) checkClone(disk *vfs.Mem, mode vfs.CrashMode) (err error) {
	cfg := testConfig(disk, r.clock)
	cfg.Registerer = nil
	s, err := Open(cfg)
	if err != nil {
		return err
	}
	offline := false
	defer func() {
		if closeErr := s.Close(); err == nil && !offline {
			err = closeErr
		}
	}()
	l, err := s.CreateLog(tp0, [16]byte{1}, r.cfg, r.epoch+1)
	if err != nil {
		return err
	}
	if l.Err() != nil {
		offline = true
		if mode == vfs.CrashHoles && errors.As(l.Err(), new(*CorruptionError)) {
			return nil
		}
		return l.Err()
	}
	if l.LogEnd() < r.acked {
		return fmt.Errorf("log ends at %d, acknowledged were %d", l.LogEnd(), r.acked)
	}
	if err := r.m.check(l, r.cfg.DeleteRetentionMs); err != nil {
		return err
	}
	if r.random.IntN(5) == 0 {
		if err := r.compactClone(l); err != nil {
			return fmt.Errorf("compacted again: %w", err)
		}
	}
	for producer := int64(1); producer <= 4; producer++ {
		if err := r.resend(l, producer); err != nil {
			return err
		}
	}
	return nil
}

// compactClone compacts what was interrupted.
func (r *cleanRandom) compactClone(l *Log) error {
	target, err := l.cleanTarget(r.clock.ms())
	if err != nil {
		return err
	}
	if ran := l.store.cleaner.cleanDirtiest(nil); ran != target.wanted() || ran && l.cleaned.Load() < target.to {
		return fmt.Errorf("%d to %d: ran %v up to %d, %w", target.from, target.to, ran, l.cleaned.Load(), errors.Join(l.Err(), l.Uncleanable()))
	}
	m := r.m
	m.firstMs = maps.Clone(m.firstMs)
	m.run(target.to, r.clock.ms())
	return m.check(l, r.cfg.DeleteRetentionMs)
}

// resend sends the last batch of a producer again: it must be found, whatever
// is left of it.
func (r *cleanRandom) resend(l *Log, producer int64) error {
	for i := len(r.m.entries) - 1; i >= 0; i-- {
		e := &r.m.entries[i]
		if e.producer != producer || e.marker || e.last >= l.LogEnd() {
			continue
		}
		b, err := e.build()
		if err != nil {
			return err
		}
		res, err := verified(l, b)
		if err != nil || !res.Duplicate || res.BaseOffset != e.base {
			return fmt.Errorf("batch at %d of producer %d sent again: %+v, %w", e.base, producer, res, err)
		}
		return nil
	}
	return nil
}

func (e *cleanEntry) build() ([]byte, error) {
	o := batch.Options{Codec: e.codec, Transactional: e.txn}
	if e.producer >= 0 {
		o.Producer = &batch.Producer{ID: e.producer, Epoch: 1, Sequence: e.sequence}
	}
	return batch.Build(o, e.records)
}

func (r *cleanRandom) step() string {
	switch n := r.random.IntN(100); {
	case n < 50:
		r.append(-1+int64(r.random.IntN(3)), false) // none, 0 is not used, 1
		return "append"
	case n < 60:
		r.append(2+int64(r.random.IntN(3)), true)
		return "append in a transaction"
	case n < 74:
		for producer := range int64(3) {
			if r.random.IntN(3) > 0 {
				r.mark(2 + producer)
			}
		}
		return "markers"
	case n < 80:
		rollNow(r, r.l)
		return "roll"
	case n < 90:
		r.compact()
		return "compact"
	case n < 92:
		if err := r.s.EnforceRetention(); err != nil {
			r.Fatal(err)
		}
		return "retention"
	case n < 94:
		if start, stable := r.l.LogStart(), r.l.LastStableOffset(); r.random.IntN(4) == 0 {
			if _, err := r.l.DeleteRecords(start + r.random.Int64N(stable-start+1)); err != nil {
				r.Fatal(err)
			}
		}
		return "delete records"
	case n < 97:
		mustClose(r, r.s)
		r.open()
		return "restart"
	}
	disk := r.disk.Crash(vfs.CrashMode(r.random.IntN(3)), r.random)
	mustClose(r, r.s)
	r.disk = disk
	r.open()
	if r.l.LogEnd() < r.acked {
		r.Fatalf("after a crash the log ends at %d, acknowledged were %d", r.l.LogEnd(), r.acked)
	}
	r.m.cut(r.l.LogEnd())
	return "crash"
}

func (r *cleanRandom) append(producer int64, txn bool) {
	if producer == 0 {
		producer = 1
	}
	e := cleanEntry{base: r.m.end(), producer: producer, txn: txn, codec: batch.Codec(r.random.IntN(5))}
	if producer >= 0 {
		e.sequence = r.m.sequence(producer)
	}
	for range 1 + r.random.IntN(4) {
		rec := batch.Record{Offset: e.base + int64(len(e.records)), Timestamp: r.clock.ms() + int64(r.random.IntN(500)), Key: fmt.Appendf(nil, "k%d", r.random.IntN(15))}
		if r.random.IntN(4) > 0 {
			rec.Value = fmt.Appendf(nil, "%d of producer %d, %d", rec.Offset, producer, r.random.IntN(1000))
		}
		e.records = append(e.records, rec)
	}
	e.last = e.base + int64(len(e.records)) - 1
	b, err := e.build()
	if err != nil {
		r.Fatal(err)
	}
	res, err := verified(r.l, b)
	if err != nil || res.BaseOffset != e.base {
		r.Fatalf("append at %d: %+v, %v", e.base, res, err)
	}
	r.m.entries = append(r.m.entries, e)
	r.flush()
}

func (r *cleanRandom) mark(producer int64) {
	if !r.m.ongoing(producer) {
		return
	}
	commit := r.random.IntN(2) == 0
	res := mustMark(r, r.l, Marker{ProducerID: producer, ProducerEpoch: 1, CoordinatorEpoch: 1, Commit: commit})
	r.m.entries = append(r.m.entries, cleanEntry{base: res.BaseOffset, last: res.LastOffset, producer: producer, marker: true, commit: commit})
	r.flush()
}

func (r *cleanRandom) flush() {
	r.clock.advance(time.Duration(r.random.IntN(1000)) * time.Millisecond)
	if r.random.IntN(3) > 0 {
		mustFlush(r, r.l, r.m.end()-1)
		r.acked = r.m.end()
	}
}

func (r *cleanRandom) compact() {
	if end := r.m.end(); end > 0 {
		mustFlush(r, r.l, end-1)
		r.acked = end
	}
	target, err := r.l.cleanTarget(r.clock.ms())
	if err != nil {
		r.Fatal(err)
	}
	if target.wanted() {
		r.m.run(target.to, r.clock.ms())
	}
	if target.wanted() {
		r.runs++
	}
	r.changes, r.from = 0, 1+r.random.IntN(2)*r.random.IntN(100)
	r.watch(target.wanted() && r.runs%4 == 1)
	ran := r.s.cleaner.cleanDirtiest(nil)
	r.watch(false)
	if err := errors.Join(r.l.Err(), r.l.Uncleanable()); err != nil || ran != target.wanted() || ran && r.l.cleaned.Load() < target.to {
		r.Fatalf("compaction of %d to %d (%v): ran %v, checkpoint %d, %v", target.from, target.to, target.wanted(), ran, r.l.cleaned.Load(), err)
	}
	checkIndexes(r, r.l)
}

// TestRandomCompaction does anything in any order, crashes at every change of
// the disk during compaction, and compares with the model.
func TestRandomCompaction(t *testing.T) {
	for seed := range longer(t, 3) {
		r := newCleanRandom(t, uint64(seed))
		r.open()
		for i := range 250 {
			name := r.step()
			if end := r.m.end(); end > 0 {
				mustFlush(r, r.l, end-1)
				r.acked = end
			}
			if err := r.m.check(r.l, r.cfg.DeleteRetentionMs); err != nil {
				t.Fatalf("seed %d, step %d, %s: %v", seed, i, name, err)
			}
		}
		mustClose(t, r.s)
		t.Logf("seed %d: %d batches, %d runs, %d and %d crash clones, log %d to %d, compacted to %d", seed, len(r.m.entries), r.runs, r.clones, r.nested, r.l.LogStart(), r.l.LogEnd(), r.l.cleaned.Load())
		if r.clones < 100 || r.nested < 10 || r.l.cleaned.Load() < r.m.end()/4 {
			t.Fatalf("seed %d: only %d and %d crash clones, compacted to %d of %d", seed, r.clones, r.nested, r.l.cleaned.Load(), r.m.end())
		}
	}
}
