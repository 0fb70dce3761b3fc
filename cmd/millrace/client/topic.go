package client

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/IBM/sarama"
	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/millrace/millrace/internal/clusterview"
)

func topicCommand(g *Globals) *cobra.Command {
	return parent(&cobra.Command{Use: "topic", Short: "Create, list, describe, alter and delete topics"},
		topicCreate(g), topicList(g), topicDescribe(g), topicAlter(g), topicDelete(g), topicDeleteRecords(g), topicElectLeaders(g), topicReassign(g))
}

func topicCreate(g *Globals) *cobra.Command {
	var partitions int32
	var replicas int16
	var settings []string
	var ifNotExists bool
	c := g.command(&cobra.Command{
		Use: "create TOPIC...", Short: "Create topics",
		Example: "  millrace topic create logs.web --partitions 8 --set retention.ms=86400000",
		Args:    Arguments(cobra.MinimumNArgs(1)),
	}, func(cmd *cobra.Command, args []string) error {
		entries, err := parseSettings(settings)
		if err != nil {
			return err
		}
		if partitions == 0 || partitions < -1 || replicas == 0 || replicas < -1 {
			return usagef("--partitions and --replication-factor are at least 1, or -1 for the cluster's default")
		}
		detail := &sarama.TopicDetail{NumPartitions: partitions, ReplicationFactor: replicas, ConfigEntries: entries}
		return g.withView(func(v *clusterview.View) error {
			return eachName(g, cmd, args, "created", func(name string) error {
				err := v.Admin().CreateTopic(name, detail, false)
				switch {
				case ifNotExists && errors.Is(err, sarama.ErrTopicAlreadyExists):
					return nil
				case err != nil:
					return topicError(name, err)
				}
				return awaitPartitions(cmd.Context(), v, name, 1)
			})
		})
	})
	c.Flags().Int32VarP(&partitions, "partitions", "p", -1, "number of partitions; -1 takes the cluster's default")
	c.Flags().Int16VarP(&replicas, "replication-factor", "r", -1, "number of replicas; -1 takes the cluster's default")
	c.Flags().StringArrayVar(&settings, "set", nil, "topic setting `key=value`, may be repeated")
	c.Flags().BoolVar(&ifNotExists, "if-not-exists", false, "a topic that is there already is no error")
	return c
}

// eachName runs fn for every name and prints one line for each, or all
// together as JSON. The first error ends it.
func eachName(g *Globals, cmd *cobra.Command, names []string, done string, fn func(string) error) error {
	out := cmd.OutOrStdout()
	var finished []string
	for _, name := range names {
		if err := fn(name); err != nil {
			return err
		}
		finished = append(finished, name)
		if !g.json() {
			fmt.Fprintf(out, "%s %s\n", done, printable(name))
		}
	}
	if g.json() {
		return writeJSON(out, map[string][]string{done: finished})
	}
	return nil
}

// topicError says which topic could not be changed, and why.
func topicError(name string, err error) error {
	var te *sarama.TopicError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, sarama.ErrUnknownTopicOrPartition):
		return fmt.Errorf("topic %q %w", name, clusterview.ErrNoTopic)
	case errors.Is(err, sarama.ErrTopicAlreadyExists):
		return fmt.Errorf("topic %q exists already (%s): use \"millrace topic alter\", or --if-not-exists", name, kerr.TopicAlreadyExists.Message)
	case errors.As(err, &te):
		return apiResult(int16(te.Err), te.ErrMsg, "topic %q", name)
	default:
		return fmt.Errorf("topic %q: %w", name, err)
	}
}

// parseSettings reads key=value pairs.
func parseSettings(list []string) (map[string]*string, error) {
	entries := make(map[string]*string, len(list))
	for _, s := range list {
		key, value, ok := strings.Cut(s, "=")
		if !ok || key == "" {
			return nil, usagef("--set %q is not of the form key=value", s)
		}
		if _, twice := entries[key]; twice {
			return nil, usagef("--set names %q twice", key)
		}
		entries[key] = &value
	}
	return entries, nil
}

// topicSummary is one row of topic list.
type topicSummary struct {
	Name              string `json:"name"`
	Partitions        int    `json:"partitions"`
	ReplicationFactor int    `json:"replication_factor"`
	Records           int64  `json:"records"`
	SizeBytes         int64  `json:"size_bytes"`
	Internal          bool   `json:"internal"`
}

func topicList(g *Globals) *cobra.Command {
	var internal bool
	c := g.command(&cobra.Command{
		Use: "list", Short: "List topics", Aliases: []string{"ls"}, Args: Arguments(cobra.NoArgs),
	}, func(cmd *cobra.Command, _ []string) error {
		return g.withView(func(v *clusterview.View) error {
			topics, err := v.Topics()
			if err != nil {
				return err
			}
			rows := []topicSummary{}
			for _, t := range topics {
				if hidden := t.Internal || strings.HasPrefix(t.Name, "__"); hidden && !internal {
					continue
				}
				rows = append(rows, topicSummary{t.Name, len(t.Partitions), t.ReplicationFactor(), t.Records(), t.SizeBytes(), t.Internal})
			}
			return printTopicList(g, cmd, rows)
		})
	})
	c.Flags().BoolVar(&internal, "internal", false, "show the cluster's own topics too")
	return c
}

func printTopicList(g *Globals, cmd *cobra.Command, rows []topicSummary) error {
	if g.json() {
		return writeJSON(cmd.OutOrStdout(), rows)
	}
	t := newTable(cmd.OutOrStdout(), "TOPIC", "PARTITIONS", "REPLICAS", "RECORDS", "SIZE")
	for _, r := range rows {
		t.row(r.Name, r.Partitions, r.ReplicationFactor, r.Records, formatBytes(r.SizeBytes))
	}
	return t.flush()
}

// topicDetails is what topic describe shows of one topic.
type topicDetails struct {
	clusterview.Topic
	Settings []topicSetting `json:"settings"`
}

type topicSetting struct {
	Name    string `json:"name"`
	Value   string `json:"value"`
	Default bool   `json:"default"`
}

func topicDescribe(g *Globals) *cobra.Command {
	var all bool
	var only string
	c := g.command(&cobra.Command{
		Use: "describe TOPIC...", Short: "Show partitions, offsets, sizes and settings of topics",
		Long:    "Shows partitions, offsets, sizes and settings of topics. With --only, the partitions in trouble, of all topics when none is named.",
		Example: "  millrace topic describe logs.web\n  millrace topic describe --only under-replicated",
		Args:    Arguments(cobra.ArbitraryArgs), ValidArgsFunction: g.completeTopics(-1),
	}, func(cmd *cobra.Command, args []string) error {
		switch {
		case only == "" && len(args) == 0:
			return usagef("which topics? Write their names, or --only to look at all")
		case only != "" && !slices.Contains(troubles(), only):
			return usagef("--only %q does not exist: write %s", only, strings.Join(troubles(), ", "))
		}
		return g.withView(func(v *clusterview.View) error {
			topics, err := v.Topics(args...)
			if err != nil {
				return err
			}
			details := []topicDetails{}
			for _, t := range topics {
				s, err := topicSettings(v, t.Name, true)
				if err != nil {
					return err
				}
				if only != "" {
					t.Partitions = inTrouble(t.Partitions, only, minISR(s))
					if len(t.Partitions) == 0 {
						continue
					}
				}
				if !all {
					s = slices.DeleteFunc(s, func(one topicSetting) bool { return one.Default })
				}
				details = append(details, topicDetails{t, s})
			}
			return printTopicDetails(g, cmd, details)
		})
	})
	c.Flags().BoolVar(&all, "all-settings", false, "show settings that have their default value too")
	c.Flags().StringVar(&only, "only", "", "only `partitions` in trouble: "+strings.Join(troubles(), ", "))
	return c
}

// troubles are what a partition can have, by the words of --only.
func troubles() []string {
	return []string{"under-replicated", "unavailable", "under-min-isr", "at-min-isr"}
}

// inTrouble picks the partitions that have a trouble.
func inTrouble(partitions []clusterview.Partition, trouble string, minISR int) []clusterview.Partition {
	return slices.DeleteFunc(slices.Clone(partitions), func(p clusterview.Partition) bool {
		switch trouble {
		case "unavailable":
			return p.Leader >= 0
		case "under-min-isr":
			return len(p.ISR) >= minISR
		case "at-min-isr":
			return len(p.ISR) != minISR
		default:
			return len(p.ISR) >= len(p.Replicas)
		}
	})
}

// minISR is the topic's min.insync.replicas, 1 where the broker does not tell.
func minISR(settings []topicSetting) int {
	for _, s := range settings {
		if n, err := strconv.Atoi(s.Value); s.Name == "min.insync.replicas" && err == nil {
			return n
		}
	}
	return 1
}

func topicSettings(v *clusterview.View, name string, all bool) ([]topicSetting, error) {
	results, err := v.Admin().DescribeConfigs([]*sarama.ConfigResource{{Type: sarama.TopicResource, Name: name}}, sarama.DescribeConfigsOptions{})
	if err != nil {
		return nil, topicError(name, err)
	}
	settings := []topicSetting{}
	for _, r := range results {
		if !errors.Is(r.ErrorCode, sarama.ErrNoError) {
			return nil, topicError(name, r.ErrorCode)
		}
		for _, e := range r.Configs {
			isDefault := e.Source != sarama.SourceTopic
			if all || !isDefault {
				settings = append(settings, topicSetting{e.Name, e.Value, isDefault})
			}
		}
	}
	slices.SortFunc(settings, func(a, b topicSetting) int { return strings.Compare(a.Name, b.Name) })
	return settings, nil
}

func printTopicDetails(g *Globals, cmd *cobra.Command, details []topicDetails) error {
	out := cmd.OutOrStdout()
	if g.json() {
		return writeJSON(out, details)
	}
	for i, d := range details {
		if i > 0 {
			fmt.Fprintln(out)
		}
		fmt.Fprintf(out, "topic %s: %d partitions, %d replicas, %d records, %s\n",
			printable(d.Name), len(d.Partitions), d.ReplicationFactor(), d.Records(), formatBytes(d.SizeBytes()))
		t := newTable(out, "PARTITION", "LEADER", "EPOCH", "REPLICAS", "ISR", "START", "END", "SIZE")
		for _, p := range d.Partitions {
			t.row(p.ID, dash(int64(p.Leader)), dash(int64(p.LeaderEpoch)), joinInts(p.Replicas), joinInts(p.ISR), dash(p.Start), dash(p.End), formatBytes(p.SizeBytes))
		}
		if err := t.flush(); err != nil {
			return err
		}
		if len(d.Settings) == 0 {
			continue
		}
		t = newTable(out, "SETTING", "VALUE")
		for _, s := range d.Settings {
			t.row(s.Name, s.Value)
		}
		if err := t.flush(); err != nil {
			return err
		}
	}
	return nil
}

func topicAlter(g *Globals) *cobra.Command {
	var partitions int32
	var set, unset []string
	c := g.command(&cobra.Command{
		Use: "alter TOPIC...", Short: "Add partitions to topics or change their settings",
		Example: "  millrace topic alter logs.web --partitions 16 --set retention.ms=3600000 --unset segment.bytes",
		Args:    Arguments(cobra.MinimumNArgs(1)), ValidArgsFunction: g.completeTopics(-1),
	}, func(cmd *cobra.Command, args []string) error {
		ops, err := settingOps(set, unset)
		if err != nil {
			return err
		}
		if len(ops) == 0 && partitions == 0 {
			return usagef("nothing to alter: write --partitions, --set or --unset")
		}
		if partitions < 0 {
			return usagef("--partitions is the new number of partitions, at least as many as there are")
		}
		return g.withView(func(v *clusterview.View) error {
			return eachName(g, cmd, args, "altered", func(name string) error {
				return alterTopic(cmd.Context(), v, name, partitions, ops)
			})
		})
	})
	c.Flags().Int32VarP(&partitions, "partitions", "p", 0, "new number of partitions")
	c.Flags().StringArrayVar(&set, "set", nil, "topic setting `key=value`, may be repeated")
	c.Flags().StringArrayVar(&unset, "unset", nil, "setting `key` to bring back to its default, may be repeated")
	return c
}

func settingOps(set, unset []string) (map[string]sarama.IncrementalAlterConfigsEntry, error) {
	entries, err := parseSettings(set)
	if err != nil {
		return nil, err
	}
	ops := make(map[string]sarama.IncrementalAlterConfigsEntry, len(entries)+len(unset))
	for k, value := range maps.All(entries) {
		ops[k] = sarama.IncrementalAlterConfigsEntry{Operation: sarama.IncrementalAlterConfigsOperationSet, Value: value}
	}
	for _, k := range unset {
		if _, both := ops[k]; both || k == "" {
			return nil, usagef("--unset %q: name each setting once", k)
		}
		ops[k] = sarama.IncrementalAlterConfigsEntry{Operation: sarama.IncrementalAlterConfigsOperationDelete}
	}
	return ops, nil
}

func alterTopic(ctx context.Context, v *clusterview.View, name string, partitions int32, ops map[string]sarama.IncrementalAlterConfigsEntry) error {
	topics, err := v.Topics(name)
	if err != nil {
		return err
	}
	if have := int32(len(topics[0].Partitions)); partitions != 0 && partitions < have {
		return usagef("topic %q has %d partitions: partitions can be added and not taken away", name, have)
	}
	if len(ops) > 0 {
		if err := v.Admin().IncrementalAlterConfig(sarama.TopicResource, name, ops, false); err != nil {
			return topicError(name, err)
		}
	}
	if partitions > int32(len(topics[0].Partitions)) {
		if err := v.Admin().CreatePartitions(name, partitions, nil, false); err != nil {
			return topicError(name, err)
		}
		return awaitPartitions(ctx, v, name, int(partitions))
	}
	return nil
}

// awaitPartitions waits until brokers know that a topic has so many partitions.
func awaitPartitions(ctx context.Context, v *clusterview.View, name string, partitions int) error {
	return settle(ctx, func() (bool, error) {
		meta, err := v.Admin().DescribeTopics([]string{name})
		if err != nil || len(meta) != 1 {
			return false, err
		}
		return len(meta[0].Partitions) >= partitions, nil
	})
}

func topicDelete(g *Globals) *cobra.Command {
	var ifExists bool
	c := g.command(&cobra.Command{
		Use: "delete TOPIC...", Short: "Delete topics with all their records",
		Args: Arguments(cobra.MinimumNArgs(1)), ValidArgsFunction: g.completeTopics(-1),
	}, func(cmd *cobra.Command, args []string) error {
		return g.withView(func(v *clusterview.View) error {
			return eachName(g, cmd, args, "deleted", func(name string) error {
				err := v.Admin().DeleteTopic(name)
				if ifExists && errors.Is(err, sarama.ErrUnknownTopicOrPartition) {
					return nil
				}
				return topicError(name, err)
			})
		})
	})
	c.Flags().BoolVar(&ifExists, "if-exists", false, "a topic that is not there is no error")
	return c
}
