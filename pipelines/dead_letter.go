package pipelines

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/IBM/sarama"

	"github.com/millrace/millrace/configs"
	"github.com/millrace/millrace/internal/elastic"
	"github.com/millrace/millrace/internal/kafka"
	"github.com/millrace/millrace/internal/record"
)

// Headers of a dead letter, beside those of the record itself.
const (
	// HeaderReason is why the document was refused.
	HeaderReason = "millrace.reason"
	// HeaderStatus is the HTTP status of the refusal.
	HeaderStatus = "millrace.status"
	// HeaderPipeline, HeaderIndex and HeaderID say where it was to be written.
	HeaderPipeline = "millrace.pipeline"
	HeaderIndex    = "millrace.index"
	HeaderID       = "millrace.id"
	// HeaderTopic, HeaderPartition and HeaderOffset are the record's place.
	HeaderTopic     = "millrace.topic"
	HeaderPartition = "millrace.partition"
	HeaderOffset    = "millrace.offset"
	// HeaderTimestamp is the record's timestamp in milliseconds since 1970.
	HeaderTimestamp = "millrace.timestamp"
)

// deadLetters takes records that the output refused for good to their topic.
// It connects when the first one comes.
type deadLetters struct {
	kafka    configs.Kafka
	pipeline string
	logger   *slog.Logger

	mu       sync.Mutex
	client   sarama.Client
	producer sarama.SyncProducer
}

// put produces the record of a refused document, with acks=all, and returns
// when it is stored. It tries for ever; its only error is the context's.
func (d *deadLetters) put(ctx context.Context, r elastic.Refusal) error {
	wait, troubled := retryFirst, false
	for {
		err := d.tryPut(r)
		if err == nil {
			d.logger.Warn("document is in the dead-letter topic", "index", r.Index, "id", r.ID, "reason", r.Reason)
			return nil
		}
		if !troubled {
			troubled = true
			d.logger.Error("dead-letter topic does not take a record, trying again until it does", "error", err)
		}
		if err := pause(ctx, wait); err != nil {
			return err
		}
		wait = min(2*wait, retryLast)
	}
}

// pause waits for d or the end of ctx.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

func (d *deadLetters) tryPut(r elastic.Refusal) error {
	msg, ok := r.Ref.(*sarama.ConsumerMessage)
	if !ok {
		panic(fmt.Sprintf("pipelines: a refused document came without its record: %T", r.Ref))
	}
	producer, err := d.open()
	if err != nil {
		return err
	}
	_, _, err = producer.SendMessage(d.letter(r, msg))
	return err
}

// letter is the record as it was, with headers that say what happened to it.
func (d *deadLetters) letter(r elastic.Refusal, msg *sarama.ConsumerMessage) *sarama.ProducerMessage {
	// Its timestamp is that of now: by the record's own, retention could delete
	// it before anybody has seen it.
	out := &sarama.ProducerMessage{
		Topic: record.TopicDeadLetter,
		Key:   sarama.StringEncoder(r.ID), Value: sarama.ByteEncoder(msg.Value),
	}
	for _, h := range msg.Headers {
		out.Headers = append(out.Headers, *h)
	}
	for _, h := range [...][2]string{
		{HeaderReason, r.Reason},
		{HeaderStatus, strconv.Itoa(r.Status)},
		{HeaderPipeline, d.pipeline},
		{HeaderIndex, r.Index},
		{HeaderID, r.ID},
		{HeaderTopic, msg.Topic},
		{HeaderPartition, strconv.FormatInt(int64(msg.Partition), 10)},
		{HeaderOffset, strconv.FormatInt(msg.Offset, 10)},
		{HeaderTimestamp, strconv.FormatInt(msg.Timestamp.UnixMilli(), 10)},
	} {
		out.Headers = append(out.Headers, sarama.RecordHeader{Key: []byte(h[0]), Value: []byte(h[1])})
	}
	return out
}

// open connects and makes the topic where it is missing.
func (d *deadLetters) open() (sarama.SyncProducer, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.producer != nil {
		return d.producer, nil
	}
	conf, err := kafka.ClientConfig(d.kafka)
	if err != nil {
		return nil, err
	}
	conf.Producer.RequiredAcks = sarama.WaitForAll
	conf.Producer.Return.Successes = true
	// A letter is the record with more headers: let the broker judge its size.
	conf.Producer.MaxMessageBytes = 64 << 20
	client, err := sarama.NewClient(d.kafka.Brokers, conf)
	if err != nil {
		return nil, err
	}
	if err := createTopic(client, d.kafka); err != nil {
		return nil, errors.Join(err, client.Close())
	}
	producer, err := sarama.NewSyncProducerFromClient(client)
	if err != nil {
		return nil, errors.Join(err, client.Close())
	}
	d.client, d.producer = client, producer
	return producer, nil
}

func createTopic(client sarama.Client, k configs.Kafka) error {
	admin, err := sarama.NewClusterAdminFromClient(client)
	if err != nil {
		return err
	}
	// Closing the admin would close the client, which the producer needs.
	detail := &sarama.TopicDetail{NumPartitions: k.Partitions, ReplicationFactor: k.ReplicationFactor}
	err = admin.CreateTopic(record.TopicDeadLetter, detail, false)
	if err != nil && !errors.Is(err, sarama.ErrTopicAlreadyExists) {
		return fmt.Errorf("create topic %s: %w", record.TopicDeadLetter, err)
	}
	return client.RefreshMetadata(record.TopicDeadLetter)
}

func (d *deadLetters) close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.producer == nil {
		return nil
	}
	err := errors.Join(d.producer.Close(), d.client.Close())
	d.producer, d.client = nil, nil
	return err
}
