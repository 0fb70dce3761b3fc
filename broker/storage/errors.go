package storage

import (
	"errors"
	"fmt"

	"github.com/millrace/millrace/broker/batch"
)

// Errors that callers branch on. They are wrapped with detail: use errors.Is.
// The Kafka error code that each stands for is given in brackets.
var (
	// ErrOutOfOrderSequence: an idempotent producer's batch does not follow its
	// last one and repeats none of the last five [OUT_OF_ORDER_SEQUENCE_NUMBER].
	ErrOutOfOrderSequence = errors.New("out of order sequence number")
	// ErrInvalidProducerEpoch: a newer epoch of this producer id has written
	// [INVALID_PRODUCER_EPOCH].
	ErrInvalidProducerEpoch = errors.New("producer epoch is older than the newest seen")
	// ErrInvalidTxnState: a transactional batch of a transaction that is neither
	// ongoing in the log nor verified by the coordinator (KIP-890), or a batch
	// outside of the producer's ongoing transaction [INVALID_TXN_STATE].
	ErrInvalidTxnState = errors.New("batch does not fit the producer's transaction")
	// ErrCoordinatorFenced: a marker of a newer transaction coordinator was
	// written [TRANSACTION_COORDINATOR_FENCED].
	ErrCoordinatorFenced = errors.New("transaction coordinator epoch is older than the newest seen")
	// ErrTooManyTransactions: as many producers as a log remembers have a transaction that is
	// ongoing, so that none of them can be forgotten [CONCURRENT_TRANSACTIONS].
	ErrTooManyTransactions = errors.New("too many ongoing transactions in one partition")
	// ErrCorrupt: a batch that was given to Append fails its checksum or its
	// lengths contradict each other [CORRUPT_MESSAGE].
	ErrCorrupt = batch.ErrCorrupt
	// ErrTooLarge: a batch is larger than max.message.bytes [MESSAGE_TOO_LARGE].
	ErrTooLarge = errors.New("record batch is larger than max.message.bytes")
	// ErrInvalidTimestamp: a timestamp is further from the broker's clock than
	// message.timestamp.{before,after}.max.ms allow [INVALID_TIMESTAMP].
	ErrInvalidTimestamp = errors.New("timestamp is out of the allowed range")
	// ErrInvalidRecord: a batch is intact but breaks a rule (control batch from
	// a client, counts that do not fit, no records) [INVALID_RECORD].
	ErrInvalidRecord = batch.ErrInvalid
	// ErrUnsupportedFormat: a message set older than record batch v2
	// [UNSUPPORTED_FOR_MESSAGE_FORMAT].
	ErrUnsupportedFormat = batch.ErrOldFormat
	// ErrUnsupportedCompression: an unknown codec id [UNSUPPORTED_COMPRESSION_TYPE].
	ErrUnsupportedCompression = batch.ErrCodec
	// ErrFenced: the leader epoch of the caller is older than the log's
	// [FENCED_LEADER_EPOCH].
	ErrFenced = errors.New("leader epoch is older than the log's")
	// ErrUnknownLeaderEpoch: the leader epoch of the caller is newer than the
	// log's [UNKNOWN_LEADER_EPOCH].
	ErrUnknownLeaderEpoch = errors.New("leader epoch is newer than the log's")
	// ErrOffsetOutOfRange: an offset before the log start or after the log end
	// [OFFSET_OUT_OF_RANGE].
	ErrOffsetOutOfRange = errors.New("offset is out of range")
	// ErrOffline: the log was taken offline by an I/O error or corruption;
	// errors.As finds the [*CorruptionError] if there is one [KAFKA_STORAGE_ERROR].
	ErrOffline = errors.New("log is offline")
	// ErrNoSpace: the disk is full; nothing was written and the log stays
	// online [KAFKA_STORAGE_ERROR].
	ErrNoSpace = errors.New("no space left on the device")
	// ErrNoDescriptors: no file could be opened because the process has as many
	// as it may; nothing was written and the log stays online [KAFKA_STORAGE_ERROR].
	ErrNoDescriptors = errors.New("too many open files")
	// ErrDeleted: the log was deleted [UNKNOWN_TOPIC_OR_PARTITION].
	ErrDeleted = errors.New("log was deleted")
	// ErrClosed: the store is closed [NOT_LEADER_OR_FOLLOWER].
	ErrClosed = errors.New("store is closed")
	// ErrTopicID: the log on disk belongs to another topic of the same name
	// [INCONSISTENT_TOPIC_ID].
	ErrTopicID = errors.New("log belongs to another topic id")
	// ErrNewerFormat: the data directory was written by a newer Millrace.
	ErrNewerFormat = errors.New("data directory was written by a newer version of Millrace")
	// ErrLocked: another process uses the data directory.
	ErrLocked = errors.New("data directory is in use by another process")
)

// CorruptionError says where stored bytes are damaged. It is returned wrapped
// in [ErrOffline] when a whole log is offline for it.
type CorruptionError struct {
	// File is the path of the damaged file.
	File string
	// Position is the byte position of the damaged batch in File.
	Position int64
	// Offset is the first record offset that is damaged; -1 when unknown.
	Offset int64
	// Reason says what does not fit.
	Reason string
}

// Error formats file, position, offset and reason in one line.
func (e *CorruptionError) Error() string {
	return fmt.Sprintf("%s is corrupt at byte %d (offset %d): %s", e.File, e.Position, e.Offset, e.Reason)
}
