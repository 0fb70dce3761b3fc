package alerting

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/IBM/sarama"
)

// readToEnd gives every record of a topic, from the earliest that is not older
// than since (all with the zero time) to the high watermark at the time of the
// call, to fn: partition by partition, each in its order.
func readToEnd(ctx context.Context, client sarama.Client, topic string, since time.Time, fn func(*sarama.ConsumerMessage) error) error {
	if err := client.RefreshMetadata(topic); err != nil {
		return fmt.Errorf("read %s: %w", topic, err)
	}
	partitions, err := client.Partitions(topic)
	if err != nil {
		return fmt.Errorf("read %s: %w", topic, err)
	}
	consumer, err := sarama.NewConsumerFromClient(client)
	if err != nil {
		return fmt.Errorf("read %s: %w", topic, err)
	}
	for _, p := range partitions {
		if err = readPartitionToEnd(ctx, client, consumer, topic, p, since, fn); err != nil {
			err = fmt.Errorf("read %s partition %d to its end: %w", topic, p, err)
			break
		}
	}
	return errors.Join(err, consumer.Close())
}

func readPartitionToEnd(ctx context.Context, client sarama.Client, consumer sarama.Consumer, topic string, partition int32, since time.Time, fn func(*sarama.ConsumerMessage) error) error {
	end, err := client.GetOffset(topic, partition, sarama.OffsetNewest)
	if err != nil {
		return err
	}
	at := sarama.OffsetOldest
	if !since.IsZero() {
		at = since.UnixMilli()
	}
	start, err := client.GetOffset(topic, partition, at)
	if err != nil {
		return err
	}
	if start < 0 || start >= end {
		return nil
	}
	pc, err := consumer.ConsumePartition(topic, partition, start)
	if err != nil {
		return err
	}
	err = drainUntil(ctx, pc, end, fn)
	var drained sync.WaitGroup
	drained.Go(func() {
		for range pc.Messages() {
			continue // what lies beyond the end is not asked for
		}
	})
	if closeErr := pc.Close(); err != nil {
		err = errors.Join(err, closeErr) // it says why the end was not reached
	}
	drained.Wait()
	return err
}

// errStalled is returned when the end of a topic is not reached.
var errStalled = errors.New("no record came for 30 s before the end was reached")

func drainUntil(ctx context.Context, pc sarama.PartitionConsumer, end int64, fn func(*sarama.ConsumerMessage) error) error {
	stall := time.NewTimer(readStallMax)
	defer stall.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-stall.C:
			return errStalled
		case m, ok := <-pc.Messages():
			if !ok {
				return sarama.ErrClosedClient
			}
			if err := fn(m); err != nil {
				return err
			}
			if m.Offset >= end-1 {
				return nil
			}
			stall.Reset(readStallMax)
		}
	}
}
