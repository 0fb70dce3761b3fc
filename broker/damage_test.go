package broker

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/broker/storage"
)

// Damage in the middle of one partition takes that partition offline, with
// file and offset in the log, and nothing else; after a repair it is there again.
func TestDamageInTheMiddleTakesOnePartitionOffline(t *testing.T) {
	dir := t.TempDir()
	n := startNode(t, dir, testConfig())
	createTopic(t, n, "t", 3, nil)
	manual := []kgo.Opt{kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.RecordRetries(0), kgo.DisableIdempotentWrite()}
	c := newClient(t, n, manual...)
	for range 20 {
		for p := range int32(3) {
			if err := c.ProduceSync(t.Context(), &kgo.Record{Topic: "t", Partition: p, Value: []byte("value")}).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
	}
	logs := n.logDir()
	n.stop()
	name := filepath.Join(logs, "t-1", "00000000000000000000.log")
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	content[len(content)/2] ^= 1
	if err := os.WriteFile(name, content, 0o644); err != nil {
		t.Fatal(err)
	}

	log := &logBuffer{}
	registry := prometheus.NewRegistry()
	node, err := New(testConfig(), Options{Dir: dir, Logger: slog.New(slog.NewTextHandler(log, nil)), Registerer: registry})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- node.Run(ctx) }()
	c = newClient(t, &testNode{Node: node, log: log}, manual...)
	for p := range int32(3) {
		err := c.ProduceSync(t.Context(), &kgo.Record{Topic: "t", Partition: p, Value: []byte("more")}).FirstErr()
		if p == 1 && !errors.Is(err, kerr.KafkaStorageError) || p != 1 && err != nil {
			t.Errorf("produce to partition %d: %v", p, err)
		}
	}
	if text := log.String(); !strings.Contains(text, name+" is corrupt at byte ") || !strings.Contains(text, "(offset ") {
		t.Errorf("the log does not name file and offset:\n%s", text)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	offline := 0.0
	for _, f := range families {
		if f.GetName() == "millrace_broker_storage_offline_logs" {
			offline = f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	if offline != 1 {
		t.Errorf("the metric counts %v logs that are offline", offline)
	}
	if check, err := storage.CheckLog(nil, filepath.Join(logs, "t-1")); err != nil || len(check.Problems) == 0 || check.Problems[0].File != name {
		t.Errorf("the check of the log beside its broker: %+v, %v", check, err)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("the end of a node with a partition offline: %v", err)
	}

	r, err := storage.RepairLog(nil, filepath.Join(logs, "t-1"), true)
	if err != nil || r.LostFrom <= 0 || r.LostFrom >= 20 {
		t.Fatalf("repair: %+v %v", r, err)
	}
	n = startNode(t, dir, testConfig())
	c = newClient(t, n, manual...)
	record, err := c.ProduceSync(t.Context(), &kgo.Record{Topic: "t", Partition: 1, Value: []byte("more")}).First()
	if err != nil || record.Offset != r.LostFrom {
		t.Errorf("produce after the repair: offset %d, want %d: %v", record.Offset, r.LostFrom, err)
	}
}

// TestADirectoryThatIsGoneIsNamed: a partition does not begin anew without a word.
func TestADirectoryThatIsGoneIsNamed(t *testing.T) {
	dir := t.TempDir()
	n := startNode(t, dir, testConfig())
	createTopic(t, n, "t", 2, nil)
	manual := kgo.RecordPartitioner(kgo.ManualPartitioner())
	c := newClient(t, n, manual)
	for range 3 {
		if err := c.ProduceSync(t.Context(), &kgo.Record{Topic: "t", Partition: 1, Value: []byte("v")}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	gone := filepath.Join(n.logDir(), "t-1")
	for start, want := range []int{1, 0} { // the partition is a new one then
		n.stop()
		if err := os.RemoveAll(gone); err != nil {
			t.Fatal(err)
		}
		n = startNode(t, dir, testConfig())
		if got := strings.Count(n.log.String(), "the directory of a partition is gone"); got != want {
			t.Errorf("start %d says it %d times, want %d:\n%s", start+1, got, want, n.log.String())
		}
		if start == 0 && !strings.Contains(n.log.String(), "directory="+gone+" records_below_offset=3") {
			t.Errorf("the log does not name directory and offset:\n%s", n.log.String())
		}
	}
}
