package coordinator

import (
	"errors"
	"fmt"
	"math"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/millrace/millrace/broker/batch"
	"github.com/millrace/millrace/broker/storage"
)

// errStopped is returned when what was being loaded is not wanted any more.
var errStopped = errors.New("shard was stopped")

// Log is what a coordinator needs of its partition; [storage.Log] has it.
type Log interface {
	Append(batches []byte, o storage.AppendOptions) (storage.AppendResult, error)
	OnFlushed(offset int64, fn func(error))
	Read(startOffset int64, maxBytes int, o storage.ReadOptions) (storage.ReadResult, error)
	LogStart() int64
	LogEnd() int64
	LeaderEpoch() int32
	Config() storage.LogConfig
}

// appendRecords writes the records to the log, in as many batches as their size asks
// for, all or none, and returns the offset of the last. what names their kind in errors.
func appendRecords(log Log, what string, records []batch.Record) (lastOffset int64, err error) {
	batchMax := min(AppendBytesMax, int(min(log.Config().MaxMessageBytes, math.MaxInt32))-batch.HeaderSize)
	var data []byte
	for from := 0; from < len(records); {
		to := from
		for size := 0; to < len(records); to++ {
			size += len(records[to].Key) + len(records[to].Value) + RecordOverheadMax
			if to > from && size > batchMax {
				break
			}
		}
		if data, err = batch.Append(data, batch.Options{LeaderEpoch: log.LeaderEpoch()}, records[from:to]); err != nil {
			return 0, fmt.Errorf("build a batch of %s records: %w", what, err)
		}
		from = to
	}
	res, err := log.Append(data, storage.AppendOptions{LeaderEpoch: log.LeaderEpoch(), Origin: storage.OriginCoordinator})
	if err != nil {
		return 0, fmt.Errorf("append %s records: %w", what, err)
	}
	return res.LastOffset, nil
}

// ErrorCode is the error code with which Kafka answers when a coordinator's append fails.
func ErrorCode(err error) int16 {
	if errors.Is(err, storage.ErrTooLarge) {
		return kerr.UnknownServerError.Code
	}
	if errors.Is(err, storage.ErrNoSpace) {
		return kerr.CoordinatorNotAvailable.Code
	}
	if errors.Is(err, storage.ErrInvalidProducerEpoch) {
		return kerr.InvalidProducerEpoch.Code // of a transaction's offsets: no other coordinator would take them
	}
	return kerr.NotCoordinator.Code
}
