package client

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/IBM/sarama"
	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/internal/clusterview"
)

// deletedOffset is one row of group delete-offsets.
type deletedOffset struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
}

func groupDeleteOffsets(g *Globals) *cobra.Command {
	var topics []string
	var partitions []int32
	c := g.command(&cobra.Command{
		Use: "delete-offsets GROUP --topic TOPIC", Short: "Delete a group's committed offsets of topics that none of its members reads",
		Example: "  millrace group delete-offsets audit --topic logs.old",
		Args:    Arguments(cobra.ExactArgs(1)), ValidArgsFunction: g.completeGroups(1),
	}, func(cmd *cobra.Command, args []string) error {
		if len(topics) == 0 {
			return usagef("of which topics? Write --topic")
		}
		return g.withFranz(func(cl *kgo.Client) error {
			set, err := partitionsOf(cmd.Context(), cl, topics, partitions)
			if err != nil {
				return err
			}
			req := kmsg.NewPtrOffsetDeleteRequest()
			req.Group = args[0]
			for _, t := range set.Sorted() {
				one := kmsg.NewOffsetDeleteRequestTopic()
				one.Topic = t.Topic
				for _, p := range t.Partitions {
					one.Partitions = append(one.Partitions, kmsg.OffsetDeleteRequestTopicPartition{Partition: p})
				}
				req.Topics = append(req.Topics, one)
			}
			resp, err := req.RequestWith(cmd.Context(), cl)
			if err != nil {
				return fmt.Errorf("consumer group %q: %w", args[0], err)
			}
			if resp.ErrorCode == kerr.GroupIDNotFound.Code {
				return fmt.Errorf("consumer group %q %w", args[0], clusterview.ErrNoGroup)
			}
			if err := apiResult(resp.ErrorCode, nil, "consumer group %q", args[0]); err != nil {
				return err
			}
			return printDeletedOffsets(g, cmd, resp)
		})
	})
	c.Flags().StringSliceVar(&topics, "topic", nil, "`topics` whose offsets go")
	c.Flags().Int32SliceVar(&partitions, "partition", nil, "only these partitions")
	return c
}

func printDeletedOffsets(g *Globals, cmd *cobra.Command, resp *kmsg.OffsetDeleteResponse) error {
	rows := []deletedOffset{}
	var errs []error
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			if err := apiResult(p.ErrorCode, nil, "partition %d of topic %q", p.Partition, t.Topic); err != nil {
				errs = append(errs, err)
				continue
			}
			rows = append(rows, deletedOffset{t.Topic, p.Partition})
		}
	}
	if g.json() {
		return errors.Join(writeJSON(cmd.OutOrStdout(), rows), joinErrors(errs))
	}
	t := newTable(cmd.OutOrStdout(), "TOPIC", "PARTITION")
	for _, r := range rows {
		t.row(r.Topic, r.Partition)
	}
	return errors.Join(t.flush(), joinErrors(errs))
}

// shiftMoves moves committed offsets by a number of records, within what partitions hold.
func shiftMoves(ctx context.Context, v *clusterview.View, group string, topics []string, partitions []int32, by int64) ([]offsetMove, error) {
	have, err := groupsOf(ctx, v, group)
	if err != nil {
		return nil, err
	}
	if len(have[0].Members) > 0 {
		return nil, groupError(group, sarama.ErrNonEmptyGroup)
	}
	wanted := func(o clusterview.GroupOffset) bool {
		return (len(topics) == 0 || slices.Contains(topics, o.Topic)) && (len(partitions) == 0 || slices.Contains(partitions, o.Partition))
	}
	var names []string
	for _, o := range have[0].Offsets {
		if wanted(o) && !slices.Contains(names, o.Topic) {
			names = append(names, o.Topic)
		}
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("consumer group %q has committed no offsets there: \"millrace group describe %s\" shows what it has", group, group)
	}
	found, err := v.Topics(names...)
	if err != nil {
		return nil, err
	}
	held := map[string]clusterview.Topic{}
	for _, t := range found {
		held[t.Name] = t
	}
	var moves []offsetMove
	for _, o := range have[0].Offsets {
		if t := held[o.Topic]; wanted(o) && int(o.Partition) < len(t.Partitions) {
			p := t.Partitions[o.Partition]
			moves = append(moves, offsetMove{o.Topic, o.Partition, o.Committed, min(max(o.Committed+by, p.Start), p.End)})
		}
	}
	return moves, nil
}
