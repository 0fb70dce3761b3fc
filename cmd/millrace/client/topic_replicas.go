package client

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// reassignTimeoutMs is how long the controller may take to begin.
const reassignTimeoutMs = 30_000

// electedLeader is one row of topic elect-leaders.
type electedLeader struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Elected   bool   `json:"elected"`
}

func topicElectLeaders(g *Globals) *cobra.Command {
	var partitions []int32
	var unclean bool
	c := g.command(&cobra.Command{
		Use: "elect-leaders TOPIC...", Short: "Let the preferred replica of each partition lead",
		Long: "Lets the preferred replica lead, where another one does. With --unclean a replica that is not in sync may lead where no other\n" +
			"is alive: records that only the others had are lost. A partition that is led as it should is no error.",
		Args: Arguments(cobra.MinimumNArgs(1)), ValidArgsFunction: g.completeTopics(-1),
	}, func(cmd *cobra.Command, args []string) error {
		return g.withFranz(func(cl *kgo.Client) error {
			topics, err := partitionsOf(cmd.Context(), cl, args, partitions)
			if err != nil {
				return err
			}
			how := kadm.ElectPreferredReplica
			if unclean {
				how = kadm.ElectLiveReplica
			}
			results, err := kadm.NewClient(cl).ElectLeaders(cmd.Context(), how, topics)
			if err != nil {
				return fmt.Errorf("elect leaders: %w", err)
			}
			rows := []electedLeader{}
			var errs []error
			for _, t := range topics.Sorted() {
				for _, p := range t.Partitions {
					r := results[t.Topic][p]
					if r.Err != nil && !errors.Is(r.Err, kerr.ElectionNotNeeded) {
						errs = append(errs, fmt.Errorf("partition %d of topic %q: %w", p, t.Topic, r.Err))
						continue
					}
					rows = append(rows, electedLeader{t.Topic, p, r.Err == nil})
				}
			}
			return errors.Join(printElected(g, cmd, rows), joinErrors(errs))
		})
	})
	c.Flags().Int32SliceVar(&partitions, "partition", nil, "only these partitions")
	c.Flags().BoolVar(&unclean, "unclean", false, "let a replica lead that is not in sync, where no other is alive")
	return c
}

func printElected(g *Globals, cmd *cobra.Command, rows []electedLeader) error {
	if g.json() {
		return writeJSON(cmd.OutOrStdout(), rows)
	}
	t := newTable(cmd.OutOrStdout(), "TOPIC", "PARTITION", "RESULT")
	for _, r := range rows {
		result := "not needed"
		if r.Elected {
			result = "elected"
		}
		t.row(r.Topic, r.Partition, result)
	}
	return t.flush()
}

// reassignment is one row of topic reassign.
type reassignment struct {
	Topic     string  `json:"topic"`
	Partition int32   `json:"partition"`
	Replicas  []int32 `json:"replicas"`
	Adding    []int32 `json:"adding"`
	Removing  []int32 `json:"removing"`
}

func topicReassign(g *Globals) *cobra.Command {
	var partitions, replicas []int32
	var cancel bool
	c := g.command(&cobra.Command{
		Use: "reassign [TOPIC]", Short: "Move partitions to other brokers, or show what moves",
		Long:    "Without --replicas and --cancel, shows the partitions that are being moved. On one node there is nowhere to move to.",
		Example: "  millrace topic reassign\n  millrace topic reassign logs --partition 0 --replicas 2,3\n  millrace topic reassign logs --cancel",
		Args:    Arguments(cobra.MaximumNArgs(1)), ValidArgsFunction: g.completeTopics(1),
	}, func(cmd *cobra.Command, args []string) error {
		change := cancel || len(replicas) > 0
		switch {
		case cancel && len(replicas) > 0:
			return usagef("write --replicas or --cancel")
		case change && len(args) == 0:
			return usagef("of which topic?")
		}
		return g.withFranz(func(cl *kgo.Client) error {
			var topics kadm.TopicsSet
			if len(args) > 0 {
				var err error
				if topics, err = partitionsOf(cmd.Context(), cl, args, partitions); err != nil {
					return err
				}
			}
			if change {
				if err := reassign(cmd.Context(), cl, topics, replicas); err != nil {
					return err
				}
			}
			return printReassignments(g, cmd, cl, topics)
		})
	})
	c.Flags().Int32SliceVar(&partitions, "partition", nil, "only these partitions")
	c.Flags().Int32SliceVar(&replicas, "replicas", nil, "brokers that are to have each partition, the preferred leader first")
	c.Flags().BoolVar(&cancel, "cancel", false, "bring partitions that are being moved back to where they were")
	return c
}

// reassign asks for new replicas; nil cancels.
func reassign(ctx context.Context, cl *kgo.Client, topics kadm.TopicsSet, replicas []int32) error {
	req := kmsg.NewPtrAlterPartitionAssignmentsRequest()
	req.TimeoutMillis = reassignTimeoutMs
	for _, t := range topics.Sorted() {
		one := kmsg.NewAlterPartitionAssignmentsRequestTopic()
		one.Topic = t.Topic
		for _, p := range t.Partitions {
			part := kmsg.NewAlterPartitionAssignmentsRequestTopicPartition()
			part.Partition, part.Replicas = p, replicas
			one.Partitions = append(one.Partitions, part)
		}
		req.Topics = append(req.Topics, one)
	}
	resp, err := req.RequestWith(ctx, cl)
	if err != nil {
		return fmt.Errorf("reassign partitions: %w", err)
	}
	if err := apiResult(resp.ErrorCode, resp.ErrorMessage, "reassign partitions"); err != nil {
		return err
	}
	var errs []error
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			if err := apiResult(p.ErrorCode, p.ErrorMessage, "partition %d of topic %q", p.Partition, t.Topic); err != nil {
				errs = append(errs, err)
			}
		}
	}
	return joinErrors(errs)
}

func printReassignments(g *Globals, cmd *cobra.Command, cl *kgo.Client, topics kadm.TopicsSet) error {
	listed, err := kadm.NewClient(cl).ListPartitionReassignments(cmd.Context(), topics)
	if err != nil {
		return fmt.Errorf("list reassignments: %w", err)
	}
	rows := []reassignment{}
	for _, r := range listed.Sorted() {
		rows = append(rows, reassignment{r.Topic, r.Partition, r.Replicas, r.AddingReplicas, r.RemovingReplicas})
	}
	if g.json() {
		return writeJSON(cmd.OutOrStdout(), rows)
	}
	t := newTable(cmd.OutOrStdout(), "TOPIC", "PARTITION", "REPLICAS", "ADDING", "REMOVING")
	for _, r := range rows {
		t.row(r.Topic, r.Partition, joinInts(r.Replicas), dashed(joinInts(r.Adding)), dashed(joinInts(r.Removing)))
	}
	return t.flush()
}
