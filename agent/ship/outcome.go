package ship

import (
	"errors"

	"github.com/IBM/sarama"
)

// outcome is what is done about an answer.
type outcome uint8

const (
	// done: the cluster has the batch.
	done outcome = iota
	// again: refresh the metadata, wait, send the same bytes.
	again
	// renew: the cluster does not go on with our sequences; the batch is not in
	// the log under them. Take a new producer id and number again.
	renew
	// smaller: split the batch, or cut its only record.
	smaller
	// restamp: the timestamps are refused; take the time of now.
	restamp
	// refused: the topic's settings do not take such records. Say so once, and
	// send the same bytes again until they do.
	refused
)

// classify maps each error of a produce answer to what is done about it. What is not named is tried again for ever.
func classify(err error) outcome {
	var code sarama.KError
	if !errors.As(err, &code) {
		return again // the connection
	}
	switch code { //nolint:exhaustive // all others are tried again
	case sarama.ErrNoError, sarama.ErrDuplicateSequenceNumber:
		return done
	case sarama.ErrOutOfOrderSequenceNumber, sarama.ErrUnknownProducerID, sarama.ErrInvalidProducerEpoch,
		sarama.ErrInvalidProducerIDMapping, sarama.ErrProducerFenced:
		return renew
	case sarama.ErrMessageSizeTooLarge, sarama.ErrMessageSetSizeTooLarge, sarama.ErrInvalidMessageSize:
		return smaller
	case sarama.ErrInvalidTimestamp:
		return restamp
	case sarama.ErrInvalidRecord:
		return refused
	default:
		return again
	}
}

// isNetwork reports whether the connection is to blame, so that it has to be
// made anew.
func isNetwork(err error) bool {
	var code sarama.KError
	return err != nil && !errors.As(err, &code)
}
