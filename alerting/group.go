package alerting

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/IBM/sarama"

	"github.com/millrace/millrace/configs"
	"github.com/millrace/millrace/internal/kafka"
)

// stage is what a consumer group of alerting does with its partitions. A
// session begins with setup; claim is then called for each partition, in
// goroutines of its own, until its context ends.
type stage interface {
	setup(ctx context.Context, m *member, claims map[string][]int32) error
	claim(ctx context.Context, c claim) error
}

// claim is one partition during one session.
type claim struct {
	sarama.ConsumerGroupClaim
	session sarama.ConsumerGroupSession
	lag     func(records float64)
}

// mark says that everything before offset is done; it is committed within commitInterval.
func (c claim) mark(offset int64, metadata string) {
	c.session.MarkOffset(c.Topic(), c.Partition(), offset, metadata)
}

// member is this process's member of one consumer group.
type member struct {
	group   string
	kafka   configs.Kafka
	startAt int64
	// topics are the topics by name; patterns are chosen from all topics.
	topics  topicSet
	stage   stage
	logger  *slog.Logger
	metrics *metrics

	client sarama.Client

	mu sync.Mutex
	// failure is the first error of a claim of the current session.
	failure error
}

// run joins the group and works until ctx ends. Whatever goes wrong is
// logged and tried again.
func (m *member) run(ctx context.Context) {
	group, ok := m.connect(ctx)
	if !ok {
		return
	}
	var drained sync.WaitGroup
	drained.Go(func() {
		for err := range group.Errors() {
			m.logger.Debug("consumer group", "group", m.group, "error", err)
		}
	})
	b := backoff{}
	for ctx.Err() == nil {
		began := time.Now()
		err := m.session(ctx, group)
		if ctx.Err() != nil {
			break
		}
		if err == nil || time.Since(began) > time.Minute {
			b = backoff{}
		}
		if err != nil {
			m.logger.Warn("a stage of alerting was interrupted and goes on", "group", m.group, "error", err)
			b.wait(ctx)
		}
	}
	if err := group.Close(); err != nil {
		m.logger.Debug("leave consumer group", "group", m.group, "error", err)
	}
	drained.Wait()
	if err := m.client.Close(); err != nil && !errors.Is(err, sarama.ErrClosedClient) {
		m.logger.Debug("close client", "group", m.group, "error", err)
	}
}

// connect makes the client and the group; false when ctx ended before.
func (m *member) connect(ctx context.Context) (sarama.ConsumerGroup, bool) {
	var group sarama.ConsumerGroup
	err := retry(ctx, m.logger, "connect to Kafka", func() error {
		conf, err := m.config()
		if err != nil {
			return err
		}
		client, err := sarama.NewClient(m.kafka.Brokers, conf)
		if err != nil {
			return err
		}
		if group, err = sarama.NewConsumerGroupFromClient(m.group, client); err != nil {
			return errors.Join(err, client.Close())
		}
		m.client = client
		return nil
	})
	return group, err == nil
}

func (m *member) config() (*sarama.Config, error) {
	conf, err := kafka.ClientConfig(m.kafka)
	if err != nil {
		return nil, err
	}
	conf.Metadata.AllowAutoTopicCreation = false
	conf.Consumer.Return.Errors = true
	conf.Consumer.Offsets.Initial = m.startAt
	conf.Consumer.Offsets.AutoCommit.Enable = true
	conf.Consumer.Offsets.AutoCommit.Interval = commitInterval
	conf.Consumer.Group.Session.Timeout = sessionTimeout
	conf.Consumer.Group.Heartbeat.Interval = heartbeatInterval
	conf.Consumer.Group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{sarama.NewBalanceStrategySticky()}
	return conf, nil
}

// session joins, works until the group changes, the topics change or a claim
// fails, and returns the failure.
func (m *member) session(ctx context.Context, group sarama.ConsumerGroup) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	topics, err := m.topics.await(ctx, m.client)
	if err != nil {
		return err
	}
	var watcher sync.WaitGroup
	defer watcher.Wait()
	defer cancel()
	watcher.Go(func() {
		m.topics.changed(ctx, m.client, topics)
		cancel()
	})
	m.failure = nil
	err = group.Consume(ctx, slices.Sorted(maps.Keys(topics)), handler{m})
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.failure != nil {
		return m.failure
	}
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

func (m *member) fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.failure == nil {
		m.failure = err
	}
}

// handler gives sarama's calls to the stage.
type handler struct{ m *member }

// Setup begins a session.
func (h handler) Setup(s sarama.ConsumerGroupSession) error {
	if err := h.m.stage.setup(s.Context(), h.m, s.Claims()); err != nil {
		if s.Context().Err() == nil {
			h.m.fail(err)
		}
		return err
	}
	return nil
}

// Cleanup ends a session; sarama commits after it.
func (h handler) Cleanup(sarama.ConsumerGroupSession) error { return nil }

// ConsumeClaim works on one partition. A failure ends the session.
func (h handler) ConsumeClaim(s sarama.ConsumerGroupSession, c sarama.ConsumerGroupClaim) error {
	lag := h.m.metrics.lag.WithLabelValues(h.m.group, c.Topic(), fmt.Sprint(c.Partition()))
	defer h.m.metrics.lag.DeleteLabelValues(h.m.group, c.Topic(), fmt.Sprint(c.Partition()))
	err := h.m.stage.claim(s.Context(), claim{ConsumerGroupClaim: c, session: s, lag: lag.Set})
	if err != nil && s.Context().Err() == nil {
		h.m.fail(fmt.Errorf("%s partition %d: %w", c.Topic(), c.Partition(), err))
	}
	return err
}

// nextBatch waits for a message and returns it with those that are there
// already; nil when the claim has ended.
func (c claim) nextBatch(ctx context.Context) []*sarama.ConsumerMessage {
	var batch []*sarama.ConsumerMessage
	select {
	case <-ctx.Done():
		return nil
	case m, ok := <-c.Messages():
		if !ok {
			return nil
		}
		batch = append(batch, m)
	}
	for len(batch) < batchRecordsMax {
		select {
		case m, ok := <-c.Messages():
			if !ok {
				return batch
			}
			batch = append(batch, m)
			continue
		default:
		}
		break
	}
	c.lag(float64(c.HighWaterMarkOffset() - batch[len(batch)-1].Offset - 1))
	return batch
}
