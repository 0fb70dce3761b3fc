package main

import (
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/broker"
	"github.com/millrace/millrace/broker/kafkadir"
	"github.com/millrace/millrace/cmd/millrace/client"
)

func newExportKafka(g *client.Globals) *cobra.Command {
	var f upFlags
	var properties propertiesFlags
	var link bool
	cmd := &cobra.Command{
		Use:   "export-kafka DIR",
		Short: "Write a stopped broker's data as a log directory that Apache Kafka starts from",
		Long: `Writes what an Apache Kafka 4.1 node (KRaft, broker and only controller) needs to go on with
the data of a stopped broker: its log directory with meta.properties, metadata and partitions.
The broker's own data stays as it is. After an interruption run the same command again.`,
		Example: `  millrace broker export-kafka /var/lib/kafka/data --data /var/lib/millrace
  millrace broker export-kafka /var/lib/kafka/data -c server.properties`,
		Args: client.Arguments(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkFormat(g); err != nil {
				return err
			}
			data, err := properties.data(cmd, g, f)
			if err != nil {
				return err
			}
			logger, err := newLogger(data.cfg.Log, cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			o := broker.ExportOptions{Dir: data.dir, Layout: data.layout, To: args[0], Mode: kafkadir.Copy, Logger: logger, Progress: client.Progress(cmd.ErrOrStderr())}
			if link {
				o.Mode = kafkadir.Link
			}
			report, err := broker.ExportKafka(cmd.Context(), o)
			if err != nil {
				return err
			}
			if g.Output == "json" {
				return printJSON(cmd.OutOrStdout(), report)
			}
			dir, err := filepath.Abs(args[0])
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), `cluster %s, node %d: %d topics, %d partitions, %d bytes written
Start Apache Kafka with, in its server.properties:
  process.roles=broker,controller
  node.id=%d
  controller.quorum.voters=%d@HOST:PORT of its controller listener
  log.dirs=%s
`, report.ClusterID, report.NodeID, report.Topics, report.Partitions, report.Bytes, report.NodeID, report.NodeID, dir)
			return err
		},
	}
	cmd.Flags().StringVar(&f.data, "data", "", "`folder` of all data (default ./millrace-data, or data_dir of the configuration)")
	properties.register(cmd)
	cmd.Flags().BoolVar(&link, "link", false, "make hard links of the segments that are no longer written, instead of copies")
	return cmd
}
