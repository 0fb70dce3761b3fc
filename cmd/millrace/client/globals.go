package client

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/IBM/sarama"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/millrace/millrace/configs"
	"github.com/millrace/millrace/internal/clusterview"
	"github.com/millrace/millrace/internal/kafka"
)

// Globals are the flags that all client commands share.
type Globals struct {
	// Brokers are the values of --brokers.
	Brokers []string
	// Elasticsearch are the values of --elasticsearch.
	Elasticsearch []string
	// Output is table or json.
	Output string
	// Config is the path of a configuration file; empty means none.
	Config string

	security security
}

// Register defines the flags.
func (g *Globals) Register(fs *pflag.FlagSet) {
	fs.StringSliceVar(&g.Brokers, "brokers", nil, "Kafka `addresses` to start from, separated by commas (default 127.0.0.1:9092)")
	fs.StringSliceVar(&g.Elasticsearch, "elasticsearch", nil, "Elasticsearch or search node `URLs`, separated by commas (default http://127.0.0.1:9200)")
	fs.StringVarP(&g.Output, "output", "o", "table", "print a `table` or json")
	fs.StringVar(&g.Config, "config", "", "configuration `file` (millrace.yaml)")
	g.security.register(fs)
}

// checkOutput refuses an --output that does not exist.
func (g *Globals) checkOutput() error {
	if g.Output != "table" && g.Output != "json" {
		return usagef("--output %q does not exist: write table or json", g.Output)
	}
	return nil
}

func (g *Globals) json() bool { return g.Output == "json" }

// load returns the configuration of --config, or the defaults.
func (g *Globals) load() (*configs.Config, error) {
	if g.Config == "" {
		c := configs.Default()
		return &c, nil
	}
	return configs.Load(g.Config)
}

// kafka returns how the cluster is reached.
func (g *Globals) kafka() (configs.Kafka, error) {
	cfg, err := g.load()
	if err != nil {
		return configs.Kafka{}, err
	}
	k := cfg.Kafka
	switch {
	case len(g.Brokers) > 0:
		k.Brokers = g.Brokers
	case len(k.Brokers) > 0:
	default:
		k.Brokers = []string{cfg.Broker.ClientAddress()}
	}
	for _, b := range k.Brokers {
		if !strings.Contains(b, ":") {
			return k, usagef("broker address %q has no port: write for instance %s:9092", b, b)
		}
	}
	err = g.security.apply(&k)
	return k, err
}

// elasticsearch returns how documents are searched.
func (g *Globals) elasticsearch() (configs.Elasticsearch, error) {
	cfg, err := g.load()
	if err != nil {
		return configs.Elasticsearch{}, err
	}
	e := cfg.Elasticsearch
	switch {
	case len(g.Elasticsearch) > 0:
		e.Addresses = g.Elasticsearch
	case len(e.Addresses) == 0:
		e.Addresses = []string{configs.Reachable(cfg.Search.Listen)}
	}
	addresses := make([]string, len(e.Addresses))
	for i, a := range e.Addresses {
		if !strings.Contains(a, "://") {
			a = "http://" + a
		}
		addresses[i] = a
	}
	e.Addresses = addresses
	return e, nil
}

// open connects to the cluster; the caller closes the view.
func (g *Globals) open() (*clusterview.View, error) {
	k, c, err := g.sarama()
	if err != nil {
		return nil, err
	}
	return clusterview.OpenConfig(k.Brokers, c)
}

// sarama returns the settings of a client that gives up within seconds, as
// somebody waits for it.
func (g *Globals) sarama() (configs.Kafka, *sarama.Config, error) {
	k, err := g.kafka()
	if err != nil {
		return k, nil, err
	}
	c, err := kafka.ClientConfig(k)
	if err != nil {
		return k, nil, err
	}
	c.Metadata.AllowAutoTopicCreation = false
	c.Metadata.Retry.Max = 2
	c.Admin.Retry.Max = 3
	c.Net.ReadTimeout = 10 * time.Second
	return k, c, nil
}

// withView runs fn with a connection to the cluster.
func (g *Globals) withView(fn func(*clusterview.View) error) error {
	v, err := g.open()
	if err != nil {
		return err
	}
	return errors.Join(fn(v), v.Close())
}

// command fills in what all commands have in common: one-line errors and the
// check of --output.
func (g *Globals) command(c *cobra.Command, run func(cmd *cobra.Command, args []string) error) *cobra.Command {
	c.SilenceUsage, c.SilenceErrors = true, true
	c.RunE = func(cmd *cobra.Command, args []string) error {
		if err := g.checkOutput(); err != nil {
			return err
		}
		return advise(run(cmd, args))
	}
	return c
}

// advise adds to an error what can be done about it.
func advise(err error) error {
	switch {
	case errors.Is(err, clusterview.ErrOtherListener):
		return fmt.Errorf("%w: say what it wants with --tls, --tls-cert, --sasl-user or --command-config, and leave out what it does not want", err)
	case errors.Is(err, clusterview.ErrUnreachable):
		return fmt.Errorf("%w: start one with \"millrace up\", or name another with --brokers", err)
	case errors.Is(err, clusterview.ErrNotLetIn):
		return fmt.Errorf("%w: check --sasl-user, --sasl-password-file and --sasl-mechanism, or kafka.sasl in --config", err)
	case errors.Is(err, clusterview.ErrUntrusted):
		return fmt.Errorf("%w: name its authority with --tls-ca, or its name with --tls-server-name", err)
	case errors.Is(err, clusterview.ErrNoTopic):
		return fmt.Errorf("%w (%s): \"millrace topic list\" shows those that do", err, kerr.UnknownTopicOrPartition.Message)
	case errors.Is(err, clusterview.ErrNoGroup):
		return fmt.Errorf("%w (%s): \"millrace group list\" shows those that do", err, kerr.GroupIDNotFound.Message)
	default:
		return explainCode(err)
	}
}
