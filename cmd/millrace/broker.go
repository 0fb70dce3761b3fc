package main

import (
	"encoding/json"
	"io"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/cmd/millrace/client"
	"github.com/millrace/millrace/cmd/millrace/server"
)

// newBroker returns the command that runs a broker, with those that prepare or
// move its data.
func newBroker(g *client.Globals) *cobra.Command {
	cmd := newRole(g, "broker", "Run a broker node, or move its data from and to Apache Kafka", server.Roles{Broker: true})
	p := &propertiesFlags{}
	p.register(cmd)
	run := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if p.file == "" {
			if len(p.override) > 0 {
				return &client.UsageError{Msg: "--override needs --server-properties"}
			}
			return run(cmd, args)
		}
		return runProperties(cmd, g, p)
	}
	cmd.AddCommand(newImportKafka(g), newExportKafka(g), newFormat(), newRandomUUID())
	return cmd
}

// brokerDir is the data directory of the broker within that of the process.
func brokerDir(data string) string { return filepath.Join(data, "broker") }

// printJSON prints a value as indented JSON.
func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// checkFormat refuses an --output that does not exist.
func checkFormat(g *client.Globals) error {
	if g.Output != "table" && g.Output != "json" {
		return &client.UsageError{Msg: "--output " + g.Output + " does not exist: write table or json"}
	}
	return nil
}
