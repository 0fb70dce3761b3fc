package client

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/IBM/sarama"
	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/internal/clusterview"
)

// deleteRecordsTimeoutMs is how long a broker may take for one partition.
const deleteRecordsTimeoutMs = 30_000

// deletedRecords is one row of topic delete-records.
type deletedRecords struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	// LowWatermark is the first offset that is left.
	LowWatermark int64 `json:"low_watermark"`
}

func topicDeleteRecords(g *Globals) *cobra.Command {
	var before, file string
	var partitions []int32
	var dryRun bool
	c := g.command(&cobra.Command{
		Use: "delete-records TOPIC --before end|OFFSET|TIME", Short: "Delete the oldest records of a topic",
		Long: "Deletes the records before an offset, a time or the end. Their offsets are not used again. With --file the partitions and offsets\n" +
			"are those of a JSON file in the form that kafka-delete-records takes.",
		Example: "  millrace topic delete-records logs.web --before 7d\n  millrace topic delete-records logs.web --partition 3 --before 4711 --dry-run\n" +
			"  millrace topic delete-records --file offsets.json",
		Args: Arguments(cobra.MaximumNArgs(1)), ValidArgsFunction: g.completeTopics(1),
	}, func(cmd *cobra.Command, args []string) error {
		switch {
		case (file != "") == (len(args) > 0):
			return usagef("write a topic with --before, or --file")
		case file != "" && (before != "" || len(partitions) > 0):
			return usagef("--file says which partitions and offsets: leave out --before and --partition")
		case file == "" && before == "":
			return usagef("before what? Write --before end, --before OFFSET or --before TIME")
		}
		var wanted []clusterview.Resolved
		err := error(nil)
		if file != "" {
			wanted, err = offsetsInFile(file)
		} else {
			wanted, err = offsetsBefore(g, args[0], before, partitions)
		}
		if err != nil {
			return err
		}
		if dryRun {
			rows := make([]deletedRecords, 0, len(wanted))
			for _, w := range wanted {
				rows = append(rows, deletedRecords{w.Topic, w.Partition, w.Offset})
			}
			return printDeleted(g, cmd, rows)
		}
		return g.withFranz(func(cl *kgo.Client) error {
			rows, err := deleteRecords(cmd.Context(), cl, wanted, progress(cmd.ErrOrStderr()))
			if printErr := printDeleted(g, cmd, rows); printErr != nil {
				return printErr
			}
			return err
		})
	})
	c.Flags().StringVar(&before, "before", "", "end, an offset or a `time`")
	c.Flags().Int32SliceVar(&partitions, "partition", nil, "only these partitions")
	c.Flags().StringVar(&file, "file", "", "JSON `file` as kafka-delete-records takes it with --offset-json-file")
	c.Flags().BoolVar(&dryRun, "dry-run", false, "show the offsets only")
	return c
}

func offsetsBefore(g *Globals, topic, before string, partitions []int32) (wanted []clusterview.Resolved, err error) {
	pos, err := clusterview.ParsePosition(before, time.Now())
	if err != nil {
		return nil, usagef("--before: %v", err)
	}
	err = g.withView(func(v *clusterview.View) error {
		topics, err := v.Topics(topic)
		if err != nil {
			return err
		}
		if wanted, err = v.Resolve(topics, pos, sarama.ReadUncommitted); err != nil {
			return err
		}
		if pos.Kind == clusterview.PositionOffset {
			for i := range wanted { // one that is not there is refused, not taken for the nearest
				wanted[i].Offset = pos.Offset
			}
		}
		wanted, err = onlyPartitions(wanted, partitions)
		return err
	})
	return wanted, err
}

// offsetsInFile reads the form of kafka-delete-records.
func offsetsInFile(name string) ([]clusterview.Resolved, error) {
	content, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	var f struct {
		Partitions []struct {
			Topic     string
			Partition int32
			Offset    int64
		}
		Version int
	}
	if err := json.Unmarshal(content, &f); err != nil {
		return nil, usagef(`%s: %v: write {"partitions": [{"topic": "logs", "partition": 0, "offset": 4711}], "version": 1}`, name, err)
	}
	if len(f.Partitions) == 0 || f.Version > 1 {
		return nil, usagef("%s names no partitions, or is of another version than 1", name)
	}
	wanted := make([]clusterview.Resolved, 0, len(f.Partitions))
	for _, p := range f.Partitions {
		if slices.ContainsFunc(wanted, func(w clusterview.Resolved) bool { return w.Topic == p.Topic && w.Partition == p.Partition }) {
			return nil, usagef("%s names partition %d of topic %q twice", name, p.Partition, p.Topic)
		}
		wanted = append(wanted, clusterview.Resolved{Topic: p.Topic, Partition: p.Partition, Offset: p.Offset})
	}
	return wanted, nil
}

// deleteRecords asks for one partition after the other, so that it can be seen how far it
// is; what was done is returned beside an error.
func deleteRecords(ctx context.Context, cl *kgo.Client, wanted []clusterview.Resolved, show func(string, int, int)) ([]deletedRecords, error) {
	done := []deletedRecords{}
	defer show("deleting", len(wanted), len(wanted))
	for i, w := range wanted {
		show("deleting", i, len(wanted))
		req := kmsg.NewPtrDeleteRecordsRequest()
		req.TimeoutMillis = deleteRecordsTimeoutMs
		req.Topics = []kmsg.DeleteRecordsRequestTopic{{
			Topic: w.Topic, Partitions: []kmsg.DeleteRecordsRequestTopicPartition{{Partition: w.Partition, Offset: w.Offset}},
		}}
		resp, err := req.RequestWith(ctx, cl)
		if err != nil {
			return done, fmt.Errorf("delete records of partition %d of topic %q: %w", w.Partition, w.Topic, err)
		}
		if len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
			return done, &apiError{fmt.Sprintf("partition %d of topic %q", w.Partition, w.Topic), kerr.UnknownTopicOrPartition, ""}
		}
		p := resp.Topics[0].Partitions[0]
		if err := apiResult(p.ErrorCode, nil, "delete records of partition %d of topic %q", w.Partition, w.Topic); err != nil {
			return done, err
		}
		done = append(done, deletedRecords{w.Topic, w.Partition, p.LowWatermark})
	}
	return done, nil
}

func printDeleted(g *Globals, cmd *cobra.Command, rows []deletedRecords) error {
	if g.json() {
		return writeJSON(cmd.OutOrStdout(), rows)
	}
	t := newTable(cmd.OutOrStdout(), "TOPIC", "PARTITION", "FIRST OFFSET LEFT")
	for _, r := range rows {
		t.row(r.Topic, r.Partition, r.LowWatermark)
	}
	return t.flush()
}
