package alerting

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/IBM/sarama"

	"github.com/millrace/millrace/configs"
	"github.com/millrace/millrace/internal/consume"
	"github.com/millrace/millrace/internal/kafka"
	"github.com/millrace/millrace/internal/record"
)

// matchStage turns a pipeline's records into matches. It has no state: what was
// not committed is matched again.
type matchStage struct {
	pipeline *pipeline
	out      *writer
	metrics  *metrics
}

// Setup has nothing to prepare.
func (s *matchStage) Setup(context.Context, sarama.Client, map[string][]int32) error { return nil }

// Claim matches the records of one partition.
func (s *matchStage) Claim(ctx context.Context, c consume.Claim) error {
	for {
		batch := c.NextBatch(ctx, batchRecordsMax)
		if batch == nil {
			return nil
		}
		out, err := s.match(batch)
		if err != nil {
			return err
		}
		if err := s.out.write(ctx, out); err != nil {
			return fmt.Errorf("write matches: %w", err)
		}
		c.Mark(batch[len(batch)-1].Offset+1, "")
	}
}

// match returns the records to write for the messages, in their order.
func (s *matchStage) match(batch []*sarama.ConsumerMessage) ([]*sarama.ProducerMessage, error) {
	now := time.Now()
	s.metrics.events.WithLabelValues(s.pipeline.name).Add(float64(len(batch)))
	var out []*sarama.ProducerMessage
	for _, msg := range batch {
		for _, m := range s.pipeline.matches(msg, now) {
			value, err := json.Marshal(m)
			if err != nil {
				return nil, fmt.Errorf("write match of %s: %w", m.EventID, err)
			}
			s.metrics.matches.WithLabelValues(m.Pipeline, m.Rule).Inc()
			out = append(out, &sarama.ProducerMessage{
				Topic: record.TopicAlertMatches, Key: sarama.StringEncoder(m.Key), Value: sarama.ByteEncoder(value),
				Metadata: m.Key,
			})
		}
	}
	return out, nil
}

// writer writes records so that they are on disk in the cluster when write
// returns. It is safe for concurrent use.
type writer struct {
	client   sarama.Client
	producer sarama.SyncProducer
}

// newWriter connects; the producer is idempotent and keeps the order of each partition.
func newWriter(k configs.Kafka) (*writer, error) {
	conf, err := kafka.ClientConfig(k)
	if err != nil {
		return nil, err
	}
	conf.Metadata.AllowAutoTopicCreation = false
	conf.Producer.RequiredAcks = sarama.WaitForAll
	conf.Producer.Idempotent = true
	conf.Net.MaxOpenRequests = 1
	conf.Producer.Return.Successes = true
	conf.Producer.Return.Errors = true
	conf.Producer.MaxMessageBytes = producerMessageMax
	conf.Producer.Compression = sarama.CompressionLZ4
	conf.Producer.Partitioner = sarama.NewManualPartitioner
	conf.Producer.Retry.Max = 10
	conf.Producer.Retry.Backoff = producerRetryBackoff
	client, err := sarama.NewClient(k.Brokers, conf)
	if err != nil {
		return nil, err
	}
	producer, err := sarama.NewSyncProducerFromClient(client)
	if err != nil {
		return nil, fmt.Errorf("make producer: %w", closing(err, client.Close))
	}
	return &writer{client: client, producer: producer}, nil
}

// write sends the records and waits for all of them. A record's Metadata is
// the key that chooses its partition. After an error some may have been written.
func (w *writer) write(ctx context.Context, records []*sarama.ProducerMessage) error {
	if len(records) == 0 {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	counts := map[string]int32{}
	for _, r := range records {
		n, ok := counts[r.Topic]
		if !ok {
			partitions, err := w.client.Partitions(r.Topic)
			if err != nil {
				return err
			}
			n = int32(len(partitions))
			counts[r.Topic] = n
		}
		r.Partition = partitionOf(r.Metadata.(string), n)
	}
	return firstProducerError(w.producer.SendMessages(records))
}

// firstProducerError turns sarama's list of failures into one error.
func firstProducerError(err error) error {
	if errs, ok := err.(sarama.ProducerErrors); ok && len(errs) > 0 { //nolint:errorlint // sarama returns the list itself
		return fmt.Errorf("%d records were not acknowledged, the first because of: %w", len(errs), errs[0].Err)
	}
	return err
}

func (w *writer) close() error {
	return closing(w.producer.Close(), w.client.Close)
}
