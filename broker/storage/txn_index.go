package storage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"sort"

	"github.com/millrace/millrace/broker/batch"
	"github.com/millrace/millrace/internal/vfs"
)

// Kafka's transaction index, one file per segment that holds the marker of an
// aborted transaction, version 0, big-endian, 34 bytes per entry, without header or
// checksum:
//
//	int16 version, int64 producer id, int64 first offset of the transaction,
//	int64 last offset (its marker), int64 last stable offset after the marker
//
// Entries are in the order of their markers. The last stable offsets grow too, so that a
// search can stop at the first one that lies behind what it looks for: what
// comes later began later.
const (
	abortedTxnVersion = 0
	abortedTxnSize    = 34
)

// abortedTxn is one entry of a transaction index.
type abortedTxn struct{ producerID, first, last, lastStable int64 }

func (t completedTxn) aborted() abortedTxn {
	return abortedTxn{t.producerID, t.first, t.last, t.lastStable}
}

func appendAbortedTxns(dst []byte, txns []abortedTxn) []byte {
	be := binary.BigEndian
	for _, t := range txns {
		dst = be.AppendUint16(dst, abortedTxnVersion)
		dst = be.AppendUint64(dst, uint64(t.producerID))
		dst = be.AppendUint64(dst, uint64(t.first))
		dst = be.AppendUint64(dst, uint64(t.last))
		dst = be.AppendUint64(dst, uint64(t.lastStable))
	}
	return dst
}

func decodeAbortedTxn(b []byte) (version int16, t abortedTxn) {
	be := binary.BigEndian
	return int16(be.Uint16(b)), abortedTxn{
		int64(be.Uint64(b[2:])), int64(be.Uint64(b[10:])), int64(be.Uint64(b[18:])), int64(be.Uint64(b[26:])),
	}
}

// decodeAbortedTxns reads a transaction index of a segment that begins at
// base. Kafka checks the version and that no marker lies before the segment; that markers
// grow, that transactions begin before they end and that last stable offsets do not
// go back is checked too. With an error come the entries before it.
func decodeAbortedTxns(b []byte, base int64) ([]abortedTxn, error) {
	txns := make([]abortedTxn, 0, len(b)/abortedTxnSize)
	last := abortedTxn{last: base - 1}
	for ; len(b) >= abortedTxnSize; b = b[abortedTxnSize:] {
		version, t := decodeAbortedTxn(b)
		switch {
		case version != abortedTxnVersion:
			return txns, fmt.Errorf("entry %d is of version %d", len(txns), version)
		case t.producerID < 0 || t.first < 0 || t.first >= t.last || t.last <= last.last || t.lastStable < last.lastStable || t.lastStable > t.last+1:
			return txns, fmt.Errorf("entry %d %+v does not follow %+v in a segment from %d", len(txns), t, last, base)
		}
		txns = append(txns, t)
		last = t
	}
	if len(b) > 0 {
		return txns, fmt.Errorf("%d bytes are no entry", len(b))
	}
	return txns, nil
}

// abortedTxns gives entries by their number. An index that is too large for memory stays in its file.
type abortedTxns struct {
	n  int
	at func(i int) (abortedTxn, error)
}

func abortedInMemory(txns []abortedTxn) abortedTxns {
	return abortedTxns{len(txns), func(i int) (abortedTxn, error) { return txns[i], nil }}
}

func abortedInFile(f io.ReaderAt, n int) abortedTxns {
	return abortedTxns{n, func(i int) (abortedTxn, error) {
		var b [abortedTxnSize]byte
		if err := readFull(f, b[:], int64(i)*abortedTxnSize); err != nil {
			return abortedTxn{}, err
		}
		_, t := decodeAbortedTxn(b[:])
		return t, nil
	}}
}

// collect appends the transactions that overlap the offsets from start to
// before end. complete says that later segments have no more of them.
func (a abortedTxns) collect(dst []AbortedTransaction, start, end int64) (_ []AbortedTransaction, complete bool, err error) {
	from := sort.Search(a.n, func(i int) bool {
		t, readErr := a.at(i)
		err = errors.Join(err, readErr)
		return readErr == nil && t.last >= start
	})
	for i := from; i < a.n && err == nil; i++ {
		var t abortedTxn
		if t, err = a.at(i); err != nil {
			break
		}
		if t.first < end {
			dst = append(dst, AbortedTransaction{t.producerID, t.first})
		}
		if t.lastStable >= end {
			return dst, true, nil
		}
	}
	return dst, false, err
}

// AbortedTransaction says that the records of ProducerID from FirstOffset to its
// next abort marker were never committed. A reader leaves them out.
type AbortedTransaction struct{ ProducerID, FirstOffset int64 }

// abortedWithin returns the aborted transactions that have records in
// [start, end), all of which lies below the last stable offset. A transaction is listed by
// the segment of its marker, so the later ones are searched too.
func (l *Log) abortedWithin(start, end int64) (out []AbortedTransaction, err error) {
	err = l.withSegments(func(list []*segment) error {
		i := segmentAt(list, start)
		if i < 0 {
			return fmt.Errorf("%w: %d was deleted", ErrOffsetOutOfRange, start)
		}
		out = nil
		for ; i < len(list); i++ {
			if list[i].abortedTxns.Load() == 0 {
				continue
			}
			var complete bool
			var err error
			if out, complete, err = l.abortedOf(list[i], out, start, end); err != nil || complete {
				return err
			}
		}
		return nil
	})
	return out, err
}

func (l *Log) abortedOf(seg *segment, dst []AbortedTransaction, start, end int64) (_ []AbortedTransaction, complete bool, err error) {
	if x := seg.index.Load(); x != nil {
		return abortedInMemory(x.aborted.view()).collect(dst, start, end)
	}
	h, err := seg.acquire(&l.store.handles)
	if err != nil {
		return dst, false, err
	}
	defer func() { err = errors.Join(err, h.release()) }()
	if txns := h.aborted.Load(); txns != nil {
		return abortedInMemory(*txns).collect(dst, start, end)
	}
	if n := seg.abortedTxns.Load(); n > sampledEntriesMax && seg.abortedChecked.Load() {
		f, err := seg.openAborted()
		if err != nil {
			return dst, false, err
		}
		dst, complete, err = abortedInFile(f, int(n)).collect(dst, start, end)
		return dst, complete, errors.Join(err, f.Close())
	}
	txns, err := l.loadAborted(seg)
	if err != nil {
		return dst, false, err
	}
	if len(txns) <= sampledEntriesMax {
		h.aborted.Store(&txns)
	}
	return abortedInMemory(txns).collect(dst, start, end)
}

// loadAborted reads the transaction index of a segment that is not written, or makes it again
// from the batches when the file is damaged.
func (l *Log) loadAborted(seg *segment) ([]abortedTxn, error) {
	txns, err := seg.readAborted()
	if err == nil {
		seg.abortedChecked.Store(true)
		return txns, nil
	}
	if !errors.As(err, new(*CorruptionError)) {
		return nil, err
	}
	l.store.log.Warn("transaction index is rebuilt", "topic", l.id.Topic, "partition", l.id.Partition, "error", err)
	if txns, err = l.rebuildAborted(seg); err != nil {
		return nil, err
	}
	return txns, l.replaceAborted(seg, txns)
}

// replaceAborted writes a transaction index anew.
func (l *Log) replaceAborted(seg *segment, txns []abortedTxn) error {
	if err := vfs.WriteFile(seg.fs, seg.path(suffixTxnIndex), appendAbortedTxns(nil, txns)); err != nil {
		return err
	}
	seg.abortedTxns.Store(int64(len(txns)))
	seg.abortedChecked.Store(true)
	return nil
}

// rebuildAborted finds the aborted transactions whose markers a segment holds:
// it goes through the batches from the newest snapshot of the producers before the segment.
func (l *Log) rebuildAborted(seg *segment) ([]abortedTxn, error) {
	list := l.list()
	p, from, err := l.producersBefore(seg.base)
	if err != nil {
		return nil, err
	}
	var txns []abortedTxn
	for i := max(segmentAt(list, from), 0); i < len(list) && list[i].base <= seg.base; i++ {
		err := l.scanSegment(list[i], max(from, list[i].base), func(b batch.Batch, _ int64) error {
			if b.BaseOffset < from {
				return nil
			}
			if ended, did, _ := p.apply(&b, 0); did && !ended.commit && list[i] == seg {
				txns = append(txns, ended.aborted())
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return txns, nil
}

// producersBefore returns the producers of the newest usable snapshot at or
// before offset, and the snapshot's offset; none and the beginning of the log without one.
func (l *Log) producersBefore(offset int64) (*producers, int64, error) {
	offsets, err := l.snapshotOffsets()
	if err != nil {
		return nil, 0, err
	}
	p := newProducers()
	for _, at := range slices.Backward(offsets) {
		if at > offset {
			continue
		}
		content, err := vfs.ReadFile(l.store.fs, filepath.Join(l.dir, offsetName(at, suffixSnapshot)))
		if err == nil && p.restore(content, 0) == nil {
			return p, at, nil
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, 0, err
		}
	}
	return newProducers(), 0, nil
}

// readAborted reads the transaction index file of a segment. Without a file there are none.
func (s *segment) readAborted() ([]abortedTxn, error) {
	if s.abortedTxns.Load() == 0 {
		return nil, nil
	}
	s.openMu.Lock() // compaction renames files
	name := s.path(suffixTxnIndex)
	var content []byte
	err := s.goneError()
	if !s.gone {
		content, err = vfs.ReadFile(s.fs, name)
	}
	s.openMu.Unlock()
	if err != nil {
		return nil, err
	}
	txns, err := decodeAbortedTxns(content, s.base)
	if err != nil {
		return txns, &CorruptionError{File: name, Position: int64(len(txns)) * abortedTxnSize, Offset: -1, Reason: err.Error()}
	}
	return txns, nil
}

func (s *segment) openAborted() (vfs.File, error) {
	s.openMu.Lock() // compaction renames files
	defer s.openMu.Unlock()
	if s.gone {
		return nil, s.goneError()
	}
	return s.fs.Open(s.path(suffixTxnIndex))
}

// addAborted adds an entry to the index of a segment that is written. Only the writer may call it.
func (s *segment) addAborted(t abortedTxn) {
	s.index.Load().aborted.add(t)
	s.abortedTxns.Add(1)
}

// abortedTxnsOf returns all entries of a segment.
func (l *Log) abortedTxnsOf(seg *segment) ([]abortedTxn, error) {
	if x := seg.index.Load(); x != nil {
		return x.aborted.view(), nil
	}
	return l.loadAborted(seg)
}

// inheritAborted takes the entries of a segment that this one, which is new,
// replaces, as far as their markers lie before end; the file is cut accordingly.
func (s *segment) inheritAborted(old *segment, txns []abortedTxn, end int64) error {
	inFile := len(txns)
	if old.index.Load() != nil {
		inFile = old.persistedAborted
	}
	keep := abortedBefore(txns, end)
	x := s.index.Load()
	for _, t := range txns[:keep] {
		x.aborted.add(t)
	}
	s.abortedTxns.Store(int64(keep))
	s.persistedAborted = min(keep, inFile)
	if inFile <= keep {
		return nil
	}
	return s.extendFile(suffixTxnIndex, nil, int64(keep)*abortedTxnSize)
}

// abortedBefore counts the entries whose markers lie before offset.
func abortedBefore(txns []abortedTxn, offset int64) int {
	return sort.Search(len(txns), func(i int) bool { return txns[i].last >= offset })
}
