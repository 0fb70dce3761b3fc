package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
	"golang.org/x/term"

	"github.com/millrace/millrace/cmd/millrace/client"
	"github.com/millrace/millrace/cmd/millrace/server"
	"github.com/millrace/millrace/configs"
	"github.com/millrace/millrace/internal/demo"
)

// upFlags are the flags of the commands that run parts.
type upFlags struct {
	data  string
	http  string
	paths []string
	demo  bool
}

func newUp(g *client.Globals) *cobra.Command {
	var f upFlags
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Run broker, agent, pipelines, alerting, search node and console in one process",
		Example: `  millrace up --path '/var/log/*.log'
  millrace up --config millrace.yaml
  millrace up --demo`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runUp(cmd, g, f)
		},
	}
	cmd.Flags().StringArrayVar(&f.paths, "path", nil, "read the files that match this `glob` into topic logs; may be repeated")
	cmd.Flags().BoolVar(&f.demo, "demo", false, "write logs of three services and raise the alerts of the example rules")
	addDataFlags(cmd, &f)
	return cmd
}

func addDataFlags(cmd *cobra.Command, f *upFlags) {
	cmd.Flags().StringVar(&f.data, "data", "", "`folder` of all data (default ./millrace-data, or data_dir of the configuration)")
	cmd.Flags().StringVar(&f.http, "http", "", "`address` of console and metrics, or \"off\" (default 127.0.0.1:9640, or http.listen of the configuration)")
}

// newRoles returns the commands that run one part each. The search node is
// run by the client command of that name.
func newRoles(g *client.Globals) []*cobra.Command {
	return []*cobra.Command{
		newBroker(g),
		newRole(g, "agent", "Read the files of this host and ship their lines", server.Roles{Agent: true}),
		newRole(g, "pipelines", "Run pipelines and alert rules", server.Roles{Pipelines: true}),
		newRole(g, "mirror", "Copy topics from one cluster to another", server.Roles{Mirror: true}),
	}
}

func newRole(g *client.Globals, use, short string, roles server.Roles) *cobra.Command {
	var f upFlags
	cmd := &cobra.Command{
		Use:   use,
		Short: short,
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := configure(g, f)
			if err != nil {
				return err
			}
			if err := complete(&cfg, roles); err != nil {
				return err
			}
			return serve(cmd.Context(), cfg, roles, cmd.OutOrStdout(), cmd.ErrOrStderr(), nil)
		},
	}
	addDataFlags(cmd, &f)
	return cmd
}

// complete refuses a role that the configuration gives nothing to do.
func complete(cfg *configs.Config, roles server.Roles) error {
	switch {
	case roles.Mirror && (len(cfg.Mirror.Source.Brokers) == 0 || len(cfg.Mirror.Target.Brokers) == 0 || len(cfg.Mirror.Topics) == 0):
		return configs.Errors{cfg.At("mirror", "give source.brokers, target.brokers and topics, for instance topics: ['^logs']")}
	case roles.Agent && len(cfg.Agent.Inputs) == 0:
		return configs.Errors{cfg.At("agent.inputs", "no files to read: give at least one input, for instance - {include: [/var/log/*.log]}")}
	}
	return nil
}

// configure reads the configuration and applies the flags to it.
func configure(g *client.Globals, f upFlags) (configs.Config, error) {
	cfg := configs.Default()
	if g.Config != "" {
		loaded, err := configs.Load(g.Config)
		if err != nil {
			return cfg, err
		}
		cfg = *loaded
	}
	if f.data != "" {
		cfg.DataDir = f.data
	}
	switch f.http {
	case "":
	case "off":
		cfg.HTTP.Listen = ""
	default:
		cfg.HTTP.Listen = f.http
	}
	if len(g.Brokers) > 0 {
		cfg.Kafka.Brokers = g.Brokers
	}
	if len(g.Elasticsearch) > 0 {
		cfg.Elasticsearch.Addresses = g.Elasticsearch
	}
	for _, path := range f.paths {
		absolute, err := filepath.Abs(path)
		if err != nil {
			return cfg, err
		}
		in := configs.DefaultInput()
		in.Include = []string{absolute}
		cfg.Agent.Inputs = append(cfg.Agent.Inputs, in)
	}
	if errs := cfg.Validate(); len(errs) > 0 {
		return cfg, errs
	}
	return cfg, nil
}

func runUp(cmd *cobra.Command, g *client.Globals, f upFlags) error {
	cfg, err := configure(g, f)
	if err != nil {
		return err
	}
	var writer func(context.Context) error
	if f.demo {
		dir, err := filepath.Abs(filepath.Join(cfg.DataDir, "demo"))
		if err != nil {
			return err
		}
		if err := demo.Apply(&cfg, dir); err != nil {
			return err
		}
		writer = demo.New(dir, demo.Options{}).Run
	}
	return serve(cmd.Context(), cfg, server.Roles{Agent: true, Pipelines: true, Embedded: true}, cmd.OutOrStdout(), cmd.ErrOrStderr(), writer)
}

// serve runs the roles until ctx ends, with a writer of demonstration logs
// beside them where there is one.
func serve(ctx context.Context, cfg configs.Config, roles server.Roles, stdout, stderr io.Writer, writer func(context.Context) error) error {
	terminal := terminalOf(stderr)
	if terminal != nil {
		stderr = newAbove(terminal)
	}
	logger, err := newLogger(cfg.Log, stderr)
	if err != nil {
		return err
	}
	s, err := server.New(cfg, roles, server.Options{Logger: logger, Stdout: stdout})
	if err != nil {
		return err
	}
	announce(stdout, s, cfg, roles.Agent)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return s.Run(ctx) })
	if writer != nil {
		group.Go(func() error { return writer(ctx) })
	}
	if terminal != nil {
		group.Go(func() error { return server.ShowStatus(ctx, s.Gatherer(), terminal) })
	}
	return group.Wait()
}

// announce says which address serves what, and how to query.
func announce(w io.Writer, s *server.Server, cfg configs.Config, reads bool) {
	fmt.Fprintf(w, "millrace is ready, its data is in %s\n", cfg.DataDir)
	for _, a := range s.Serves() {
		switch a.What {
		case "broker":
			fmt.Fprintf(w, "  Kafka protocol  %s        millrace consume logs --from start --brokers %s\n", a.Addr, a.Addr)
		case "search":
			fmt.Fprintf(w, "  search          http://%s millrace search 'log.level:ERROR' --elasticsearch http://%s\n", a.Addr, a.Addr)
		case "console":
			fmt.Fprintf(w, "  console         http://%s logs, alerts, topics, groups; metrics under /metrics\n", a.Addr)
		}
	}
	for _, in := range cfg.Agent.Inputs {
		fmt.Fprintf(w, "  reads           %v into topic %s\n", in.Include, in.Topic)
	}
	if reads && len(cfg.Agent.Inputs) == 0 {
		fmt.Fprintln(w, "  reads           no files: name some with --path '/var/log/*.log' or under agent.inputs")
	}
}

func newLogger(cfg configs.Log, w io.Writer) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(cfg.Level)); err != nil {
		return nil, fmt.Errorf("log.level: %w", err)
	}
	opts := &slog.HandlerOptions{Level: level}
	if cfg.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, opts)), nil
	}
	return slog.New(slog.NewTextHandler(w, opts)), nil
}

// terminalOf returns w if it is a terminal, else nil.
func terminalOf(w io.Writer) io.Writer {
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return f
	}
	return nil
}

// above writes log lines over the status line that stands last on the terminal.
type above struct{ terminal io.Writer }

func newAbove(terminal io.Writer) *above { return &above{terminal} }

// Write clears the status line first; it is written again within a second.
func (a *above) Write(line []byte) (int, error) {
	if _, err := a.terminal.Write(append([]byte("\r\x1b[K"), line...)); err != nil {
		return 0, err
	}
	return len(line), nil
}
