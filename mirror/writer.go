package mirror

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/IBM/sarama"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/millrace/millrace/internal/consume"
)

// writer writes the batches of one partition to the target, one at a time. It
// belongs to one goroutine.
type writer struct {
	client    sarama.Client
	topic     string
	partition int32
	logger    *slog.Logger
	retries   prometheus.Counter

	// producer is the id and epoch under which batches are sent; nil before
	// the first one. sequence is that of the next record.
	producer *sarama.InitProducerIDResponse
	sequence int32
}

// write sends the messages until the target has them; false when ctx ended
// before. A target that finds the batch too large gets it in halves.
func (w *writer) write(ctx context.Context, messages []*sarama.ConsumerMessage) bool {
	b := consume.Backoff{}
	for failed := false; ; failed = true {
		err := w.send(messages)
		switch {
		case err == nil:
			if failed {
				w.logger.Info("the target takes records again", "topic", w.topic, "partition", w.partition)
			}
			return true
		case errors.Is(err, sarama.ErrMessageSizeTooLarge) && len(messages) > 1:
			half := len(messages) / 2
			return w.write(ctx, messages[:half]) && w.write(ctx, messages[half:])
		case ctx.Err() != nil:
			return false
		}
		w.retries.Inc()
		if !failed {
			w.logger.Warn("the target does not take records, trying again until it does",
				"topic", w.topic, "partition", w.partition, "source_offset", messages[0].Offset, "error", err)
		}
		if !b.Wait(ctx) {
			return false
		}
	}
}

// send sends the batch once. After an error that leaves open whether it was
// stored, the next send has the same sequence and is stored once.
func (w *writer) send(messages []*sarama.ConsumerMessage) error {
	if err := w.identify(); err != nil {
		return err
	}
	leader, err := w.client.Leader(w.topic, w.partition)
	if err != nil {
		return errors.Join(err, w.client.RefreshMetadata(w.topic))
	}
	req := &sarama.ProduceRequest{
		RequiredAcks: sarama.WaitForAll, Timeout: int32(produceTimeout.Milliseconds()), Version: 7,
	}
	req.AddBatch(w.topic, w.partition, w.batch(messages))
	resp, err := leader.Produce(req)
	if err != nil {
		// the connection's state is unknown: the client opens a new one
		closeErr := leader.Close()
		if errors.Is(closeErr, sarama.ErrNotConnected) {
			closeErr = nil
		}
		return errors.Join(err, closeErr, w.client.RefreshMetadata(w.topic))
	}
	block := resp.GetBlock(w.topic, w.partition)
	if block == nil {
		return errors.New("the answer does not name the partition")
	}
	return w.judge(block, len(messages))
}

// judge turns the target's answer into an error, or counts the batch as stored.
func (w *writer) judge(block *sarama.ProduceResponseBlock, records int) error {
	switch code := block.Err; code {
	case sarama.ErrNoError, sarama.ErrDuplicateSequenceNumber:
		w.sequence += int32(records)
		if w.sequence < 0 {
			w.producer = nil // sequences are used up
		}
		return nil
	case sarama.ErrOutOfOrderSequenceNumber, sarama.ErrUnknownProducerID, sarama.ErrInvalidProducerEpoch:
		w.producer = nil // the target has forgotten this producer
		return fmt.Errorf("a new producer id is taken: %w", code)
	case sarama.ErrNotLeaderForPartition, sarama.ErrLeaderNotAvailable, sarama.ErrUnknownTopicOrPartition:
		return errors.Join(code, w.client.RefreshMetadata(w.topic))
	default:
		if block.ErrorMessage != nil {
			return fmt.Errorf("%w: %s", code, *block.ErrorMessage)
		}
		return code
	}
}

func (w *writer) identify() error {
	if w.producer != nil {
		return nil
	}
	id, err := w.client.InitProducerID()
	if err != nil {
		return fmt.Errorf("get a producer id: %w", err)
	}
	if !errors.Is(id.Err, sarama.ErrNoError) {
		return fmt.Errorf("get a producer id: %w", id.Err)
	}
	w.producer, w.sequence = id, 0
	return nil
}

// batch makes the record batch. Everything but the offsets is the source's.
func (w *writer) batch(messages []*sarama.ConsumerMessage) *sarama.RecordBatch {
	first := messages[0].Timestamp
	b := &sarama.RecordBatch{
		Version: 2, Codec: sarama.CompressionLZ4, CompressionLevel: sarama.CompressionLevelDefault,
		FirstTimestamp: first, MaxTimestamp: first, LastOffsetDelta: int32(len(messages) - 1),
		ProducerID: w.producer.ProducerID, ProducerEpoch: w.producer.ProducerEpoch, FirstSequence: w.sequence,
		Records: make([]*sarama.Record, 0, len(messages)),
	}
	for i, m := range messages {
		b.Records = append(b.Records, &sarama.Record{
			OffsetDelta: int64(i), TimestampDelta: m.Timestamp.Sub(first),
			Key: m.Key, Value: m.Value, Headers: m.Headers,
		})
		if m.Timestamp.After(b.MaxTimestamp) {
			b.MaxTimestamp = m.Timestamp
		}
	}
	return b
}
