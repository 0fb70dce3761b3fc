package client

import (
	"errors"
	"fmt"
	"time"

	"github.com/IBM/sarama"
	"github.com/spf13/cobra"

	"github.com/millrace/millrace/internal/clusterview"
)

// consumeOptions are the flags of consume.
type consumeOptions struct {
	group       string
	from        string
	count       int64
	follow      bool
	format      string
	uncommitted bool
	partitions  []int32

	position clusterview.Position
}

func (o *consumeOptions) isolation() sarama.IsolationLevel {
	if o.uncommitted {
		return sarama.ReadUncommitted
	}
	return sarama.ReadCommitted
}

func consumeCommand(g *Globals) *cobra.Command {
	var o consumeOptions
	c := g.command(&cobra.Command{
		Use: "consume TOPIC", Short: "Print the records of a topic",
		Long: "Prints the records of a topic from --from to the end that the topic has now, or on and on with --follow.\n" +
			"With --group it reads as a member of that consumer group, from the group's offsets, and commits what it has\n" +
			"printed; --from then says where a group without offsets begins.\n\n--format: " + formatHelp,
		Example: "  millrace consume logs --from 15m --follow\n  millrace consume logs --count 10 --format '%p:%o %d %v\\n'",
		Args:    Arguments(cobra.ExactArgs(1)), ValidArgsFunction: g.completeTopics(1),
	}, func(cmd *cobra.Command, args []string) error {
		if err := o.check(cmd); err != nil {
			return err
		}
		out, err := newRecordWriter(cmd.OutOrStdout(), o.format, g.json(), o.follow, o.count)
		if err != nil {
			return err
		}
		if o.group != "" {
			return errors.Join(consumeGroup(g, cmd, args[0], &o, out), out.flush())
		}
		return g.withView(func(v *clusterview.View) error {
			return errors.Join(consumeTopic(cmd, v, args[0], &o, out), out.flush())
		})
	})
	f := c.Flags()
	f.StringVarP(&o.group, "group", "g", "", "consumer `group` to read as a member of")
	f.StringVar(&o.from, "from", "start", "start, end, an `offset` or a time (15m ago, 2026-02-03T04:05:06Z)")
	f.Int64VarP(&o.count, "count", "n", 0, "end after this many records")
	f.BoolVarP(&o.follow, "follow", "f", false, "wait for more records at the end")
	f.StringVar(&o.format, "format", `%v\n`, "how a record is printed")
	f.BoolVar(&o.uncommitted, "uncommitted", false, "show records of open and aborted transactions too")
	f.Int32SliceVarP(&o.partitions, "partition", "p", nil, "`partitions` to read; all by default")
	cobra.CheckErr(c.RegisterFlagCompletionFunc("group", g.completeGroups(-1)))
	cobra.CheckErr(c.RegisterFlagCompletionFunc("from", fixedCompletions("start", "end", "15m", "1h", "1d")))
	return c
}

func (o *consumeOptions) check(cmd *cobra.Command) error {
	var err error
	if o.position, err = clusterview.ParsePosition(o.from, time.Now()); err != nil {
		return usagef("--from: %v", err)
	}
	if cmd.Flags().Changed("count") && o.count < 1 {
		return usagef("--count %d: write a number of at least 1", o.count)
	}
	if o.group == "" {
		return nil
	}
	if o.position.Kind == clusterview.PositionOffset || o.position.Kind == clusterview.PositionTime {
		return usagef("--from %s does not go with --group: move the group with \"millrace group reset-offsets %s --to %s\"", o.from, o.group, o.from)
	}
	if len(o.partitions) > 0 {
		return usagef("--partition does not go with --group: the group shares out the partitions")
	}
	return nil
}

// consumeTopic reads without a group.
func consumeTopic(cmd *cobra.Command, v *clusterview.View, topic string, o *consumeOptions, out *recordWriter) error {
	topics, err := v.Topics(topic)
	if err != nil {
		return err
	}
	resolve := func(at clusterview.Position) ([]clusterview.Resolved, error) {
		list, err := v.Resolve(topics, at, o.isolation())
		if err != nil {
			return nil, err
		}
		return onlyPartitions(list, o.partitions)
	}
	read := clusterview.ReadOptions{Isolation: o.isolation(), Warn: warner(cmd)}
	if read.From, err = resolve(o.position); err != nil {
		return err
	}
	if !o.follow {
		if read.Until, err = resolve(clusterview.Position{Kind: clusterview.PositionEnd}); err != nil {
			return err
		}
	}
	return v.Read(cmd.Context(), read, func(r clusterview.Record) error {
		_, err := out.write(r)
		return err
	})
}

func warner(cmd *cobra.Command) func(error) {
	return func(err error) { fmt.Fprintf(cmd.ErrOrStderr(), "millrace: %v\n", err) }
}
