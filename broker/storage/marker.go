package storage

import (
	"encoding/binary"
	"fmt"

	"github.com/millrace/millrace/broker/batch"
)

// Marker ends a transaction of one producer in one log (KIP-98).
type Marker struct {
	// ProducerID whose transaction ends.
	ProducerID int64
	// ProducerEpoch that the transaction ends under. Under TransactionVersion 2
	// the coordinator has raised it for the end (KIP-890).
	ProducerEpoch int16
	// CoordinatorEpoch fences an older coordinator of the transaction.
	CoordinatorEpoch int32
	// Commit is false for an abort.
	Commit bool
	// TransactionVersion is 2 when the epoch grows with each transaction; then a
	// marker under the epoch of an ongoing transaction is one that came late.
	TransactionVersion int16
}

// Kafka's control record: the key is int16 version, int16 type; the value of
// a marker is int16 version, int32 coordinator epoch. Later versions may add bytes.
const (
	markerAbort     = 0
	markerCommit    = 1
	markerKeySize   = 4
	markerValueSize = 6
)

// build returns the marker as a control batch of one record.
func (m *Marker) build(timestampMs int64) ([]byte, error) {
	be := binary.BigEndian
	key, value := make([]byte, markerKeySize), make([]byte, markerValueSize)
	if m.Commit {
		be.PutUint16(key[2:], markerCommit)
	}
	be.PutUint32(value[2:], uint32(m.CoordinatorEpoch))
	return batch.Build(batch.Options{
		Producer:      &batch.Producer{ID: m.ProducerID, Epoch: m.ProducerEpoch, Sequence: -1},
		Transactional: true, Control: true,
	}, []batch.Record{{Timestamp: timestampMs, Key: key, Value: value}})
}

// markerMaxBytes bounds what is decompressed of a control batch.
const markerMaxBytes = 1 << 10

// parseMarker reads the marker of a control batch. ok is false for a batch
// that compaction has emptied and for a control record of another type. An error is
// ErrInvalidRecord.
func parseMarker(b *batch.Batch) (m Marker, ok bool, err error) {
	for r, err := range b.RecordsMax(markerMaxBytes) {
		if err != nil {
			return Marker{}, false, fmt.Errorf("%w: control batch: %w", ErrInvalidRecord, err)
		}
		if len(r.Key) < markerKeySize || int16(binary.BigEndian.Uint16(r.Key)) < 0 {
			return Marker{}, false, fmt.Errorf("%w: the key of a control record is %x", ErrInvalidRecord, r.Key)
		}
		kind := binary.BigEndian.Uint16(r.Key[2:])
		if kind != markerAbort && kind != markerCommit {
			return Marker{}, false, nil
		}
		if len(r.Value) < markerValueSize || int16(binary.BigEndian.Uint16(r.Value)) < 0 {
			return Marker{}, false, fmt.Errorf("%w: the value of a transaction marker is %x", ErrInvalidRecord, r.Value)
		}
		return Marker{
			ProducerID: b.ProducerID, ProducerEpoch: b.ProducerEpoch,
			CoordinatorEpoch: int32(binary.BigEndian.Uint32(r.Value[2:])), Commit: kind == markerCommit,
		}, true, nil
	}
	return Marker{}, false, nil
}

// AppendMarker ends the producer's transaction in this log, if there is one,
// with a marker that is written in any case, so that the epochs that it carries
// fence what comes later. It is not durable on return: see [Log.Append]. The last stable
// offset moves when the marker is below the high watermark.
//
// A marker takes no part in max.message.bytes, because a transaction must be able to
// end. Errors: ErrInvalidProducerEpoch, ErrCoordinatorFenced, and those of Append that
// do not concern records.
func (l *Log) AppendMarker(m Marker) (AppendResult, error) {
	if m.ProducerID < 0 || m.ProducerEpoch < 0 {
		return AppendResult{}, fmt.Errorf("%w: marker for producer id %d, epoch %d", ErrInvalidRecord, m.ProducerID, m.ProducerEpoch)
	}
	raw, err := m.build(l.store.nowMs())
	if err != nil {
		return AppendResult{}, err
	}
	return l.Append(raw, AppendOptions{LeaderEpoch: l.LeaderEpoch(), Origin: OriginCoordinator, TransactionVersion: m.TransactionVersion})
}
