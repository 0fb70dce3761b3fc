package consume

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

// Stage is what a consumer group does with its partitions. A session begins
// with Setup; Claim is then called for each partition, in a goroutine of its
// own, until its context ends. An error of either ends the session; the next
// one begins after a pause, from the committed offsets.
type Stage interface {
	// Setup prepares a session over the given partitions by topic. client is
	// the member's own and stays open.
	Setup(ctx context.Context, client sarama.Client, claims map[string][]int32) error
	// Claim works on one partition. It returns soon after ctx has ended.
	Claim(ctx context.Context, c Claim) error
}

// Member is this process's member of one consumer group. Its fields are set
// before Run.
type Member struct {
	// Group is the group's name.
	Group string
	// Kafka is the cluster that it reads.
	Kafka configs.Kafka
	// StartAt is [sarama.OffsetOldest] or [sarama.OffsetNewest]: where a
	// partition without a commit begins.
	StartAt int64
	// Chosen chooses the topics by name.
	Chosen func(topic string) bool
	// PollInterval is the time between two looks for new topics and
	// partitions; 0 means 2 s.
	PollInterval time.Duration
	// ClientID replaces that of Kafka, where the member is to be known by it.
	ClientID string
	// Stage does the work.
	Stage Stage
	// Logger takes what an operator should know.
	Logger *slog.Logger
	// Lag takes the number of records that a partition is behind, after each
	// batch, and -1 when the partition is given away; it may be nil.
	Lag func(topic string, partition int32, records int64)

	client sarama.Client

	mu sync.Mutex
	// failure is the first error of a claim of the current session.
	failure error
}

// Run joins the group and works until ctx ends. Whatever goes wrong is
// logged and tried again.
func (m *Member) Run(ctx context.Context) {
	group, ok := m.connect(ctx)
	if !ok {
		return
	}
	var drained sync.WaitGroup
	drained.Go(func() {
		for err := range group.Errors() {
			m.report(err)
		}
	})
	b := Backoff{}
	for ctx.Err() == nil {
		began := time.Now()
		err := m.session(ctx, group)
		if ctx.Err() != nil {
			break
		}
		if err == nil || time.Since(began) > time.Minute {
			b = Backoff{}
		}
		if err != nil {
			m.Logger.Warn("a consumer group was interrupted and goes on", "group", m.Group, "error", err)
			b.Wait(ctx)
		}
	}
	if err := group.Close(); err != nil {
		m.Logger.Debug("leave consumer group", "group", m.Group, "error", err)
	}
	drained.Wait()
	if err := m.client.Close(); err != nil && !errors.Is(err, sarama.ErrClosedClient) {
		m.Logger.Debug("close client", "group", m.Group, "error", err)
	}
}

// report tells of an error that sarama mends by itself. Records that are gone
// are the one that an operator must hear of.
func (m *Member) report(err error) {
	var of *sarama.ConsumerError
	if errors.As(err, &of) && errors.Is(err, sarama.ErrOffsetOutOfRange) {
		m.Logger.Warn("records were deleted by the topic's retention before they were read, going on with the oldest that are left: give the topic a longer retention, or more readers",
			"group", m.Group, "topic", of.Topic, "partition", of.Partition)
		return
	}
	m.Logger.Debug("consumer group", "group", m.Group, "error", err)
}

// connect makes the client and the group; false when ctx ended before.
func (m *Member) connect(ctx context.Context) (sarama.ConsumerGroup, bool) {
	var group sarama.ConsumerGroup
	err := Retry(ctx, m.Logger, "connect to Kafka", func() error {
		conf, err := m.config()
		if err != nil {
			return err
		}
		client, err := sarama.NewClient(m.Kafka.Brokers, conf)
		if err != nil {
			return err
		}
		if group, err = sarama.NewConsumerGroupFromClient(m.Group, client); err != nil {
			return errors.Join(err, client.Close())
		}
		m.client = client
		return nil
	})
	return group, err == nil
}

func (m *Member) config() (*sarama.Config, error) {
	conf, err := kafka.ClientConfig(m.Kafka)
	if err != nil {
		return nil, err
	}
	if m.ClientID != "" {
		conf.ClientID = m.ClientID
	}
	conf.Metadata.AllowAutoTopicCreation = false
	conf.Consumer.Return.Errors = true
	conf.Consumer.Offsets.Initial = m.StartAt
	conf.Consumer.IsolationLevel = sarama.ReadCommitted
	conf.Consumer.Offsets.AutoCommit.Enable = true
	conf.Consumer.Offsets.AutoCommit.Interval = commitInterval
	conf.Consumer.Group.Session.Timeout = sessionTimeout
	conf.Consumer.Group.Heartbeat.Interval = heartbeatInterval
	conf.Consumer.Group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{sarama.NewBalanceStrategySticky()}
	return conf, nil
}

// session joins, works until the group changes, the topics change or a claim
// fails, and returns the failure.
func (m *Member) session(ctx context.Context, group sarama.ConsumerGroup) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	topics, err := m.awaitTopics(ctx)
	if err != nil {
		return err
	}
	var watcher sync.WaitGroup
	defer watcher.Wait()
	defer cancel()
	watcher.Go(func() {
		m.topicsChanged(ctx, topics)
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

func (m *Member) fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.failure == nil {
		m.failure = err
	}
}

// handler gives sarama's calls to the stage.
type handler struct{ m *Member }

// Setup begins a session.
func (h handler) Setup(s sarama.ConsumerGroupSession) error {
	if err := h.m.Stage.Setup(s.Context(), h.m.client, s.Claims()); err != nil {
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
	lag := func(records int64) {
		if h.m.Lag != nil {
			h.m.Lag(c.Topic(), c.Partition(), records)
		}
	}
	defer lag(-1)
	err := h.m.Stage.Claim(s.Context(), Claim{ConsumerGroupClaim: c, session: s, lag: lag})
	if err != nil && s.Context().Err() == nil {
		h.m.fail(fmt.Errorf("%s partition %d: %w", c.Topic(), c.Partition(), err))
	}
	return err
}
