// Command millrace carries logs from the files on many hosts through a
// replicated broker cluster into alert rules and Elasticsearch.
//
// "millrace up" runs everything in one process; "millrace broker", "agent",
// "pipelines", "search" and "mirror" run one part each; the other commands are
// clients of a running cluster.
//
// Exit codes: 0 done, 1 failed, 2 wrong usage or configuration.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/cmd/millrace/client"
	"github.com/millrace/millrace/cmd/millrace/server"
)

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	err := newRoot().ExecuteContext(ctx)
	cancel()
	if err != nil {
		client.PrintError(os.Stderr, err)
	}
	os.Exit(client.ExitCode(err))
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:           "millrace",
		Short:         "Carry logs from files through a Kafka-protocol broker into alert rules and Elasticsearch",
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	g := &client.Globals{}
	g.Register(root.PersistentFlags())
	root.AddCommand(newUp(g), newCheck(g))
	root.AddCommand(newRoles(g)...)
	for _, cmd := range client.Commands(g) {
		if cmd.Name() == "search" {
			addSearchRole(g, cmd)
		}
		root.AddCommand(cmd)
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return &client.UsageError{Msg: err.Error() + "; see " + cmd.CommandPath() + " --help"}
	})
	return root
}

// addSearchRole lets "millrace search" without a query run the search node,
// as "millrace broker" runs the broker.
func addSearchRole(g *client.Globals, cmd *cobra.Command) {
	query, arguments := cmd.RunE, cmd.Args
	node := newRole(g, "search", "", server.Roles{Search: true})
	cmd.Flags().AddFlagSet(node.Flags())
	cmd.Long = "With a query: search the forwarded logs. Without one: run a search node."
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		return arguments(cmd, args)
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return node.RunE(cmd, args)
		}
		return query(cmd, args)
	}
}
