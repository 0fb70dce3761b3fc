package broker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/broker/kafkadir"
	"github.com/millrace/millrace/configs"
	"github.com/millrace/millrace/test/peers"
)

// compactionTopics are made on both brokers: one whose tombstones stay, with
// batches of every codec, and one whose tombstones go at the next compaction.
var compactionTopics = map[string]string{"long": "86400000", "short": "0"}

func createCompacted(t *testing.T, bootstrap string) {
	t.Helper()
	admin := kadm.NewClient(clientTo(t, bootstrap))
	text := func(s string) *string { return &s }
	for topic, retention := range compactionTopics {
		resp, err := admin.CreateTopic(t.Context(), 1, 1, map[string]*string{
			"cleanup.policy": text("compact"), "segment.bytes": text("1048576"), "min.cleanable.dirty.ratio": text("0.01"),
			"delete.retention.ms": text(retention), "file.delete.delay.ms": text("100"),
		}, topic)
		if err := errors.Join(err, resp.Err); err != nil {
			t.Fatal(err)
		}
	}
}

// fillCompacted writes the same batches in the same order wherever it is
// called: keys that repeat, tombstones, transactions that are committed and aborted.
func fillCompacted(t *testing.T, bootstrap, round string) {
	t.Helper()
	for topic := range compactionTopics {
		codecs := []kgo.CompressionCodec{kgo.NoCompression(), kgo.GzipCompression(), kgo.SnappyCompression(), kgo.Lz4Compression(), kgo.ZstdCompression()}
		for i, codec := range codecs {
			plain := clientTo(t, bootstrap, kgo.ProducerBatchCompression(codec), kgo.RecordPartitioner(kgo.ManualPartitioner()))
			for batch := range 25 {
				produceCompacted(t, plain, topic, fmt.Sprint(round, " ", i, " ", batch), i*1000+batch*7)
			}
			plain.Close()
			txn := clientTo(t, bootstrap, kgo.TransactionalID(fmt.Sprint(topic, i)), kgo.ProducerBatchCompression(codec), kgo.RecordPartitioner(kgo.ManualPartitioner()))
			for _, end := range []kgo.TransactionEndTry{kgo.TryCommit, kgo.TryAbort} {
				if err := txn.BeginTransaction(); err != nil {
					t.Fatal(err)
				}
				produceCompacted(t, txn, topic, fmt.Sprint(round, " transaction ", i, end), i*100)
				if err := txn.EndTransaction(t.Context(), end); err != nil {
					t.Fatal(err)
				}
			}
			txn.Close()
		}
	}
}

// produceCompacted sends one batch of 20 records, every fourth a tombstone.
func produceCompacted(t *testing.T, c *kgo.Client, topic, name string, seed int) {
	t.Helper()
	var records []*kgo.Record
	for i := range 20 {
		r := &kgo.Record{Topic: topic, Key: fmt.Appendf(nil, "key-%d", (seed*31+i*17)%97), Timestamp: time.UnixMilli(1_700_000_000_000 + int64(seed))}
		if (seed+i)%4 > 0 {
			r.Value = incompressible(fmt.Sprint(name, i), 2000)
		}
		records = append(records, r)
	}
	if err := c.ProduceSync(t.Context(), records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

// incompressible makes n bytes from a name, so that segments are of the same
// size whatever a codec's implementation makes of them, or nearly so.
func incompressible(name string, n int) []byte {
	out := []byte(name + ": ")
	state := uint64(len(name)) * 0x9e3779b97f4a7c15
	for _, c := range []byte(name) {
		state = (state ^ uint64(c)) * 0xbf58476d1ce4e5b9
	}
	for len(out) < n {
		state ^= state << 13
		state ^= state >> 7
		state ^= state << 17
		out = append(out, byte(state))
	}
	return out
}

// readCompacted reads a topic's committed records, one line each.
func readCompacted(t *testing.T, bootstrap, topic string) []string {
	t.Helper()
	c := clientTo(t, bootstrap, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {0: kgo.NewOffset().AtStart()}}), kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	defer c.Close()
	ends := must(kadm.NewClient(c).ListCommittedOffsets(t.Context(), topic))(t)
	end, _ := ends.Lookup(topic, 0)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var out []string
	next := int64(0)
	for next < end.Offset-1 { // the last record is a plain one
		f := c.PollFetches(ctx)
		if err := f.Err(); err != nil {
			t.Fatalf("read %s at %d of %d: %v", topic, next, end.Offset, err)
		}
		f.EachRecord(func(r *kgo.Record) {
			next = r.Offset
			out = append(out, fmt.Sprintf("%d %d %s %.40q %d %v", r.Offset, r.Timestamp.UnixMilli(), r.Key, r.Value, len(r.Value), r.Value == nil))
		})
	}
	return out
}

// endCompacted writes until what is to be compacted is in closed segments.
func endCompacted(t *testing.T, bootstrap, round string) {
	t.Helper()
	for topic := range compactionTopics {
		c := clientTo(t, bootstrap, kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.RecordPartitioner(kgo.ManualPartitioner()))
		for i := range 60 {
			r := &kgo.Record{Topic: topic, Key: fmt.Appendf(nil, "end-%s-%d", round, i), Value: incompressible(fmt.Sprint(round, i), 20_000), Timestamp: time.UnixMilli(1_700_000_100_000)}
			if err := c.ProduceSync(t.Context(), r).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
		c.Close()
	}
}

// settled reads a topic until no key but those of the active segment is there twice.
func settled(t *testing.T, bootstrap, topic string) []string {
	t.Helper()
	deadline := time.Now().Add(60 * time.Second)
	for {
		lines := readCompacted(t, bootstrap, topic)
		keys, repeated := map[string]bool{}, 0
		for _, line := range lines {
			key := strings.Fields(line)[2]
			if keys[key] {
				repeated++
			}
			keys[key] = true
		}
		if repeated == 0 {
			return lines
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: of %d records %d have keys that were there before", topic, len(lines), repeated)
		}
		<-time.After(200 * time.Millisecond) // another process compacts in its own time
	}
}

// valuesOf leaves out the tombstones.
func valuesOf(lines []string) []string {
	return slices.DeleteFunc(slices.Clone(lines), func(line string) bool { return strings.HasSuffix(line, " true") })
}

// TestCompactionAsApacheKafka writes the same to a real Kafka and to us and
// compares what compaction leaves; lets Kafka's tool read our files; and lets
// Kafka go on with our directory.
func TestCompactionAsApacheKafka(t *testing.T) {
	kafka := peers.Kafka(t, peers.KafkaProperties("log.cleaner.backoff.ms=100"))
	cfg := testConfig()
	cfg.Cleaner.Backoff = configs.Duration(50 * time.Millisecond)
	dir := t.TempDir()
	n := startNode(t, dir, cfg)
	for _, bootstrap := range []string{kafka.Bootstrap, n.Addr()} {
		createCompacted(t, bootstrap)
	}
	for _, round := range []string{"one", "two"} {
		for _, bootstrap := range []string{kafka.Bootstrap, n.Addr()} {
			fillCompacted(t, bootstrap, round)
			endCompacted(t, bootstrap, round)
		}
		for topic := range compactionTopics {
			theirs, ours := settled(t, kafka.Bootstrap, topic), settled(t, n.Addr(), topic)
			if topic == "short" {
				// When a tombstone's time has come depends on the runs of the cleaner.
				theirs, ours = valuesOf(theirs), valuesOf(ours)
			}
			if !slices.Equal(theirs, ours) {
				t.Errorf("round %s, %s: Kafka has %d records, we have %d:\n%s", round, topic, len(theirs), len(ours), firstDifference(theirs, ours))
			}
			t.Logf("round %s, %s: %d records are left on both", round, topic, len(ours))
		}
	}
	before := leftOver(t, n.Addr())
	n.stop()
	dumpCompacted(t, filepath.Join(dir, "logs"))
	kafka.Stop(t)
	if err := os.RemoveAll(kafka.LogDir); err != nil {
		t.Fatal(err)
	}
	if _, err := ExportKafka(t.Context(), ExportOptions{Dir: dir, To: kafka.LogDir, Mode: kafkadir.Link}); err != nil {
		t.Fatal(err)
	}
	kafka.Start()
	for topic, want := range before {
		if got := leftOver(t, kafka.Bootstrap)[topic]; !slices.Equal(got, want) {
			t.Errorf("%s opened by Kafka: %s", topic, firstDifference(got, want))
		}
	}
	fillCompacted(t, kafka.Bootstrap, "three")
	endCompacted(t, kafka.Bootstrap, "three")
	for topic := range compactionTopics {
		settled(t, kafka.Bootstrap, topic)
	}
	for line := range strings.Lines(kafka.Log()) {
		if about := strings.Contains(line, "long-0") || strings.Contains(line, "short-0"); about && (strings.Contains(line, "ERROR") || strings.Contains(line, "WARN")) || strings.Contains(line, "ncleanable") {
			t.Errorf("Kafka found something wrong: %s", line)
		}
	}
	kafka.Stop(t)
}

// leftOver are the records of each topic; of the short one without its tombstones,
// which go at any moment.
func leftOver(t *testing.T, bootstrap string) map[string][]string {
	t.Helper()
	return map[string][]string{"long": readCompacted(t, bootstrap, "long"), "short": valuesOf(readCompacted(t, bootstrap, "short"))}
}

func firstDifference(a, b []string) string {
	for i := range max(len(a), len(b)) {
		x, y := "nothing", "nothing"
		if i < len(a) {
			x = a[i]
		}
		if i < len(b) {
			y = b[i]
		}
		if x != y {
			return fmt.Sprintf("record %d: Kafka %s\n      we %s", i, x, y)
		}
	}
	return ""
}

// dumpCompacted lets DumpLogSegments read everything that compaction has written.
func dumpCompacted(t *testing.T, logs string) {
	t.Helper()
	var files []string
	for topic := range compactionTopics {
		for _, suffix := range []string{"log", "index", "timeindex", "txnindex"} {
			found, err := filepath.Glob(filepath.Join(logs, topic+"-0", "*."+suffix))
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, found...)
		}
	}
	out, err := peers.KafkaTool(t, "kafka.tools.DumpLogSegments", "--deep-iteration", "--print-data-log", "--files", strings.Join(files, ","))
	if err != nil {
		t.Fatal(err)
	}
	for _, complaint := range []string{"Mismatches in", "Could not find", "Found timestamp mismatch", "Found out of order", "Invalid", "isvalid: false", "Exception"} {
		if at := strings.Index(out, complaint); at >= 0 {
			t.Errorf("DumpLogSegments complains: %.500s", out[max(at-300, 0):])
		}
	}
	if !strings.Contains(out, "deleteHorizonMs: OptionalLong[") || !strings.Contains(out, "endTxnMarker: ") || strings.Count(out, "| offset: ") < 200 {
		t.Errorf("DumpLogSegments has found %d records, delete horizons %v, markers %v", strings.Count(out, "| offset: "), strings.Contains(out, "deleteHorizonMs: OptionalLong["), strings.Contains(out, "endTxnMarker: "))
	}
}
