package broker

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/broker/storage"
	"github.com/millrace/millrace/configs"
)

// TestCompactionIsConfiguredWhileItRuns turns compaction on by the names of
// Apache Kafka: threads of the broker, then the policy of a topic, back and forth.
func TestCompactionIsConfiguredWhileItRuns(t *testing.T) {
	cfg := testConfig()
	cfg.Cleaner.Threads = 0
	cfg.Cleaner.Backoff = configs.Duration(5 * time.Millisecond)
	n := startNode(t, t.TempDir(), cfg)
	text := func(s string) *string { return &s }
	createTopic(t, n, "t", 1, map[string]*string{"internal.segment.bytes": text("2048"), "min.cleanable.dirty.ratio": text("0")})
	admin, client := newAdmin(t, n), newClient(t, n, kgo.ProducerBatchCompression(kgo.NoCompression()))
	write := func() {
		t.Helper()
		for i := range 30 {
			r := &kgo.Record{Topic: "t", Key: fmt.Appendf(nil, "k%d", i%3), Value: make([]byte, 300)}
			if err := client.ProduceSync(t.Context(), r).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
	}
	write()
	alterTopic := func(policy string) {
		t.Helper()
		resp, err := admin.AlterTopicConfigs(t.Context(), []kadm.AlterConfig{{Name: "cleanup.policy", Value: text(policy)}}, "t")
		if err := errors.Join(err, resp[0].Err); err != nil {
			t.Fatal(err)
		}
	}
	alterBroker := func(name, value string) error {
		t.Helper()
		resp, err := admin.AlterBrokerConfigs(t.Context(), []kadm.AlterConfig{{Name: name, Value: text(value)}})
		if err != nil {
			t.Fatal(err)
		}
		return resp[0].Err
	}
	l, _ := n.store.Log(storage.TopicPartition{Topic: "t"})
	shrinks := func(than int64) bool {
		t.Helper()
		limit, tick := time.After(time.Minute), time.NewTicker(5*time.Millisecond)
		defer tick.Stop()
		for l.SizeBytes() >= than {
			select {
			case <-limit:
				return false
			case <-tick.C:
			}
		}
		return true
	}
	alterTopic("compact")
	full := l.SizeBytes()
	if err := alterBroker("log.cleaner.dedupe.buffer.size", "2000000"); err != nil {
		t.Fatal(err)
	}
	if l.SizeBytes() != full {
		t.Fatal("compacted without a thread to do it")
	}
	if err := alterBroker("log.cleaner.threads", "2"); err != nil || !shrinks(full/2) {
		t.Fatalf("%d of %d bytes are left with two threads; %v", l.SizeBytes(), full, err)
	}
	alterTopic("delete")
	size := l.SizeBytes()
	write()
	if l.SizeBytes() < size+30*300 {
		t.Fatalf("%d bytes, then %d with 9,000 more: compacted with cleanup.policy=delete", size, l.SizeBytes())
	}
	size = l.SizeBytes()
	alterTopic("compact,delete")
	if !shrinks(size / 2) {
		t.Fatalf("%d of %d bytes are left with cleanup.policy=compact,delete", l.SizeBytes(), size)
	}
	for name, value := range map[string]string{"log.cleaner.threads": "-1", "log.cleaner.enable": "false", "log.cleaner.io.buffer.load.factor": "1.5", "log.cleaner.io.buffer.size": "1"} {
		if err := alterBroker(name, value); !errors.Is(err, kerr.InvalidConfig) && !errors.Is(err, kerr.InvalidRequest) {
			t.Errorf("%s=%s: %v", name, value, err)
		}
	}
}
