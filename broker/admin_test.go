package broker

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/batch"
)

func TestTopicsAreMadeDescribedAndDeleted(t *testing.T) {
	dir := t.TempDir()
	n := startNode(t, dir, testConfig())
	admin := newAdmin(t, n)
	created, err := admin.CreateTopic(t.Context(), 3, 1, map[string]*string{"retention.ms": new("1000")}, "a.b")
	if err != nil {
		t.Fatal(err)
	}
	if created.ID == (kadm.TopicID{}) || created.NumPartitions != 3 || created.ReplicationFactor != 1 || *created.Configs["retention.ms"].Value != "1000" {
		t.Errorf("created %+v", created)
	}
	details, err := admin.ListTopics(t.Context())
	if err != nil || len(details["a.b"].Partitions) != 3 || details["a.b"].ID != created.ID {
		t.Fatalf("topics %v %v", details, err)
	}
	for i := range 3 {
		if _, err := os.Stat(filepath.Join(n.logDir(), fmt.Sprintf("a.b-%d", i))); err != nil {
			t.Error(err)
		}
	}
	if _, err := admin.DeleteTopic(t.Context(), "a.b"); err != nil {
		t.Fatal(err)
	}
	if names := n.meta.Image().TopicNames(); len(names) != 0 {
		t.Fatalf("topics after deletion %v", names)
	}
	again, err := admin.CreateTopic(t.Context(), 1, 1, nil, "a.b")
	if err != nil || again.ID == created.ID {
		t.Fatalf("the same name again: %v %v", again.ID, err)
	}
}

func TestTopicsThatCannotBeMade(t *testing.T) {
	n := startNode(t, t.TempDir(), testConfig())
	createTopic(t, n, "taken.name", 1, nil)
	tests := []struct {
		name       string
		partitions int32
		replicas   int16
		configs    map[string]*string
		want       *kerr.Error
		message    string
	}{
		{"taken.name", 1, 1, nil, kerr.TopicAlreadyExists, "Topic 'taken.name' already exists."},
		{"taken_name", 1, 1, nil, kerr.InvalidTopicException, "collides with existing topic: taken.name"},
		{"", 1, 1, nil, kerr.InvalidTopicException, "the empty string is not allowed"},
		{"..", 1, 1, nil, kerr.InvalidTopicException, "'..' is not allowed"},
		{"a/b", 1, 1, nil, kerr.InvalidTopicException, "contains one or more characters"},
		{strings.Repeat("x", 250), 1, 1, nil, kerr.InvalidTopicException, "longer than the max allowed length 249"},
		{"__cluster_metadata", 1, 1, nil, kerr.InvalidRequest, "Creation of internal topic __cluster_metadata is prohibited."},
		{"t", 0, 1, nil, kerr.InvalidPartitions, "non-positive"},
		{"t", 10_001, 1, nil, kerr.PolicyViolation, "Excessively large"},
		{"t", 1, 0, nil, kerr.InvalidReplicationFactor, "must be larger than 0"},
		{"t", 1, 3, nil, kerr.InvalidReplicationFactor, "only 1 broker(s) are registered"},
		{"t", 1, 1, map[string]*string{"no.such": new("1")}, kerr.InvalidConfig, "Unknown topic config name: no.such"},
		{"t", 1, 1, map[string]*string{"retention.ms": new("soon")}, kerr.InvalidConfig, "Not a number of type LONG"},
		{"t", 1, 1, map[string]*string{"retention.ms": new("-2")}, kerr.InvalidConfig, "Value must be at least -1"},
		{"t", 1, 1, map[string]*string{"segment.bytes": new("1048575")}, kerr.InvalidConfig, "Value must be at least 1048576"},
		{"t", 1, 1, map[string]*string{"cleanup.policy": new("burn")}, kerr.InvalidConfig, "String must be one of: compact, delete"},
		{"t", 1, 1, map[string]*string{"preallocate": new("true")}, kerr.InvalidConfig, `supports only "false"`},
		{"t", 1, 1, map[string]*string{"retention.ms": nil}, kerr.InvalidConfig, "Null value"},
	}
	c := newClient(t, n)
	for _, tt := range tests {
		req := kmsg.NewPtrCreateTopicsRequest()
		rt := kmsg.NewCreateTopicsRequestTopic()
		rt.Topic, rt.NumPartitions, rt.ReplicationFactor = tt.name, tt.partitions, tt.replicas
		for k, v := range tt.configs {
			rt.Configs = append(rt.Configs, kmsg.CreateTopicsRequestTopicConfig{Name: k, Value: v})
		}
		for _, validateOnly := range []bool{true, false} {
			req.Topics, req.ValidateOnly = []kmsg.CreateTopicsRequestTopic{rt}, validateOnly
			got := request[*kmsg.CreateTopicsResponse](t, c, 7, req).Topics[0]
			if got.ErrorCode != tt.want.Code || got.ErrorMessage == nil || !strings.Contains(*got.ErrorMessage, tt.message) {
				t.Errorf("%.20q %v: %v %v", tt.name, tt.configs, kerr.ErrorForCode(got.ErrorCode), deref(got.ErrorMessage))
			}
		}
	}
	if names := n.meta.Image().TopicNames(); len(names) != 1 {
		t.Errorf("topics are %v", names)
	}
}

func deref(s *string) string {
	if s == nil {
		return "null"
	}
	return *s
}

func TestValidateOnlyMakesNothing(t *testing.T) {
	n := startNode(t, t.TempDir(), testConfig())
	resp, err := newAdmin(t, n).ValidateCreateTopics(t.Context(), 2, 1, nil, "t")
	if err != nil || resp["t"].Err != nil || resp["t"].NumPartitions != 2 {
		t.Fatalf("%+v %v", resp["t"], err)
	}
	if names := n.meta.Image().TopicNames(); len(names) != 0 {
		t.Errorf("topics are %v", names)
	}
}

func TestPartitionsAreAdded(t *testing.T) {
	dir := t.TempDir()
	n := startNode(t, dir, testConfig())
	createTopic(t, n, "t", 1, nil)
	admin := newAdmin(t, n)
	for _, tt := range []struct {
		topic string
		to    int
		want  error
	}{{"t", 3, nil}, {"t", 3, kerr.InvalidPartitions}, {"t", 2, kerr.InvalidPartitions}, {"none", 2, kerr.UnknownTopicOrPartition}} {
		resp, err := admin.UpdatePartitions(t.Context(), tt.to, tt.topic)
		if err != nil || !errors.Is(resp[tt.topic].Err, tt.want) {
			t.Errorf("%s to %d: %v %v", tt.topic, tt.to, resp[tt.topic].Err, err)
		}
	}
	c := newClient(t, n, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err := c.ProduceSync(t.Context(), &kgo.Record{Topic: "t", Partition: 2, Value: []byte("v")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	n.stop()
	n = startNode(t, dir, testConfig())
	ends, err := newAdmin(t, n).ListEndOffsets(t.Context(), "t")
	if err != nil || len(ends["t"]) != 3 || ends["t"][2].Offset != 1 {
		t.Fatalf("end offsets %v %v", ends, err)
	}
}

func TestTopicConfigsAreDescribedWithTheirSources(t *testing.T) {
	dir := t.TempDir()
	n := startNode(t, dir, testConfig())
	createTopic(t, n, "t", 1, map[string]*string{"retention.ms": new("60000"), "internal.segment.bytes": new("4096")})
	check := func(n *testNode) {
		t.Helper()
		resp, err := newAdmin(t, n).DescribeTopicConfigs(t.Context(), "t")
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]kadm.Config{}
		for _, c := range resp[0].Configs {
			got[c.Key] = c
		}
		shown := slices.DeleteFunc(topicConfigs(), func(d configDef) bool { return d.hidden })
		if len(got) != len(shown)+1 {
			t.Errorf("%d configs", len(got))
		}
		for _, want := range []struct {
			key, value string
			source     kmsg.ConfigSource
			synonyms   string
		}{
			{"retention.ms", "60000", kmsg.ConfigSourceDynamicTopicConfig, "retention.ms=60000 log.retention.hours=168"},
			{"segment.bytes", "268435456", kmsg.ConfigSourceStaticBrokerConfig, "log.segment.bytes=268435456 log.segment.bytes=1073741824"},
			{"internal.segment.bytes", "4096", kmsg.ConfigSourceDynamicTopicConfig, "internal.segment.bytes=4096"},
			{"max.message.bytes", "1048588", kmsg.ConfigSourceDefaultConfig, "message.max.bytes=1048588"},
			{"compression.type", "producer", kmsg.ConfigSourceDefaultConfig, "compression.type=producer"},
			{"remote.storage.enable", "false", kmsg.ConfigSourceDefaultConfig, "remote.storage.enable=false"},
		} {
			c := got[want.key]
			var synonyms []string
			for _, s := range c.Synonyms {
				synonyms = append(synonyms, s.Key+"="+deref(s.Value))
			}
			if deref(c.Value) != want.value || c.Source != want.source || strings.Join(synonyms, " ") != want.synonyms {
				t.Errorf("%s is %s from %s, %v", want.key, deref(c.Value), c.Source, synonyms)
			}
		}
	}
	check(n)
	n.stop()
	check(startNode(t, dir, testConfig()))
}

func TestConfigsAreAlteredAndReachTheLogs(t *testing.T) {
	n := startNode(t, t.TempDir(), testConfig())
	createTopic(t, n, "t", 2, nil)
	createTopic(t, n, "other", 1, nil)
	admin := newAdmin(t, n)
	alter := func(want error, topic string, changes ...kadm.AlterConfig) {
		t.Helper()
		resp, err := admin.AlterTopicConfigs(t.Context(), changes, topic)
		if err != nil || !errors.Is(resp[0].Err, want) {
			t.Errorf("alter %v: %v %v %s", changes, err, resp[0].Err, resp[0].ErrMessage)
		}
	}
	alter(nil, "t", kadm.AlterConfig{Op: kadm.SetConfig, Name: "retention.ms", Value: new("5000")},
		kadm.AlterConfig{Op: kadm.AppendConfig, Name: "cleanup.policy", Value: new("compact")})
	for p := range 2 {
		l, _ := n.topics.byName("t").log(int32(p))
		if cfg := l.Config(); cfg.RetentionMs != 5000 || cfg.CleanupPolicy != 3 {
			t.Errorf("log config is %+v", cfg)
		}
	}
	alter(nil, "t", kadm.AlterConfig{Op: kadm.SubtractConfig, Name: "cleanup.policy", Value: new("delete")}, kadm.AlterConfig{Op: kadm.DeleteConfig, Name: "retention.ms"})
	l, _ := n.topics.byName("t").log(0)
	if cfg := l.Config(); cfg.RetentionMs != 7*24*3600*1000 || cfg.CleanupPolicy != 2 {
		t.Errorf("log config is %+v", cfg)
	}
	alter(kerr.InvalidConfig, "t", kadm.AlterConfig{Op: kadm.SetConfig, Name: "retention.ms", Value: new("x")})
	alter(kerr.InvalidConfig, "t", kadm.AlterConfig{Op: kadm.AppendConfig, Name: "retention.ms", Value: new("1")})
	alter(kerr.InvalidConfig, "t", kadm.AlterConfig{Op: kadm.SetConfig, Name: "segment.bytes", Value: new("1048575")})
	alter(nil, "t", kadm.AlterConfig{Op: kadm.SubtractConfig, Name: "cleanup.policy", Value: new("compact")},
		kadm.AlterConfig{Op: kadm.SetConfig, Name: "internal.segment.bytes", Value: new("2048")})
	if cfg := l.Config(); cfg.CleanupPolicy != 0 || cfg.SegmentBytes != 2048 {
		t.Errorf("log config is %+v", cfg)
	}
	alter(nil, "t", kadm.AlterConfig{Op: kadm.AppendConfig, Name: "cleanup.policy", Value: new("delete")},
		kadm.AlterConfig{Op: kadm.DeleteConfig, Name: "internal.segment.bytes"})
	if cfg := l.Config(); cfg.CleanupPolicy != 1 || cfg.SegmentBytes < 1<<20 {
		t.Errorf("log config is %+v", cfg)
	}
	alter(kerr.InvalidConfig, "t", kadm.AlterConfig{Op: kadm.SetConfig, Name: "preallocate", Value: new("true")})
	alter(kerr.UnknownTopicOrPartition, "none", kadm.AlterConfig{Op: kadm.SetConfig, Name: "retention.ms", Value: new("1")})

	brokers := func(want error, name, value string, ids ...int32) {
		t.Helper()
		resp, err := admin.AlterBrokerConfigs(t.Context(), []kadm.AlterConfig{{Op: kadm.SetConfig, Name: name, Value: &value}}, ids...)
		if err != nil || !errors.Is(resp[0].Err, want) {
			t.Errorf("alter %s: %v %v", name, err, resp[0].Err)
		}
	}
	brokers(nil, "log.retention.ms", "7000")
	brokers(nil, "message.max.bytes", "2000", 1)
	brokers(kerr.InvalidRequest, "num.partitions", "9", 1)
	brokers(kerr.InvalidConfig, "no.such", "9", 1)
	brokers(nil, "sasl.kerberos.min.time.before.relogin", "58000", 1)
	brokers(kerr.InvalidRequest, "sasl.kerberos.min.time.before.relogin", "58000")
	brokers(kerr.InvalidRequest, "num.io.threads", "0")
	brokers(kerr.InvalidRequest, "log.preallocate", "true", 1)
	brokers(nil, "producer.id.expiration.ms", "61000")
	if o, _ := n.topics.byName("other").log(0); o.Config().RetentionMs != 7000 || o.Config().MaxMessageBytes != 2000 || o.Config().ProducerIDExpirationMs != 61000 {
		t.Errorf("log config is %+v", o.Config())
	}
	described, err := admin.DescribeBrokerConfigs(t.Context(), 1)
	if err != nil || described[0].Err != nil {
		t.Fatal(err, described)
	}
	at := slices.IndexFunc(described[0].Configs, func(c kadm.Config) bool { return c.Key == "log.retention.ms" })
	if c := described[0].Configs[at]; deref(c.Value) != "7000" || c.Source != kmsg.ConfigSourceDynamicDefaultBrokerConfig {
		t.Errorf("log.retention.ms is %s from %s", deref(c.Value), c.Source)
	}
	at = slices.IndexFunc(described[0].Configs, func(c kadm.Config) bool { return c.Key == "sasl.kerberos.min.time.before.relogin" })
	if c := described[0].Configs[at]; deref(c.Value) != "58000" || c.Source != kmsg.ConfigSourceDynamicBrokerConfig {
		t.Errorf("what has nothing to do here is %s from %s", deref(c.Value), c.Source)
	}
}

func TestRecordsAreDeleted(t *testing.T) {
	n := startNode(t, t.TempDir(), testConfig())
	createTopic(t, n, "t", 1, nil)
	createTopic(t, n, "compacted", 1, map[string]*string{"cleanup.policy": new("compact")})
	c := newClient(t, n, kgo.DefaultProduceTopic("t"))
	for range 10 {
		if err := c.ProduceSync(t.Context(), kgo.StringRecord("v")).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	admin := newAdmin(t, n)
	for _, tt := range []struct {
		topic  string
		offset int64
		low    int64
		want   error
	}{{"t", 4, 4, nil}, {"t", 2, 4, nil}, {"t", 11, -1, kerr.OffsetOutOfRange}, {"compacted", 0, -1, kerr.PolicyViolation}, {"none", 1, -1, kerr.UnknownTopicOrPartition}, {"t", -1, 10, nil}} {
		req := kmsg.NewPtrDeleteRecordsRequest()
		req.Topics = []kmsg.DeleteRecordsRequestTopic{{Topic: tt.topic, Partitions: []kmsg.DeleteRecordsRequestTopicPartition{{Offset: tt.offset}}}}
		got := request[*kmsg.DeleteRecordsResponse](t, c, 2, req).Topics[0].Partitions[0]
		if err := kerr.ErrorForCode(got.ErrorCode); !errors.Is(err, tt.want) || got.LowWatermark != tt.low {
			t.Errorf("%s before %d: %d %v", tt.topic, tt.offset, got.LowWatermark, err)
		}
	}
	starts, err := admin.ListStartOffsets(t.Context(), "t")
	if err != nil || starts["t"][0].Offset != 10 {
		t.Errorf("start offset %v %v", starts, err)
	}
}

func TestClusterLogDirsAndReassignmentsAreDescribed(t *testing.T) {
	n := startNode(t, t.TempDir(), testConfig())
	createTopic(t, n, "t", 2, nil)
	c := newClient(t, n)
	cluster := request[*kmsg.DescribeClusterResponse](t, c, 2, kmsg.NewPtrDescribeClusterRequest())
	if cluster.ClusterID != n.ClusterID() || len(cluster.ClusterID) != 22 || cluster.ControllerID != 1 || len(cluster.Brokers) != 1 || cluster.Brokers[0].Host != "127.0.0.1" {
		t.Errorf("cluster %+v", cluster)
	}
	controllers := kmsg.NewPtrDescribeClusterRequest()
	controllers.EndpointType = 2
	if got := request[*kmsg.DescribeClusterResponse](t, c, 2, controllers); got.ErrorCode != kerr.MismatchedEndpointType.Code {
		t.Errorf("controllers: %d", got.ErrorCode)
	}
	dirs := request[*kmsg.DescribeLogDirsResponse](t, c, 4, kmsg.NewPtrDescribeLogDirsRequest()).Dirs
	if len(dirs) != 1 || dirs[0].TotalBytes <= 0 || len(dirs[0].Topics) != 1 || len(dirs[0].Topics[0].Partitions) != 2 {
		t.Errorf("log dirs %+v", dirs)
	}
	if got := request[*kmsg.ListPartitionReassignmentsResponse](t, c, 0, kmsg.NewPtrListPartitionReassignmentsRequest()); got.ErrorCode != 0 || len(got.Topics) != 0 {
		t.Errorf("reassignments %+v", got)
	}
}

func TestActiveProducersAreDescribed(t *testing.T) {
	dir := t.TempDir()
	n := startNode(t, dir, testConfig())
	createTopic(t, n, "t", 2, nil)
	c := newClient(t, n)
	batches := map[int64][]byte{} // the last of each producer
	for _, p := range []batch.Producer{{ID: 9, Epoch: 3}, {ID: 4}, {ID: 9, Epoch: 3, Sequence: 2}} {
		batches[p.ID] = buildBatch(t, &p, "a", "b")
		if got := produce(t, n, c, 13, produceRequest("t", -1, batches[p.ID])); got.ErrorCode != 0 {
			t.Fatalf("producer %d: %v", p.ID, kerr.ErrorForCode(got.ErrorCode))
		}
	}
	check := func(n *testNode) {
		t.Helper()
		described, err := newAdmin(t, n).DescribeProducers(t.Context(), kadm.TopicsSet{"t": {0: {}, 1: {}}})
		if err != nil {
			t.Fatal(err)
		}
		for id, want := range map[int64]kadm.DescribedProducer{9: {ProducerEpoch: 3, LastSequence: 3}, 4: {LastSequence: 1}} {
			b, err := batch.Parse(batches[id])
			if err != nil {
				t.Fatal(err)
			}
			want.Leader, want.Topic, want.ProducerID, want.LastTimestamp = 1, "t", id, b.MaxTimestamp
			want.CoordinatorEpoch, want.CurrentTxnStartOffset = -1, -1
			if got := described["t"].Partitions[0].ActiveProducers[id]; got != want {
				t.Errorf("producer %d: %+v, want %+v", id, got, want)
			}
		}
		if p := described["t"].Partitions; len(p[0].ActiveProducers) != 2 || len(p[1].ActiveProducers) != 0 || p[0].Err != nil || p[1].Err != nil {
			t.Errorf("partitions %+v", p)
		}
	}
	check(n)
	killed := startNode(t, copyDir(t, dir), testConfig())
	check(killed)
	n.stop()
	restarted := startNode(t, dir, testConfig())
	check(restarted)

	req := kmsg.NewPtrDescribeProducersRequest()
	req.Topics = []kmsg.DescribeProducersRequestTopic{{Topic: "none", Partitions: []int32{0}}, {Topic: "t", Partitions: []int32{0, 2, 0}}, {Topic: "t", Partitions: []int32{0}}}
	got := request[*kmsg.DescribeProducersResponse](t, newClient(t, restarted), 0, req).Topics
	if len(got) != 3 || got[0].Partitions[0].ErrorCode != kerr.UnknownTopicOrPartition.Code {
		t.Fatalf("an unknown topic: %+v", got)
	}
	if p := got[1].Partitions; len(p) != 2 || len(p[0].ActiveProducers) != 2 || p[1].ErrorCode != kerr.UnknownTopicOrPartition.Code || len(got[2].Partitions) != 0 {
		t.Errorf("a partition that is named again, and one that there is not: %+v", got)
	}
}

func TestTopicPartitionsAreDescribedPageByPage(t *testing.T) {
	n := startNode(t, t.TempDir(), testConfig())
	for _, topic := range []string{"b", "a", "c"} {
		createTopic(t, n, topic, 3, nil)
	}
	c := newClient(t, n)
	var got []string
	req := kmsg.NewPtrDescribeTopicPartitionsRequest()
	req.ResponsePartitionLimit = 2
	for pages := 0; ; pages++ {
		resp := request[*kmsg.DescribeTopicPartitionsResponse](t, c, 0, req)
		for _, topic := range resp.Topics {
			for _, p := range topic.Partitions {
				got = append(got, *topic.Topic+string('0'+rune(p.Partition)))
			}
		}
		if resp.NextCursor == nil {
			break
		}
		req.Cursor = &kmsg.DescribeTopicPartitionsRequestCursor{Topic: resp.NextCursor.Topic, Partition: resp.NextCursor.Partition}
		if pages > 10 {
			t.Fatal("no end")
		}
	}
	if want := "a0 a1 a2 b0 b1 b2 c0 c1 c2"; strings.Join(got, " ") != want {
		t.Errorf("pages hold %v", got)
	}
	req = kmsg.NewPtrDescribeTopicPartitionsRequest()
	req.Topics = []kmsg.DescribeTopicPartitionsRequestTopic{{Topic: "none"}, {Topic: "a"}}
	resp := request[*kmsg.DescribeTopicPartitionsResponse](t, c, 0, req)
	if len(resp.Topics) != 2 || *resp.Topics[0].Topic != "a" || resp.Topics[1].ErrorCode != kerr.UnknownTopicOrPartition.Code {
		t.Errorf("named topics %+v", resp.Topics)
	}
}

func TestMetadataOfEveryVersion(t *testing.T) {
	n := startNode(t, t.TempDir(), testConfig())
	createTopic(t, n, "t", 2, nil)
	c := newClient(t, n)
	id := n.topics.byName("t").id
	for version := int16(0); version <= 13; version++ {
		all := request[*kmsg.MetadataResponse](t, c, version, kmsg.NewPtrMetadataRequest())
		if len(all.Brokers) != 1 || len(all.Topics) != 1 || len(all.Topics[0].Partitions) != 2 {
			t.Errorf("v%d: all topics %+v", version, all)
		}
		none := kmsg.NewPtrMetadataRequest()
		none.Topics = []kmsg.MetadataRequestTopic{}
		want := 0
		if version == 0 {
			want = 1
		}
		if got := request[*kmsg.MetadataResponse](t, c, version, none); len(got.Topics) != want {
			t.Errorf("v%d: an empty list gives %d topics", version, len(got.Topics))
		}
		missing := kmsg.NewPtrMetadataRequest()
		missing.Topics = []kmsg.MetadataRequestTopic{{Topic: new("not/valid")}}
		if got := request[*kmsg.MetadataResponse](t, c, version, missing); got.Topics[0].ErrorCode != kerr.InvalidTopicException.Code {
			t.Errorf("v%d: %v", version, got.Topics)
		}
		if version >= 12 {
			byID := kmsg.NewPtrMetadataRequest()
			byID.Topics = []kmsg.MetadataRequestTopic{{TopicID: id}, {TopicID: [16]byte{9}}}
			got := request[*kmsg.MetadataResponse](t, c, version, byID).Topics
			if *got[0].Topic != "t" || got[1].Topic != nil || got[1].ErrorCode != kerr.UnknownTopicID.Code {
				t.Errorf("v%d: by id %+v", version, got)
			}
		}
	}
}

func TestTopicsAreAutoCreatedIfAllowed(t *testing.T) {
	for _, allowed := range []bool{true, false} {
		cfg := testConfig()
		cfg.AutoCreateTopics = allowed
		n := startNode(t, t.TempDir(), cfg)
		c := newClient(t, n)
		req := kmsg.NewPtrMetadataRequest()
		req.Topics, req.AllowAutoTopicCreation = []kmsg.MetadataRequestTopic{{Topic: new("auto")}}, true
		got := request[*kmsg.MetadataResponse](t, c, 13, req).Topics[0]
		if made := got.ErrorCode == 0; made != allowed || made && len(got.Partitions) != int(cfg.DefaultPartitions) {
			t.Errorf("allowed %t: %+v", allowed, got)
		}
		req.Topics = []kmsg.MetadataRequestTopic{{Topic: new("__cluster_metadata")}} // never
		if got := request[*kmsg.MetadataResponse](t, c, 13, req).Topics[0]; got.ErrorCode != kerr.UnknownTopicOrPartition.Code {
			t.Errorf("the metadata's name: %+v", got)
		}
		req.Topics, req.AllowAutoTopicCreation = []kmsg.MetadataRequestTopic{{Topic: new("not-asked-for")}}, false
		if got := request[*kmsg.MetadataResponse](t, c, 13, req).Topics[0]; got.ErrorCode != kerr.UnknownTopicOrPartition.Code {
			t.Errorf("not asked for: %+v", got)
		}
	}
}

func TestDeleteTopicsByIDAndWhatIsRefused(t *testing.T) {
	n := startNode(t, t.TempDir(), testConfig())
	createTopic(t, n, "t", 1, nil)
	c := newClient(t, n)
	find := kmsg.NewPtrFindCoordinatorRequest()
	find.CoordinatorKeys = []string{"g"}
	request[*kmsg.FindCoordinatorResponse](t, c, 6, find)
	req := kmsg.NewPtrDeleteTopicsRequest()
	req.Topics = []kmsg.DeleteTopicsRequestTopic{
		{TopicID: n.topics.byName("t").id}, {TopicID: [16]byte{9}}, {Topic: new("none")}, {Topic: new(offsetsTopic)}, {},
	}
	got := request[*kmsg.DeleteTopicsResponse](t, c, 6, req).Topics
	want := []int16{0, kerr.UnknownTopicID.Code, kerr.UnknownTopicOrPartition.Code, kerr.InvalidRequest.Code, kerr.InvalidRequest.Code}
	for i, topic := range got {
		if topic.ErrorCode != want[i] {
			t.Errorf("topic %d: %v", i, kerr.ErrorForCode(topic.ErrorCode))
		}
	}
	if *got[0].Topic != "t" {
		t.Errorf("deleted %+v", got[0])
	}
}
