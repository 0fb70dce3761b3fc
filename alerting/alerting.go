package alerting

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/IBM/sarama"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/millrace/millrace/alerting/window"
	"github.com/millrace/millrace/configs"
	"github.com/millrace/millrace/internal/consume"
	"github.com/millrace/millrace/internal/elastic"
	"github.com/millrace/millrace/internal/record"
)

// Names of the consumer groups. That of the match stage is made of the
// pipeline's name, that of a notifier of the notifier's.
const (
	groupWindows      = "millrace-alerting-windows"
	groupIndex        = "millrace-alerting-index"
	groupNotifyPrefix = "millrace-alerting-notify-"
	groupMatchPrefix  = "millrace-alerting-"
	groupMatchSuffix  = "-match"
)

// Config is the part of the configuration that alerting works by.
type Config struct {
	// Kafka is the cluster with the pipelines' topics and those of alerting.
	Kafka configs.Kafka
	// Elasticsearch takes the alerts; without addresses they are not indexed.
	Elasticsearch configs.Elasticsearch
	// Pipelines whose rules are evaluated; those without rules are left out.
	Pipelines []configs.Pipeline
	// Notifiers that alerts are sent to, by name.
	Notifiers map[string]configs.Notifier
	// Alerting holds the limits; what is 0 takes its default.
	Alerting configs.Alerting
}

// Options are what alerting is given by the process that it runs in.
type Options struct {
	// Logger takes what an operator should know; nil discards it.
	Logger *slog.Logger
	// Registerer takes the metrics; with nil they are counted unseen.
	Registerer prometheus.Registerer
	// Stdout is where stdout notifiers print; nil discards it.
	Stdout io.Writer
}

// Alerting is the three stages in one process.
type Alerting struct {
	cfg       Config
	logger    *slog.Logger
	metrics   *metrics
	stdout    io.Writer
	pipelines []*pipeline
	senders   map[string]sender
	index     sender
}

// New compiles the rules and notifiers. It does not connect to anything.
func New(cfg Config, opts Options) (*Alerting, error) {
	cfg.Alerting = withDefaults(cfg.Alerting)
	a := &Alerting{cfg: cfg, logger: opts.Logger, stdout: opts.Stdout, senders: map[string]sender{}}
	if a.logger == nil {
		a.logger = slog.New(slog.DiscardHandler)
	}
	if a.stdout == nil {
		a.stdout = io.Discard
	}
	var err error
	if a.metrics, err = newMetrics(opts.Registerer); err != nil {
		return nil, fmt.Errorf("register the metrics of alerting: %w", err)
	}
	for _, p := range cfg.Pipelines {
		if len(p.Alerts) == 0 {
			continue
		}
		compiled, err := newPipeline(p)
		if err != nil {
			return nil, err
		}
		a.pipelines = append(a.pipelines, compiled)
		a.warnTemplates(p)
	}
	if err := a.makeSenders(); err != nil {
		return nil, err
	}
	return a, nil
}

func withDefaults(a configs.Alerting) configs.Alerting {
	d := configs.DefaultAlerting()
	if a.WaitingEventsMax <= 0 {
		a.WaitingEventsMax = d.WaitingEventsMax
	}
	if a.RememberedAlertsMax <= 0 {
		a.RememberedAlertsMax = d.RememberedAlertsMax
	}
	if a.Retention <= 0 {
		a.Retention = d.Retention
	}
	if a.DeliveriesMax <= 0 {
		a.DeliveriesMax = d.DeliveriesMax
	}
	return a
}

// warnTemplates names templates that cannot be read. They are no error: the
// alert goes out with the standard text.
func (a *Alerting) warnTemplates(p configs.Pipeline) {
	for _, r := range p.Alerts {
		if _, err := parseTemplate(r.Summary); err != nil {
			a.logger.Warn("a summary is a broken template: its alerts go out with the standard text",
				"pipeline", p.Name, "rule", r.Name, "error", err)
		}
	}
}

func (a *Alerting) makeSenders() error {
	screen := &stdout{out: a.stdout}
	files := map[string]*file{}
	for name, n := range a.cfg.Notifiers {
		switch {
		case n.Webhook != nil:
			a.senders[name] = newWebhook(*n.Webhook, a.cfg.Alerting.DeliveriesMax)
			if _, err := parseTemplate(n.Webhook.Body); err != nil {
				a.logger.Warn("a webhook's body is a broken template: alerts are posted as JSON", "notifier", name, "error", err)
			}
		case n.File != nil:
			f := files[n.File.Path]
			if f == nil {
				f = newFile(n.File.Path, a.cfg.Alerting.RememberedAlertsMax)
				files[n.File.Path] = f
			}
			a.senders[name] = f
		case n.Stdout != nil:
			a.senders[name] = screen
		default:
			return fmt.Errorf("notifier %s is empty: give one of webhook, file and stdout", name)
		}
	}
	if len(a.cfg.Elasticsearch.Addresses) > 0 {
		client, err := elastic.NewClient(a.cfg.Elasticsearch)
		if err != nil {
			return err
		}
		a.index = &index{client: client, side: a.cfg.Alerting.DeliveriesMax}
	}
	return nil
}

// Run works until ctx ends, and then lets what is under way end, commits and
// leaves its groups. While the cluster is away it waits for it. Without any rule
// or notifier it only waits for the end.
func (a *Alerting) Run(ctx context.Context) error {
	if len(a.pipelines) == 0 && len(a.senders) == 0 {
		<-ctx.Done()
		return nil
	}
	if err := createTopics(ctx, a.cfg.Kafka, a.cfg.Alerting, a.matchesRetention(), a.logger); err != nil {
		return nil //nolint:nilerr // ctx ended before the cluster answered
	}
	var out *writer
	err := consume.Retry(ctx, a.logger, "connect the producer to Kafka", func() (err error) {
		out, err = newWriter(a.cfg.Kafka)
		return err
	})
	if err != nil {
		return nil //nolint:nilerr // ctx ended before the cluster answered
	}
	var members sync.WaitGroup
	for _, m := range a.members(out) {
		members.Go(func() { m.Run(ctx) })
	}
	members.Wait()
	if err := out.close(); err != nil {
		return fmt.Errorf("close the producer of alerting: %w", err)
	}
	return nil
}

// matchesRetention is long enough for the longest window.
func (a *Alerting) matchesRetention() time.Duration {
	var longest time.Duration
	for _, p := range a.pipelines {
		for _, r := range p.rules {
			longest = max(longest, 2*time.Duration(r.definition.WithinMs+r.definition.LatenessMs)*time.Millisecond)
		}
	}
	return longest
}

// members are the groups that this process is part of.
func (a *Alerting) members(out *writer) []*consume.Member {
	var all []*consume.Member
	add := func(group string, chosen func(topic string) bool, startAt int64, s consume.Stage) {
		all = append(all, &consume.Member{
			Group: group, Kafka: a.cfg.Kafka, StartAt: startAt, Chosen: chosen,
			Stage: s, Logger: a.logger, Lag: a.metrics.lagOf(group),
		})
	}
	for _, p := range a.pipelines {
		add(groupMatchPrefix+p.name+groupMatchSuffix, p.chosen, p.startAt, &matchStage{pipeline: p, out: out, metrics: a.metrics})
	}
	if len(a.pipelines) > 0 {
		add(groupWindows, consume.Topics(record.TopicAlertMatches), sarama.OffsetOldest, &windowStage{
			out: out, logger: a.logger, metrics: a.metrics,
			limits: window.Limits{EventsMax: a.cfg.Alerting.WaitingEventsMax, AlertsMax: a.cfg.Alerting.RememberedAlertsMax},
		})
	}
	alerts := consume.Topics(record.TopicAlerts)
	for _, name := range slices.Sorted(maps.Keys(a.senders)) {
		add(groupNotifyPrefix+name, alerts, sarama.OffsetOldest, a.notify(name, a.senders[name], out))
	}
	if a.index != nil {
		s := a.notify("index", a.index, out)
		s.all = true
		add(groupIndex, alerts, sarama.OffsetOldest, s)
	}
	return all
}

func (a *Alerting) notify(name string, s sender, out *writer) *notifyStage {
	return &notifyStage{
		notifier: name, sender: s, out: out, limit: a.cfg.Alerting.RememberedAlertsMax,
		logger: a.logger, metrics: a.metrics,
	}
}

// closing closes something at the end of a function that may have failed.
func closing(err error, closer func() error) error {
	return errors.Join(err, closer())
}
