package compat

import (
	"os/exec"
	"slices"
	"testing"

	"github.com/millrace/millrace/configs"
	"github.com/millrace/millrace/test/peers"
)

// TestKafkaJS runs testdata/kafkajs_test.js, a client written in JavaScript.
func TestKafkaJS(t *testing.T) {
	t.Parallel()
	node, packages := peers.Node(t, "kafkajs@2.2.4", "kafkajs-snappy@1.1.0", "lz4js@0.2.0", "zstd-codec@0.1.5")
	cfg := configs.Default().Broker
	cfg.Listen, cfg.OffsetsPartitions = "127.0.0.1:0", 4
	cfg.Authorizer = configs.Authorizer{Enabled: true, SuperUsers: []string{"User:ANONYMOUS"}}
	n := startNodeWith(t, t.TempDir(), cfg)
	contains(t, "kafkajs", runNode(t, node, packages, "testdata/kafkajs_test.js", n.addr, "KAFKAJS_NO_PARTITIONER_WARNING=1"), "all is well")
}

// runNode runs a script with packages of npm and more variables in its environment.
func runNode(t *testing.T, node, packages, script, addr string, variables ...string) string {
	t.Helper()
	env, err := exec.LookPath("env")
	if err != nil {
		t.Fatal(err)
	}
	return runProgram(t, "", env, slices.Concat([]string{"NODE_PATH=" + packages}, variables, []string{node, script, addr})...)
}
