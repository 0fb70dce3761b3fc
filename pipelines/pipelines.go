package pipelines

import (
	"context"
	"fmt"
	"log/slog"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/elastic/go-elasticsearch/v8"

	"github.com/millrace/millrace/configs"
	"github.com/millrace/millrace/internal/elastic"
	"github.com/millrace/millrace/internal/event"
)

// GroupPrefix begins the name of every pipeline's consumer group.
const GroupPrefix = "millrace-pipeline-"

// defaultName is the built-in pipeline's in group and metrics; its documents go
// to defaultIndex.
const (
	defaultName  = "default"
	defaultIndex = "millrace-logs"
)

// Config is what pipelines need of the configuration.
type Config struct {
	// Kafka is the cluster that is read.
	Kafka configs.Kafka
	// Elasticsearch is where documents are written.
	Elasticsearch configs.Elasticsearch
	// Pipelines are the user's own.
	Pipelines []configs.Pipeline
	// Default is the built-in pipeline.
	Default configs.DefaultPipeline
}

// Options are what pipelines need beside their configuration.
type Options struct {
	// Logger of the pipelines.
	Logger *slog.Logger
	// Registerer of the metrics; nil counts them without showing them.
	Registerer prometheus.Registerer
}

// Pipelines runs all pipelines of a configuration.
type Pipelines struct {
	client   *elasticsearch.Client
	logger   *slog.Logger
	runners  []*runner
	prefixes []string
}

// New compiles all pipelines. It reaches for nothing outside the process.
func New(cfg Config, opts Options) (*Pipelines, error) {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	client, err := elastic.NewClient(cfg.Elasticsearch)
	if err != nil {
		return nil, err
	}
	p := &Pipelines{client: client, logger: opts.Logger}
	m := newMetrics(opts.Registerer)
	all, err := newSelection(cfg.Pipelines, cfg.Default)
	if err != nil {
		return nil, err
	}
	for i := range cfg.Pipelines {
		def := &cfg.Pipelines[i]
		if def.Output.Elasticsearch == nil {
			continue
		}
		chain, err := event.Compile(def.Process)
		if err != nil {
			return nil, fmt.Errorf("pipeline %s: %w", def.Name, err)
		}
		out := withDefaults(*def.Output.Elasticsearch, "millrace-"+def.Name)
		p.add(cfg.Kafka, runnerConfig{
			name: def.Name, chain: chain, output: out, startAtEnd: def.Input.StartAt == "end",
			selects: func(topic string) bool { return all.namedBy(i, topic) },
		}, m)
	}
	if cfg.Default.Enabled {
		out := withDefaults(configs.ElasticsearchOutput{}, defaultIndex)
		p.add(cfg.Kafka, runnerConfig{name: defaultName, chain: event.DefaultChain(), output: out, selects: all.isDefault}, m)
	}
	return p, nil
}

// withDefaults fills in what a configuration that was not loaded from a file
// leaves out.
func withDefaults(out configs.ElasticsearchOutput, index string) configs.ElasticsearchOutput {
	def := configs.DefaultElasticsearchOutput()
	if out.Index == "" {
		out.Index = index
	}
	if out.BulkSize <= 0 {
		out.BulkSize = def.BulkSize
	}
	if out.BulkCount <= 0 {
		out.BulkCount = def.BulkCount
	}
	if out.BulkInterval <= 0 {
		out.BulkInterval = def.BulkInterval
	}
	return out
}

func (p *Pipelines) add(kafka configs.Kafka, rc runnerConfig, m *metrics) {
	if !strings.HasPrefix(rc.output.Index, "millrace-") {
		p.prefixes = append(p.prefixes, rc.output.Index)
	}
	p.runners = append(p.runners, newRunner(kafka, rc, p.client, m, p.logger.With("pipeline", rc.name)))
}

// Run processes records until ctx ends; what was read is then written and its
// offsets are committed, for at most a few seconds. It returns an error only
// when Elasticsearch refuses the index template.
func (p *Pipelines) Run(ctx context.Context) error {
	if len(p.runners) == 0 {
		<-ctx.Done()
		return nil
	}
	if err := p.installTemplates(ctx); err != nil {
		if ctx.Err() != nil {
			return nil //nolint:nilerr // the end was asked for
		}
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	for _, r := range p.runners {
		g.Go(func() error { return r.run(ctx) })
	}
	return g.Wait()
}

// installTemplates must come before the first document: the mapping of an
// index is settled when it is made.
func (p *Pipelines) installTemplates(ctx context.Context) error {
	if err := elastic.EnsureTemplate(ctx, p.client, p.logger); err != nil {
		return err
	}
	for _, prefix := range p.prefixes {
		if err := elastic.EnsureTemplateFor(ctx, p.client, prefix, p.logger); err != nil {
			return err
		}
	}
	return nil
}
