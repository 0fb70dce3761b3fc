package storage

import (
	"cmp"
	"encoding/binary"
	"slices"

	"github.com/millrace/millrace/broker/batch"
)

// cleanTxns follows the transactions of a log while compaction goes through it
// from the front. It says which data was aborted, and when a marker may go:
// after the last data of its transaction. The state is carried across segments,
// because a transaction may begin in one and end in another (KAFKA-8351).
//
// Source: Kafka's CleanedTransactionMetadata.
type cleanTxns struct {
	// aborted are transactions whose first offset has not been reached yet, in
	// the order of that.
	aborted []abortedTxn
	// ongoing are aborted transactions between their first offset and their
	// marker, by producer id.
	ongoing map[int64]*cleanAborted
	// committed are the producers whose data was met and is not aborted.
	committed map[int64]bool
	// kept are aborted transactions of which data was met: their index entries
	// stay, as do their markers.
	kept []abortedTxn
}

type cleanAborted struct {
	txn abortedTxn
	// met says that data of the transaction was still there.
	met bool
}

func newCleanTxns() *cleanTxns {
	return &cleanTxns{ongoing: map[int64]*cleanAborted{}, committed: map[int64]bool{}}
}

// expect adds the aborted transactions of a part of the log that comes next.
// One that reaches over several parts may be added for each of them.
func (t *cleanTxns) expect(aborted []abortedTxn) {
	t.aborted = append(t.aborted, aborted...)
	slices.SortStableFunc(t.aborted, func(a, b abortedTxn) int { return cmp.Compare(a.first, b.first) })
}

func (t *cleanTxns) reach(offset int64) {
	for len(t.aborted) > 0 && t.aborted[0].first <= offset {
		next := t.aborted[0]
		t.aborted = t.aborted[1:]
		if t.ongoing[next.producerID] == nil {
			t.ongoing[next.producerID] = &cleanAborted{txn: next}
		}
	}
}

// data takes note of a batch of records and says whether it was aborted.
func (t *cleanTxns) data(h *batch.Header) (aborted bool) {
	t.reach(h.LastOffset())
	if !h.IsTransactional() {
		return false
	}
	if a := t.ongoing[h.ProducerID]; a != nil {
		a.met = true
		return true
	}
	t.committed[h.ProducerID] = true
	return false
}

// marker takes note of a control batch and says whether its transaction has no
// data left. A control batch without a record was emptied before.
func (t *cleanTxns) marker(h *batch.Header, kind controlKind) (done bool) {
	t.reach(h.LastOffset())
	switch kind {
	case controlAbort:
		a := t.ongoing[h.ProducerID]
		delete(t.ongoing, h.ProducerID)
		if a == nil || !a.met {
			return true
		}
		t.kept = append(t.kept, a.txn)
		return false
	case controlCommit:
		met := t.committed[h.ProducerID]
		delete(t.committed, h.ProducerID)
		return !met
	case controlNone:
		return true
	}
	return false
}

// takeKept returns the index entries that stay, and forgets them.
func (t *cleanTxns) takeKept() []abortedTxn {
	kept := t.kept
	t.kept = nil
	return kept
}

// controlKind is the type of a control record.
type controlKind int16

const (
	controlNone   controlKind = -1 // the batch has no record
	controlAbort  controlKind = markerAbort
	controlCommit controlKind = markerCommit
)

// controlKindOf reads the type from a control record's key: int16 version,
// int16 type.
func controlKindOf(key []byte) (controlKind, bool) {
	if len(key) < markerKeySize {
		return 0, false
	}
	return controlKind(binary.BigEndian.Uint16(key[2:])), true
}

// abortedBetween returns the index entries of the aborted transactions that
// have a batch or their marker in [from, to). A transaction is listed by the segment of its
// marker, so the later ones are searched too.
func (l *Log) abortedBetween(from, to int64) (out []abortedTxn, err error) {
	err = l.withSegments(func(list []*segment) error {
		out = nil
		for _, seg := range list[max(segmentAt(list, from), 0):] {
			if seg.abortedTxns.Load() == 0 {
				continue
			}
			txns, err := l.abortedTxnsOf(seg)
			if err != nil {
				return err
			}
			for _, t := range txns {
				if t.last >= from && t.first < to {
					out = append(out, t)
				}
				if t.lastStable >= to {
					return nil
				}
			}
		}
		return nil
	})
	return out, err
}
