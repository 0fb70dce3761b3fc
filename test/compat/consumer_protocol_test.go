package compat

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/configs"
	"github.com/millrace/millrace/internal/clusterview"
	"github.com/millrace/millrace/test/peers"
)

// TestConsumerProtocolPython: librdkafka's consumers with group.protocol=consumer
// share partitions, commit, subscribe by expression, and are static.
func TestConsumerProtocolPython(t *testing.T) {
	t.Parallel()
	python := peers.Python(t, "kafka-python", "confluent-kafka")
	n := startNode(t)
	n.createTopic("shared", 6)
	n.sendNumbers("shared", 100, time.Now().UnixMilli())
	out := runProgram(t, "", python, "testdata/consumer_protocol_test.py", n.addr)
	contains(t, "python", out, "listed [('python-group', 'STABLE', 'CONSUMER')]", "all is well")
}

// TestConsumerProtocolJava: Apache Kafka's own consumer and tools with the new protocol.
func TestConsumerProtocolJava(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	n.createTopic("shared", 6)
	n.sendNumbers("shared", 100, time.Now().UnixMilli())
	contains(t, "console consumer", n.tool(t, consoleConsumer, "--topic", "shared", "--from-beginning", "--max-messages", "100", "--timeout-ms", "30000",
		"--group", "java-group", "--consumer-property", "group.protocol=consumer"), " 42 ", " 99")
	group := func(args ...string) string {
		t.Helper()
		return n.tool(t, consumerGroupCommand, args...)
	}
	contains(t, "list", group("--list", "--state", "--type"), "java-group Consumer Empty")
	contains(t, "describe", group("--describe", "--group", "java-group"), "java-group shared 0 ", " 0 - - -")

	m := newGroupMember(t, n)
	eventually(t, "the member reads everything", func() bool { owns, seen, _ := m.state(); return owns == 6 && seen == 100 })
	contains(t, "members", group("--describe", "--group", "franz-group", "--members", "--verbose"), "/127.0.0.1", "1 shared:0,1,2,3,4,5 1 shared:0,1,2,3,4,5")
	contains(t, "state", group("--describe", "--group", "franz-group", "--state", "--verbose"), "uniform Stable", "GROUP-EPOCH TARGET-ASSIGNMENT-EPOCH")
	classic := franzJoin(t, n, kgo.Balancers(kgo.RangeBalancer()))
	eventually(t, "a classic member has its share", func() bool { owns, _, _ := classic.state(); return owns == 3 })
	contains(t, "mixed members", group("--describe", "--group", "franz-group", "--members"), "franz-group", " kgo 3")
	classic.Close()
	m.Close()
	n.stop()
	var records strings.Builder
	for p := range 4 {
		files, err := filepath.Glob(filepath.Join(n.dir, "logs", fmt.Sprintf("__consumer_offsets-%d", p), "*.log"))
		if err != nil || len(files) == 0 {
			t.Fatalf("partition %d: %v, %v", p, files, err)
		}
		out, err := peers.KafkaTool(t, dumpLogSegments, "--offsets-decoder", "--files", strings.Join(files, ","))
		if err != nil {
			t.Fatal(err)
		}
		records.WriteString(out)
	}
	// Apache Kafka reads each kind of record that a consumer group writes.
	contains(t, "the records", records.String(), `"type":"3","data":{"groupId":"franz-group"}`, `"metadataHash"`, `"type":"5"`, `"subscribedTopicNames":["shared"]`,
		`"classicMemberMetadata":{"sessionTimeoutMs":30000,"supportedProtocols":[{"name":"range"`, `"type":"6"`, `"assignmentEpoch":`, `"type":"7"`,
		`"type":"8"`, `"memberEpoch":`, `"assignedPartitions":[{"topicId":`, `payload: <DELETE>`)
}

// newGroupMember is a member of franz-group that speaks the new protocol.
func newGroupMember(t *testing.T, n *node) *franzMember {
	return franzJoin(t, n, kgo.ServerSideBalancer(), kgo.Balancers(kgo.StickyBalancer()))
}

// TestGroupMigration: a group of the classic protocol becomes one of the new
// protocol when a member of that joins, serves both, and goes back when it leaves.
func TestGroupMigration(t *testing.T) {
	t.Parallel()
	for _, balancer := range []kgo.GroupBalancer{kgo.RangeBalancer(), kgo.CooperativeStickyBalancer()} {
		t.Run(balancer.ProtocolName(), func(t *testing.T) {
			t.Parallel()
			n := startNode(t)
			n.createTopic("shared", 6)
			n.sendNumbers("shared", 100, time.Now().UnixMilli())
			admin := franz(t, n)
			kind := func() string {
				resp, err := kmsg.NewPtrListGroupsRequest().RequestWith(t.Context(), admin)
				if err != nil {
					t.Fatal(err)
				}
				if len(resp.Groups) != 1 {
					t.Fatalf("groups: %+v", resp.Groups)
				}
				return resp.Groups[0].GroupType + " " + resp.Groups[0].GroupState
			}
			classic := franzJoin(t, n, kgo.Balancers(balancer))
			eventually(t, "the classic member reads everything", func() bool { owns, seen, _ := classic.state(); return owns == 6 && seen == 100 })
			if got := kind(); got != "classic Stable" {
				t.Errorf("before, the group is %s", got)
			}
			modern := newGroupMember(t, n)
			eventually(t, "both have their share", func() bool {
				a, _, _ := classic.state()
				b, _, _ := modern.state()
				return a == 3 && b == 3
			})
			eventually(t, "the group is stable", func() bool { return kind() == "consumer Stable" })
			checkMixedView(t, n)
			if err := classic.CommitUncommittedOffsets(t.Context()); err != nil {
				t.Errorf("a classic member commits in a consumer group: %v", err)
			}
			modern.Close()
			eventually(t, "the classic member has all again", func() bool { owns, _, _ := classic.state(); return owns == 6 })
			eventually(t, "the group is classic", func() bool { return kind() == "classic Stable" })
			classic.Close()
		})
	}
}

// checkMixedView: the command line's view of a group has members of both protocols.
func checkMixedView(t *testing.T, n *node) {
	t.Helper()
	view, err := clusterview.Open(configs.Kafka{Brokers: []string{n.addr}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := view.Close(); err != nil {
			t.Error(err)
		}
	}()
	groups, err := view.Groups("franz-group")
	if err != nil || len(groups) != 1 {
		t.Fatalf("groups: %+v, %v", groups, err)
	}
	g := groups[0]
	protocols := map[string]int{}
	for _, m := range g.Members {
		if m.Epoch != g.Epoch || len(m.Assignment["shared"]) != 3 || len(m.Target["shared"]) != 3 {
			t.Errorf("member %+v of a group in epoch %d", m, g.Epoch)
		}
		protocols[m.Protocol]++
	}
	if g.Type != "consumer" || g.State != "Stable" || g.Assignor != "uniform" || g.TargetEpoch != g.Epoch || protocols["classic"] != 1 || protocols["consumer"] != 1 {
		t.Errorf("the group is shown as %+v", g)
	}
}
