package pipelines

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/IBM/sarama"
	"github.com/elastic/go-elasticsearch/v8"
	"golang.org/x/sync/errgroup"

	"github.com/millrace/millrace/configs"
	"github.com/millrace/millrace/internal/elastic"
	"github.com/millrace/millrace/internal/event"
	"github.com/millrace/millrace/internal/kafka"
)

// runnerConfig is one pipeline, compiled.
type runnerConfig struct {
	name       string
	chain      *event.Chain
	output     configs.ElasticsearchOutput
	startAtEnd bool
	// selects reports whether the pipeline reads a topic.
	selects func(topic string) bool
}

// runner runs one pipeline.
type runner struct {
	runnerConfig
	kafka     configs.Kafka
	logger    *slog.Logger
	metrics   pipelineMetrics
	batcher   *batcher
	dead      *deadLetters
	positions positions
}

func newRunner(k configs.Kafka, rc runnerConfig, client *elasticsearch.Client, m *metrics, logger *slog.Logger) *runner {
	pm := m.of(rc.name)
	dead := &deadLetters{kafka: k, pipeline: rc.name, logger: logger}
	writer := elastic.NewWriter(client, logger, pm.retries.Inc)
	return &runner{
		runnerConfig: rc, kafka: k, logger: logger, metrics: pm, dead: dead,
		batcher: newBatcher(rc.output, writer, dead.put, pm),
	}
}

// run serves until ctx ends. The writing goes on while the partitions are
// drained and ends after that.
func (r *runner) run(ctx context.Context) error {
	writing, stopWriting := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWriting()
	var g errgroup.Group
	g.Go(func() error {
		r.batcher.run(writing)
		return nil
	})
	err := r.consumeUntil(ctx)
	stopWriting()
	return errors.Join(err, g.Wait(), r.dead.close())
}

// consumeUntil connects and consumes until ctx ends; a connection that cannot
// be had is tried again for ever.
func (r *runner) consumeUntil(ctx context.Context) error {
	conf, err := r.saramaConfig()
	if err != nil {
		return err
	}
	trouble := &troubleLog{logger: r.logger}
	wait := retryFirst
	for {
		began := time.Now()
		err := r.connectAndConsume(ctx, conf, trouble)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // the end was asked for
		}
		trouble.report(err)
		if time.Since(began) > retryLast {
			wait = retryFirst // it has worked for a while
		}
		if pause(ctx, wait) != nil {
			return nil //nolint:nilerr // the end was asked for
		}
		wait = min(2*wait, retryLast)
	}
}

func (r *runner) saramaConfig() (*sarama.Config, error) {
	conf, err := kafka.ClientConfig(r.kafka)
	if err != nil {
		return nil, err
	}
	conf.Metadata.AllowAutoTopicCreation = false
	conf.Consumer.Return.Errors = true
	conf.Consumer.Offsets.Initial = sarama.OffsetOldest
	if r.startAtEnd {
		conf.Consumer.Offsets.Initial = sarama.OffsetNewest
	}
	conf.Consumer.Offsets.AutoCommit.Interval = commitInterval
	conf.Consumer.IsolationLevel = sarama.ReadCommitted
	conf.Consumer.MaxProcessingTime = time.Second
	conf.Consumer.Group.Session.Timeout = sessionTimeout
	conf.Consumer.Group.Heartbeat.Interval = sessionTimeout / 3
	conf.Consumer.Group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{sarama.NewBalanceStrategySticky()}
	return conf, nil
}

// connectAndConsume works over one connection until it fails or ctx ends.
func (r *runner) connectAndConsume(ctx context.Context, conf *sarama.Config, trouble *troubleLog) (err error) {
	client, err := sarama.NewClient(r.kafka.Brokers, conf)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeQuietly(client)) }()
	group, err := sarama.NewConsumerGroupFromClient(GroupPrefix+r.name, client)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var g errgroup.Group
	g.Go(func() error {
		for e := range group.Errors() {
			trouble.report(e)
		}
		return nil
	})
	g.Go(func() error {
		r.watchLag(ctx, client)
		return nil
	})
	err = r.consumeTopics(ctx, client, group, trouble)
	cancel()
	return errors.Join(err, group.Close(), g.Wait())
}

// closeQuietly closes a client that may have been closed by its group.
func closeQuietly(client sarama.Client) error {
	if client.Closed() {
		return nil
	}
	return client.Close()
}

// consumeTopics joins the group for the topics that are there, and anew when
// they change.
func (r *runner) consumeTopics(ctx context.Context, client sarama.Client, group sarama.ConsumerGroup, trouble *troubleLog) error {
	topics, err := r.findTopics(client)
	if err != nil {
		return err
	}
	h := &handler{runner: r, onStart: trouble.recovered}
	changedAt := time.Now()
	for ctx.Err() == nil {
		began := time.Now()
		session, endSession := context.WithCancel(ctx)
		var g errgroup.Group
		var next []string
		g.Go(func() error {
			defer endSession()
			next = r.awaitChange(session, client, topics, changedAt, trouble)
			return nil
		})
		if len(topics) == 0 {
			<-session.Done()
		} else {
			err = group.Consume(session, topics, h)
		}
		endSession()
		if waitErr := g.Wait(); waitErr != nil {
			return waitErr
		}
		if next != nil {
			r.logger.Info("topics of the pipeline have changed", "topics", next)
			topics, changedAt = next, time.Now()
			continue
		}
		if err != nil {
			return err
		}
		if time.Since(began) < retryFirst && pause(ctx, retryFirst) != nil {
			return nil //nolint:nilerr // the end was asked for
		}
	}
	return nil
}

// awaitChange returns the topics as soon as they are others than those that
// are read; nil when ctx has ended.
func (r *runner) awaitChange(ctx context.Context, client sarama.Client, topics []string, since time.Time, trouble *troubleLog) []string {
	for {
		wait := topicsSlow
		if time.Since(since) < topicsQuickFor || len(topics) == 0 {
			wait = topicsQuick
		}
		if pause(ctx, wait) != nil {
			return nil
		}
		now, err := r.findTopics(client)
		if err != nil {
			trouble.report(err)
			continue
		}
		if !slices.Equal(now, topics) {
			return now
		}
	}
}

// findTopics lists the topics of the pipeline that are there, never nil.
func (r *runner) findTopics(client sarama.Client) ([]string, error) {
	if err := client.RefreshMetadata(); err != nil {
		return nil, err
	}
	all, err := client.Topics()
	if err != nil {
		return nil, err
	}
	mine := []string{}
	for _, t := range all {
		if r.selects(t) {
			mine = append(mine, t)
		}
	}
	slices.Sort(mine)
	return mine, nil
}

// watchLag keeps the lag metrics, also while reading is held back.
func (r *runner) watchLag(ctx context.Context, client sarama.Client) {
	for pause(ctx, lagInterval) == nil {
		for _, p := range r.positions.list() {
			end, err := client.GetOffset(p.topic, p.partition, sarama.OffsetNewest)
			if err != nil {
				continue // the consumer itself finds and reports it
			}
			next := p.get()
			if next < 0 {
				next = end
			}
			r.metrics.setLag(p.topic, p.partition, end-next)
		}
	}
}
