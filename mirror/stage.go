package mirror

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"

	"github.com/IBM/sarama"

	"github.com/millrace/millrace/configs"
	"github.com/millrace/millrace/internal/consume"
)

// copyStage copies the partitions of a session.
type copyStage struct {
	sourceID     string
	target       sarama.Client
	targetConfig configs.Kafka
	logger       *slog.Logger
	metrics      *metrics
	// end ends the mirror.
	end context.CancelCauseFunc
}

// Setup makes the topics on the target and refuses a loop.
func (s *copyStage) Setup(_ context.Context, source sarama.Client, claims map[string][]int32) error {
	err := s.ensureTopics(source, slices.Sorted(maps.Keys(claims)))
	if errors.Is(err, ErrLoop) {
		s.end(err)
	}
	return err
}

// Claim copies one partition.
func (s *copyStage) Claim(ctx context.Context, c consume.Claim) error {
	w := &writer{
		client: s.target, topic: c.Topic(), partition: c.Partition(),
		logger: s.logger, retries: s.metrics.retries.WithLabelValues(c.Topic()),
	}
	records, bytes := s.metrics.records.WithLabelValues(c.Topic()), s.metrics.bytes.WithLabelValues(c.Topic())
	for {
		batch := c.NextBatch(ctx, batchRecordsMax)
		if batch == nil {
			return nil
		}
		for part := range chunks(batch) {
			if !w.write(ctx, part) {
				return nil
			}
			c.Mark(part[len(part)-1].Offset+1, "")
			records.Add(float64(len(part)))
			bytes.Add(float64(sizeOf(part)))
		}
	}
}

// chunks cuts messages into parts of at most batchBytesMax, or one message.
func chunks(all []*sarama.ConsumerMessage) func(yield func([]*sarama.ConsumerMessage) bool) {
	return func(yield func([]*sarama.ConsumerMessage) bool) {
		from, size := 0, 0
		for i, m := range all {
			n := sizeOf(all[i : i+1])
			if i > from && (size+n > batchBytesMax || m.Timestamp.IsZero() != all[from].Timestamp.IsZero()) {
				if !yield(all[from:i]) {
					return
				}
				from, size = i, 0
			}
			size += n
		}
		if from < len(all) {
			yield(all[from:])
		}
	}
}

func sizeOf(messages []*sarama.ConsumerMessage) int {
	n := 0
	for _, m := range messages {
		n += recordOverhead + len(m.Key) + len(m.Value)
		for _, h := range m.Headers {
			n += len(h.Key) + len(h.Value)
		}
	}
	return n
}
