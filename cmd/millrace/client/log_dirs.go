package client

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// logDir is one directory of one broker with what lies in it.
type logDir struct {
	Broker     int32        `json:"broker"`
	Dir        string       `json:"dir"`
	Error      string       `json:"error,omitempty"`
	TotalBytes int64        `json:"total_bytes"`
	FreeBytes  int64        `json:"usable_bytes"`
	Partitions []logReplica `json:"partitions"`
}

type logReplica struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	SizeBytes int64  `json:"size_bytes"`
	OffsetLag int64  `json:"offset_lag"`
	IsFuture  bool   `json:"is_future"`
}

func logDirsCommand(g *Globals) *cobra.Command {
	var topics []string
	var brokers []int32
	var partitions bool
	c := g.command(&cobra.Command{
		Use: "dirs", Short: "Show the log directories of brokers: room on their disks, and what is in them", Args: Arguments(cobra.NoArgs),
		Example: "  millrace log dirs\n  millrace log dirs --topic logs.web --partitions",
	}, func(cmd *cobra.Command, _ []string) error {
		return g.withFranz(func(cl *kgo.Client) error {
			var only kadm.TopicsSet
			if len(topics) > 0 {
				var err error
				if only, err = partitionsOf(cmd.Context(), cl, topics, nil); err != nil {
					return err
				}
			}
			all, err := kadm.NewClient(cl).DescribeAllLogDirs(cmd.Context(), only)
			if err != nil {
				return fmt.Errorf("describe log directories: %w", err)
			}
			dirs := logDirsOf(all, brokers)
			if g.json() {
				return writeJSON(cmd.OutOrStdout(), dirs)
			}
			return printLogDirs(cmd, dirs, partitions || len(topics) > 0)
		})
	})
	c.Flags().StringSliceVar(&topics, "topic", nil, "only these `topics`")
	c.Flags().Int32SliceVar(&brokers, "broker", nil, "only these brokers")
	c.Flags().BoolVar(&partitions, "partitions", false, "show each partition")
	return c
}

func logDirsOf(all kadm.DescribedAllLogDirs, brokers []int32) []logDir {
	dirs := []logDir{}
	for _, d := range all.Sorted() {
		if len(brokers) > 0 && !slices.Contains(brokers, d.Broker) {
			continue
		}
		one := logDir{Broker: d.Broker, Dir: d.Dir, TotalBytes: d.TotalBytes, FreeBytes: d.UsableBytes, Partitions: []logReplica{}}
		if code := codeOf(d.Err); code != nil {
			one.Error = code.Message
		}
		for _, p := range d.Topics.Sorted() {
			one.Partitions = append(one.Partitions, logReplica{p.Topic, p.Partition, p.Size, p.OffsetLag, p.IsFuture})
		}
		dirs = append(dirs, one)
	}
	return dirs
}

func printLogDirs(cmd *cobra.Command, dirs []logDir, partitions bool) error {
	t := newTable(cmd.OutOrStdout(), "BROKER", "DIRECTORY", "PARTITIONS", "SIZE", "FREE", "DISK", "ERROR")
	for _, d := range dirs {
		size := int64(0)
		for _, p := range d.Partitions {
			size += p.SizeBytes
		}
		t.row(d.Broker, d.Dir, len(d.Partitions), formatBytes(size), formatBytes(d.FreeBytes), formatBytes(d.TotalBytes), dashed(d.Error))
	}
	if err := t.flush(); err != nil || !partitions {
		return err
	}
	fmt.Fprintln(cmd.OutOrStdout())
	t = newTable(cmd.OutOrStdout(), "TOPIC", "PARTITION", "BROKER", "SIZE", "LAG")
	for _, d := range dirs {
		slices.SortFunc(d.Partitions, func(a, b logReplica) int {
			return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
		})
		for _, p := range d.Partitions {
			t.row(p.Topic, p.Partition, d.Broker, formatBytes(p.SizeBytes), p.OffsetLag)
		}
	}
	return t.flush()
}
