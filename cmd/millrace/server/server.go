package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/millrace/millrace/agent"
	"github.com/millrace/millrace/alerting"
	"github.com/millrace/millrace/broker"
	"github.com/millrace/millrace/configs"
	"github.com/millrace/millrace/console"
	"github.com/millrace/millrace/mirror"
	"github.com/millrace/millrace/pipelines"
	"github.com/millrace/millrace/search"
)

// stopTimeout bounds an orderly end; with the start of the signal's handling
// and the exit it stays under ten seconds.
const stopTimeout = 9500 * time.Millisecond

// Roles are the parts that one process runs.
type Roles struct {
	Broker, Agent, Pipelines, Search, Mirror bool
	// Embedded starts broker and search node only where the configuration
	// names no other.
	Embedded bool
}

// Options are what a server needs beside its configuration.
type Options struct {
	// Logger of all parts.
	Logger *slog.Logger
	// Stdout takes what notifiers print.
	Stdout io.Writer
	// BrokerDir is the broker's data directory, laid out as BrokerLayout says;
	// empty is broker/ within the configuration's data directory.
	BrokerDir    string
	BrokerLayout broker.Layout
}

// Server is one process with some parts of Millrace.
type Server struct {
	cfg      configs.Config
	opts     Options
	registry *prometheus.Registry
	// stages are in the order in which they are stopped.
	stages [stageCount][]part
	serves []Address
	ready  atomic.Bool
	// notice says what a part cannot do at present; nil without such a part.
	notice func() error
}

const (
	stageAgent = iota
	stageConsumers
	stageConsole
	stageStores
	stageCount
)

// Address says what is served where.
type Address struct {
	// What is one of the words broker, search and console.
	What string
	// Addr is the host:port.
	Addr string
}

// New opens the parts that roles name: data is recovered and listeners are
// open when it returns. An error leaves nothing running, but the process
// should end: locks on data are held until then.
func New(cfg configs.Config, roles Roles, opts Options) (*Server, error) {
	s := &Server{cfg: cfg, opts: opts, registry: prometheus.NewRegistry()}
	s.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if roles.Embedded {
		roles.Broker = len(cfg.Kafka.Brokers) == 0
		roles.Search = len(cfg.Elasticsearch.Addresses) == 0
	}
	steps := []struct {
		wanted bool
		open   func() error
	}{
		{roles.Broker, s.openBroker},
		{roles.Search, s.openSearch},
		{true, s.findNeighbours},
		{roles.Pipelines, s.openPipelines},
		{roles.Pipelines, s.openAlerting},
		{roles.Agent, s.openAgent},
		{roles.Mirror, s.openMirror},
		{s.cfg.HTTP.Listen != "", s.openConsole},
	}
	for _, step := range steps {
		if !step.wanted {
			continue
		}
		if err := step.open(); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// Run serves until ctx ends or a part fails.
func (s *Server) Run(ctx context.Context) error {
	s.ready.Store(true)
	return runStages(ctx, s.stages[:], stopTimeout, s.opts.Logger)
}

// Serves lists the addresses that clients can connect to.
func (s *Server) Serves() []Address { return s.serves }

// Gatherer returns the metrics of all parts.
func (s *Server) Gatherer() prometheus.Gatherer { return s.registry }

func (s *Server) add(stage int, name string, run func(context.Context) error) {
	s.stages[stage] = append(s.stages[stage], part{name, run})
}

func (s *Server) log(name string) *slog.Logger { return s.opts.Logger.With("part", name) }

func (s *Server) openBroker() error {
	dir := cmp.Or(s.opts.BrokerDir, filepath.Join(s.cfg.DataDir, "broker"))
	n, err := broker.New(s.cfg.Broker, broker.Options{Dir: dir, Layout: s.opts.BrokerLayout, Logger: s.log("broker"), Registerer: s.registry})
	if err != nil {
		return fmt.Errorf("open the broker: %w", err)
	}
	s.cfg.Kafka.Brokers = []string{configs.Reachable(n.Addr())}
	s.serves = append(s.serves, Address{"broker", n.Addr()})
	s.add(stageStores, "broker", n.Run)
	s.notice = n.WritesRefused
	return nil
}

func (s *Server) openSearch() error {
	n, err := search.New(s.cfg.Search, search.Options{Dir: filepath.Join(s.cfg.DataDir, "search"), Logger: s.log("search"), Registerer: s.registry})
	if err != nil {
		return fmt.Errorf("open the search node: %w", err)
	}
	s.cfg.Elasticsearch.Addresses = []string{"http://" + configs.Reachable(n.Addr())}
	s.serves = append(s.serves, Address{"search", n.Addr()})
	s.add(stageStores, "search", n.Run)
	return nil
}

// findNeighbours fills in the addresses of a broker and search node that run
// in another process with the same configuration.
func (s *Server) findNeighbours() error {
	if len(s.cfg.Kafka.Brokers) == 0 {
		s.cfg.Kafka.Brokers = []string{s.cfg.Broker.ClientAddress()}
	}
	if len(s.cfg.Elasticsearch.Addresses) == 0 {
		s.cfg.Elasticsearch.Addresses = []string{"http://" + configs.Reachable(s.cfg.Search.Listen)}
	}
	return nil
}

func (s *Server) openPipelines() error {
	p, err := pipelines.New(pipelines.Config{
		Kafka: s.cfg.Kafka, Elasticsearch: s.cfg.Elasticsearch,
		Pipelines: s.cfg.Pipelines, Default: s.cfg.DefaultPipeline,
	}, pipelines.Options{Logger: s.log("pipelines"), Registerer: s.registry})
	if err != nil {
		return fmt.Errorf("make the pipelines: %w", err)
	}
	s.add(stageConsumers, "pipelines", p.Run)
	return nil
}

func (s *Server) openAlerting() error {
	if !hasAlerts(s.cfg.Pipelines) {
		return nil
	}
	a, err := alerting.New(alerting.Config{
		Kafka: s.cfg.Kafka, Elasticsearch: s.cfg.Elasticsearch,
		Pipelines: s.cfg.Pipelines, Notifiers: s.cfg.Notifiers, Alerting: s.cfg.Alerting,
	}, alerting.Options{Logger: s.log("alerting"), Registerer: s.registry, Stdout: s.opts.Stdout})
	if err != nil {
		return fmt.Errorf("make the alert rules: %w", err)
	}
	s.add(stageConsumers, "alerting", a.Run)
	return nil
}

func hasAlerts(all []configs.Pipeline) bool {
	for _, p := range all {
		if len(p.Alerts) > 0 {
			return true
		}
	}
	return false
}

func (s *Server) openAgent() error {
	a, err := agent.New(s.cfg.Agent, s.cfg.Kafka, agent.Options{Dir: filepath.Join(s.cfg.DataDir, "agent"), Logger: s.log("agent"), Registerer: s.registry})
	if err != nil {
		return fmt.Errorf("open the agent: %w", err)
	}
	s.add(stageAgent, "agent", a.Run)
	return nil
}

func (s *Server) openMirror() error {
	m, err := mirror.New(s.cfg.Mirror, mirror.Options{Logger: s.log("mirror"), Registerer: s.registry})
	if err != nil {
		return fmt.Errorf("make the mirror: %w", err)
	}
	s.add(stageConsumers, "mirror", m.Run)
	return nil
}

func (s *Server) openConsole() error {
	c, err := console.New(s.cfg.HTTP, console.Options{
		Logger: s.log("console"), Registerer: s.registry, Gatherer: s.registry,
		Kafka: s.cfg.Kafka, Elasticsearch: s.cfg.Elasticsearch, Ready: s.readiness, Notice: s.notice,
	})
	if err != nil {
		return fmt.Errorf("open http.listen: %w", err)
	}
	s.serves = append(s.serves, Address{"console", c.Addr()})
	s.add(stageConsole, "console", c.Run)
	return nil
}

var errStarting = errors.New("starting")

func (s *Server) readiness() error {
	if !s.ready.Load() {
		return errStarting
	}
	return nil
}
