package client

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

func producersCommand(g *Globals) *cobra.Command {
	return parent(&cobra.Command{Use: "producers", Short: "Show which idempotent and transactional producers write to partitions"},
		producersList(g))
}

func producersList(g *Globals) *cobra.Command {
	var partitions []int32
	var open bool
	var idle, active time.Duration
	c := g.command(&cobra.Command{
		Use: "list TOPIC...", Short: "List the producers that partitions remember", Aliases: []string{"ls", "describe"},
		Long: "Lists producer ids with their epoch, last sequence number, when they last wrote, and where their open transaction began.\n" +
			"A partition forgets a producer that has not written for producer.id.expiration.ms. Producers without idempotence are not remembered.",
		Example: "  millrace producers list orders\n  millrace producers list orders --open --idle-for 10m",
		Args:    Arguments(cobra.MinimumNArgs(1)), ValidArgsFunction: g.completeTopics(-1),
	}, func(cmd *cobra.Command, args []string) error {
		if idle < 0 || active < 0 {
			return usagef("--idle-for and --active-within are lengths of time, as 10m")
		}
		return g.withFranz(func(cl *kgo.Client) error {
			topics, err := partitionsOf(cmd.Context(), cl, args, partitions)
			if err != nil {
				return err
			}
			rows, err := describeProducers(cmd.Context(), cl, topics)
			if err != nil {
				return err
			}
			now := time.Now()
			rows = slices.DeleteFunc(rows, func(p txnProducer) bool {
				since := now.Sub(p.LastWritten)
				return open && p.StartOffset < 0 || idle > 0 && since < idle || active > 0 && since > active
			})
			return printProducers(g, cmd, rows)
		})
	})
	c.Flags().Int32SliceVar(&partitions, "partition", nil, "only these partitions")
	c.Flags().BoolVar(&open, "open", false, "only producers with an open transaction")
	c.Flags().DurationVar(&idle, "idle-for", 0, "only producers that last wrote longer than this `time` ago, as 10m")
	c.Flags().DurationVar(&active, "active-within", 0, "only producers that wrote within this `time`")
	return c
}

// partitionsOf are all partitions of topics, or those of them that are named.
func partitionsOf(ctx context.Context, cl *kgo.Client, topics []string, only []int32) (kadm.TopicsSet, error) {
	listed, err := kadm.NewClient(cl).ListTopicsWithInternal(ctx, topics...)
	if err != nil {
		return nil, fmt.Errorf("list topics: %w", err)
	}
	set := kadm.TopicsSet{}
	for _, t := range listed.Sorted() {
		if t.Err != nil {
			return nil, fmt.Errorf("topic %q: %w", t.Topic, t.Err)
		}
		have := t.Partitions.Numbers()
		for _, p := range only {
			if !slices.Contains(have, p) {
				return nil, &apiError{fmt.Sprintf("topic %q", t.Topic), kerr.UnknownTopicOrPartition, fmt.Sprintf("it has no partition %d", p)}
			}
		}
		if len(only) > 0 {
			have = only
		}
		set.Add(t.Topic, have...)
	}
	return set, nil
}
