package broker

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
)

// BenchmarkNewOnAnEmptyDirectory is the first start of a node, until it listens, and its end.
func BenchmarkNewOnAnEmptyDirectory(b *testing.B) {
	for b.Loop() {
		startNode(b, b.TempDir(), testConfig()).stop()
	}
}

func TestRecordsComeBackAsTheyWereProduced(t *testing.T) {
	n := startNode(t, t.TempDir(), testConfig())
	createTopic(t, n, "t", 3, nil)
	c := newClient(t, n, kgo.DefaultProduceTopic("t"), kgo.ConsumeTopics("t"))
	want := map[string]bool{}
	for i := range 1000 {
		v := fmt.Sprintf("value-%d", i)
		want[v] = true
		r := kgo.KeySliceRecord([]byte(fmt.Sprint(i%50)), []byte(v))
		r.Headers = []kgo.RecordHeader{{Key: "h", Value: []byte("x")}}
		c.Produce(t.Context(), r, func(_ *kgo.Record, err error) {
			if err != nil {
				t.Errorf("produce: %v", err)
			}
		})
	}
	if err := c.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	for len(want) > 0 {
		fetches := c.PollFetches(t.Context())
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			if !want[string(r.Value)] || len(r.Headers) != 1 {
				t.Errorf("record %q", r.Value)
			}
			delete(want, string(r.Value))
		})
	}
}

func TestASecondProcessIsKeptOutOfTheDirectory(t *testing.T) {
	dir := t.TempDir()
	startNode(t, dir, testConfig())
	if _, err := New(testConfig(), Options{Dir: dir}); !errors.Is(err, ErrLocked) {
		t.Fatalf("second node: %v", err)
	}
}

func TestANewerFormatIsRefused(t *testing.T) {
	dir := t.TempDir()
	startNode(t, dir, testConfig()).stop()
	name := filepath.Join(dir, propertiesName)
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	newer := strings.Replace(string(content), fmt.Sprintf("millrace.format=%d", formatVersion), fmt.Sprintf("millrace.format=%d", formatVersion+1), 1)
	if err := os.WriteFile(name, []byte(newer), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = New(testConfig(), Options{Dir: dir})
	if !errors.Is(err, ErrNewerFormat) || !strings.Contains(err.Error(), fmt.Sprintf("has format %d", formatVersion+1)) {
		t.Fatalf("newer format: %v", err)
	}
}

func TestLogsAreNotRemovedWhenTheMetadataIsGone(t *testing.T) {
	dir := t.TempDir()
	n := startNode(t, dir, testConfig())
	createTopic(t, n, "t", 1, nil)
	n.stop()
	if err := os.RemoveAll(filepath.Join(dir, "metadata")); err != nil {
		t.Fatal(err)
	}
	if _, err := New(testConfig(), Options{Dir: dir}); err == nil || !strings.Contains(err.Error(), "the metadata in") {
		t.Fatalf("without metadata: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "logs", "t-0")); err != nil {
		t.Error(err)
	}
}

func TestAnotherNodesDirectoryIsRefused(t *testing.T) {
	dir := t.TempDir()
	startNode(t, dir, testConfig()).stop()
	cfg := testConfig()
	cfg.NodeID = 2
	if _, err := New(cfg, Options{Dir: dir}); err == nil || !strings.Contains(err.Error(), "belongs to node 1") {
		t.Fatalf("another node: %v", err)
	}
}
