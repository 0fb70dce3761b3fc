package storage

import (
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/millrace/millrace/broker/batch"
	"github.com/millrace/millrace/internal/vfs"
)

// txnEntry is one batch of a txnModel.
type txnEntry struct {
	base, last  int64
	producer    int64 // -1 for none
	epoch       int16
	txn         bool // of a transaction
	marker      bool
	commit      bool
	coordinator int32
	values      []string
}

// txnModel is a log with transactions as a list of batches.
type txnModel struct{ entries []txnEntry }

func (m *txnModel) add(e txnEntry) { m.entries = append(m.entries, e) }

func (m *txnModel) end() int64 {
	if len(m.entries) == 0 {
		return 0
	}
	return m.entries[len(m.entries)-1].last + 1
}

// cut leaves the batches that end before offset and returns where the log ends then.
func (m *txnModel) cut(offset int64) int64 {
	for len(m.entries) > 0 && m.entries[len(m.entries)-1].last >= offset {
		offset = min(offset, m.entries[len(m.entries)-1].base)
		m.entries = m.entries[:len(m.entries)-1]
	}
	return offset
}

// ongoing returns where the transactions without a marker begin, by producer.
func (m *txnModel) ongoing() map[int64]int64 {
	out := map[int64]int64{}
	for _, e := range m.entries {
		_, open := out[e.producer]
		switch {
		case e.marker:
			delete(out, e.producer)
		case e.txn && !open:
			out[e.producer] = e.base
		}
	}
	return out
}

func (m *txnModel) stable() int64 {
	stable := m.end()
	for _, first := range m.ongoing() {
		stable = min(stable, first)
	}
	return stable
}

// committed returns the offsets and values that a reader of committed records sees from offset on.
func (m *txnModel) committed(from int64) []string {
	decided := map[int]bool{} // by position of the batch: committed
	open := map[int64][]int{}
	for i, e := range m.entries {
		switch {
		case e.marker:
			for _, j := range open[e.producer] {
				decided[j] = e.commit
			}
			delete(open, e.producer)
		case e.txn:
			open[e.producer] = append(open[e.producer], i)
		default:
			decided[i] = true
		}
	}
	var out []string
	stable := m.stable()
	for i, e := range m.entries {
		if e.marker || !decided[i] || e.base >= stable {
			continue
		}
		for j, v := range e.values {
			if offset := e.base + int64(j); offset >= from {
				out = append(out, fmt.Sprintf("%d=%s", offset, v))
			}
		}
	}
	return out
}

// committedRecord is a record that a client shows to its user.
type committedRecord struct {
	batch.Record
	producerID int64
}

// committedRecords filters what was read as a client does: it leaves out what
// the list of aborted transactions names, up to their markers. All that the list names must be there.
func committedRecords(res *ReadResult) iter.Seq2[committedRecord, error] {
	return func(yield func(committedRecord, error) bool) {
		waiting := slices.Clone(res.Aborted)
		slices.SortFunc(waiting, func(a, b AbortedTransaction) int { return int(a.FirstOffset - b.FirstOffset) })
		aborted := map[int64]bool{}
		for b, err := range batch.All(append([]byte(nil), res.Data...)) {
			if err != nil {
				yield(committedRecord{}, err)
				return
			}
			for len(waiting) > 0 && waiting[0].FirstOffset <= b.LastOffset() {
				aborted[waiting[0].ProducerID] = true
				waiting = waiting[1:]
			}
			if b.IsControl() {
				if m, ok, err := parseMarker(&b); err != nil || !ok || !m.Commit {
					delete(aborted, b.ProducerID)
				}
				continue
			}
			if b.IsTransactional() && aborted[b.ProducerID] {
				continue
			}
			for r, err := range b.Records() {
				if !yield(committedRecord{r, b.ProducerID}, err) {
					return
				}
			}
		}
		if len(waiting) > 0 {
			yield(committedRecord{}, fmt.Errorf("aborted transactions %v begin after what was read", waiting))
		}
	}
}

// readCommitted reads all committed records from offset from on.
func readCommitted(l *Log, from int64, bytesMax int) ([]string, error) {
	var out []string
	for {
		res, err := l.Read(from, bytesMax, ReadOptions{Isolation: ReadCommitted, MinOneBatch: true})
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
				out = append(out, fmt.Sprintf("%d=%s", r.Offset, r.Value))
			}
		}
		from = res.NextOffset
		res.Release()
	}
}

// compareTransactions holds a log, all of which is below its high watermark, against the model.
func compareTransactions(l *Log, m *txnModel, from int64, bytesMax int) error {
	if l.LogEnd() != m.end() || l.LastStableOffset() != max(m.stable(), l.LogStart()) {
		return fmt.Errorf("log ends at %d, is stable to %d, want %d, %d", l.LogEnd(), l.LastStableOffset(), m.end(), m.stable())
	}
	ongoing := m.ongoing()
	for _, p := range l.ActiveProducers() {
		first, open := ongoing[p.ProducerID]
		if !open {
			first = -1
		}
		if p.TxnFirstOffset != first {
			return fmt.Errorf("producer %d: %+v, transaction should begin at %d", p.ProducerID, p, first)
		}
		delete(ongoing, p.ProducerID)
	}
	if len(ongoing) > 0 {
		return fmt.Errorf("producers with ongoing transactions are not known: %v", ongoing)
	}
	got, err := readCommitted(l, from, bytesMax)
	if err != nil {
		return err
	}
	if want := m.committed(from); !slices.Equal(got, want) {
		return fmt.Errorf("committed from %d:\n got %q\nwant %q", from, got, want)
	}
	return nil
}

// txnRun does random things with transactions on one log.
type txnRun struct {
	*testing.T
	clock  *testClock
	disk   *vfs.Mem
	random *rand.Rand
	cfg    LogConfig
	s      *Store
	l      *Log
	m      txnModel
	epoch  int32 // of the leader
	// sequences by producer and epoch, as the producer counts them.
	epochs    map[int64]int16
	sequences map[int64]int32
	flushed   int64
	// floor is the high watermark when records were last deleted. What was
	// decided then stays decided: nobody truncates below a high watermark.
	floor       int64
	coordinator int32
}

// TestRandomTransactions compares what a reader of committed records gets, and
// what the log knows of transactions, with a model after each of many random steps.
func TestRandomTransactions(t *testing.T) {
	for seed := range longer(t, 8) {
		runRandomTransactions(t, uint64(seed), 300)
	}
}

func newTxnRun(t *testing.T, seed uint64) *txnRun {
	clock := newTestClock()
	r := &txnRun{T: t, clock: clock, disk: vfs.NewMem(clock.Now), random: rand.New(rand.NewPCG(seed, 2)), epochs: map[int64]int16{}, sequences: map[int64]int32{}}
	r.cfg = DefaultLogConfig()
	r.cfg.SegmentBytes = int64(1024 + r.random.IntN(3000))
	r.cfg.IndexIntervalBytes = int64(r.random.IntN(600))
	r.cfg.ProducerIDExpirationMs *= 300
	r.cfg.RetentionMs = -1
	r.open()
	return r
}

func runRandomTransactions(t *testing.T, seed uint64, steps int) {
	r := newTxnRun(t, seed)
	for i := range steps {
		name := r.step()
		r.flush()
		from := r.l.LogStart() + r.random.Int64N(r.l.LogEnd()-r.l.LogStart()+1)
		if err := compareTransactions(r.l, &r.m, from, 1+r.random.IntN(2000)); err != nil {
			t.Fatalf("seed %d, step %d, %s: %v", seed, i, name, err)
		}
	}
	mustClose(t, r.s)
}

func (r *txnRun) open() {
	cfg := testConfig(r.disk, r.clock)
	cfg.TailBytesMax = []int64{-1, 2000, 1 << 20}[r.random.IntN(3)]
	cfg.OpenFilesMax = 1 + r.random.IntN(3)
	r.s = mustOpen(r, cfg)
	r.epoch++
	l, err := r.s.CreateLog(tp0, [16]byte{1}, r.cfg, r.epoch)
	if err != nil || l.Err() != nil {
		r.Fatal(err, l.Err())
	}
	r.l = l
}

func (r *txnRun) step() string {
	switch n := r.random.IntN(100); {
	case n < 50:
		r.write(1+r.random.Int64N(5), r.random.IntN(4) > 0)
		return "write"
	case n < 75:
		r.mark(1 + r.random.Int64N(5))
		return "marker"
	case n < 81:
		if err := r.l.checkpoint(); err != nil {
			r.Fatal(err)
		}
		return "checkpoint"
	case n < 85:
		r.flush()
		start := r.l.LogStart()
		if _, err := r.l.DeleteRecords(start + r.random.Int64N(r.l.LastStableOffset()-start+1)); err != nil {
			r.Fatal(err)
		}
		r.floor = r.l.HighWatermark()
		return "delete records"
	case n < 88:
		if err := r.s.EnforceRetention(); err != nil {
			r.Fatal(err)
		}
		return "retention"
	case n < 91:
		end := r.m.cut(r.floor + r.random.Int64N(r.l.LogEnd()-r.floor+1))
		if got, err := r.l.TruncateTo(end); err != nil || got != end {
			r.Fatalf("truncate to %d: %d, %v", end, got, err)
		}
		r.resume()
		return "truncate"
	case n < 95:
		mustClose(r, r.s)
		r.open()
		return "restart"
	}
	r.crash()
	return "crash"
}

// resume lets all producers go on under new epochs, where their sequences begin anew.
func (r *txnRun) resume() {
	r.flushed = min(r.flushed, r.m.end())
	for id := range int64(6) {
		r.epochs[id]++
		r.sequences[id] = 0
	}
}

func (r *txnRun) write(id int64, txn bool) {
	if _, open := r.m.ongoing()[id]; open {
		txn = true // a producer does not leave its transaction
	}
	n := 1 + r.random.IntN(3)
	e := txnEntry{producer: id, epoch: r.epochs[id], txn: txn, base: r.m.end()}
	records := make([]batch.Record, n)
	for i := range records {
		e.values = append(e.values, fmt.Sprintf("%d.%d", id, r.random.IntN(1<<30)))
		records[i] = batch.Record{Timestamp: r.clock.ms(), Value: []byte(e.values[i])}
	}
	e.last = e.base + int64(n) - 1
	o := batch.Options{Transactional: txn, Codec: batch.Codec(r.random.IntN(5)), Producer: &batch.Producer{ID: id, Epoch: r.epochs[id], Sequence: r.sequences[id]}}
	if id == 5 && !txn {
		o.Producer, e.producer = nil, -1
	} else {
		r.sequences[id] += int32(n)
	}
	b, err := batch.Build(o, records)
	if err != nil {
		r.Fatal(err)
	}
	if res, err := verified(r.l, b); err != nil || res.Duplicate || res.BaseOffset != e.base {
		r.Fatalf("write of producer %d: %+v, %v, want offset %d", id, res, err, e.base)
	}
	r.m.add(e)
	r.maybeFlush()
}

func (r *txnRun) mark(id int64) {
	m := Marker{ProducerID: id, ProducerEpoch: r.epochs[id], Commit: r.random.IntN(2) == 0, CoordinatorEpoch: r.coordinator}
	if r.random.IntN(2) == 0 { // transactions v2: the epoch grows with each
		m.ProducerEpoch++
		m.TransactionVersion = 2
		r.epochs[id], r.sequences[id] = m.ProducerEpoch, 0
	}
	res := mustMark(r, r.l, m)
	if res.BaseOffset != r.m.end() || res.LastOffset != res.BaseOffset {
		r.Fatalf("marker at %+v, want %d", res, r.m.end())
	}
	r.m.add(txnEntry{base: res.BaseOffset, last: res.BaseOffset, producer: id, epoch: m.ProducerEpoch, marker: true, commit: m.Commit, coordinator: m.CoordinatorEpoch})
	r.maybeFlush()
}

func (r *txnRun) maybeFlush() {
	r.clock.advance(time.Duration(r.random.IntN(1000)) * time.Millisecond)
	if r.random.IntN(2) == 0 {
		r.flush()
	}
}

func (r *txnRun) flush() {
	if n := r.m.end(); n > 0 {
		mustFlush(r, r.l, n-1)
		r.flushed = n
	}
}

// crash drops power: what was flushed is there again, and of the rest perhaps a first part.
func (r *txnRun) crash() {
	disk := r.disk.Crash(vfs.CrashMode(r.random.IntN(3)), r.random)
	mustClose(r, r.s)
	r.disk = disk
	r.open()
	end := r.l.LogEnd()
	if end < r.flushed || end > r.m.end() {
		r.Fatalf("after a crash the log ends at %d, flushed were %d of %d", end, r.flushed, r.m.end())
	}
	if got := r.m.cut(end); got != end {
		r.Fatalf("after a crash the log ends at %d, within a batch that begins at %d", end, got)
	}
	r.resume()
}

// TestFollowersKnowTheSameTransactions: batches that are copied as they are
// leave a follower with the same producers, aborted transactions and last stable offset.
func TestFollowersKnowTheSameTransactions(t *testing.T) {
	for seed := range longer(t, 4) {
		r := newTxnRun(t, uint64(seed))
		follower, err := r.s.CreateLog(TopicPartition{"t", 1}, [16]byte{1}, r.cfg, 0)
		if err != nil {
			t.Fatal(err)
		}
		for range 200 {
			if r.random.IntN(3) > 0 {
				r.write(1+r.random.Int64N(5), r.random.IntN(4) > 0)
			} else {
				r.mark(1 + r.random.Int64N(5))
			}
			if r.random.IntN(4) > 0 {
				continue
			}
			r.flush()
			copyLog(t, r.l, follower, 1+r.random.IntN(2000))
			if err := compareTransactions(follower, &r.m, r.random.Int64N(r.m.end()+1), 1+r.random.IntN(2000)); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			if got, want := follower.producers.snapshot(), r.l.producers.snapshot(); !slices.Equal(got, want) {
				t.Fatalf("seed %d: snapshots differ:\n%x\n%x", seed, got, want)
			}
		}
		mustClose(t, r.s)
	}
}

// copyLog appends to follower what leader has more, as replication does.
func copyLog(t *testing.T, leader, follower *Log, bytesMax int) {
	t.Helper()
	for follower.LogEnd() < leader.LogEnd() {
		res, err := leader.Read(follower.LogEnd(), bytesMax, ReadOptions{MinOneBatch: true})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := follower.Append(append([]byte(nil), res.Data...), AppendOptions{Origin: OriginReplica}); err != nil {
			t.Fatal(err)
		}
		res.Release()
	}
	mustFlush(t, follower, follower.LogEnd()-1)
}

func TestFollowersRefuseMarkersThatDoNotParse(t *testing.T) {
	l := transactionLog(t)
	for _, r := range []batch.Record{
		{Key: []byte{0, 0, 0, 1}, Value: []byte{0, 0, 0}},
		{Key: []byte{0, 0}, Value: make([]byte, 6)},
		{Key: []byte{0x80, 0, 0, 1}, Value: make([]byte, 6)},
		{Value: make([]byte, 6)},
	} {
		b, err := batch.Build(batch.Options{Control: true, Transactional: true, Producer: &batch.Producer{ID: 1, Sequence: -1}}, []batch.Record{r})
		if err != nil {
			t.Fatal(err)
		}
		for _, origin := range []Origin{OriginReplica, OriginCoordinator} {
			if _, err := l.Append(b, AppendOptions{Origin: origin}); !errors.Is(err, ErrInvalidRecord) {
				t.Errorf("%+v from %d: %v", r, origin, err)
			}
		}
	}
}
