package compat

import (
	"strings"
	"testing"

	"github.com/millrace/millrace/test/peers"
	"github.com/millrace/millrace/test/process"
)

const storageTool = "kafka.tools.StorageTool"

// TestStorageTool: what the one side has formatted is formatted for the other, before
// a node has run in it and after.
func TestStorageTool(t *testing.T) {
	t.Parallel()
	binary := ""
	if !againstKafka() {
		var err error
		if binary, err = process.Build(t.TempDir(), "../.."); err != nil {
			t.Fatal(err)
		}
	}
	t.Run("formatted here", func(t *testing.T) { storageToolReadsWhatIsFormattedHere(t, newPropertiesNode(t, binary)) })
	t.Run("formatted by the tool", func(t *testing.T) { nodeRunsWhereTheToolFormatted(t, newPropertiesNode(t, binary)) })
}

func storageToolReadsWhatIsFormattedHere(t *testing.T, n *propertiesNode) {
	t.Helper()
	out, err := n.storage("random-uuid")
	id := strings.TrimSpace(out)
	if err != nil || len(id) != 22 {
		t.Fatalf("random-uuid: %q, %v", out, err)
	}
	if out, err = n.storage("format", "--cluster-id", id, "-c", n.file); err != nil {
		t.Fatalf("format: %q, %v", out, err)
	}
	n.checkInfo(id)
	out, err = peers.KafkaTool(t, storageTool, "format", "-t", id, "-c", n.file, "--ignore-formatted")
	if err != nil || !strings.Contains(out, "All of the log directories are already formatted.") {
		t.Errorf("format, ignoring what is: %q, %v", out, err)
	}
	n.start()
	contains(t, "cluster id", n.tool("", metadataQuorumCommand, "describe", "--status"), id)
	n.stop()
}

// nodeRunsWhereTheToolFormatted takes a directory as it is, with its cluster id and
// the users that kafka-storage added.
func nodeRunsWhereTheToolFormatted(t *testing.T, n *propertiesNode) {
	t.Helper()
	const id = "bWlsbHJhY2UtcGVlci0wMg"
	if _, err := peers.KafkaTool(t, storageTool, "format", "-t", id, "-c", n.file, "--add-scram", "SCRAM-SHA-256=[name=alice,password=alice-secret]"); err != nil {
		t.Fatal(err)
	}
	if out, err := n.storage("format", "--cluster-id", id, "-c", n.file); err == nil || !strings.Contains(err.Error(), "is already formatted") {
		t.Errorf("format again: %q, %v", out, err)
	}
	n.start()
	contains(t, "quorum", n.tool("", metadataQuorumCommand, "describe", "--status"), id)
	contains(t, "users", n.tool("", configCommand, "--describe", "--entity-type", "users", "--entity-name", "alice"), "SCRAM-SHA-256=iterations=4096")
	n.stop()
	n.checkInfo(id)
}

// checkInfo asks kafka-storage what it thinks of the node's directory.
func (n *propertiesNode) checkInfo(id string) {
	n.t.Helper()
	out, err := peers.KafkaTool(n.t, storageTool, "info", "-c", n.file)
	if err != nil {
		n.t.Errorf("info: %v\n%s", err, out)
	}
	// node.id is that of the file.
	contains(n.t, "info", out, "Found log directory: "+n.dir, "cluster.id="+id, "node.id=5", "version=1")
}
