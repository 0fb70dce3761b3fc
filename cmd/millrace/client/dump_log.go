package client

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/broker/storage"
)

func dumpLogCommand(g *Globals) *cobra.Command {
	var records bool
	c := g.command(&cobra.Command{
		Use: "dump-log FILE...", Short: "Print the content of a partition's .log, .index, .timeindex, .txnindex, .snapshot or checkpoint files",
		Example: "  millrace dump-log millrace-data/broker/logs/logs-0/00000000000000000000.log --records",
		Args:    Arguments(cobra.MinimumNArgs(1)),
	}, func(cmd *cobra.Command, args []string) error {
		out := bufio.NewWriterSize(cmd.OutOrStdout(), 64<<10)
		for _, path := range args {
			err := storage.DumpSegment(out, path, storage.DumpOptions{Records: records, JSON: g.json()})
			if flushErr := out.Flush(); flushErr != nil {
				return fmt.Errorf("write output: %w", flushErr)
			}
			if errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("%s does not exist: segments are in <data_dir>/broker/logs/<topic>-<partition>", path)
			}
			if err != nil {
				return fmt.Errorf("dump %s: %w", path, err)
			}
		}
		return nil
	})
	c.Flags().BoolVar(&records, "records", false, "print every record, not only the batches")
	return c
}
