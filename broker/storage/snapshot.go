package storage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/millrace/millrace/broker/batch"
)

// Kafka's producer snapshot, version 1, big-endian:
//
//	int16 version, uint32 CRC-32C of all that follows, int32 number of entries,
//	per entry: int64 producer id, int16 epoch, int32 last sequence, int64 last
//	offset, int32 offset delta, int64 largest timestamp in ms, int32
//	coordinator epoch, int64 first offset of the open transaction
//
// Kafka writes one entry per producer id, its last batch, so that after a
// restart a repetition of an earlier batch is refused. We write one entry per
// remembered batch, oldest first. Kafka's reader lets a later entry of the
// same id replace an earlier one, so it reads our files as its own.
const (
	snapshotVersion    = 1
	snapshotHeaderSize = 10
	snapshotEntrySize  = 46
)

// snapshotEntry is one entry of a snapshot file.
type snapshotEntry struct {
	producerID       int64
	epoch            int16
	lastSequence     int32
	lastOffset       int64
	offsetDelta      int32
	timestamp        int64
	coordinatorEpoch int32
	txnFirstOffset   int64
}

func encodeSnapshot(entries []snapshotEntry) []byte {
	be := binary.BigEndian
	b := make([]byte, snapshotHeaderSize, snapshotHeaderSize+len(entries)*snapshotEntrySize)
	be.PutUint16(b, snapshotVersion)
	be.PutUint32(b[6:], uint32(len(entries)))
	for i := range entries {
		e := &entries[i]
		b = be.AppendUint64(b, uint64(e.producerID))
		b = be.AppendUint16(b, uint16(e.epoch))
		b = be.AppendUint32(b, uint32(e.lastSequence))
		b = be.AppendUint64(b, uint64(e.lastOffset))
		b = be.AppendUint32(b, uint32(e.offsetDelta))
		b = be.AppendUint64(b, uint64(e.timestamp))
		b = be.AppendUint32(b, uint32(e.coordinatorEpoch))
		b = be.AppendUint64(b, uint64(e.txnFirstOffset))
	}
	be.PutUint32(b[2:], snapshotCRC(b))
	return b
}

func snapshotCRC(b []byte) uint32 {
	return crc32.Checksum(b[6:], crc32.MakeTable(crc32.Castagnoli))
}

func decodeSnapshot(b []byte) ([]snapshotEntry, error) {
	be := binary.BigEndian
	if len(b) < snapshotHeaderSize {
		return nil, errors.New("shorter than its header")
	}
	if v := be.Uint16(b); v != snapshotVersion {
		return nil, fmt.Errorf("version %d is not known", v)
	}
	if sum := snapshotCRC(b); sum != be.Uint32(b[2:]) {
		return nil, fmt.Errorf("checksum is %08x, header says %08x", sum, be.Uint32(b[2:]))
	}
	n := int64(int32(be.Uint32(b[6:])))
	b = b[snapshotHeaderSize:]
	if n < 0 || n*snapshotEntrySize != int64(len(b)) {
		return nil, fmt.Errorf("%d entries do not fit %d bytes", n, len(b))
	}
	out := make([]snapshotEntry, n)
	for i := range out {
		e := b[i*snapshotEntrySize:]
		out[i] = snapshotEntry{
			producerID:       int64(be.Uint64(e)),
			epoch:            int16(be.Uint16(e[8:])),
			lastSequence:     int32(be.Uint32(e[10:])),
			lastOffset:       int64(be.Uint64(e[14:])),
			offsetDelta:      int32(be.Uint32(e[22:])),
			timestamp:        int64(be.Uint64(e[26:])),
			coordinatorEpoch: int32(be.Uint32(e[34:])),
			txnFirstOffset:   int64(be.Uint64(e[38:])),
		}
		if e := &out[i]; e.producerID < 0 || e.offsetDelta < 0 || e.lastSequence >= 0 && e.lastOffset < int64(e.offsetDelta) {
			return nil, fmt.Errorf("entry %d (producer id %d) is not possible", i, e.producerID)
		}
	}
	return out, nil
}

// batch returns the remembered batch of an entry; false if it has none.
func (e *snapshotEntry) batch() (producerBatch, bool) {
	if e.lastSequence < 0 || e.lastOffset < 0 {
		return producerBatch{}, false
	}
	return producerBatch{
		firstSequence: batch.AddSequence(e.lastSequence, -e.offsetDelta),
		lastSequence:  e.lastSequence,
		firstOffset:   e.lastOffset - int64(e.offsetDelta),
		lastOffset:    e.lastOffset,
		timestampMs:   e.timestamp,
	}, true
}
