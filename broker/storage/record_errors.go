package storage

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/millrace/millrace/broker/batch"
)

// recordMessagesMax is how many records of an append are refused with a message
// of their own; those after them are only named.
const recordMessagesMax = 1000

// RecordError names one record that was refused, by its index in its append.
// Message may be empty.
type RecordError struct {
	Index   int32
	Message string
}

// RecordErrors is returned by [Log.Append] when single records are the reason
// why an append was refused (KIP-467). It wraps [ErrInvalidRecord] or
// [ErrInvalidTimestamp].
type RecordErrors struct {
	// Message speaks of the append as a whole.
	Message string
	// Records are those that were refused, in order: at least one.
	Records []RecordError

	err error
}

// Error returns the message and that of the first record.
func (e *RecordErrors) Error() string {
	return fmt.Sprintf("%v: %s (%d records; record %d: %s)", e.err, e.Message, len(e.Records), e.Records[0].Index, e.Records[0].Message)
}

// Unwrap returns what is wrong with the records.
func (e *RecordErrors) Unwrap() error { return e.err }

func (e *RecordErrors) add(index int, message func() string) {
	out := RecordError{Index: int32(index)}
	if len(e.Records) < recordMessagesMax {
		out.Message = message()
	}
	e.Records = append(e.Records, out)
}

// orNil returns e as an error if it names a record.
func (e *RecordErrors) orNil() error {
	if len(e.Records) == 0 {
		return nil
	}
	return e
}

// validateKeys refuses records without a key, which compaction could not keep.
// first is the index of the batch's first record in the append.
func validateKeys(b *batch.Batch, first int, id TopicPartition) error {
	refused := &RecordErrors{err: ErrInvalidRecord}
	at := first
	for r, err := range b.Records() {
		if err != nil {
			return err
		}
		if r.Key == nil {
			refused.add(at, func() string {
				return fmt.Sprintf("Compacted topic cannot accept message without key in topic partition %s", id)
			})
		}
		at++
	}
	refused.Message = refused.summary()
	return refused.orNil()
}

// summary is what Apache Kafka says of several refused records.
func (e *RecordErrors) summary() string {
	shown := make([]string, 0, 3)
	for _, r := range e.Records[:min(3, len(e.Records))] {
		shown = append(shown, fmt.Sprintf("RecordError(batchIndex=%d, message='%s')", r.Index, r.Message))
	}
	return fmt.Sprintf("One or more records have been rejected due to %d record errors in total, and only showing the first three errors at most: [%s]",
		len(e.Records), strings.Join(shown, ", "))
}

// untimelyRecords names the records whose timestamps are out of the range, or
// returns otherwise if the header alone is.
func untimelyRecords(b *batch.Batch, first int, cfg *LogConfig, nowMs int64, otherwise error) error {
	refused := &RecordErrors{Message: "One or more records have been rejected due to invalid timestamp", err: ErrInvalidTimestamp}
	at := first
	for r, err := range b.Records() {
		if err != nil {
			return errors.Join(otherwise, err)
		}
		if timestamp := r.Timestamp; timestamp > nowMs && timestamp-nowMs > cfg.TimestampAfterMaxMs || timestamp >= 0 && nowMs-timestamp > cfg.TimestampBeforeMaxMs {
			refused.add(at, func() string {
				return fmt.Sprintf("Timestamp %d of message with offset %d is out of range. The timestamp should be within [%d, %d]",
					timestamp, at, nowMs-cfg.TimestampBeforeMaxMs, nowMs+min(cfg.TimestampAfterMaxMs, math.MaxInt64-nowMs))
			})
		}
		at++
	}
	if err := refused.orNil(); err != nil {
		return err
	}
	return otherwise
}
