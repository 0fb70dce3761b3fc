package compat

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

func franz(t *testing.T, n *node, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	c, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(n.addr)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// TestFranzProduceConsume: idempotent by default, all codecs, and what was written comes back.
func TestFranzProduceConsume(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	n.createTopic("franz", 3)
	codecs := map[string]kgo.CompressionCodec{
		"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(), "lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	}
	want := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(codecs)) {
		c := franz(t, n, kgo.ProducerBatchCompression(codecs[name]), kgo.DefaultProduceTopic("franz"))
		var records []*kgo.Record
		for i := range 500 {
			value := fmt.Sprintf("%s-%d", name, i)
			want[value] = true
			records = append(records, &kgo.Record{Key: []byte(value), Value: []byte(value), Headers: []kgo.RecordHeader{{Key: "h", Value: nil}}})
		}
		if err := c.ProduceSync(within(t, time.Minute), records...).FirstErr(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	c := franz(t, n, kgo.ConsumeTopics("franz"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	for ctx := within(t, time.Minute); len(want) > 0; {
		fetches := c.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			if !want[string(r.Value)] || string(r.Key) != string(r.Value) || len(r.Headers) != 1 {
				t.Errorf("unexpected or repeated record %q", r.Value)
			}
			delete(want, string(r.Value))
		})
	}
}

// franzMember is one client of a group.
type franzMember struct {
	*kgo.Client
	mu   sync.Mutex
	owns map[int32]bool
	seen map[string]int
	// lost counts partitions that were taken away.
	lost int
}

func franzJoin(t *testing.T, n *node, opts ...kgo.Opt) *franzMember {
	m := &franzMember{owns: map[int32]bool{}, seen: map[string]int{}}
	assigned := func(_ context.Context, _ *kgo.Client, parts map[string][]int32) {
		m.mu.Lock()
		defer m.mu.Unlock()
		for _, p := range parts["shared"] {
			m.owns[p] = true
		}
	}
	revoked := func(_ context.Context, _ *kgo.Client, parts map[string][]int32) {
		m.mu.Lock()
		defer m.mu.Unlock()
		for _, p := range parts["shared"] {
			delete(m.owns, p)
			m.lost++
		}
	}
	m.Client = franz(t, n, append([]kgo.Opt{
		kgo.ConsumerGroup("franz-group"), kgo.ConsumeTopics("shared"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.SessionTimeout(30 * time.Second), kgo.HeartbeatInterval(300 * time.Millisecond), kgo.AutoCommitInterval(100 * time.Millisecond),
		kgo.OnPartitionsAssigned(assigned), kgo.OnPartitionsRevoked(revoked), kgo.OnPartitionsLost(revoked),
	}, opts...)...)
	go func() {
		for {
			fetches := m.PollFetches(t.Context())
			if fetches.IsClientClosed() || t.Context().Err() != nil {
				return
			}
			m.mu.Lock()
			fetches.EachRecord(func(r *kgo.Record) { m.seen[string(r.Value)]++ })
			m.mu.Unlock()
		}
	}()
	return m
}

func (m *franzMember) state() (owns, seen, lost int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.owns), len(m.seen), m.lost
}

// TestFranzGroup: cooperative and eager rebalances, with dynamic and static members.
func TestFranzGroup(t *testing.T) {
	t.Parallel()
	for name, balancer := range map[string]kgo.GroupBalancer{
		"cooperative-sticky": kgo.CooperativeStickyBalancer(), "sticky": kgo.StickyBalancer(), "range": kgo.RangeBalancer(),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := startNode(t)
			n.createTopic("shared", 6)
			producer := franz(t, n, kgo.DefaultProduceTopic("shared"))
			send := func(label string) {
				for i := range 60 {
					if err := producer.ProduceSync(within(t, time.Minute), kgo.StringRecord(fmt.Sprintf("%s-%d", label, i))).FirstErr(); err != nil {
						t.Fatal(err)
					}
				}
			}
			send("first")
			a := franzJoin(t, n, kgo.Balancers(balancer))
			eventually(t, "one member owns and reads everything", func() bool { owns, seen, _ := a.state(); return owns == 6 && seen == 60 })
			b := franzJoin(t, n, kgo.Balancers(balancer), kgo.InstanceID("static"))
			eventually(t, "two members share", func() bool {
				ownsA, _, _ := a.state()
				ownsB, _, _ := b.state()
				return ownsA == 3 && ownsB == 3
			})
			if _, _, lost := a.state(); name == "cooperative-sticky" && lost != 3 {
				t.Errorf("a cooperative rebalance took %d partitions away, 3 had to go", lost)
			}
			send("second")
			eventually(t, "both read", func() bool {
				_, seenA, _ := a.state()
				_, seenB, _ := b.state()
				return seenA+seenB >= 120
			})
			// A static member that comes back within its session gets the same partitions at once.
			b.Close()
			again := franzJoin(t, n, kgo.Balancers(balancer), kgo.InstanceID("static"))
			eventually(t, "the static member is back", func() bool { owns, _, _ := again.state(); return owns == 3 })
			if owns, _, _ := a.state(); owns != 3 {
				t.Errorf("the other member owns %d partitions", owns)
			}
			a.Close()
			eventually(t, "the static member has everything", func() bool { owns, _, _ := again.state(); return owns == 6 })
			again.mu.Lock()
			defer again.mu.Unlock()
			for value := range again.seen {
				if value[:5] == "first" {
					t.Errorf("%q was read again", value)
				}
			}
		})
	}
}

// TestKadm asks for everything that an operator's program would.
func TestKadm(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	ctx := within(t, time.Minute)
	client := franz(t, n)
	admin := kadm.NewClient(client)
	must := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	_, err := admin.CreateTopic(ctx, 2, 1, map[string]*string{"cleanup.policy": new("delete")}, "adm")
	must("create", err)
	_, err = admin.CreateTopic(ctx, 2, 1, nil, "adm")
	if !errors.Is(err, kerr.TopicAlreadyExists) {
		t.Errorf("create again: %v", err)
	}
	_, err = admin.UpdatePartitions(ctx, 3, "adm")
	must("update partitions", err)
	// Apache Kafka answers before what was changed can be seen.
	eventually(t, "the topic has three partitions", func() bool {
		details, err := admin.ListTopics(ctx)
		must("list topics", err)
		return len(details["adm"].Partitions) == 3 && details["adm"].ID != (kadm.TopicID{})
	})
	var records []*kgo.Record
	began := time.Now().UnixMilli()
	for i := range 10 {
		records = append(records, &kgo.Record{Topic: "adm", Value: []byte("v"), Timestamp: time.UnixMilli(began + int64(i))})
	}
	client2 := franz(t, n, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	must("produce", client2.ProduceSync(ctx, records...).FirstErr())
	ends, err := admin.ListEndOffsets(ctx, "adm")
	must("end offsets", err)
	at, err := admin.ListOffsetsAfterMilli(ctx, began+4, "adm")
	must("offsets by time", err)
	if e, _ := ends.Lookup("adm", 0); e.Offset != 10 {
		t.Errorf("end offset is %d", e.Offset)
	}
	if o, _ := at.Lookup("adm", 0); o.Offset != 4 || o.Timestamp != began+4 {
		t.Errorf("offset by time is %+v", o)
	}
	highest, err := admin.ListMaxTimestampOffsets(ctx, "adm")
	must("max timestamp", err)
	if o, _ := highest.Lookup("adm", 0); o.Offset != 9 {
		t.Errorf("offset of the largest timestamp is %+v", o)
	}

	var commit kadm.Offsets
	commit.AddOffset("adm", 0, 7, -1)
	_, err = admin.CommitOffsets(ctx, "kadm-group", commit)
	must("commit", err)
	lags, err := admin.Lag(ctx, "kadm-group")
	must("lag", err)
	if l, ok := lags["kadm-group"].Lag.Lookup("adm", 0); !ok || l.Lag != 3 {
		t.Errorf("lag is %+v", l)
	}
	listed, err := admin.ListGroups(ctx, "Empty")
	must("list groups", err)
	if !slices.Contains(listed.Groups(), "kadm-group") {
		t.Errorf("groups are %v", listed.Groups())
	}
	_, err = admin.DeleteOffsets(ctx, "kadm-group", commit.TopicsSet())
	must("delete offsets", err)
	_, err = admin.DeleteGroup(ctx, "kadm-group")
	must("delete group", err)

	var before kadm.Offsets
	before.AddOffset("adm", 0, 5, -1)
	_, err = admin.DeleteRecords(ctx, before)
	must("delete records", err)
	starts, err := admin.ListStartOffsets(ctx, "adm")
	must("start offsets", err)
	if s, _ := starts.Lookup("adm", 0); s.Offset != 5 {
		t.Errorf("start offset is %d", s.Offset)
	}
	configs, err := admin.DescribeTopicConfigs(ctx, "adm")
	must("describe configs", err)
	if rc, err := configs.On("adm", nil); err != nil || len(rc.Configs) < 20 {
		t.Errorf("%d configs, %v", len(rc.Configs), err)
	}
	_, err = admin.AlterTopicConfigs(ctx, []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "retention.ms", Value: new("1000")}}, "adm")
	must("alter configs", err)
	dirs, err := admin.DescribeAllLogDirs(ctx, nil)
	must("log dirs", err)
	size := int64(0)
	dirs.Each(func(d kadm.DescribedLogDir) { size += d.Size() })
	if size == 0 {
		t.Error("log dirs are empty")
	}
	meta, err := admin.BrokerMetadata(ctx)
	must("metadata", err)
	if meta.Cluster == "" || len(meta.Brokers) != 1 {
		t.Errorf("metadata is %+v", meta)
	}
	_, err = admin.DeleteTopic(ctx, "adm")
	must("delete topic", err)
}
