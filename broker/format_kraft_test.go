package broker

import (
	"path/filepath"
	"testing"

	"github.com/millrace/millrace/configs"
	"github.com/millrace/millrace/internal/vfs"
)

// A directory that kafka-storage has formatted with --standalone holds the folder of
// Kafka's metadata log, with the voters in a snapshot. It is no partition of ours: the node
// starts, twice, and leaves the folder alone.
func TestStartWhereTheStorageToolMadeADynamicQuorum(t *testing.T) {
	dir := t.TempDir()
	if err := Format(FormatOptions{Dir: dir, ClusterID: RandomUUID(), NodeID: 1}); err != nil {
		t.Fatal(err)
	}
	fsys := vfs.OS()
	snapshot, err := vfs.ReadFile(fsys, filepath.Join(dir, "bootstrap.checkpoint"))
	if err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(dir, "__cluster_metadata-0")
	if err := vfs.MkdirAllDurable(fsys, folder); err != nil {
		t.Fatal(err)
	}
	if err := vfs.WriteFile(fsys, filepath.Join(folder, "00000000000000000000-0000000000.checkpoint"), snapshot); err != nil {
		t.Fatal(err)
	}
	cfg := configs.Default().Broker
	cfg.Listen = "127.0.0.1:0"
	for start := range 2 {
		n, err := New(cfg, Options{Dir: dir, Layout: LayoutKafka})
		if err != nil {
			t.Fatalf("start %d: %v", start+1, err)
		}
		for _, l := range n.store.Logs() {
			t.Errorf("start %d opened %s as a log of a topic", start+1, l.ID())
		}
		if err := n.close(); err != nil {
			t.Fatal(err)
		}
	}
	if entries, err := fsys.ReadDir(folder); err != nil || len(entries) != 1 {
		t.Errorf("the folder has %v, %v", entries, err)
	}
}
