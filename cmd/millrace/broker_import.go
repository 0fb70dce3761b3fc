package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/broker"
	"github.com/millrace/millrace/broker/kafkadir"
	"github.com/millrace/millrace/cmd/millrace/client"
)

// importFlags are the flags of import-kafka.
type importFlags struct {
	up                             upFlags
	properties                     propertiesFlags
	link, move, dryRun, incomplete bool
}

func newImportKafka(g *client.Globals) *cobra.Command {
	var f importFlags
	cmd := &cobra.Command{
		Use:   "import-kafka DIR...",
		Short: "Take over the data directory of an Apache Kafka node",
		Long: `Takes over what a stopped Apache Kafka 4.1 node (KRaft) has in its log.dirs: topics with
ids and configs, records, group offsets, transactions, producer ids, access control lists.
Name all of the node's log.dirs. The source stays as it is unless --move is given. An import
that was interrupted goes on when the same command is run again; no broker starts before it is done.
With --server-properties they go where that file's log.dirs says, which must be another, new directory.`,
		Example: `  millrace broker import-kafka /var/lib/kafka/data --data /var/lib/millrace --dry-run
  millrace broker import-kafka /var/lib/kafka/data --data /var/lib/millrace --link
  millrace broker import-kafka /var/lib/kafka/data -c server.properties --override log.dirs=/var/lib/kafka/new`,
		Args: client.Arguments(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error { return runImport(cmd, g, f, args) },
	}
	cmd.Flags().StringVar(&f.up.data, "data", "", "`folder` of all data (default ./millrace-data, or data_dir of the configuration)")
	f.properties.register(cmd)
	cmd.Flags().BoolVar(&f.link, "link", false, "make hard links of the segments that are no longer written, instead of copies")
	cmd.Flags().BoolVar(&f.move, "move", false, "take the partitions out of the source instead of copying them")
	cmd.Flags().BoolVar(&f.dryRun, "dry-run", false, "only say what would be taken over")
	cmd.Flags().BoolVar(&f.incomplete, "incomplete", false, "take what is there although partitions are missing, damaged or were not in sync")
	cmd.MarkFlagsMutuallyExclusive("link", "move")
	return cmd
}

func runImport(cmd *cobra.Command, g *client.Globals, f importFlags, from []string) error {
	if err := checkFormat(g); err != nil {
		return err
	}
	data, err := f.properties.data(cmd, g, f.up)
	if err != nil {
		return err
	}
	o := broker.ImportOptions{
		From: from, Dir: data.dir, Layout: data.layout, Config: data.cfg.Broker, Mode: kafkadir.Copy, DryRun: f.dryRun,
		Incomplete: f.incomplete, Progress: client.Progress(cmd.ErrOrStderr()),
	}
	switch {
	case f.link:
		o.Mode = kafkadir.Link
	case f.move:
		o.Mode = kafkadir.Move
	}
	report, err := broker.ImportKafka(cmd.Context(), o)
	if report != nil && (err == nil || errors.Is(err, broker.ErrIncomplete)) {
		if printErr := printImport(cmd.OutOrStdout(), g, o, report); printErr != nil {
			return printErr
		}
	}
	switch {
	case errors.Is(err, broker.ErrIncomplete):
		return fmt.Errorf("%w: %d gaps, listed above; nothing was changed. Take what is there with --incomplete", err, len(report.Gaps))
	case err != nil:
		return err
	case !f.dryRun && g.Output != "json":
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "Start the broker with %s and %s\n", data.nodeID(report.NodeID), data.start)
	}
	return err
}

func printImport(w io.Writer, g *client.Globals, o broker.ImportOptions, r *broker.ImportReport) error {
	if g.Output == "json" {
		return printJSON(w, r)
	}
	done, stopped := "taken over", "in order"
	if o.DryRun || len(r.Gaps) > 0 && !o.Incomplete {
		done = "found"
	}
	if !r.CleanShutdown {
		stopped = "not in order: the ends of its logs were checked"
	}
	fmt.Fprintf(w, "cluster %s, node %d, stopped %s\n", r.ClusterID, r.NodeID, stopped)
	fmt.Fprintf(w, "%s: %d topics, %d partitions, %d bytes, %d configs, %d access control entries, %d user credentials, %d quotas\n", done, r.Topics, r.Partitions, r.Bytes, r.Configs, r.ACLs, r.Users, r.Quotas)
	for _, list := range []struct {
		title string
		items []kafkadir.Finding
	}{
		{"missing or damaged", r.Gaps},
		{"torn ends that are left out, as Kafka does", r.Cut},
		{"not taken, because there is no such thing here", r.NotTaken},
		{"not the node's any more, left alone", r.Left},
	} {
		if len(list.items) > 0 {
			fmt.Fprintf(w, "%s:\n", list.title)
		}
		for _, item := range list.items {
			fmt.Fprintf(w, "  %s: %s\n", item.What, item.Why)
		}
	}
	return nil
}
