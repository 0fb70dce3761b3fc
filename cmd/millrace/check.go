package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/alerting"
	"github.com/millrace/millrace/cmd/millrace/client"
	"github.com/millrace/millrace/configs"
	"github.com/millrace/millrace/pipelines"
)

func newCheck(g *client.Globals) *cobra.Command {
	return &cobra.Command{
		Use:   "check [FILE]",
		Short: "Validate a configuration, or a file that holds one pipeline, without starting anything",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			path := g.Config
			if len(args) == 1 {
				path = args[0]
			}
			if path == "" {
				return &client.UsageError{Msg: "which configuration? write millrace check FILE"}
			}
			cfg, err := configs.System().LoadAny(path)
			if err != nil {
				return err
			}
			if errs := append(pipelines.Check(*cfg), alerting.Check(cfg)...); len(errs) > 0 {
				return configs.Errors(errs)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s is valid: %d inputs, %d pipelines, %d notifiers\n",
				path, len(cfg.Agent.Inputs), len(cfg.Pipelines), len(cfg.Notifiers))
			return err
		},
	}
}
