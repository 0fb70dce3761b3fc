package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func txnCommand(g *Globals) *cobra.Command {
	return parent(&cobra.Command{Use: "txn", Short: "List and describe transactions, and abort those that hang"},
		txnList(g), txnDescribe(g), txnDescribeProducers(g), txnFindHanging(g), txnAbort(g))
}

// txnSummary is one row of txn list.
type txnSummary struct {
	ID         string `json:"transactional_id"`
	State      string `json:"state"`
	ProducerID int64  `json:"producer_id"`
}

func txnList(g *Globals) *cobra.Command {
	var states []string
	var pattern string
	var longer time.Duration
	c := g.command(&cobra.Command{
		Use: "list", Short: "List transactional ids with the state of their transaction", Aliases: []string{"ls"}, Args: Arguments(cobra.NoArgs),
	}, func(cmd *cobra.Command, _ []string) error {
		return g.withFranz(func(cl *kgo.Client) error {
			req := kmsg.NewPtrListTransactionsRequest()
			req.StateFilters = states
			if pattern != "" {
				req.TransactionalIDPattern = &pattern
			}
			if longer > 0 {
				req.DurationFilterMillis = longer.Milliseconds()
			}
			rows, err := listTransactions(cmd.Context(), cl, req)
			if err != nil {
				return err
			}
			if g.json() {
				return writeJSON(cmd.OutOrStdout(), rows)
			}
			t := newTable(cmd.OutOrStdout(), "TRANSACTIONAL ID", "STATE", "PRODUCER ID")
			for _, r := range rows {
				t.row(r.ID, r.State, r.ProducerID)
			}
			return t.flush()
		})
	})
	c.Flags().StringSliceVar(&states, "state", nil, "only `states` (Empty, Ongoing, PrepareCommit, PrepareAbort, CompleteCommit, CompleteAbort)")
	c.Flags().StringVar(&pattern, "pattern", "", "only ids that match the whole `regular expression`")
	c.Flags().DurationVar(&longer, "longer-than", 0, "only transactions that began longer than this ago, as 90s or 2h")
	return c
}

func listTransactions(ctx context.Context, cl *kgo.Client, req *kmsg.ListTransactionsRequest) ([]txnSummary, error) {
	resp, err := req.RequestWith(ctx, cl)
	if err == nil {
		err = kerr.ErrorForCode(resp.ErrorCode)
	}
	switch {
	case errors.Is(err, kerr.InvalidRegularExpression):
		return nil, usagef("--pattern %q is no regular expression", *req.TransactionalIDPattern)
	case err != nil:
		return nil, fmt.Errorf("list transactions: %w", err)
	case len(resp.UnknownStateFilters) > 0:
		return nil, usagef("--state %s does not exist: write Empty, Ongoing, PrepareCommit, PrepareAbort, CompleteCommit or CompleteAbort", strings.Join(resp.UnknownStateFilters, ","))
	}
	rows := make([]txnSummary, 0, len(resp.TransactionStates))
	for _, s := range resp.TransactionStates {
		rows = append(rows, txnSummary{s.TransactionalID, s.TransactionState, s.ProducerID})
	}
	slices.SortFunc(rows, func(a, b txnSummary) int { return strings.Compare(a.ID, b.ID) })
	return rows, nil
}

// txnDetail is what txn describe shows of one transactional id.
type txnDetail struct {
	txnSummary
	Epoch       int16           `json:"producer_epoch"`
	Coordinator int32           `json:"coordinator"`
	TimeoutMs   int32           `json:"timeout_ms"`
	Started     *time.Time      `json:"started,omitempty"`
	Topics      []txnPartitions `json:"topics"`
}

type txnPartitions struct {
	Topic      string  `json:"topic"`
	Partitions []int32 `json:"partitions"`
}

func txnDescribe(g *Globals) *cobra.Command {
	return g.command(&cobra.Command{
		Use: "describe TRANSACTIONAL-ID...", Short: "Show producer, times and partitions of transactions", Args: Arguments(cobra.MinimumNArgs(1)),
	}, func(cmd *cobra.Command, args []string) error {
		return g.withFranz(func(cl *kgo.Client) error {
			described, err := kadm.NewClient(cl).DescribeTransactions(cmd.Context(), args...)
			if err != nil {
				return fmt.Errorf("describe transactions: %w", err)
			}
			var rows []txnDetail
			var errs []error
			for _, d := range described.Sorted() {
				switch {
				case errors.Is(d.Err, kerr.TransactionalIDNotFound):
					errs = append(errs, fmt.Errorf("transactional id %q does not exist: \"millrace txn list\" shows those that do", d.TxnID))
				case d.Err != nil:
					errs = append(errs, fmt.Errorf("transactional id %q: %w", d.TxnID, d.Err))
				default:
					rows = append(rows, detailOf(d))
				}
			}
			return errors.Join(printTransactions(g, cmd, rows), joinErrors(errs))
		})
	})
}

func detailOf(d kadm.DescribedTransaction) txnDetail {
	out := txnDetail{
		txnSummary: txnSummary{d.TxnID, d.State, d.ProducerID}, Epoch: d.ProducerEpoch, Coordinator: d.Coordinator,
		TimeoutMs: d.TimeoutMillis, Topics: []txnPartitions{},
	}
	if d.StartTimestamp >= 0 {
		out.Started = new(time.UnixMilli(d.StartTimestamp).UTC())
	}
	for _, t := range d.Topics.Sorted() {
		out.Topics = append(out.Topics, txnPartitions{t.Topic, t.Partitions})
	}
	return out
}

func printTransactions(g *Globals, cmd *cobra.Command, rows []txnDetail) error {
	if len(rows) == 0 {
		return nil
	}
	if g.json() {
		return writeJSON(cmd.OutOrStdout(), rows)
	}
	t := newTable(cmd.OutOrStdout(), "TRANSACTIONAL ID", "STATE", "PRODUCER ID", "EPOCH", "COORDINATOR", "TIMEOUT", "STARTED", "PARTITIONS")
	for _, r := range rows {
		started, partitions := "-", make([]string, 0, len(r.Topics))
		if r.Started != nil {
			started = formatTime(*r.Started)
		}
		for _, p := range r.Topics {
			partitions = append(partitions, p.Topic+":"+joinInts(p.Partitions))
		}
		t.row(r.ID, r.State, r.ProducerID, r.Epoch, r.Coordinator, time.Duration(r.TimeoutMs)*time.Millisecond, started, strings.Join(partitions, " "))
	}
	return t.flush()
}

// txnProducer is one row of txn describe-producers and of txn find-hanging.
type txnProducer struct {
	Topic            string    `json:"topic"`
	Partition        int32     `json:"partition"`
	ProducerID       int64     `json:"producer_id"`
	Epoch            int16     `json:"producer_epoch"`
	CoordinatorEpoch int32     `json:"coordinator_epoch"`
	LastSequence     int32     `json:"last_sequence"`
	LastWritten      time.Time `json:"last_written"`
	// StartOffset is -1 without a transaction.
	StartOffset int64 `json:"transaction_start_offset"`
}

func describeProducers(ctx context.Context, cl *kgo.Client, topics kadm.TopicsSet) ([]txnProducer, error) {
	described, err := kadm.NewClient(cl).DescribeProducers(ctx, topics)
	if err != nil {
		return nil, fmt.Errorf("describe producers: %w", err)
	}
	rows := []txnProducer{}
	var errs []error
	described.EachPartition(func(p kadm.DescribedProducersPartition) {
		if p.Err != nil {
			errs = append(errs, fmt.Errorf("partition %d of topic %q: %w", p.Partition, p.Topic, p.Err))
		}
	})
	for _, p := range described.SortedProducers() {
		rows = append(rows, txnProducer{
			Topic: p.Topic, Partition: p.Partition, ProducerID: p.ProducerID, Epoch: p.ProducerEpoch, CoordinatorEpoch: p.CoordinatorEpoch,
			LastSequence: p.LastSequence, LastWritten: time.UnixMilli(p.LastTimestamp).UTC(), StartOffset: p.CurrentTxnStartOffset,
		})
	}
	return rows, joinErrors(errs)
}

func printProducers(g *Globals, cmd *cobra.Command, rows []txnProducer) error {
	if g.json() {
		return writeJSON(cmd.OutOrStdout(), rows)
	}
	t := newTable(cmd.OutOrStdout(), "TOPIC", "PARTITION", "PRODUCER ID", "EPOCH", "COORDINATOR EPOCH", "LAST SEQUENCE", "LAST WRITTEN", "TRANSACTION START")
	for _, r := range rows {
		t.row(r.Topic, r.Partition, r.ProducerID, r.Epoch, dash(int64(r.CoordinatorEpoch)), dash(int64(r.LastSequence)), formatTime(r.LastWritten), dash(r.StartOffset))
	}
	return t.flush()
}

func txnDescribeProducers(g *Globals) *cobra.Command {
	var partition int32
	c := g.command(&cobra.Command{
		Use: "describe-producers TOPIC --partition N", Short: "Show the producers that a partition remembers, with their open transactions",
		Args: Arguments(cobra.ExactArgs(1)),
	}, func(cmd *cobra.Command, args []string) error {
		return g.withFranz(func(cl *kgo.Client) error {
			topics := kadm.TopicsSet{}
			topics.Add(args[0], partition)
			rows, err := describeProducers(cmd.Context(), cl, topics)
			if err != nil {
				return err
			}
			return printProducers(g, cmd, rows)
		})
	})
	c.Flags().Int32Var(&partition, "partition", 0, "`number` of the partition")
	return c
}

func txnFindHanging(g *Globals) *cobra.Command {
	var longer time.Duration
	c := g.command(&cobra.Command{
		Use: "find-hanging [TOPIC...]", Short: "Find transactions that are open in a partition and that their coordinator does not know of",
		Long: "Finds transactions that are open in a partition, were last written longer than --longer-than ago, and that the transaction\n" +
			"coordinator does not know of: nothing will ever end them, and read_committed consumers wait at their start.",
		Args: Arguments(cobra.ArbitraryArgs),
	}, func(cmd *cobra.Command, args []string) error {
		return g.withFranz(func(cl *kgo.Client) error {
			topics := kadm.TopicsSet{}
			listed, err := kadm.NewClient(cl).ListTopicsWithInternal(cmd.Context(), args...)
			if err != nil {
				return fmt.Errorf("list topics: %w", err)
			}
			for _, t := range listed.Sorted() {
				if t.Err != nil {
					return fmt.Errorf("topic %q: %w", t.Topic, t.Err)
				}
				topics.Add(t.Topic, t.Partitions.Numbers()...)
			}
			rows, err := findHanging(cmd.Context(), cl, topics, time.Now().Add(-longer))
			if err != nil {
				return err
			}
			return printProducers(g, cmd, rows)
		})
	})
	c.Flags().DurationVar(&longer, "longer-than", 15*time.Minute, "only what was last written longer than this ago; not less than the longest transaction timeout")
	return c
}

// findHanging returns the open transactions that were last written before a
// time and that no coordinator has.
func findHanging(ctx context.Context, cl *kgo.Client, topics kadm.TopicsSet, before time.Time) ([]txnProducer, error) {
	hanging := []txnProducer{}
	if len(topics) == 0 {
		return hanging, nil
	}
	open, err := describeProducers(ctx, cl, topics)
	if err != nil {
		return nil, err
	}
	open = slices.DeleteFunc(open, func(p txnProducer) bool { return p.StartOffset < 0 || p.LastWritten.After(before) })
	if len(open) == 0 {
		return hanging, nil
	}
	known, err := knownPartitions(ctx, cl, open)
	if err != nil {
		return nil, err
	}
	for _, p := range open {
		if !known[openPartition{p.ProducerID, p.Topic, p.Partition}] {
			hanging = append(hanging, p)
		}
	}
	return hanging, nil
}

type openPartition struct {
	producerID int64
	topic      string
	partition  int32
}

// knownPartitions are those that coordinators have in the transactions of the producers.
func knownPartitions(ctx context.Context, cl *kgo.Client, producers []txnProducer) (map[openPartition]bool, error) {
	req := kmsg.NewPtrListTransactionsRequest()
	for _, p := range producers {
		req.ProducerIDFilters = append(req.ProducerIDFilters, p.ProducerID)
	}
	slices.Sort(req.ProducerIDFilters)
	req.ProducerIDFilters = slices.Compact(req.ProducerIDFilters)
	listed, err := listTransactions(ctx, cl, req)
	if err != nil {
		return nil, err
	}
	known := map[openPartition]bool{}
	if len(listed) == 0 {
		return known, nil
	}
	ids := make([]string, len(listed))
	for i, t := range listed {
		ids[i] = t.ID
	}
	described, err := kadm.NewClient(cl).DescribeTransactions(ctx, ids...)
	if err != nil {
		return nil, fmt.Errorf("describe transactions: %w", err)
	}
	for _, d := range described {
		if d.Err != nil && !errors.Is(d.Err, kerr.TransactionalIDNotFound) {
			return nil, fmt.Errorf("transactional id %q: %w", d.TxnID, d.Err)
		}
		d.Topics.Each(func(topic string, partition int32) { known[openPartition{d.ProducerID, topic, partition}] = true })
	}
	return known, nil
}

func txnAbort(g *Globals) *cobra.Command {
	var partition int32
	var start int64
	c := g.command(&cobra.Command{
		Use: "abort TOPIC --partition N --start-offset OFFSET", Short: "Abort a transaction that hangs in a partition",
		Long: "Aborts the transaction that began at an offset of a partition (txn find-hanging, txn describe-producers), by a marker in that\n" +
			"partition alone. It is for transactions that no coordinator knows of; others end by their timeout.",
		Args: Arguments(cobra.ExactArgs(1)),
	}, func(cmd *cobra.Command, args []string) error {
		return g.withFranz(func(cl *kgo.Client) error {
			topics := kadm.TopicsSet{}
			topics.Add(args[0], partition)
			producers, err := describeProducers(cmd.Context(), cl, topics)
			if err != nil {
				return err
			}
			at := slices.IndexFunc(producers, func(p txnProducer) bool { return p.StartOffset == start })
			if at < 0 {
				return fmt.Errorf("no transaction of partition %d of topic %q began at offset %d: \"millrace txn describe-producers\" shows the open ones", partition, args[0], start)
			}
			p := producers[at]
			if err := abortIn(cmd.Context(), cl, p, topics); err != nil {
				return err
			}
			if g.json() {
				return writeJSON(cmd.OutOrStdout(), p)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "aborted the transaction of producer %d that began at offset %d of partition %d of topic %s\n", p.ProducerID, start, partition, printable(args[0]))
			return nil
		})
	})
	c.Flags().Int32Var(&partition, "partition", 0, "`number` of the partition")
	c.Flags().Int64Var(&start, "start-offset", 0, "`offset` at which the transaction began")
	for _, name := range []string{"partition", "start-offset"} {
		if err := c.MarkFlagRequired(name); err != nil {
			panic(err) // the flags are defined above
		}
	}
	return c
}

func abortIn(ctx context.Context, cl *kgo.Client, p txnProducer, topics kadm.TopicsSet) error {
	written, err := kadm.NewClient(cl).WriteTxnMarkers(ctx, kadm.TxnMarkers{
		ProducerID: p.ProducerID, ProducerEpoch: p.Epoch, CoordinatorEpoch: max(p.CoordinatorEpoch, 0), Topics: topics,
	})
	if err != nil {
		return fmt.Errorf("write the marker: %w", err)
	}
	var errs []error
	written.EachPartition(func(r kadm.TxnMarkersPartitionResponse) {
		if r.Err != nil {
			errs = append(errs, fmt.Errorf("write the marker to partition %d of topic %q: %w", r.Partition, r.Topic, r.Err))
		}
	})
	return joinErrors(errs)
}
