package compat

import (
	"os/exec"
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
	env, err := exec.LookPath("env")
	if err != nil {
		t.Fatal(err)
	}
	contains(t, "kafkajs", runProgram(t, "", env, "NODE_PATH="+packages, "KAFKAJS_NO_PARTITIONER_WARNING=1", node, "testdata/kafkajs_test.js", n.addr), "all is well")
}
