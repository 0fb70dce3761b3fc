package mirror

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"

	"github.com/IBM/sarama"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/millrace/millrace/configs"
	"github.com/millrace/millrace/internal/consume"
	"github.com/millrace/millrace/internal/kafka"
)

// Reasons for which Run ends by itself.
var (
	// ErrSameCluster is returned when source and target are one cluster.
	ErrSameCluster = errors.New("mirror.source and mirror.target are the same cluster: a topic cannot be copied onto itself")
	// ErrLoop is returned when another mirror carries a topic back.
	ErrLoop = errors.New("another mirror carries the same topic in the opposite direction, every record would be copied for ever: give the two different topics")
)

// Options are what the mirror is given by the process that it runs in.
type Options struct {
	// Logger takes what an operator should know; nil discards it.
	Logger *slog.Logger
	// Registerer takes the metrics; with nil they are counted unseen.
	Registerer prometheus.Registerer
}

// Mirror copies topics from one cluster to another.
type Mirror struct {
	cfg     configs.Mirror
	chosen  func(topic string) bool
	logger  *slog.Logger
	metrics *metrics
}

// New checks the configuration. It does not connect to anything.
func New(cfg configs.Mirror, opts Options) (*Mirror, error) {
	for name, k := range map[string]configs.Kafka{"source": cfg.Source, "target": cfg.Target} {
		if len(k.Brokers) == 0 {
			return nil, fmt.Errorf("mirror.%s.brokers is empty: give at least one host:port", name)
		}
	}
	if len(cfg.Topics) == 0 {
		return nil, errors.New("mirror.topics is empty: give at least one regular expression, for instance ^logs")
	}
	if cfg.Group == "" {
		cfg.Group = "millrace-mirror"
	}
	chosen, err := chooser(cfg.Topics, cfg.Exclude)
	if err != nil {
		return nil, err
	}
	m := &Mirror{cfg: cfg, chosen: chosen, logger: opts.Logger}
	if m.logger == nil {
		m.logger = slog.New(slog.DiscardHandler)
	}
	if m.metrics, err = newMetrics(opts.Registerer); err != nil {
		return nil, fmt.Errorf("register the metrics of the mirror: %w", err)
	}
	return m, nil
}

// chooser returns what chooses topics. Internal topics (__…) are never chosen,
// those of Millrace (millrace.…) by an expression that names them only: an
// alert that is carried to another cluster would be sent by it a second time.
func chooser(include, exclude []string) (func(topic string) bool, error) {
	in, err := compile("topics", include)
	if err != nil {
		return nil, err
	}
	out, err := compile("exclude", exclude)
	if err != nil {
		return nil, err
	}
	return func(topic string) bool {
		if strings.HasPrefix(topic, "__") {
			return false
		}
		for _, p := range out {
			if p.MatchString(topic) {
				return false
			}
		}
		for _, p := range in {
			named := strings.HasPrefix(strings.TrimPrefix(p.String(), "^"), "millrace")
			if p.MatchString(topic) && (named || !strings.HasPrefix(topic, "millrace.")) {
				return true
			}
		}
		return false
	}, nil
}

func compile(key string, patterns []string) ([]*regexp.Regexp, error) {
	var all []*regexp.Regexp
	for _, text := range patterns {
		p, err := regexp.Compile(text)
		if err != nil {
			return nil, fmt.Errorf("mirror.%s: %q: %w", key, text, err)
		}
		all = append(all, p)
	}
	return all, nil
}

// Run copies until ctx ends. While a cluster is away it waits for it. It ends
// by itself with [ErrSameCluster] or [ErrLoop] only.
func (m *Mirror) Run(ctx context.Context) (err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	target, err := m.connect(ctx, "connect to the mirror's target", m.cfg.Target)
	if err != nil {
		return nil // ctx ended before the cluster answered
	}
	defer func() { err = errors.Join(err, target.client.Close()) }()
	source, err := m.connect(ctx, "connect to the mirror's source", m.cfg.Source)
	if err != nil {
		return nil // ctx ended before the cluster answered
	}
	if err := source.client.Close(); err != nil {
		return fmt.Errorf("close the client of the mirror's source: %w", err)
	}
	if source.id == target.id {
		return fmt.Errorf("%w (cluster id %s)", ErrSameCluster, source.id)
	}
	m.logger.Info("mirroring", "source", source.id, "target", target.id, "group", m.cfg.Group)
	member := &consume.Member{
		Group: m.cfg.Group, Kafka: m.cfg.Source, StartAt: sarama.OffsetOldest,
		Chosen: m.chosen, PollInterval: m.cfg.RefreshInterval.D(), ClientID: memberID(target.id),
		Stage: &copyStage{
			sourceID: source.id, target: target.client, targetConfig: m.cfg.Target,
			logger: m.logger, metrics: m.metrics, end: cancel,
		},
		Logger: m.logger, Lag: m.metrics.setLag,
	}
	member.Run(ctx)
	if cause := context.Cause(ctx); errors.Is(cause, ErrLoop) {
		return cause
	}
	return nil
}

// end is one of the two clusters.
type end struct {
	client sarama.Client
	id     string
}

func (m *Mirror) connect(ctx context.Context, task string, k configs.Kafka) (end, error) {
	var e end
	err := consume.Retry(ctx, m.logger, task, func() error {
		conf, err := kafka.ClientConfig(k)
		if err != nil {
			return err
		}
		conf.Metadata.AllowAutoTopicCreation = false
		client, err := sarama.NewClient(k.Brokers, conf)
		if err != nil {
			return err
		}
		id, err := clusterID(client)
		if err != nil {
			return errors.Join(err, client.Close())
		}
		e = end{client: client, id: id}
		return nil
	})
	return e, err
}
