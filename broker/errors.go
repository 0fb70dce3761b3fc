package broker

import (
	"errors"
	"syscall"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/millrace/millrace/broker/metadata"
	"github.com/millrace/millrace/broker/storage"
)

// apiError is an error with the code and message that a client gets.
type apiError struct {
	code    *kerr.Error
	message string
}

// Error returns the message.
func (e *apiError) Error() string { return e.code.Message + ": " + e.message }

// Unwrap lets errors.Is find the code.
func (e *apiError) Unwrap() error { return e.code }

func refuse(code *kerr.Error, message string) *apiError {
	return &apiError{code: code, message: message}
}

// messageMalformed is what Kafka says of INVALID_REQUEST where it says nothing of its own.
const messageMalformed = "This most likely occurs because of a request being malformed by the client library or the message was sent to an incompatible broker. See the broker logs for more details."

// errorCodes is the one place where errors of the node's parts become Kafka's.
// The first row that an error is decides.
func errorCodes() []errorCode {
	return []errorCode{
		{storage.ErrOutOfOrderSequence, kerr.OutOfOrderSequenceNumber},
		{storage.ErrInvalidProducerEpoch, kerr.InvalidProducerEpoch},
		{storage.ErrInvalidTxnState, kerr.InvalidTxnState},
		{storage.ErrCoordinatorFenced, kerr.TransactionCoordinatorFenced},
		{storage.ErrTooManyTransactions, kerr.ConcurrentTransactions},
		{storage.ErrCorrupt, kerr.CorruptMessage},
		{storage.ErrTooLarge, kerr.MessageTooLarge},
		{storage.ErrInvalidTimestamp, kerr.InvalidTimestamp},
		{storage.ErrInvalidRecord, kerr.InvalidRecord},
		{storage.ErrUnsupportedFormat, kerr.UnsupportedForMessageFormat},
		{storage.ErrUnsupportedCompression, kerr.UnsupportedCompressionType},
		{storage.ErrFenced, kerr.FencedLeaderEpoch},
		{storage.ErrUnknownLeaderEpoch, kerr.UnknownLeaderEpoch},
		{storage.ErrOffsetOutOfRange, kerr.OffsetOutOfRange},
		{storage.ErrDeleted, kerr.UnknownTopicOrPartition},
		{storage.ErrClosed, kerr.NotLeaderForPartition},
		{storage.ErrTopicID, kerr.InconsistentTopicID},
		{storage.ErrOffline, kerr.KafkaStorageError},
		{storage.ErrNoSpace, kerr.KafkaStorageError},
		{storage.ErrNoDescriptors, kerr.KafkaStorageError},
		{metadata.ErrNoSpace, kerr.KafkaStorageError},
		{syscall.ENOSPC, kerr.KafkaStorageError},
		{metadata.ErrFailed, kerr.KafkaStorageError},
		{metadata.ErrClosed, kerr.NotController},
		{metadata.ErrNotLeader, kerr.NotController},
		{metadata.ErrUncertain, kerr.RequestTimedOut},
	}
}

type errorCode struct {
	err  error
	code *kerr.Error
}

// codeOf returns the error code that a client gets for err, 0 for nil.
func codeOf(err error) int16 {
	if err == nil {
		return 0
	}
	if known, ok := errors.AsType[*kerr.Error](err); ok {
		return known.Code
	}
	for _, row := range errorCodes() {
		if errors.Is(err, row.err) {
			return row.code.Code
		}
	}
	if errors.As(err, new(*storage.CorruptionError)) { // of a read; that of a log that is offline is in its row
		return kerr.CorruptMessage.Code
	}
	return kerr.UnknownServerError.Code
}

// messageOf returns the message that a client gets beside the code.
func messageOf(err error) *string {
	if err == nil {
		return nil
	}
	message := err.Error()
	if refused, ok := errors.AsType[*apiError](err); ok {
		message = refused.message
	} else if known, ok := errors.AsType[*kerr.Error](err); ok {
		message = known.Description
	}
	return &message
}

// detailOf is messageOf, but null where the code says it all.
func detailOf(err error) *string {
	if _, ok := err.(*kerr.Error); ok { //nolint:errorlint // a plain code, not one that is wrapped with detail
		return nil
	}
	return messageOf(err)
}
