package compat

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/test/peers"
)

// Main classes of Apache Kafka's tools for clusters.
const (
	groupsCommand             = "org.apache.kafka.tools.GroupsCommand"
	reassignPartitionsCommand = "org.apache.kafka.tools.reassign.ReassignPartitionsCommand"
	leaderElectionCommand     = "org.apache.kafka.tools.LeaderElectionCommand"
	metadataQuorumCommand     = "org.apache.kafka.tools.MetadataQuorumCommand"
	featureCommand            = "org.apache.kafka.tools.FeatureCommand"
	endToEndLatency           = "org.apache.kafka.tools.EndToEndLatency"
)

// TestGroupsCommand lists groups of both protocols.
func TestGroupsCommand(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	n.createTopic("shared", 6)
	n.sendNumbers("shared", 10, time.Now().UnixMilli())
	modern := newGroupMember(t, n)
	eventually(t, "the member has all partitions", func() bool { owns, _, _ := modern.state(); return owns == 6 })
	classic := franzJoin(t, n, kgo.ConsumerGroup("other-group"), kgo.Balancers(kgo.RangeBalancer()))
	eventually(t, "the classic member has all partitions", func() bool { owns, _, _ := classic.state(); return owns == 6 })
	contains(t, "all", n.tool(t, groupsCommand, "--list"), "GROUP TYPE PROTOCOL", "franz-group Consumer consumer", "other-group Classic consumer")
	contains(t, "classic ones", n.tool(t, groupsCommand, "--list", "--group-type", "classic"), "other-group Classic consumer")
}

// TestReassignPartitionsCommand: what is proposed for one node is done when it is asked for.
func TestReassignPartitionsCommand(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	n.createTopic("moved", 1)
	dir := t.TempDir()
	topics, plan := filepath.Join(dir, "topics.json"), filepath.Join(dir, "plan.json")
	for name, content := range map[string]string{
		topics: `{"topics": [{"topic": "moved"}], "version": 1}`,
		plan:   `{"version": 1, "partitions": [{"topic": "moved", "partition": 0, "replicas": [1]}]}`,
	} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	contains(t, "generate", n.tool(t, reassignPartitionsCommand, "--generate", "--topics-to-move-json-file", topics, "--broker-list", "1"),
		`Proposed partition reassignment configuration {"version":1,"partitions":[{"topic":"moved","partition":0,"replicas":[1],"log_dirs":["any"]}]}`)
	contains(t, "execute", n.tool(t, reassignPartitionsCommand, "--execute", "--reassignment-json-file", plan), "Successfully started partition reassignment for moved-0")
	contains(t, "verify", n.tool(t, reassignPartitionsCommand, "--verify", "--reassignment-json-file", plan), "Reassignment of partition moved-0 is completed.")
	contains(t, "list", n.tool(t, reassignPartitionsCommand, "--list"), "No partition reassignments found.")
}

// TestLeaderElectionCommand: the leader is the preferred one already.
func TestLeaderElectionCommand(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	n.createTopic("led", 2)
	contains(t, "preferred", n.tool(t, leaderElectionCommand, "--election-type", "preferred", "--topic", "led", "--partition", "1"),
		"Valid replica already elected for partitions led-1")
}

// TestQuorumAndFeatureCommands: one voter who leads, and the features of Kafka 4.1.
func TestQuorumAndFeatureCommands(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	contains(t, "status", n.tool(t, metadataQuorumCommand, "describe", "--status"), "LeaderId: 1", "LeaderEpoch:", "HighWatermark:", "CurrentVoters:")
	contains(t, "replication", n.tool(t, metadataQuorumCommand, "describe", "--replication"), "NodeId", "Leader")
	contains(t, "features", n.tool(t, featureCommand, "describe"), "Feature: metadata.version", "Feature: transaction.version", "FinalizedVersionLevel: 2", "Feature: group.version")
}

// TestEndToEndLatency: each record comes back.
func TestEndToEndLatency(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	n.createTopic("latency", 1)
	out, err := peers.KafkaTool(t, endToEndLatency, n.addr, "latency", "200", "all", "100")
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	contains(t, "latency", out, "Avg latency:", "Percentiles: 50th")
}
