package capacity

import (
	"bytes"
	"context"
	"crypto/sha256"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/test/peers"
	"github.com/millrace/millrace/test/process"
)

var binary string

func TestMain(m *testing.M) { os.Exit(process.Main(m, "../..", &binary)) }

// client produces without retries, so that a test sees each answer of the broker.
func client(t testing.TB, p *process.Process, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	c, err := kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(p.Broker), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchCompression(kgo.NoCompression()),
		kgo.DisableIdempotentWrite(), kgo.RecordRetries(0), kgo.MetadataMinAge(20 * time.Millisecond),
	}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func createTopics(t testing.TB, c *kgo.Client, partitions int32, names ...string) {
	t.Helper()
	responses, err := kadm.NewClient(c).CreateTopics(t.Context(), partitions, 1, nil, names...)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range responses.Sorted() {
		if r.Err != nil {
			t.Fatalf("create topic %s: %v %s", r.Topic, r.Err, r.ErrMessage)
		}
	}
}

// tmpfs mounts a file system of some size where the process keeps its data. It
// needs root; without it the test is skipped, but in CI it fails.
func tmpfs(t *testing.T, p *process.Process, size string) (dir string) {
	t.Helper()
	if os.Geteuid() != 0 {
		peers.Missing(t, "a tmpfs can be mounted by root only")
	}
	dir = filepath.Join(p.Dir, "data")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size="+size, "tmpfs", dir).CombinedOutput()
	if err != nil {
		peers.Missing(t, "a tmpfs cannot be mounted here: %v: %s", err, bytes.TrimSpace(out))
	}
	t.Cleanup(func() {
		p.Kill()
		if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
			t.Errorf("umount: %v: %s", err, bytes.TrimSpace(out))
		}
	})
	return dir
}

// ledger remembers what was acknowledged in partition 0 of a topic.
type ledger map[int64][sha256.Size]byte

func (l ledger) add(r *kgo.Record) { l[r.Offset] = sha256.Sum256(r.Value) }

// check reads the topic and finds every acknowledged record at its offset.
func (l ledger) check(t testing.TB, p *process.Process, topic string) {
	t.Helper()
	c := client(t, p, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {0: kgo.NewOffset().AtStart()}}))
	defer c.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	last := int64(-1)
	for offset := range l {
		last = max(last, offset)
	}
	found := 0
	for at := int64(-1); at < last; {
		fetches := c.PollFetches(ctx)
		if err := fetches.Err0(); err != nil {
			t.Fatalf("%s: %d of %d acknowledged records found, up to offset %d of %d: %v", topic, found, len(l), at, last, err)
		}
		fetches.EachError(func(_ string, _ int32, err error) { t.Fatalf("fetch %s: %v", topic, err) })
		fetches.EachRecord(func(r *kgo.Record) {
			at = r.Offset
			want, acked := l[r.Offset]
			if !acked {
				return
			}
			found++
			if sha256.Sum256(r.Value) != want {
				t.Errorf("%s: the record at offset %d is not the one that was acknowledged", topic, r.Offset)
			}
		})
	}
	if found != len(l) {
		t.Errorf("%s: %d of %d acknowledged records found", topic, found, len(l))
	}
}
