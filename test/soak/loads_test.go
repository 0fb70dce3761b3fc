package soak

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// load is one kind of client. It works until ctx ends; an error while ctx is
// there fails the test.
type load func(ctx context.Context, bootstrap string) error

func loads() map[string]load {
	return map[string]load{
		"producer of small records":   producer("soak-small", 120, kgo.ProducerBatchCompression(kgo.NoCompression())),
		"producer of large records":   producer("soak-large", 20_000, kgo.ProducerBatchCompression(kgo.Lz4Compression())),
		"producer to compacted topic": compacted,
		"transactions":                transactions,
		"group":                       group("soak-classic"),
		"group of the new protocol":   group("soak-848", kgo.WithContext(context.WithValue(context.Background(), "opt_in_kafka_next_gen_balancer_beta", true))), //nolint:staticcheck // franz-go asks for this key
		"readers that come and go":    readers,
		"topics that come and go":     topics,
		"short connections":           connections,
	}
}

// pause lets the time pass; false when ctx has ended.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

func client(bootstrap string, opts ...kgo.Opt) (*kgo.Client, error) {
	return kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(bootstrap), kgo.AllowAutoTopicCreation()}, opts...)...)
}

// producer sends records of a size, some thousands a second.
func producer(topic string, size int, opts ...kgo.Opt) load {
	return func(ctx context.Context, bootstrap string) error {
		c, err := client(bootstrap, append(opts, kgo.DefaultProduceTopic(topic))...)
		if err != nil {
			return err
		}
		defer c.Close()
		value := make([]byte, size)
		for pause(ctx, 50*time.Millisecond) {
			records := make([]*kgo.Record, 200)
			for i := range records {
				records[i] = &kgo.Record{Value: value}
			}
			if err := c.ProduceSync(ctx, records...).FirstErr(); err != nil {
				return err
			}
		}
		return nil
	}
}

// compacted writes the same keys again and again.
func compacted(ctx context.Context, bootstrap string) error {
	c, err := client(bootstrap, kgo.DefaultProduceTopic("soak-compacted"))
	if err != nil {
		return err
	}
	defer c.Close()
	policy, ratio, segment := "compact", "0.01", "1048576"
	_, err = kadm.NewClient(c).CreateTopic(ctx, 2, 1, map[string]*string{"cleanup.policy": &policy, "min.cleanable.dirty.ratio": &ratio, "segment.bytes": &segment}, "soak-compacted")
	if err != nil && !errors.Is(err, kerr.TopicAlreadyExists) {
		return err
	}
	for n := 0; pause(ctx, 20*time.Millisecond); n++ {
		records := make([]*kgo.Record, 100)
		for i := range records {
			records[i] = &kgo.Record{Key: fmt.Appendf(nil, "key-%d", (n*100+i)%1000), Value: make([]byte, 500)}
		}
		if err := c.ProduceSync(ctx, records...).FirstErr(); err != nil {
			return err
		}
	}
	return nil
}

// transactions commits two of three and aborts the third.
func transactions(ctx context.Context, bootstrap string) error {
	c, err := client(bootstrap, kgo.DefaultProduceTopic("soak-transactions"), kgo.TransactionalID("soak"))
	if err != nil {
		return err
	}
	defer c.Close()
	for n := 0; pause(ctx, 20*time.Millisecond); n++ {
		if err := c.BeginTransaction(); err != nil {
			return err
		}
		if err := c.ProduceSync(ctx, &kgo.Record{Value: []byte("a")}, &kgo.Record{Value: []byte("b")}).FirstErr(); err != nil {
			return err
		}
		if err := c.EndTransaction(ctx, kgo.TransactionEndTry(n%3 != 2)); err != nil {
			return err
		}
	}
	return nil
}

// group reads all topics in a group whose members change every few seconds.
func group(name string, opts ...kgo.Opt) load {
	return func(ctx context.Context, bootstrap string) error {
		for ctx.Err() == nil {
			if err := member(ctx, bootstrap, name, opts); err != nil {
				return err
			}
		}
		return nil
	}
}

func member(ctx context.Context, bootstrap, name string, opts []kgo.Opt) error {
	c, err := client(bootstrap, append(opts, kgo.ConsumerGroup(name), kgo.ConsumeTopics("soak-small", "soak-large", "soak-transactions"),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()))...)
	if err != nil {
		return err
	}
	defer c.Close()
	life, cancel := context.WithTimeout(ctx, 4*time.Second)
	defer cancel()
	for life.Err() == nil {
		c.PollFetches(life)
	}
	return nil
}

// readers read a topic from its start without a group.
func readers(ctx context.Context, bootstrap string) error {
	for ctx.Err() == nil {
		c, err := client(bootstrap, kgo.ConsumeTopics("soak-large"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
		if err != nil {
			return err
		}
		life, cancel := context.WithTimeout(ctx, 2*time.Second)
		for life.Err() == nil {
			c.PollFetches(life)
		}
		cancel()
		c.Close()
	}
	return nil
}

// topics makes topics, writes to them and deletes them. Its client makes none by
// asking for them: that would bring deleted ones back.
func topics(ctx context.Context, bootstrap string) error {
	c, err := kgo.NewClient(kgo.SeedBrokers(bootstrap))
	if err != nil {
		return err
	}
	defer c.Close()
	admin := kadm.NewClient(c)
	for n := 0; pause(ctx, 200*time.Millisecond); n++ {
		name := fmt.Sprintf("soak-passing-%d", n)
		if _, err := admin.CreateTopic(ctx, 10, 1, nil, name); err != nil && !errors.Is(err, kerr.TopicAlreadyExists) {
			return err
		}
		if err := c.ProduceSync(ctx, &kgo.Record{Topic: name, Value: []byte("x")}).FirstErr(); err != nil {
			return err
		}
		if _, err := admin.DeleteTopic(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

// connections come, ask once and go.
func connections(ctx context.Context, bootstrap string) error {
	for pause(ctx, 20*time.Millisecond) {
		c, err := client(bootstrap)
		if err != nil {
			return err
		}
		err = c.Ping(ctx)
		c.Close()
		if err != nil {
			return err
		}
	}
	return nil
}
