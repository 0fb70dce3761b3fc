package broker

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/kafkadir"
	"github.com/millrace/millrace/test/peers"
)

// clusterView is what clients see of a cluster: what must be the same before and
// after a move.
type clusterView struct {
	// topics: id, number of partitions and the configs that were set.
	topics map[string]string
	// records by partition, one line each: offset, timestamp, key, value, headers.
	records map[string][]string
	// ends are first and last offset of each partition.
	ends map[string]string
	// committed are the offsets of each group.
	committed map[string]string
	// users are quotas and SCRAM credentials.
	users map[string]string
}

func viewCluster(t *testing.T, bootstrap string) clusterView {
	t.Helper()
	c := clientTo(t, bootstrap)
	admin := kadm.NewClient(c)
	v := clusterView{topics: map[string]string{}, records: map[string][]string{}, ends: map[string]string{}, committed: map[string]string{}, users: map[string]string{}}
	topics := must(admin.ListTopicsWithInternal(t.Context()))(t)
	configs := must(admin.DescribeTopicConfigs(t.Context(), topics.Names()...))(t)
	for _, topic := range topics.Sorted() {
		v.topics[topic.Topic] = fmt.Sprintf("%s %d", topic.ID, len(topic.Partitions))
		own, err := configs.On(topic.Topic, nil)
		if err != nil {
			t.Fatal(err)
		}
		var set []string
		for _, cfg := range own.Configs {
			if strings.HasPrefix(cfg.Source.String(), "DYNAMIC_TOPIC") {
				set = append(set, cfg.Key+"="+cfg.MaybeValue())
			}
		}
		slices.Sort(set)
		v.topics[topic.Topic] += " " + strings.Join(set, " ")
	}
	starts, ends := must(admin.ListStartOffsets(t.Context(), topics.Names()...))(t), must(admin.ListEndOffsets(t.Context(), topics.Names()...))(t)
	last := map[string]map[int32]int64{}
	ends.Each(func(o kadm.ListedOffset) {
		if o.Err != nil {
			t.Fatalf("end of %s-%d: %v", o.Topic, o.Partition, o.Err)
		}
		start, _ := starts.Lookup(o.Topic, o.Partition)
		v.ends[fmt.Sprintf("%s-%d", o.Topic, o.Partition)] = fmt.Sprintf("%d to %d", start.Offset, o.Offset)
		if o.Offset > start.Offset {
			if last[o.Topic] == nil {
				last[o.Topic] = map[int32]int64{}
			}
			last[o.Topic][o.Partition] = o.Offset
		}
	})
	v.read(t, bootstrap, starts, last)
	for _, q := range must(admin.DescribeClientQuotas(t.Context(), false, []kadm.DescribeClientQuotaComponent{{Type: "user", MatchType: kmsg.QuotasMatchTypeAny}, {Type: "client-id", MatchType: kmsg.QuotasMatchTypeAny}}))(t) {
		slices.SortFunc(q.Values, func(a, b kadm.ClientQuotaValue) int { return strings.Compare(a.Key, b.Key) })
		v.users[q.Entity.String()] = fmt.Sprint(q.Values)
	}
	for name, u := range must(admin.DescribeUserSCRAMs(t.Context()))(t) {
		v.users[name] = fmt.Sprint(u.CredInfos)
	}
	groups := must(admin.ListGroups(t.Context()))(t)
	for _, g := range groups.Groups() {
		must(admin.FetchOffsets(t.Context(), g))(t).Each(func(o kadm.OffsetResponse) {
			v.committed[fmt.Sprintf("%s %s-%d", g, o.Topic, o.Partition)] = fmt.Sprintf("%d %q %d", o.At, o.Metadata, o.LeaderEpoch)
		})
	}
	return v
}

// read reads all records of partitions that have some, committed ones only.
func (v *clusterView) read(t *testing.T, bootstrap string, starts kadm.ListedOffsets, last map[string]map[int32]int64) {
	t.Helper()
	from := map[string]map[int32]kgo.Offset{}
	for topic, partitions := range last {
		from[topic] = map[int32]kgo.Offset{}
		for p := range partitions {
			start, _ := starts.Lookup(topic, p)
			from[topic][p] = kgo.NewOffset().At(start.Offset)
		}
	}
	c := clientTo(t, bootstrap, kgo.ConsumePartitions(from), kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords())
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for len(last) > 0 {
		fetches := c.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatalf("read %v: %v", last, err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			name := fmt.Sprintf("%s-%d", r.Topic, r.Partition)
			if !r.Attrs.IsControl() {
				v.records[name] = append(v.records[name], fmt.Sprintf("%d %d %q %q %q %v", r.Offset, r.Timestamp.UnixMilli(), r.Key, r.Value, r.Headers, r.Attrs.CompressionType()))
			}
			if r.Offset == last[r.Topic][r.Partition]-1 {
				if delete(last[r.Topic], r.Partition); len(last[r.Topic]) == 0 {
					delete(last, r.Topic)
				}
			}
		})
	}
}

func clientTo(t *testing.T, bootstrap string, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	c, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(bootstrap)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// must turns a result with an error into one that ends the test.
func must[T any](v T, err error) func(t *testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// without takes the configs of topics away that the report says were not taken.
func (v clusterView) without(notTaken []kafkadir.Finding) {
	for _, f := range notTaken {
		topic, ok := strings.CutPrefix(f.What, "topic ")
		config, _, ok2 := strings.Cut(strings.TrimPrefix(f.Why, "config "), ":")
		if ok && ok2 {
			v.topics[topic] = strings.Replace(v.topics[topic], " "+config, "", 1)
		}
	}
}

func (v clusterView) compare(t *testing.T, now clusterView) {
	t.Helper()
	compareMaps(t, "topics", v.topics, now.topics)
	compareMaps(t, "offsets", v.ends, now.ends)
	compareMaps(t, "users", v.users, now.users)
	compareMaps(t, "committed", v.committed, now.committed)
	for name := range v.records {
		if !slices.Equal(v.records[name], now.records[name]) {
			t.Errorf("%s: %d records before, %d now, or not the same ones", name, len(v.records[name]), len(now.records[name]))
		}
	}
}

func compareMaps(t *testing.T, what string, was, is map[string]string) {
	t.Helper()
	for key := range was {
		if was[key] != is[key] {
			t.Errorf("%s of %s: was %q, is %q", what, key, was[key], is[key])
		}
	}
	for _, key := range slices.Sorted(maps.Keys(is)) {
		if _, ok := was[key]; !ok {
			t.Errorf("%s of %s: was not there, is %q", what, key, is[key])
		}
	}
}

// fillCluster writes what a move must keep: all codecs, idempotent and
// transactional producers, segments, deleted records, groups, configs.
func fillCluster(t *testing.T, bootstrap, run string) {
	t.Helper()
	admin := kadm.NewClient(clientTo(t, bootstrap))
	for name, codec := range map[string]kgo.CompressionCodec{
		"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(), "lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	} {
		topic := "move." + name
		if resp, err := admin.CreateTopic(t.Context(), 2, 1, map[string]*string{"segment.bytes": new("1048576"), "retention.ms": new("-1")}, topic); err != nil && run == "1" {
			t.Fatal(err, resp.Err)
		}
		c := clientTo(t, bootstrap, kgo.ProducerBatchCompression(codec), kgo.RecordPartitioner(kgo.RoundRobinPartitioner()))
		var records []*kgo.Record
		for i := range 6000 {
			r := &kgo.Record{Topic: topic, Key: fmt.Append(nil, run, i), Value: bytes.Repeat(fmt.Append(nil, i), 200), Headers: []kgo.RecordHeader{{Key: "h", Value: []byte(run)}}}
			if i%7 == 0 {
				r.Value = nil
			}
			records = append(records, r)
		}
		if err := c.ProduceSync(t.Context(), records...).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	fillGroups(t, bootstrap, run)
	fillUsers(t, admin, run)
}

func fillUsers(t *testing.T, admin *kadm.Client, run string) {
	t.Helper()
	entity := kadm.ClientQuotaEntity{{Type: "user", Name: new("user" + run)}, {Type: "client-id"}}
	if _, err := admin.AlterClientQuotas(t.Context(), []kadm.AlterClientQuotaEntry{
		{Entity: entity, Ops: []kadm.AlterClientQuotaOp{{Key: "producer_byte_rate", Value: 1e9}, {Key: "request_percentage", Value: 150.5}}},
	}); err != nil {
		t.Fatal(err)
	}
	altered, err := admin.AlterUserSCRAMs(t.Context(), nil, []kadm.UpsertSCRAM{{User: "user" + run, Mechanism: kadm.ScramSha512, Iterations: 5000, Password: "secret"}})
	if err := errors.Join(err, altered.Error()); err != nil {
		t.Fatal(err)
	}
}

func fillGroups(t *testing.T, bootstrap, run string) {
	t.Helper()
	c := clientTo(t, bootstrap, kgo.ConsumerGroup("group"+run), kgo.ConsumeTopics("move.zstd", "move.lz4"), kgo.DisableAutoCommit())
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c.PollRecords(ctx, 100)
	if err := c.CommitUncommittedOffsets(ctx); err != nil {
		t.Fatal(err)
	}
	c.Close()
	// A group that no consumer has joined, with metadata.
	var offsets kadm.Offsets
	offsets.Add(kadm.Offset{Topic: "move.none", Partition: 1, At: 17, LeaderEpoch: -1, Metadata: "by hand " + run})
	if err := kadm.NewClient(clientTo(t, bootstrap)).CommitAllOffsets(t.Context(), "simple"+run, offsets); err != nil {
		t.Fatal(err)
	}
}

// fillTransactions commits one transaction and aborts another, and returns when
// their markers are written: EndTxn is answered before (KIP-890), and an aborted
// record that has no marker yet is the last of its partition that a reader never sees.
func fillTransactions(t *testing.T, bootstrap, run string) {
	t.Helper()
	for _, end := range []kgo.TransactionEndTry{kgo.TryCommit, kgo.TryAbort} {
		c := clientTo(t, bootstrap, kgo.TransactionalID(fmt.Sprintf("txn-%s-%v", run, end)))
		if err := c.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		for i := range 100 {
			c.Produce(t.Context(), &kgo.Record{Topic: "move.none", Value: fmt.Appendf(nil, "transaction %v %d", end, i)}, nil)
		}
		if err := errors.Join(c.Flush(t.Context()), c.EndTransaction(t.Context(), end)); err != nil {
			t.Fatal(err)
		}
	}
	admin := kadm.NewClient(clientTo(t, bootstrap))
	undecided := []string{"Ongoing", "PrepareCommit", "PrepareAbort"}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for len(must(admin.ListTransactions(ctx, nil, undecided))(t)) > 0 {
		<-again.C
	}
}

// deleteFirst deletes the first records of a partition, so that the log does
// not begin at 0.
func deleteFirst(t *testing.T, bootstrap string) {
	t.Helper()
	var offsets kadm.Offsets
	offsets.Add(kadm.Offset{Topic: "move.gzip", Partition: 0, At: 123})
	resp, err := kadm.NewClient(clientTo(t, bootstrap)).DeleteRecords(t.Context(), offsets)
	if err := errors.Join(err, resp.Error()); err != nil {
		t.Fatal(err)
	}
}

// startMoved imports and starts a node on the result.
func startMoved(t *testing.T, o ImportOptions) (*testNode, *ImportReport) {
	t.Helper()
	cfg := testConfig()
	o.Config = cfg
	report, err := ImportKafka(t.Context(), o)
	if err != nil {
		t.Fatalf("%v\n%+v", err, report)
	}
	return startNodeWith(t, cfg, Options{Dir: o.Dir, Layout: o.Layout}), report
}

// TestMoveFromApacheKafkaAndBack imports a real Kafka's data directory, writes to
// it, exports it, and lets the same Kafka go on with it. The node's partitions lie as Kafka's do.
func TestMoveFromApacheKafkaAndBack(t *testing.T) {
	kafka := peers.Kafka(t, peers.KafkaProperties("log.segment.bytes=1048576"))
	fillCluster(t, kafka.Bootstrap, "1")
	fillTransactions(t, kafka.Bootstrap, "1")
	deleteFirst(t, kafka.Bootstrap)
	before := viewCluster(t, kafka.Bootstrap)
	if len(before.users) != 2 || len(before.committed) == 0 || len(before.records) < 10 {
		t.Fatalf("the cluster was not filled: %v, %v, records of %d partitions", before.users, before.committed, len(before.records))
	}
	dir := t.TempDir()
	if _, err := ImportKafka(t.Context(), ImportOptions{From: []string{kafka.LogDir}, Dir: filepath.Join(dir, "running"), Config: testConfig(), Mode: kafkadir.Copy}); !errors.Is(err, kafkadir.ErrRunning) {
		t.Fatalf("import from a running Kafka: %v", err)
	}
	kafka.Stop(t)
	if err := os.Mkdir(filepath.Join(dir, "old-0"), 0o755); err != nil {
		t.Fatal(err)
	}
	for to, want := range map[string]string{kafka.LogDir: "in place", dir: "old-0 is there already"} {
		if _, err := ImportKafka(t.Context(), ImportOptions{From: []string{kafka.LogDir}, Dir: to, Layout: LayoutKafka, Config: testConfig(), Mode: kafkadir.Copy}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("import into %s: %v", to, err)
		}
	}
	n, report := startMoved(t, ImportOptions{From: []string{kafka.LogDir}, Dir: filepath.Join(dir, "node"), Layout: LayoutKafka, Mode: kafkadir.Copy})
	if !report.CleanShutdown || len(report.Gaps)+len(report.Cut) > 0 {
		t.Errorf("report %+v", report)
	}
	before.without(report.NotTaken)
	before.compare(t, viewCluster(t, n.Addr()))

	fillCluster(t, n.Addr(), "2")
	createTopic(t, n, "move.empty", 2, nil) // Kafka wants index files of a log without records too
	after := viewCluster(t, n.Addr())
	n.stop()
	if err := os.RemoveAll(kafka.LogDir); err != nil {
		t.Fatal(err)
	}
	exported, err := ExportKafka(t.Context(), ExportOptions{Dir: filepath.Join(dir, "node"), Layout: LayoutKafka, To: kafka.LogDir, Mode: kafkadir.Link})
	if err != nil {
		t.Fatal(err)
	}
	if exported.Topics != len(after.topics) || exported.Partitions != len(after.ends) {
		t.Errorf("exported %+v", exported)
	}
	kafka.Start()
	after.compare(t, viewCluster(t, kafka.Bootstrap))
	if log := kafka.Log(); strings.Contains(log, "ERROR") || strings.Contains(log, "orrupt") || strings.Contains(log, "ebuilding") {
		t.Errorf("Kafka found something wrong:\n%s", log)
	}
	fillCluster(t, kafka.Bootstrap, "3")
	fillTransactions(t, kafka.Bootstrap, "3")
	kafka.Stop(t)
}

// TestImportAfterAKill takes over what a killed Kafka leaves, with a torn end
// of a log, by hard links, and lets Kafka go on with the source afterwards.
func TestImportAfterAKill(t *testing.T) {
	kafka := peers.Kafka(t, peers.KafkaProperties("log.segment.bytes=1048576", "log.cleaner.backoff.ms=100", "log.cleaner.min.cleanable.ratio=0.01"))
	fillCluster(t, kafka.Bootstrap, "1")
	fillTransactions(t, kafka.Bootstrap, "1")
	before := viewCluster(t, kafka.Bootstrap)
	kafka.Kill()
	torn := newestSegment(t, filepath.Join(kafka.LogDir, "move.none-1"))
	appendTo(t, torn, bytes.Repeat([]byte("torn"), 100))
	source := treeOf(t, kafka.LogDir)
	dir := filepath.Join(t.TempDir(), "node")
	n, report := startMoved(t, ImportOptions{From: []string{kafka.LogDir}, Dir: dir, Mode: kafkadir.Link})
	if report.CleanShutdown || len(report.Gaps) > 0 || len(report.Cut) != 1 || report.Cut[0].What != "move.none-1" {
		t.Errorf("report %+v", report)
	}
	before.without(report.NotTaken)
	before.compare(t, viewCluster(t, n.Addr()))
	fillCluster(t, n.Addr(), "2")
	n.stop()
	compareMaps(t, "the source's files", source, treeOf(t, kafka.LogDir))
	kafka.Start()
	again := viewCluster(t, kafka.Bootstrap)
	again.without(report.NotTaken)
	before.compare(t, again)
	kafka.Kill()
}

// treeOf is every file of a directory with a checksum; locks do not count.
func treeOf(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == lockName {
			return err
		}
		content, err := os.ReadFile(path)
		files[path] = fmt.Sprintf("%d bytes, %x", len(content), sha256.Sum256(content))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func newestSegment(t *testing.T, dir string) string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.log"))
	if err != nil || len(names) < 2 {
		t.Fatalf("%s has segments %v, %v", dir, names, err)
	}
	slices.Sort(names)
	return names[len(names)-1]
}

func appendTo(t *testing.T, name string, content []byte) {
	t.Helper()
	f, err := os.OpenFile(name, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err = f.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}
