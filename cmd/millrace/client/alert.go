package client

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/IBM/sarama"
	"github.com/spf13/cobra"

	"github.com/millrace/millrace/internal/clusterview"
	"github.com/millrace/millrace/internal/logquery"
	"github.com/millrace/millrace/internal/record"
)

func alertCommand(g *Globals) *cobra.Command {
	return parent(&cobra.Command{Use: "alert", Short: "Show raised alerts"}, alertList(g))
}

// alertRow is one raised alert as it stands in the topic.
type alertRow struct {
	time  time.Time
	value json.RawMessage
}

func alertList(g *Globals) *cobra.Command {
	var since string
	var count int
	c := g.command(&cobra.Command{
		Use: "list", Short: "List raised alerts, oldest first", Aliases: []string{"ls"},
		Long: "Lists the alerts of topic " + record.TopicAlerts + ", each once, oldest first. With -o json they are printed as they stand there.",
		Args: Arguments(cobra.NoArgs),
	}, func(cmd *cobra.Command, _ []string) error {
		from, err := clusterview.ParsePosition(since, time.Now())
		if err != nil || from.Kind == clusterview.PositionOffset {
			return usagef("--since %q is not a time: write start, 15m (ago), 2026-02-03 or 2026-02-03T04:05:06Z", since)
		}
		if count < 1 {
			return usagef("--count %d: write a number of at least 1", count)
		}
		return g.withView(func(v *clusterview.View) error {
			rows, err := readAlerts(cmd, v, from, count)
			if err != nil {
				return err
			}
			return printAlerts(g, cmd, rows)
		})
	})
	c.Flags().StringVar(&since, "since", "start", "alerts raised from this `time` on: 15m (ago), 2026-02-03 or 2026-02-03T04:05:06Z")
	c.Flags().IntVarP(&count, "count", "n", 1000, "number of alerts to list at most, the newest")
	return c
}

// readAlerts reads the topic from a position to its end and keeps the newest
// count alerts. An alert that stands there twice under one key is listed once.
func readAlerts(cmd *cobra.Command, v *clusterview.View, from clusterview.Position, count int) ([]alertRow, error) {
	topics, err := v.Topics(record.TopicAlerts)
	if errors.Is(err, clusterview.ErrNoTopic) {
		return nil, nil // no alert was ever raised
	}
	if err != nil {
		return nil, err
	}
	o := clusterview.ReadOptions{Isolation: sarama.ReadCommitted, Warn: warner(cmd)}
	if o.From, err = v.Resolve(topics, from, o.Isolation); err != nil {
		return nil, err
	}
	if o.Until, err = v.Resolve(topics, clusterview.Position{Kind: clusterview.PositionEnd}, o.Isolation); err != nil {
		return nil, err
	}
	rows := map[string]alertRow{}
	err = v.Read(cmd.Context(), o, func(r clusterview.Record) error {
		if !json.Valid(r.Value) {
			return nil
		}
		id := string(r.Key)
		if id == "" {
			id = fmt.Sprintf("%d:%d", r.Partition, r.Offset)
		}
		if _, twice := rows[id]; !twice {
			rows[id] = alertRow{r.Time, r.Value}
		}
		if len(rows) > 2*count {
			dropOldest(rows, count)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	dropOldest(rows, count)
	list := make([]alertRow, 0, len(rows))
	for _, r := range rows {
		list = append(list, r)
	}
	slices.SortFunc(list, func(a, b alertRow) int {
		return cmp.Or(a.time.Compare(b.time), cmp.Compare(string(a.value), string(b.value)))
	})
	return list, nil
}

// dropOldest keeps the newest count rows, so that memory stays bounded.
func dropOldest(rows map[string]alertRow, count int) {
	if len(rows) <= count {
		return
	}
	type entry struct {
		id   string
		time time.Time
	}
	all := make([]entry, 0, len(rows))
	for id, r := range rows {
		all = append(all, entry{id, r.time})
	}
	slices.SortFunc(all, func(a, b entry) int { return cmp.Or(a.time.Compare(b.time), cmp.Compare(a.id, b.id)) })
	for _, e := range all[:len(all)-count] {
		delete(rows, e.id)
	}
}

func printAlerts(g *Globals, cmd *cobra.Command, rows []alertRow) error {
	if g.json() {
		list := make([]json.RawMessage, 0, len(rows))
		for _, r := range rows {
			list = append(list, r.value)
		}
		return writeJSON(cmd.OutOrStdout(), list)
	}
	t := newTable(cmd.OutOrStdout(), "RAISED", "SEVERITY", "PIPELINE", "RULE", "EVENTS", "SUMMARY")
	for _, r := range rows {
		a := logquery.AlertOf(r.value)
		t.row(formatTime(r.time), a.Severity, a.Pipeline, a.Rule, a.Events, shorten(a.Summary, 160))
	}
	return t.flush()
}
