package storage

import (
	"fmt"

	"github.com/millrace/millrace/broker/batch"
)

// cleanFilter decides what of a log stays. It sees the batches from the log's
// first on and keeps, of the part that the map covers,
//
//   - of each key the newest record, and none without a key;
//   - a tombstone until its delete horizon, which is set when it is first met (KIP-534);
//   - nothing of an aborted transaction;
//   - a transaction's marker until all its data is gone, and then until its
//     delete horizon;
//   - the header of a producer's last batch, so that its sequence goes on, and
//     of the last batch of each segment, so that segments end where they ended.
//
// Everything else stays as it is. Offsets, timestamps and codecs never change.
type cleanFilter struct {
	keys *offsetMap
	txns *cleanTxns
	// nowMs is the time of the run, horizonMs the delete horizon of what is
	// met for the first time.
	nowMs, horizonMs int64
	// last are the last records of the log's producers.
	last map[int64]producerLast
	// end is the offset after the last batch of the segment that is written.
	end int64
	// stats count the records that were read and kept.
	read, kept int64

	entries []batch.Entry
}

// producerLast is the last record of a producer: offset -1 when only a marker
// is left of it.
type producerLast struct {
	offset int64
	epoch  int16
}

// cleanDecompressedMax bounds the memory that the records of one batch may take.
const cleanDecompressedMax = batch.DecompressedMax

// batch appends to dst what stays of a batch: nothing, its header, the batch
// with some of its records, or the batch as it is.
func (f *cleanFilter) batch(dst []byte, b *batch.Batch) ([]byte, error) {
	f.read += int64(b.Count)
	if b.IsControl() {
		return f.marker(dst, b)
	}
	if f.txns.data(&b.Header) || b.Count == 0 {
		return f.emptied(dst, b), nil
	}
	if b.BaseOffset > f.keys.latest {
		return f.whole(dst, b), nil
	}
	opened, err := b.Open(cleanDecompressedMax)
	if err != nil {
		return dst, err
	}
	horizonMs, tombstones, err := f.sort(&opened)
	if err != nil {
		return dst, err
	}
	switch set := tombstones && horizonMs < 0; {
	case len(f.entries) == 0:
		return f.emptied(dst, b), nil
	case set:
		horizonMs = f.horizonMs
	case len(f.entries) == int(b.Count):
		return f.whole(dst, b), nil
	}
	f.kept += int64(len(f.entries))
	return opened.AppendWith(dst, f.entries, horizonMs)
}

// sort puts the records that stay into f.entries. It returns the batch's delete
// horizon, -1 for none, and whether a tombstone stays that should have one.
func (f *cleanFilter) sort(b *batch.Opened) (horizonMs int64, tombstones bool, err error) {
	horizonMs, ok := b.DeleteHorizon()
	if !ok {
		horizonMs = -1
	}
	f.entries = f.entries[:0]
	for e, err := range b.Entries() {
		if err != nil {
			return 0, false, err
		}
		if e.Offset > f.keys.latest {
			f.entries = append(f.entries, e)
			continue
		}
		if e.Key == nil || f.keys.newest(e.Key) > e.Offset || e.Tombstone && horizonMs >= 0 && horizonMs <= f.nowMs {
			continue
		}
		tombstones = tombstones || e.Tombstone
		f.entries = append(f.entries, e)
	}
	return horizonMs, tombstones, nil
}

func (f *cleanFilter) marker(dst []byte, b *batch.Batch) ([]byte, error) {
	opened, err := b.Open(cleanDecompressedMax)
	if err != nil {
		return dst, err
	}
	kind := controlNone
	f.entries = f.entries[:0]
	for e, err := range opened.Entries() {
		if err != nil {
			return dst, err
		}
		if len(f.entries) == 0 {
			var ok bool
			if kind, ok = controlKindOf(e.Key); !ok {
				return dst, fmt.Errorf("%w: control record with a key of %d bytes", batch.ErrCorrupt, len(e.Key))
			}
		}
		f.entries = append(f.entries, e)
	}
	done := f.txns.marker(&b.Header, kind)
	horizonMs, ok := b.DeleteHorizon()
	switch {
	case kind == controlNone, done && ok && horizonMs <= f.nowMs:
		return f.emptied(dst, b), nil
	case done && !ok:
		f.kept += int64(b.Count)
		return opened.AppendWith(dst, f.entries, f.horizonMs)
	}
	return f.whole(dst, b), nil
}

func (f *cleanFilter) whole(dst []byte, b *batch.Batch) []byte {
	f.kept += int64(b.Count)
	return append(dst, b.Raw...)
}

// emptied appends the header of a batch that has lost its records, if it is needed.
func (f *cleanFilter) emptied(dst []byte, b *batch.Batch) []byte {
	switch {
	case !f.headerStays(b):
		return dst
	case b.Count == 0:
		return append(dst, b.Raw...)
	}
	return b.AppendEmpty(dst)
}

func (f *cleanFilter) headerStays(b *batch.Batch) bool {
	if b.LastOffset()+1 == f.end {
		return true
	}
	last, ok := f.last[b.ProducerID]
	switch {
	case !ok || !b.HasProducerID():
		return false
	case last.offset >= 0:
		return b.LastOffset() == last.offset
	}
	return b.IsControl() && b.ProducerEpoch == last.epoch
}

// lastRecords returns where the log's producers were last.
func (l *Log) lastRecords() map[int64]producerLast {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make(map[int64]producerLast, len(l.producers.byID))
	for id, p := range l.producers.byID {
		last := producerLast{offset: -1, epoch: p.epoch}
		if b, ok := p.last(); ok {
			last.offset = b.lastOffset
		}
		out[id] = last
	}
	return out
}
