package kafkadir

import (
	"encoding/binary"
	"errors"
	"path/filepath"
	"time"

	"github.com/millrace/millrace/broker/batch"
	"github.com/millrace/millrace/internal/vfs"
)

// snapshotBatchBytes is about how large a batch of a snapshot gets; Kafka reads
// batches of up to 8 MiB.
const snapshotBatchBytes = 1 << 20

// VersionedRecord is a record with the version to write it in.
type VersionedRecord struct {
	Record  Record
	Version int16
}

// WriteMetadata makes __cluster_metadata-0 in a log directory: a snapshot that
// holds the records, and nothing after it. An Apache Kafka controller that starts on it goes
// on from there. It is durable on return.
func WriteMetadata(fsys vfs.FS, logDir string, records []VersionedRecord, now time.Time) error {
	dir := filepath.Join(logDir, metadataDirName)
	if err := vfs.MkdirAllDurable(fsys, dir); err != nil {
		return err
	}
	// The snapshot stands for a log that had as many records, written under
	// the first epoch of the quorum.
	const epoch = 1
	snapshot, err := encodeSnapshot(records, epoch, now.UnixMilli())
	if err != nil {
		return err
	}
	// Kafka's constant id of the metadata topic.
	id := UUID{15: 1}
	const quorum = `{"clusterId":"","leaderId":-1,"leaderEpoch":1,"votedId":-1,"appliedOffset":0,"currentVoters":[],"data_version":0}`
	return errors.Join(
		vfs.WriteFile(fsys, filepath.Join(dir, "quorum-state"), []byte(quorum)),
		vfs.WriteFile(fsys, filepath.Join(dir, partitionMetadataName), []byte("version: 0\ntopic_id: "+id.String())),
		vfs.WriteFile(fsys, filepath.Join(dir, snapshotName(int64(len(records)), epoch)), snapshot),
	)
}

// WriteBootstrap makes the file of which the first start of a node takes its
// first records, as kafka-storage format does.
func WriteBootstrap(fsys vfs.FS, logDir string, records []VersionedRecord, now time.Time) error {
	content, err := encodeSnapshot(records, 0, now.UnixMilli())
	if err != nil {
		return err
	}
	return vfs.WriteFile(fsys, filepath.Join(logDir, bootstrapName), content)
}

// encodeSnapshot writes a snapshot file (KIP-630): a control batch that
// begins it, the records, a control batch that ends it.
func encodeSnapshot(records []VersionedRecord, epoch int32, nowMs int64) ([]byte, error) {
	header := binary.BigEndian.AppendUint64([]byte{0, 0}, uint64(nowMs)) // version 0, time of the last record
	header = append(header, 0)                                           // no tagged fields
	footer := []byte{0, 0, 0}
	out, offset := []byte(nil), int64(0)
	put := func(control bool, batchRecords []batch.Record) (err error) {
		if len(batchRecords) == 0 {
			return nil
		}
		out, err = batch.Append(out, batch.Options{BaseOffset: offset, LeaderEpoch: epoch, Control: control}, batchRecords)
		offset += int64(len(batchRecords))
		return err
	}
	control := func(kind byte, value []byte) error {
		return put(true, []batch.Record{{Timestamp: nowMs, Key: []byte{0, 0, 0, kind}, Value: value}})
	}
	if err := control(controlSnapshotHeader, header); err != nil {
		return nil, err
	}
	var pending []batch.Record
	size := 0
	for _, r := range records {
		value, err := EncodeRecord(r.Record, r.Version)
		if err != nil {
			return nil, err
		}
		if size += len(value); size > snapshotBatchBytes {
			if err := put(false, pending); err != nil {
				return nil, err
			}
			pending, size = nil, len(value)
		}
		pending = append(pending, batch.Record{Timestamp: nowMs, Value: value})
	}
	if err := put(false, pending); err != nil {
		return nil, err
	}
	if err := control(controlSnapshotFooter, footer); err != nil {
		return nil, err
	}
	return out, nil
}
