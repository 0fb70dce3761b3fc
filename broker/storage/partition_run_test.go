package storage

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/millrace/millrace/broker/batch"
	"github.com/millrace/millrace/internal/vfs"
)

// partitionRun does random things with a partition and with its model. Nothing
// runs in the background, so that a seed always does the same.
type partitionRun struct {
	*testing.T
	clock      *testClock
	disk       *vfs.Mem
	random     *rand.Rand
	durability Durability
	cfg        LogConfig
	s          *Store
	l          *Log
	m          *partitionModel
	epoch      int32
	did        map[string]int
}

// TestPartitionAgainstModel does random operations with a partition and with a
// simple model of it: appends of plain, idempotent and transactional producers and what
// must be refused of them, reads of both isolation levels at any offset, offsets by time,
// rolls, checkpoints, retention, deletion of records, truncation, compaction, restarts and
// crashes that lose what was not forced to disk. MILLRACE_MODEL_STEPS sets their number.
func TestPartitionAgainstModel(t *testing.T) {
	const stepsPerSeed = 1000
	steps := 20 * stepsPerSeed
	if text := os.Getenv("MILLRACE_MODEL_STEPS"); text != "" {
		var err error
		if steps, err = strconv.Atoi(text); err != nil {
			t.Fatalf("MILLRACE_MODEL_STEPS: %v", err)
		}
	}
	did, began := map[string]int{}, time.Now()
	for seed := range (steps + stepsPerSeed - 1) / stepsPerSeed {
		r := newPartitionRun(t, uint64(seed), did)
		for i := range stepsPerSeed {
			name, err := r.step()
			did[name]++
			if err == nil {
				err = r.check()
			}
			if err != nil {
				t.Fatalf("seed %d, step %d, %s: %v", seed, i, name, err)
			}
		}
		mustClose(t, r.s)
	}
	t.Logf("%d steps with %d seeds in %v: %v", steps, (steps+stepsPerSeed-1)/stepsPerSeed, time.Since(began), did)
	for _, name := range []string{"append", "append in a transaction", "marker", "repeat", "refused", "roll", "checkpoint", "retention", "delete records", "truncate", "compact", "restart", "crash"} {
		if did[name] == 0 {
			t.Errorf("%q never happened", name)
		}
	}
}

func newPartitionRun(t *testing.T, seed uint64, did map[string]int) *partitionRun {
	clock := newTestClock()
	r := &partitionRun{T: t, clock: clock, disk: vfs.NewMem(clock.Now), random: rand.New(rand.NewPCG(seed, 4)), m: newPartitionModel(), did: did}
	r.cfg = DefaultLogConfig()
	r.cfg.SegmentBytes = int64(1024 + r.random.IntN(4000))
	r.cfg.IndexIntervalBytes = int64(r.random.IntN(600))
	r.cfg.MinCleanableDirtyRatio = 0
	r.cfg.DeleteRetentionMs = int64(r.random.IntN(20_000))
	r.cfg.ProducerIDExpirationMs *= 365
	r.cfg.RetentionMs = -1
	if seed%3 == 2 {
		r.durability = DurabilityOS
	}
	switch seed % 5 {
	case 1:
		r.cfg.RetentionBytes = int64(10_000 + r.random.IntN(20_000))
	case 2:
		r.cfg.RetentionMs = int64(10_000 + r.random.IntN(60_000))
	case 3:
		r.cfg.CleanupPolicy = CleanupCompact
	case 4:
		r.cfg.CleanupPolicy = CleanupCompact | CleanupDelete
		r.cfg.RetentionBytes = int64(10_000 + r.random.IntN(20_000))
	}
	r.open()
	return r
}

func (r *partitionRun) open() {
	cfg := testConfig(r.disk, r.clock)
	cfg.Durability = r.durability
	cfg.TailBytesMax = []int64{-1, 2000, 1 << 20}[r.random.IntN(3)]
	cfg.OpenFilesMax = 1 + r.random.IntN(3)
	r.s = mustOpen(r, cfg)
	// What the store does in the background is done by the steps.
	close(r.s.stop)
	r.s.background.Wait()
	r.s.stop = make(chan struct{})
	r.epoch++
	l, err := r.s.CreateLog(tp0, [16]byte{1}, r.cfg, r.epoch)
	if err != nil || l.Err() != nil {
		r.Fatal(err, l.Err())
	}
	r.l = l
}

func (r *partitionRun) step() (string, error) {
	r.clock.advance(time.Duration(r.random.IntN(1000)) * time.Millisecond)
	switch n := r.random.IntN(1000); {
	case n < 320:
		return "append", r.append(int64(r.random.IntN(4))-1, false)
	case n < 480:
		return "append in a transaction", r.append(int64(10+r.random.IntN(3)), true)
	case n < 590:
		return "marker", r.mark(int64(10 + r.random.IntN(3)))
	case n < 630:
		return "repeat", r.repeat()
	case n < 690:
		return "refused", r.refused()
	case n < 780:
		return "flush", r.flush()
	case n < 810:
		rollNow(r, r.l)
		return "roll", nil
	case n < 850:
		return "checkpoint", r.checkpoint()
	case n < 880:
		return "retention", r.retention()
	case n < 905:
		return "delete records", r.deleteRecords()
	case n < 925:
		return "truncate", r.truncate()
	case n < 950:
		if r.cfg.CleanupPolicy&CleanupCompact == 0 {
			return "flush", r.flush()
		}
		return "compact", r.compact()
	case n < 970:
		return "restart", r.restart()
	}
	return "crash", r.crash()
}

// written notes that the log has grown.
func (r *partitionRun) written(b modelBatch) error {
	r.m.add(b)
	if r.durability == DurabilityOS {
		r.m.hw = r.m.end
	}
	return nil
}

func (r *partitionRun) append(producer int64, txn bool) error {
	b := modelBatch{base: r.m.end, producer: producer, txn: txn}
	if r.random.IntN(12) == 0 { // most of the time would go into compression
		b.codec = batch.Codec(r.random.IntN(5))
	}
	if producer >= 0 {
		p := r.m.producer(producer)
		b.epoch, b.sequence = p.epoch, p.sequence
		if p.known && p.open < 0 && r.random.IntN(20) == 0 {
			b.epoch, b.sequence = p.epoch+1, 0
		}
	}
	r.fill(&b)
	raw, err := b.build()
	if err != nil {
		return err
	}
	res, err := verified(r.l, raw)
	if err != nil || res.Duplicate || res.BaseOffset != b.base || res.LastOffset != b.last {
		return fmt.Errorf("append at %d: %+v, %w", b.base, res, err)
	}
	return r.written(b)
}

func (r *partitionRun) fill(b *modelBatch) {
	for range 1 + r.random.IntN(4) {
		rec := batch.Record{Offset: b.base + int64(len(b.sent)), Timestamp: r.clock.ms() + int64(r.random.IntN(3000)), Key: fmt.Appendf(nil, "k%d", r.random.IntN(20))}
		if r.random.IntN(5) > 0 {
			rec.Value = fmt.Appendf(nil, "%d of producer %d, %d", rec.Offset, b.producer, r.random.IntN(1000))
		}
		b.sent = append(b.sent, rec)
	}
	b.records = b.sent
	b.last = b.base + int64(len(b.sent)) - 1
}

func (r *partitionRun) mark(producer int64) error {
	p := r.m.producer(producer)
	if p.open < 0 && r.random.IntN(10) > 0 {
		return nil
	}
	b := modelBatch{base: r.m.end, last: r.m.end, producer: producer, epoch: p.epoch, marker: true, commit: r.random.IntN(2) == 0}
	b.records = []batch.Record{{Offset: b.base, Timestamp: r.clock.ms()}}
	res, err := r.l.AppendMarker(Marker{ProducerID: producer, ProducerEpoch: b.epoch, CoordinatorEpoch: 1, Commit: b.commit})
	if err != nil || res.BaseOffset != b.base || res.LastOffset != b.last {
		return fmt.Errorf("marker at %d: %+v, %w", b.base, res, err)
	}
	return r.written(b)
}

// repeat sends one of the last five batches of each producer again.
func (r *partitionRun) repeat() error {
	for id := range int64(13) {
		p := r.m.producers[id]
		if p == nil || len(p.recent) == 0 {
			continue
		}
		b := &r.m.batches[p.recent[r.random.IntN(len(p.recent))]]
		raw, err := b.build()
		if err != nil {
			return err
		}
		if res, err := r.l.Append(raw, AppendOptions{LeaderEpoch: r.epoch}); err != nil || !res.Duplicate || res.BaseOffset != b.base || res.LastOffset != b.last {
			return fmt.Errorf("batch at %d of producer %d sent again: %+v, %w", b.base, id, res, err)
		}
	}
	return nil
}

// refused appends what must not be written.
func (r *partitionRun) refused() error {
	b := modelBatch{base: r.m.end, producer: int64(r.random.IntN(3))}
	r.fill(&b)
	p, want := r.m.producer(b.producer), ErrOutOfOrderSequence
	b.epoch, b.sequence = p.epoch, p.sequence+1+int32(r.random.IntN(5))
	switch n := r.random.IntN(4); {
	case n == 0:
		b.producer, b.txn, want = 11, true, ErrInvalidTxnState
		p = r.m.producer(b.producer)
		b.epoch, b.sequence = p.epoch, p.sequence
		if p.open >= 0 {
			b.txn = false // outside of the transaction that is ongoing
		}
	case n == 1 && r.cfg.CleanupPolicy&CleanupCompact != 0:
		b.producer, want = -1, ErrInvalidRecord
		b.sent[len(b.sent)-1].Key = nil
	case n == 2 && p.epoch > 0:
		b.epoch, want = p.epoch-1, ErrInvalidProducerEpoch
	case !p.known && r.m.end > 0:
		return nil // it may have been forgotten
	}
	raw, err := b.build()
	if err != nil {
		return err
	}
	// No verification, so nothing of a transaction is taken.
	if res, err := r.l.Append(raw, AppendOptions{LeaderEpoch: r.epoch}); !errors.Is(err, want) {
		return fmt.Errorf("producer %d, epoch %d, sequence %d: %+v, %w, want %w", b.producer, b.epoch, b.sequence, res, err, want)
	}
	if _, err := r.l.Append(raw, AppendOptions{LeaderEpoch: r.epoch - 1}); !errors.Is(err, ErrFenced) && !errors.Is(err, ErrInvalidRecord) {
		return fmt.Errorf("an older leader epoch: %w", err)
	}
	return nil
}

func (r *partitionRun) flush() error {
	err := r.l.flush()
	r.flushed()
	return err
}

func (r *partitionRun) flushed() { r.m.hw, r.m.durable = r.m.end, r.m.end }

func (r *partitionRun) checkpoint() error {
	defer r.flushed()
	if r.random.IntN(2) == 0 {
		r.l.checkpointSoon()
		return r.s.checkpointDue()
	}
	return r.l.checkpoint()
}

func (r *partitionRun) retention() error {
	if err := r.flush(); err != nil {
		return err
	}
	stable, sizes := r.m.stable(), int64(0)
	if err := errors.Join(r.s.EnforceRetention(), r.s.emptyTrash(r.clock.ms())); err != nil {
		return err
	}
	start, list := r.l.LogStart(), r.l.list()
	for _, seg := range list {
		sizes += seg.size.Load()
	}
	switch {
	case start < r.m.start || start > stable:
		return fmt.Errorf("log start went from %d to %d, last stable offset %d", r.m.start, start, stable)
	case start > r.m.start && start != list[0].base:
		return fmt.Errorf("log start %d, first segment %d", start, list[0].base)
	case start > r.m.start && r.cfg.CleanupPolicy&CleanupDelete == 0:
		return fmt.Errorf("retention without delete moved the log start to %d", start)
	}
	if n := r.cfg.RetentionBytes; n >= 0 && len(list) > 1 && list[1].base <= stable && sizes-list[0].size.Load() >= n {
		return fmt.Errorf("%d bytes are left, retention is %d", sizes, n)
	}
	if n := r.cfg.RetentionMs; start > r.m.start && n >= 0 && r.cfg.RetentionBytes < 0 {
		for _, rec := range r.m.within(start-1, start, false) {
			if rec.Timestamp+n > r.clock.ms()+3000 {
				return fmt.Errorf("record %d of %d is gone at %d, retention is %d", rec.Offset, rec.Timestamp, r.clock.ms(), n)
			}
		}
	}
	r.m.start = start
	return nil
}

func (r *partitionRun) deleteRecords() error {
	if err := r.flush(); err != nil {
		return err
	}
	stable := r.m.stable()
	if stable < r.m.end {
		if _, err := r.l.DeleteRecords(stable + 1); !errors.Is(err, ErrOffsetOutOfRange) {
			return fmt.Errorf("records beyond the last stable offset %d: %w", stable, err)
		}
	}
	before := r.m.start + r.random.Int64N(stable-r.m.start+1)
	start, err := r.l.DeleteRecords(before)
	if err == nil && start != before {
		err = fmt.Errorf("log starts at %d", start)
	}
	r.m.start = before
	return err
}

// truncate cuts what a follower may have to cut.
func (r *partitionRun) truncate() error {
	if err := r.flush(); err != nil {
		return err
	}
	from := r.m.truncatable()
	to := from + r.random.Int64N(r.m.end-from+1)
	if r.random.IntN(3) > 0 {
		to = max(from, r.m.end-r.random.Int64N(20))
	}
	end, err := r.l.TruncateTo(to)
	if err != nil {
		return err
	}
	if end > to || end < from || !r.m.boundary(end) || r.m.boundary(to) && end != to {
		return fmt.Errorf("truncation to %d gave %d", to, end)
	}
	r.m.cut(end)
	r.m.hw, r.m.durable = min(r.m.hw, end), end
	return nil
}

func (r *partitionRun) compact() error {
	if err := r.flush(); err != nil {
		return err
	}
	target, err := r.l.cleanTarget(r.clock.ms())
	if err != nil {
		return err
	}
	ran := r.s.cleaner.cleanDirtiest(nil)
	if err := errors.Join(r.l.Err(), r.l.Uncleanable()); err != nil || ran != target.wanted() {
		return fmt.Errorf("compaction of %d to %d: ran %v, %w", target.from, target.to, ran, err)
	}
	left, markers, err := r.everything()
	if err != nil {
		return err
	}
	return r.m.compacted(left, markers, r.l.cleaned.Load())
}

// everything reads all records of clients, and the offsets of markers.
func (r *partitionRun) everything() (out []batch.Record, markers map[int64]bool, err error) {
	markers = map[int64]bool{}
	for from := r.l.LogStart(); from < r.l.HighWatermark(); {
		res, err := r.l.Read(from, 1<<20, ReadOptions{MinOneBatch: true})
		if err != nil {
			return nil, nil, err
		}
		for b, err := range batch.All(append([]byte(nil), res.Data...)) {
			if err != nil {
				return nil, nil, err
			}
			for rec, err := range b.Records() {
				switch {
				case err != nil:
					return nil, nil, err
				case b.IsControl():
					markers[rec.Offset] = true
				case rec.Offset >= from:
					out = append(out, rec)
				}
			}
		}
		if res.NextOffset <= from {
			return nil, nil, fmt.Errorf("no progress at %d", from)
		}
		from = res.NextOffset
		res.Release()
	}
	return out, markers, nil
}

func (r *partitionRun) restart() error {
	if err := r.s.Close(); err != nil {
		return err
	}
	r.open()
	r.flushed()
	return nil
}

// crash drops power, or kills the process: what was forced to disk is there again, and of the rest
// perhaps a first part, whole batches of it.
func (r *partitionRun) crash() error {
	disk := r.disk.Crash(vfs.CrashMode(r.random.IntN(3)), r.random)
	if err := r.s.Close(); err != nil {
		return err
	}
	r.disk = disk
	r.open()
	end := r.l.LogEnd()
	if end < r.m.durable || end > r.m.end || !r.m.boundary(end) {
		return fmt.Errorf("after a crash the log ends at %d, durable were %d of %d", end, r.m.durable, r.m.end)
	}
	r.m.cut(end)
	r.m.hw = end
	if r.durability == DurabilityFsync {
		r.m.durable = end
	}
	return nil
}

// check holds the offsets, a read of each isolation level and an offset by time against the model.
func (r *partitionRun) check() error {
	m, l, stable := r.m, r.l, r.m.stable()
	if l.LogStart() != m.start || l.LogEnd() != m.end || l.HighWatermark() != m.hw || l.LastStableOffset() != stable {
		return fmt.Errorf("log is %d to %d, high watermark %d, last stable offset %d, want %d to %d, %d, %d",
			l.LogStart(), l.LogEnd(), l.HighWatermark(), l.LastStableOffset(), m.start, m.end, m.hw, stable)
	}
	for _, isolation := range []Isolation{ReadUncommitted, ReadCommitted} {
		offset := m.start - 1 + r.random.Int64N(m.end-m.start+3)
		if err := r.fetch(offset, isolation, stable); err != nil {
			return fmt.Errorf("read at %d, isolation %d: %w", offset, isolation, err)
		}
	}
	if r.random.IntN(4) > 0 {
		return nil
	}
	at := r.clock.ms() - r.random.Int64N(200_000)
	offset, timestamp, _, err := l.OffsetForTimestamp(at)
	if wantOffset, wantTime := m.atTime(at); err != nil || offset != wantOffset || timestamp != wantTime {
		return fmt.Errorf("time %d is at %d (%d), %w, want %d (%d)", at, offset, timestamp, err, wantOffset, wantTime)
	}
	return nil
}

func (r *partitionRun) fetch(offset int64, isolation Isolation, stable int64) error {
	res, err := r.l.Read(offset, 1+r.random.IntN(3000), ReadOptions{Isolation: isolation, MinOneBatch: true})
	if offset < r.m.start || offset > r.m.end {
		if !errors.Is(err, ErrOffsetOutOfRange) {
			return fmt.Errorf("out of %d to %d: %w", r.m.start, r.m.end, err)
		}
		return nil
	}
	if err != nil {
		return err
	}
	defer res.Release()
	limit := r.m.hw
	if isolation == ReadCommitted {
		limit = stable
	}
	if offset >= limit {
		if len(res.Data) > 0 || res.NextOffset != offset {
			return fmt.Errorf("%d bytes beyond %d", len(res.Data), limit)
		}
		return nil
	}
	if len(res.Data) == 0 && limit <= r.m.cleanedUp(offset) {
		return nil
	}
	if res.NextOffset <= offset || res.NextOffset > limit {
		return fmt.Errorf("next offset is %d, the limit %d", res.NextOffset, limit)
	}
	want := r.m.within(offset, res.NextOffset, isolation == ReadCommitted)
	next := 0
	for rec, err := range clientRecords(&res, isolation) {
		switch {
		case err != nil:
			return err
		case rec.Offset < offset:
		case next == len(want) || !sameRecord(&rec, &want[next]):
			return fmt.Errorf("record %d: %v, want %v", next, rec, want[next:min(next+1, len(want))])
		default:
			next++
		}
	}
	if next != len(want) {
		return fmt.Errorf("%d records up to %d, want %d", next, res.NextOffset, len(want))
	}
	return nil
}

// clientRecords yields what a client of an isolation level shows of a read.
func clientRecords(res *ReadResult, isolation Isolation) func(func(batch.Record, error) bool) {
	all := *res
	if isolation == ReadUncommitted {
		all.Aborted = nil
	}
	return func(yield func(batch.Record, error) bool) {
		for rec, err := range committedRecords(&all) {
			if !yield(rec.Record, err) {
				return
			}
		}
	}
}
