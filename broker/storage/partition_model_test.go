package storage

import (
	"bytes"
	"fmt"
	"math"
	"sort"

	"github.com/millrace/millrace/broker/batch"
)

// modelBatch is one batch of a partitionModel.
type modelBatch struct {
	base, last int64
	producer   int64 // -1 for none
	epoch      int16
	sequence   int32
	txn        bool
	marker     bool
	commit     bool // of a marker
	codec      batch.Codec
	// sent are the records as they were appended, records those that are left
	// after compaction; of a marker the one with its timestamp.
	sent, records []batch.Record
	// decided is where the marker of its transaction is, -1 without one; committed
	// what the marker says. Both hold for batches outside of transactions from the beginning.
	decided   int64
	committed bool
}

func (b *modelBatch) build() ([]byte, error) {
	o := batch.Options{Codec: b.codec, Transactional: b.txn}
	if b.producer >= 0 {
		o.Producer = &batch.Producer{ID: b.producer, Epoch: b.epoch, Sequence: b.sequence}
	}
	return batch.Build(o, b.sent)
}

// modelProducer is what a partition remembers of a producer.
type modelProducer struct {
	known    bool
	epoch    int16
	sequence int32 // the next one
	// recent are its last five batches under the epoch, as positions in the model.
	recent []int
	// open is where its transaction began, -1 without one.
	open int64
}

// partitionModel is a partition as a list of batches: the simplest thing that
// answers as a partition must. It keeps batches that were deleted, because producers are
// remembered longer than their batches.
type partitionModel struct {
	batches []modelBatch
	// start and end are those of the log, hw its high watermark; below durable a crash takes nothing.
	start, end, hw, durable int64
	// cleaned is where compaction has been.
	cleaned   int64
	producers map[int64]*modelProducer
}

func newPartitionModel() *partitionModel {
	return &partitionModel{producers: map[int64]*modelProducer{}}
}

func (m *partitionModel) producer(id int64) *modelProducer {
	p := m.producers[id]
	if p == nil {
		p = &modelProducer{open: -1}
		m.producers[id] = p
	}
	return p
}

func (m *partitionModel) add(b modelBatch) {
	b.decided, b.committed = b.base, true
	if b.txn {
		b.decided, b.committed = -1, false
	}
	m.batches = append(m.batches, b)
	m.end = b.last + 1
	m.follow(len(m.batches) - 1)
}

// follow brings the producers up to date with batch i.
func (m *partitionModel) follow(i int) {
	b := &m.batches[i]
	if b.producer < 0 {
		return
	}
	p := m.producer(b.producer)
	if !p.known || b.epoch != p.epoch {
		p.known, p.epoch, p.sequence, p.recent = true, b.epoch, 0, nil
	}
	if b.marker {
		for j := range m.batches[:i] {
			if o := &m.batches[j]; p.open >= 0 && o.base >= p.open && o.producer == b.producer && o.txn {
				o.decided, o.committed = b.base, b.commit
			}
		}
		p.open = -1
		return
	}
	if b.txn && p.open < 0 {
		p.open = b.base
	}
	p.sequence = b.sequence + int32(len(b.sent))
	if p.recent = append(p.recent, i); len(p.recent) > producerBatchesMax {
		p.recent = p.recent[1:]
	}
}

// cut forgets the batches from offset end on, and one that reaches beyond it.
func (m *partitionModel) cut(end int64) {
	n := sort.Search(len(m.batches), func(i int) bool { return m.batches[i].last >= end })
	m.batches = m.batches[:n]
	m.end, m.hw, m.durable, m.cleaned = end, min(m.hw, end), min(m.durable, end), min(m.cleaned, end)
	m.producers = map[int64]*modelProducer{}
	for i := range m.batches {
		if b := &m.batches[i]; b.txn {
			b.decided, b.committed = -1, false
		}
	}
	for i := range m.batches {
		m.follow(i)
	}
}

// cleanedUp returns up to where there is nothing from offset on, because compaction has taken it.
func (m *partitionModel) cleanedUp(offset int64) int64 {
	for i := m.from(offset); i < len(m.batches); i++ {
		b := &m.batches[i]
		if b.base >= m.cleaned || len(b.records) > 0 {
			return max(offset, b.base)
		}
	}
	return m.end
}

// truncatable is the least offset that the log may be cut at: what compaction has seen, what was deleted
// and what decided it were below the high watermark, where no follower is ever cut.
func (m *partitionModel) truncatable() int64 {
	from := max(m.start, m.cleaned)
	for i := range m.batches {
		b := &m.batches[i]
		if b.base < m.start {
			from = max(from, b.last+1, b.decided+1)
		}
	}
	return from
}

// stable is the last stable offset: never below the log start, although a truncation may
// take the marker of a transaction that begins there.
func (m *partitionModel) stable() int64 {
	stable := m.hw
	for i := len(m.batches) - 1; i >= 0; i-- {
		b := &m.batches[i]
		if b.txn && b.base < stable && (b.decided < 0 || b.decided >= m.hw) {
			stable = b.base
		}
	}
	return max(stable, m.start)
}

// from returns the position of the first batch that ends at or after offset.
func (m *partitionModel) from(offset int64) int {
	return sort.Search(len(m.batches), func(i int) bool { return m.batches[i].last >= offset })
}

// within returns the records of clients in [from, to): all, or those that were committed.
func (m *partitionModel) within(from, to int64, committed bool) []batch.Record {
	var out []batch.Record
	for i := m.from(from); i < len(m.batches) && m.batches[i].base < to; i++ {
		b := &m.batches[i]
		if b.marker || committed && !b.committed {
			continue
		}
		for _, r := range b.records {
			if r.Offset >= from && r.Offset < to {
				out = append(out, r)
			}
		}
	}
	return out
}

// atTime returns the first record at or after a timestamp, -1 without one.
func (m *partitionModel) atTime(timestampMs int64) (offset, timestamp int64) {
	for i := m.from(m.start); i < len(m.batches) && m.batches[i].base < m.hw; i++ {
		for _, r := range m.batches[i].records {
			if r.Offset >= m.start && r.Timestamp >= timestampMs {
				return r.Offset, r.Timestamp
			}
		}
	}
	return -1, -1
}

// compacted takes over what compaction has left of the log, after holding it
// against its rules.
func (m *partitionModel) compacted(left []batch.Record, markers map[int64]bool, cleaned int64) error {
	m.cleaned = max(m.cleaned, cleaned)
	found, newest := map[int64]batch.Record{}, map[string]int64{}
	for _, r := range left {
		found[r.Offset] = r
	}
	stable := m.stable()
	for i := range m.batches {
		b := &m.batches[i]
		for _, r := range b.records {
			if !b.marker && b.committed && r.Offset >= m.start && r.Offset < stable {
				newest[string(r.Key)] = max(newest[string(r.Key)], r.Offset)
			}
		}
	}
	matched, seen := 0, map[string]int64{}
	for i := range m.batches {
		b := &m.batches[i]
		var kept []batch.Record
		for _, r := range b.records {
			if r.Offset < m.start {
				continue
			}
			got, ok := found[r.Offset]
			if b.marker {
				if ok = markers[r.Offset]; ok {
					kept = append(kept, r)
				}
				if !ok && b.base >= m.cleaned {
					return fmt.Errorf("the marker at %d is gone, compacted was up to %d", b.base, m.cleaned)
				}
				continue
			}
			if ok {
				matched++
				if !sameRecord(&got, &r) {
					return fmt.Errorf("record %d is %v, was %v", r.Offset, got, r)
				}
				kept = append(kept, r)
			}
			switch last := newest[string(r.Key)]; {
			case !ok && r.Offset >= m.cleaned:
				return fmt.Errorf("record %d is gone, compacted was up to %d", r.Offset, m.cleaned)
			case ok && !b.committed && b.decided >= 0 && b.decided < m.cleaned:
				return fmt.Errorf("record %d is there, its transaction was aborted at %d, compacted was up to %d", r.Offset, b.decided, m.cleaned)
			case !b.committed:
			case !ok && r.Offset == last && r.Value != nil:
				return fmt.Errorf("record %d is gone, it is the newest of key %s", r.Offset, r.Key)
			case ok && r.Offset < m.cleaned:
				if before, twice := seen[string(r.Key)]; twice {
					return fmt.Errorf("key %s is at %d and %d, compacted was up to %d", r.Key, before, r.Offset, m.cleaned)
				}
				seen[string(r.Key)] = r.Offset
			}
		}
		b.records = kept
	}
	if matched != len(found) {
		return fmt.Errorf("%d of %d records were never written", len(found)-matched, len(found))
	}
	return nil
}

func sameRecord(a, b *batch.Record) bool {
	return a.Offset == b.Offset && a.Timestamp == b.Timestamp && bytes.Equal(a.Key, b.Key) && bytes.Equal(a.Value, b.Value) &&
		(a.Value == nil) == (b.Value == nil) && (a.Key == nil) == (b.Key == nil)
}

// boundary says whether the log may end at offset: between two batches.
func (m *partitionModel) boundary(offset int64) bool {
	i := m.from(offset)
	return i == len(m.batches) || m.batches[i].base >= offset || offset == math.MaxInt64
}
