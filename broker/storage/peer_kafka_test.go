package storage

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/test/peers"
)

// kafkaTransactions has several producers write to one partition of an Apache Kafka,
// with transactions that overlap, and returns the values that were committed.
func kafkaTransactions(t *testing.T, kafka *peers.KafkaServer, topic string) map[string]bool {
	ctx := t.Context()
	random := rand.New(rand.NewPCG(1, 5))
	var producers []*kgo.Client
	for i := range 4 {
		c, err := kgo.NewClient(kgo.SeedBrokers(kafka.Bootstrap), kgo.DefaultProduceTopic(topic), kgo.TransactionalID(fmt.Sprint("tx", i)),
			kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.AllowAutoTopicCreation(), kgo.UnknownTopicRetries(50))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		producers = append(producers, c)
	}
	committed, open := map[string]bool{}, map[int][]string{}
	end := func(i int, commit bool) {
		if err := producers[i].EndTransaction(ctx, kgo.TransactionEndTry(commit)); err != nil {
			t.Fatalf("end transaction: %v", err)
		}
		for _, v := range open[i] {
			committed[v] = commit
		}
		delete(open, i)
	}
	for n := range 260 {
		i := random.IntN(len(producers))
		_, begun := open[i]
		if begun && random.IntN(3) == 0 {
			end(i, random.IntN(2) == 0)
			continue
		}
		if !begun {
			if err := producers[i].BeginTransaction(); err != nil {
				t.Fatal(err)
			}
		}
		value := fmt.Sprintf("%d from %d %s", n, i, strings.Repeat("x", random.IntN(20_000)))
		if err := producers[i].ProduceSync(ctx, kgo.StringRecord(value)).FirstErr(); err != nil {
			t.Fatalf("produce: %v", err)
		}
		open[i] = append(open[i], value)
	}
	for i := range producers {
		if _, begun := open[i]; begun && i > 0 { // the first one's transaction goes on
			end(i, false)
		}
	}
	if _, begun := open[0]; !begun {
		t.Fatal("the first producer has no ongoing transaction")
	}
	return committed
}

// TestTransactionFilesAreKafkas takes a partition that Apache Kafka wrote, with
// transactions, in several segments: we read it as Kafka does, and a log of ours that gets the same batches as
// a follower writes the same transaction indexes and snapshots, byte for byte.
func TestTransactionFilesAreKafkas(t *testing.T) {
	kafka := peers.Kafka(t, peers.KafkaProperties("num.partitions=1", "log.segment.bytes=1048576"))
	committed := kafkaTransactions(t, kafka, "txns")
	kafka.Stop(t)

	dir := t.TempDir()
	if err := os.CopyFS(filepath.Join(dir, "txns-0"), os.DirFS(filepath.Join(kafka.LogDir, "txns-0"))); err != nil {
		t.Fatal(err)
	}
	names, err := filepath.Glob(filepath.Join(dir, "txns-0", "*"+suffixTxnIndex))
	if err != nil || len(names) < 2 {
		t.Fatalf("Kafka's transaction indexes: %v, %v", names, err)
	}
	s := mustOpen(t, Config{Dir: dir})
	defer mustClose(t, s)
	l, ok := s.Log(TopicPartition{"txns", 0})
	if !ok || l.Err() != nil {
		t.Fatal(ok, l.Err())
	}
	got, err := readCommitted(l, 0, 300_000)
	if err != nil {
		t.Fatal(err)
	}
	if l.LastStableOffset() >= l.HighWatermark() {
		t.Errorf("last stable offset %d, high watermark %d, but a transaction goes on", l.LastStableOffset(), l.HighWatermark())
	}
	visible := 0
	for _, v := range got {
		if _, value, _ := strings.Cut(v, "="); !committed[value] {
			t.Errorf("%.40s was not committed", v)
		}
		visible++
	}
	if visible == 0 {
		t.Error("no committed records")
	}
	copied, err := s.CreateLog(TopicPartition{"copied", 0}, [16]byte{1}, func() LogConfig { c := DefaultLogConfig(); c.SegmentBytes = 1 << 20; return c }(), 0)
	if err != nil {
		t.Fatal(err)
	}
	copyLog(t, l, copied, 1) // batch by batch, so that segments end where Kafka's do
	if err := copied.checkpoint(); err != nil {
		t.Fatal(err)
	}
	compareTransactionFiles(t, l.Dir(), copied.Dir())
	again, err := readCommitted(copied, 0, 1000)
	if err != nil || !slices.Equal(again, got) {
		t.Errorf("the copy has %d committed records, the original %d, %v", len(again), len(got), err)
	}
	dumpTransactionFiles(t, copied)
}

// compareTransactionFiles compares what Kafka wrote with what we wrote of the same batches.
func compareTransactionFiles(t *testing.T, kafka, ours string) {
	t.Helper()
	for _, suffix := range []string{suffixLog, suffixTxnIndex, suffixSnapshot} {
		names, err := filepath.Glob(filepath.Join(kafka, "*"+suffix))
		if err != nil || len(names) < 2 {
			t.Fatalf("%s: %v, %v", suffix, names, err)
		}
		for _, name := range names {
			want, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			got, err := os.ReadFile(filepath.Join(ours, filepath.Base(name)))
			if err != nil {
				t.Errorf("ours: %v", err)
				continue
			}
			if suffix == suffixSnapshot {
				want, got = lastEntries(t, want), lastEntries(t, got)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("%s:\n  ours %.2000x\nKafka's %.2000x", filepath.Base(name), got, want)
			}
		}
	}
}

// lastEntries leaves the last entry of each producer in a snapshot, as Kafka writes
// and reads it, in the order of ids.
func lastEntries(t *testing.T, content []byte) []byte {
	t.Helper()
	entries, err := decodeSnapshot(content)
	if err != nil {
		t.Fatal(err)
	}
	byID := map[int64]snapshotEntry{}
	for _, e := range entries {
		byID[e.producerID] = e
	}
	var out []snapshotEntry
	for _, e := range byID {
		out = append(out, e)
	}
	slices.SortFunc(out, func(a, b snapshotEntry) int { return int(a.producerID - b.producerID) })
	return encodeSnapshot(out)
}

// dumpTransactionFiles has Kafka's own tool read our files.
func dumpTransactionFiles(t *testing.T, l *Log) {
	t.Helper()
	dump := func(suffix string) string {
		t.Helper()
		names, err := filepath.Glob(filepath.Join(l.Dir(), "*"+suffix))
		if err != nil || len(names) == 0 {
			t.Fatalf("%s: %v, %v", suffix, names, err)
		}
		args := []string{"--files", strings.Join(names, ",")}
		if suffix == suffixLog {
			args = append(args, "--print-data-log")
		}
		out, err := peers.KafkaTool(t, "kafka.tools.DumpLogSegments", args...)
		if err != nil || strings.Contains(out, "Found invalid") || strings.Contains(out, "Mismatches in") {
			t.Fatalf("%s: %v\n%.3000s", suffix, err, out)
		}
		return out
	}
	aborted := 0
	for _, seg := range l.list() {
		aborted += int(seg.abortedTxns.Load())
	}
	if n := len(regexp.MustCompile(`version: 0 producerId: \d+ firstOffset: \d+ lastOffset: \d+ lastStableOffset: \d+`).FindAllString(dump(suffixTxnIndex), -1)); n != aborted || n < 10 {
		t.Errorf("Kafka reads %d aborted transactions, we have %d", n, aborted)
	}
	out := dump(suffixSnapshot)
	for _, p := range l.ActiveProducers() {
		txn := "OptionalLong.empty"
		if p.TxnFirstOffset >= 0 {
			txn = fmt.Sprintf("OptionalLong[%d]", p.TxnFirstOffset)
		}
		if want := fmt.Sprintf("producerId: %d producerEpoch: %d coordinatorEpoch: %d currentTxnFirstOffset: %s", p.ProducerID, p.Epoch, p.CoordinatorEpoch, txn); !strings.Contains(out, want) {
			t.Errorf("Kafka does not print %q:\n%.3000s", want, out)
		}
	}
	if out := dump(suffixLog); !strings.Contains(out, "endTxnMarker: ABORT coordinatorEpoch: 0") || !strings.Contains(out, "endTxnMarker: COMMIT coordinatorEpoch: 0") {
		t.Errorf("no markers in\n%.3000s", out)
	}
}
