package broker

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/broker/batch"
	"github.com/millrace/millrace/broker/storage"
)

// A topic's compression.type decides how batches are stored, also when it is
// changed while the broker runs; clients read the same records.
func TestTopicsAreStoredWithTheirCompressionType(t *testing.T) {
	n := startNode(t, t.TempDir(), testConfig())
	createTopic(t, n, "t", 1, map[string]*string{"compression.type": new("zstd"), "compression.zstd.level": new("9")})
	c := newClient(t, n, kgo.ProducerBatchCompression(kgo.SnappyCompression()), kgo.ConsumeTopics("t"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	value := make([]byte, 5000)
	write := func(want batch.Codec) {
		t.Helper()
		r, err := c.ProduceSync(t.Context(), &kgo.Record{Topic: "t", Value: value}).First()
		if err != nil {
			t.Fatal(err)
		}
		l, _ := n.topics.byName("t").log(0)
		read, err := l.Read(r.Offset, 1<<20, storage.ReadOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if b, err := batch.Parse(read.Data); err != nil || b.Codec() != want {
			t.Errorf("stored with %s, want %s: %v", b.Codec(), want, err)
		}
		read.Release()
	}
	write(batch.Zstd)
	for kind, want := range map[string]batch.Codec{"uncompressed": batch.None, "gzip": batch.Gzip, "lz4": batch.LZ4, "producer": batch.Snappy} {
		setTopicConfig(t, n, "t", "compression.type", kind)
		write(want)
	}
	for read := 0; read < 5; {
		fetches := c.PollFetches(t.Context())
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			read++
			if len(r.Value) != len(value) {
				t.Errorf("a value of %d bytes", len(r.Value))
			}
		})
	}
}

func setTopicConfig(t *testing.T, n *testNode, topic, name, value string) {
	t.Helper()
	responses, err := newAdmin(t, n).AlterTopicConfigs(t.Context(), []kadm.AlterConfig{{Op: kadm.SetConfig, Name: name, Value: &value}}, topic)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range responses {
		if r.Err != nil {
			t.Fatalf("set %s to %s: %v %s", name, value, r.Err, r.ErrMessage)
		}
	}
}
