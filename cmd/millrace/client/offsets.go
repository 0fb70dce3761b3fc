package client

import (
	"time"

	"github.com/IBM/sarama"
	"github.com/spf13/cobra"

	"github.com/millrace/millrace/internal/clusterview"
)

// partitionOffsets is one row of offsets without --time.
type partitionOffsets struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Start     int64  `json:"start"`
	End       int64  `json:"end"`
}

func offsetsCommand(g *Globals) *cobra.Command {
	var at string
	c := g.command(&cobra.Command{
		Use: "offsets TOPIC", Short: "Show the first and last offsets of a topic, or those of a time",
		Example: "  millrace offsets logs --time 1h",
		Args:    Arguments(cobra.ExactArgs(1)), ValidArgsFunction: g.completeTopics(1),
	}, func(cmd *cobra.Command, args []string) error {
		var pos clusterview.Position
		if at != "" {
			var err error
			if pos, err = clusterview.ParsePosition(at, time.Now()); err != nil {
				return usagef("--time: %v", err)
			}
			if pos.Kind == clusterview.PositionOffset {
				return usagef("--time %q is a number: write start, end, 15m (ago), 2026-02-03 or 2026-02-03T04:05:06Z", at)
			}
		}
		return g.withView(func(v *clusterview.View) error {
			topics, err := v.Topics(args...)
			if err != nil {
				return err
			}
			if at == "" {
				return printOffsets(g, cmd, topics[0])
			}
			resolved, err := v.Resolve(topics, pos, sarama.ReadUncommitted)
			if err != nil {
				return err
			}
			return printResolved(g, cmd, resolved)
		})
	})
	c.Flags().StringVar(&at, "time", "", "show the offset of the first record that is not older: start, end or a `time`")
	return c
}

func printOffsets(g *Globals, cmd *cobra.Command, topic clusterview.Topic) error {
	rows := make([]partitionOffsets, 0, len(topic.Partitions))
	for _, p := range topic.Partitions {
		rows = append(rows, partitionOffsets{topic.Name, p.ID, p.Start, p.End})
	}
	if g.json() {
		return writeJSON(cmd.OutOrStdout(), rows)
	}
	t := newTable(cmd.OutOrStdout(), "TOPIC", "PARTITION", "START", "END", "RECORDS")
	for _, r := range rows {
		t.row(r.Topic, r.Partition, dash(r.Start), dash(r.End), dash(r.End-r.Start))
	}
	return t.flush()
}

func printResolved(g *Globals, cmd *cobra.Command, rows []clusterview.Resolved) error {
	if g.json() {
		return writeJSON(cmd.OutOrStdout(), rows)
	}
	t := newTable(cmd.OutOrStdout(), "TOPIC", "PARTITION", "OFFSET", "TIMESTAMP")
	for _, r := range rows {
		stamp := "-"
		if r.TimestampMs >= 0 {
			stamp = formatTime(time.UnixMilli(r.TimestampMs))
		}
		t.row(r.Topic, r.Partition, r.Offset, stamp)
	}
	return t.flush()
}
