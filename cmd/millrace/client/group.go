package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/IBM/sarama"
	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/millrace/millrace/internal/clusterview"
)

func groupCommand(g *Globals) *cobra.Command {
	return parent(&cobra.Command{Use: "group", Short: "List, describe and delete consumer groups, and move their offsets"},
		groupList(g), groupDescribe(g), groupDelete(g), groupResetOffsets(g), groupDeleteOffsets(g))
}

// groupSummary is one row of group list.
type groupSummary struct {
	Name    string `json:"name"`
	Type    string `json:"type,omitempty"`
	State   string `json:"state"`
	Members int    `json:"members"`
	Lag     int64  `json:"lag"`
}

func groupList(g *Globals) *cobra.Command {
	var states, types []string
	c := g.command(&cobra.Command{
		Use: "list", Short: "List consumer groups with their lag", Aliases: []string{"ls"}, Args: Arguments(cobra.NoArgs),
		Example: "  millrace group list --state Empty,Dead --type classic",
	}, func(cmd *cobra.Command, _ []string) error {
		return g.withView(func(v *clusterview.View) error {
			groups, err := groupsOf(cmd.Context(), v)
			if err != nil {
				return err
			}
			rows := make([]groupSummary, 0, len(groups))
			for _, gr := range groups {
				if !amongFold(states, gr.State) || !amongFold(types, gr.Type) {
					continue
				}
				rows = append(rows, groupSummary{gr.Name, gr.Type, gr.State, len(gr.Members), gr.Lag()})
			}
			if g.json() {
				return writeJSON(cmd.OutOrStdout(), rows)
			}
			t := newTable(cmd.OutOrStdout(), "GROUP", "TYPE", "STATE", "MEMBERS", "LAG")
			for _, r := range rows {
				t.row(r.Name, dashed(r.Type), r.State, r.Members, r.Lag)
			}
			return t.flush()
		})
	})
	c.Flags().StringSliceVar(&states, "state", nil, "only groups in these `states`: Empty, Stable, PreparingRebalance, CompletingRebalance, Assigning, Reconciling, Dead")
	c.Flags().StringSliceVar(&types, "type", nil, "only groups of these `types`: classic, consumer")
	return c
}

// amongFold reports whether a word is in a list, whatever its case; all are in an empty one.
func amongFold(list []string, word string) bool {
	return len(list) == 0 || slices.ContainsFunc(list, func(s string) bool { return strings.EqualFold(s, word) })
}

// groupsOf is View.Groups, when coordinators have loaded.
func groupsOf(ctx context.Context, v *clusterview.View, names ...string) (groups []clusterview.Group, err error) {
	err = patiently(ctx, func() error { //nolint:contextcheck // a view has the timeouts of its client, and no context
		groups, err = v.Groups(names...)
		return err
	})
	return groups, err
}

func groupDescribe(g *Globals) *cobra.Command {
	return g.command(&cobra.Command{
		Use: "describe GROUP...", Short: "Show members, committed offsets and lag of consumer groups",
		Args: Arguments(cobra.MinimumNArgs(1)), ValidArgsFunction: g.completeGroups(-1),
	}, func(cmd *cobra.Command, args []string) error {
		return g.withView(func(v *clusterview.View) error {
			groups, err := groupsOf(cmd.Context(), v, args...)
			if err != nil {
				return err
			}
			if g.json() {
				return writeJSON(cmd.OutOrStdout(), groups)
			}
			for i, gr := range groups {
				if i > 0 {
					fmt.Fprintln(cmd.OutOrStdout())
				}
				if err := printGroup(cmd, gr); err != nil {
					return err
				}
			}
			return nil
		})
	})
}

func printGroup(cmd *cobra.Command, gr clusterview.Group) error {
	out := cmd.OutOrStdout()
	fmt.Fprintf(out, "group %s: %s, %d members, lag %d\n", printable(gr.Name), gr.State, len(gr.Members), gr.Lag())
	if gr.Epoch > 0 {
		fmt.Fprintf(out, "consumer protocol: epoch %d, target of epoch %d, assignor %s\n", gr.Epoch, gr.TargetEpoch, gr.Assignor)
	}
	if len(gr.Offsets) > 0 {
		t := newTable(out, "TOPIC", "PARTITION", "COMMITTED", "END", "LAG", "MEMBER")
		for _, o := range gr.Offsets {
			member := o.Member
			if member == "" {
				member = "-"
			}
			t.row(o.Topic, o.Partition, o.Committed, dash(o.End), dash(o.Lag), member)
		}
		if err := t.flush(); err != nil {
			return err
		}
	}
	if len(gr.Members) == 0 {
		return nil
	}
	if gr.Epoch > 0 {
		t := newTable(out, "MEMBER", "CLIENT", "HOST", "PROTOCOL", "EPOCH", "PARTITIONS", "TARGET")
		for _, m := range gr.Members {
			t.row(m.ID, m.ClientID, m.Host, dashed(m.Protocol), m.Epoch, partitionCount(m.Assignment), partitionCount(m.Target))
		}
		return t.flush()
	}
	t := newTable(out, "MEMBER", "CLIENT", "HOST", "PARTITIONS")
	for _, m := range gr.Members {
		t.row(m.ID, m.ClientID, m.Host, partitionCount(m.Assignment))
	}
	return t.flush()
}

func partitionCount(a map[string][]int32) int {
	n := 0
	for _, p := range a {
		n += len(p)
	}
	return n
}

// dashed is the text, or a dash for none.
func dashed(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func groupDelete(g *Globals) *cobra.Command {
	return g.command(&cobra.Command{
		Use: "delete GROUP...", Short: "Delete consumer groups that have no members, with their offsets",
		Args: Arguments(cobra.MinimumNArgs(1)), ValidArgsFunction: g.completeGroups(-1),
	}, func(cmd *cobra.Command, args []string) error {
		return g.withView(func(v *clusterview.View) error {
			return eachName(g, cmd, args, "deleted", func(name string) error {
				return patiently(cmd.Context(), func() error { return groupError(name, v.Admin().DeleteConsumerGroup(name)) })
			})
		})
	})
}

func groupError(name string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, sarama.ErrGroupIDNotFound):
		return fmt.Errorf("consumer group %q %w", name, clusterview.ErrNoGroup)
	case errors.Is(err, sarama.ErrNonEmptyGroup):
		return &apiError{fmt.Sprintf("consumer group %q", name), kerr.NonEmptyGroup, "it has members"}
	default:
		return fmt.Errorf("consumer group %q: %w", name, err)
	}
}

// offsetMove is one row of group reset-offsets.
type offsetMove struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Before    int64  `json:"before"`
	After     int64  `json:"after"`
}

func groupResetOffsets(g *Globals) *cobra.Command {
	var topics []string
	var to string
	var dryRun bool
	var partitions []int32
	var shift int64
	c := g.command(&cobra.Command{
		Use: "reset-offsets GROUP --to start|end|OFFSET|TIME", Short: "Move the committed offsets of a group that has no members",
		Long: "Moves the committed offsets of a consumer group that has no members, for the topics that --topic names,\n" +
			"or for all that the group has offsets of. A group that does not exist is created by it.",
		Example: "  millrace group reset-offsets audit --topic logs --to 2026-02-03T04:05:06Z --dry-run",
		Args:    Arguments(cobra.ExactArgs(1)), ValidArgsFunction: g.completeGroups(1),
	}, func(cmd *cobra.Command, args []string) error {
		if shift != 0 {
			if to != "" {
				return usagef("write --to or --shift-by")
			}
			return g.withView(func(v *clusterview.View) error {
				moves, err := shiftMoves(cmd.Context(), v, args[0], topics, partitions, shift)
				if err == nil && !dryRun {
					err = commitMoves(cmd.Context(), v, args[0], moves, progress(cmd.ErrOrStderr()))
				}
				if err != nil {
					return err
				}
				return printMoves(g, cmd, moves)
			})
		}
		if to == "" {
			return usagef("where to? Write --to start, --to end, --to OFFSET or --to TIME")
		}
		pos, err := clusterview.ParsePosition(to, time.Now())
		if err != nil {
			return usagef("--to: %v", err)
		}
		return g.withView(func(v *clusterview.View) error {
			moves, err := planMoves(cmd.Context(), v, args[0], topics, partitions, pos)
			if err != nil {
				return err
			}
			if !dryRun {
				if err := commitMoves(cmd.Context(), v, args[0], moves, progress(cmd.ErrOrStderr())); err != nil {
					return err
				}
			}
			return printMoves(g, cmd, moves)
		})
	})
	c.Flags().StringSliceVar(&topics, "topic", nil, "`topics` to move; all that the group has offsets of by default")
	c.Flags().Int32SliceVar(&partitions, "partition", nil, "partitions to move; all by default")
	c.Flags().StringVar(&to, "to", "", "start, end, an offset or a `time`")
	c.Flags().Int64Var(&shift, "shift-by", 0, "`number` of records to move by, negative for back; not beyond what there is")
	c.Flags().BoolVar(&dryRun, "dry-run", false, "show what would be done only")
	return c
}

// planMoves finds out where the offsets are and where they go.
func planMoves(ctx context.Context, v *clusterview.View, group string, topics []string, partitions []int32, pos clusterview.Position) ([]offsetMove, error) {
	have, err := groupsOf(ctx, v, group)
	if err != nil && (!errors.Is(err, clusterview.ErrNoGroup) || len(topics) == 0) {
		return nil, err
	}
	before := map[string]map[int32]int64{}
	for _, gr := range have {
		if len(gr.Members) > 0 {
			return nil, groupError(group, sarama.ErrNonEmptyGroup)
		}
		for _, o := range gr.Offsets {
			if before[o.Topic] == nil {
				before[o.Topic] = map[int32]int64{}
			}
			before[o.Topic][o.Partition] = o.Committed
		}
	}
	if len(topics) == 0 {
		for t := range before {
			topics = append(topics, t)
		}
		if len(topics) == 0 {
			return nil, fmt.Errorf("consumer group %q has no offsets yet: name topics with --topic", group)
		}
	}
	found, err := v.Topics(topics...)
	if err != nil {
		return nil, err
	}
	targets, err := v.Resolve(found, pos, sarama.ReadUncommitted)
	if err != nil {
		return nil, err
	}
	targets, err = onlyPartitions(targets, partitions)
	if err != nil {
		return nil, err
	}
	moves := make([]offsetMove, 0, len(targets))
	for _, r := range targets {
		old, ok := before[r.Topic][r.Partition]
		if !ok {
			old = -1
		}
		moves = append(moves, offsetMove{r.Topic, r.Partition, old, r.Offset})
	}
	return moves, nil
}

// onlyPartitions keeps the partitions that are named, all when none is.
func onlyPartitions(list []clusterview.Resolved, partitions []int32) ([]clusterview.Resolved, error) {
	if len(partitions) == 0 {
		return list, nil
	}
	wanted := map[int32]bool{}
	for _, p := range partitions {
		wanted[p] = false
	}
	var kept []clusterview.Resolved
	for _, r := range list {
		if _, ok := wanted[r.Partition]; ok {
			wanted[r.Partition] = true
			kept = append(kept, r)
		}
	}
	for _, p := range partitions {
		if !wanted[p] {
			return nil, fmt.Errorf("there is no partition %d: \"millrace topic describe\" shows the partitions of a topic", p)
		}
	}
	return kept, nil
}

// commitBatch is the number of partitions whose offsets are committed together.
const commitBatch = 500

// commitMoves commits what was planned, many partitions at once.
func commitMoves(ctx context.Context, v *clusterview.View, group string, moves []offsetMove, show func(string, int, int)) error {
	defer show("moving offsets", len(moves), len(moves))
	done := 0
	for batch := range slices.Chunk(moves, commitBatch) {
		show("moving offsets", done, len(moves))
		if err := patiently(ctx, func() error { return commitSome(v, group, batch) }); err != nil {
			return err
		}
		done += len(batch)
	}
	return nil
}

func commitSome(v *clusterview.View, group string, moves []offsetMove) error {
	offsets := map[string]map[int32]sarama.OffsetAndMetadata{}
	for _, m := range moves {
		if offsets[m.Topic] == nil {
			offsets[m.Topic] = map[int32]sarama.OffsetAndMetadata{}
		}
		offsets[m.Topic][m.Partition] = sarama.OffsetAndMetadata{Offset: m.After, LeaderEpoch: -1}
	}
	resp, err := v.Admin().AlterConsumerGroupOffsets(group, offsets, nil)
	if err != nil {
		return groupError(group, err)
	}
	for topic, codes := range resp.Errors {
		for partition, code := range codes {
			if errors.Is(code, sarama.ErrUnknownMemberId) {
				return groupError(group, sarama.ErrNonEmptyGroup)
			}
			if !errors.Is(code, sarama.ErrNoError) {
				return fmt.Errorf("consumer group %q, topic %q partition %d: %w", group, topic, partition, code)
			}
		}
	}
	return nil
}

func printMoves(g *Globals, cmd *cobra.Command, moves []offsetMove) error {
	if g.json() {
		return writeJSON(cmd.OutOrStdout(), moves)
	}
	t := newTable(cmd.OutOrStdout(), "TOPIC", "PARTITION", "BEFORE", "AFTER")
	for _, m := range moves {
		t.row(m.Topic, m.Partition, dash(m.Before), m.After)
	}
	return t.flush()
}
