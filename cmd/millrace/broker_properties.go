package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/broker"
	"github.com/millrace/millrace/cmd/millrace/client"
	"github.com/millrace/millrace/cmd/millrace/server"
	"github.com/millrace/millrace/configs"
	"github.com/millrace/millrace/configs/kafkaproperties"
)

// propertiesFlags name Apache Kafka's own configuration file.
type propertiesFlags struct {
	file     string
	override []string
}

func (p *propertiesFlags) register(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&p.file, "server-properties", "c", "", "take the broker's configuration from Apache Kafka's own `file`, server.properties")
	cmd.Flags().StringArrayVar(&p.override, "override", nil, "`key=value` that counts instead of the one in --server-properties; may be repeated")
}

// load returns the broker's configuration and log directory.
func (p *propertiesFlags) load() (configs.Broker, *kafkaproperties.Result, error) {
	file, err := kafkaproperties.Load(p.file)
	if err != nil {
		return configs.Broker{}, nil, err
	}
	for _, o := range p.override {
		if err := file.Override(o); err != nil {
			return configs.Broker{}, nil, err
		}
	}
	return file.Broker(kafkaproperties.Defaults())
}

// brokerData is a broker's configuration and where its data lies.
type brokerData struct {
	cfg    configs.Config
	dir    string
	layout broker.Layout
	// start is what names the data to a command that starts the broker.
	start string
}

// data returns the broker's data by Kafka's file where it is given, else by --config and --data.
func (p *propertiesFlags) data(cmd *cobra.Command, g *client.Globals, f upFlags) (brokerData, error) {
	if p.file == "" {
		cfg, err := configure(g, f)
		return brokerData{cfg: cfg, dir: brokerDir(cfg.DataDir), layout: broker.LayoutOwn, start: "--data " + cfg.DataDir}, err
	}
	if err := p.alone(cmd); err != nil {
		return brokerData{}, err
	}
	d := brokerData{cfg: configs.Default(), layout: broker.LayoutKafka, start: "--server-properties " + p.file}
	b, result, err := p.load()
	if err != nil {
		return brokerData{}, err
	}
	d.cfg.Broker, d.dir = b, result.LogDir
	return d, nil
}

// nodeID is how the broker's configuration says its node id.
func (d brokerData) nodeID(id int32) string {
	if d.layout == broker.LayoutKafka {
		return fmt.Sprintf("node.id=%d", id)
	}
	return fmt.Sprintf("broker.node_id: %d", id)
}

// alone refuses the flags that Kafka's file stands in place of.
func (p *propertiesFlags) alone(cmd *cobra.Command) error {
	for _, other := range []string{"config", "data"} {
		if cmd.Flags().Changed(other) {
			return &client.UsageError{Msg: "--server-properties stands in place of --" + other}
		}
	}
	return nil
}

// runProperties runs a broker as kafka-server-start runs Kafka. The console
// is off unless --http says where.
func runProperties(cmd *cobra.Command, g *client.Globals, p *propertiesFlags) error {
	if err := p.alone(cmd); err != nil {
		return err
	}
	cfg := configs.Default()
	b, result, err := p.load()
	if err != nil {
		return err
	}
	if http, err := cmd.Flags().GetString("http"); err != nil {
		return err
	} else if cfg.HTTP.Listen = http; http == "off" {
		cfg.HTTP.Listen = ""
	}
	cfg.Broker, cfg.DataDir = b, result.LogDir
	if errs := cfg.Validate(); len(errs) > 0 {
		return fmt.Errorf("%s: %w", p.file, errs)
	}
	logger, err := newLogger(cfg.Log, cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	if len(result.Ignored) > 0 {
		logger.Warn("keys of server.properties that have no meaning here are ignored", "file", p.file, "keys", strings.Join(result.Ignored, " "))
	}
	s, err := server.New(cfg, server.Roles{Broker: true}, server.Options{
		Logger: logger, Stdout: cmd.OutOrStdout(), BrokerDir: result.LogDir, BrokerLayout: broker.LayoutKafka,
	})
	if err != nil {
		return err
	}
	announce(cmd.OutOrStdout(), s, cfg, false)
	return s.Run(cmd.Context())
}
