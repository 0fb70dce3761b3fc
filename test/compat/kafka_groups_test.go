package compat

import (
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/test/peers"
)

// TestConsumerGroupCommand: Kafka's tool shows, moves and deletes groups, with members and without.
func TestConsumerGroupCommand(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	n.createTopic("shared", 6)
	start := time.Now().Add(-time.Hour).UnixMilli() / 1000 * 1000
	n.sendNumbers("shared", 100, start)
	m := franzJoin(t, n, kgo.Balancers(kgo.RangeBalancer()), kgo.ClientID("a-client"))
	eventually(t, "the member reads everything", func() bool { owns, seen, _ := m.state(); return owns == 6 && seen == 100 })
	if err := m.CommitUncommittedOffsets(t.Context()); err != nil {
		t.Fatal(err)
	}
	group := func(args ...string) string {
		t.Helper()
		return n.tool(t, consumerGroupCommand, args...)
	}
	contains(t, "list", group("--list"), "franz-group")
	contains(t, "list with states", group("--list", "--state", "stable"), "franz-group Stable")
	contains(t, "describe", group("--describe", "--group", "franz-group"), "franz-group shared 0 100 100 0", "/127.0.0.1 a-client")
	contains(t, "members", group("--describe", "--group", "franz-group", "--members", "--verbose"), "/127.0.0.1 a-client 6", "shared:0,1,2,3,4,5")
	contains(t, "state", group("--describe", "--group", "franz-group", "--state"), "(1) range Stable 1")
	if out, err := peers.KafkaTool(t, consumerGroupCommand, "--bootstrap-server", n.addr, "--delete", "--group", "franz-group"); !refused(out, err, "not empty") {
		t.Errorf("a group with a member was deleted: %q, %v", out, err)
	}
	m.Close()

	reset := func(how ...string) string {
		t.Helper()
		return group(append([]string{"--reset-offsets", "--group", "franz-group", "--topic", "shared:0", "--execute"}, how...)...)
	}
	contains(t, "reset to the earliest", reset("--to-earliest"), "franz-group shared 0 0")
	contains(t, "reset to a time", reset("--to-datetime", time.UnixMilli(start+42_000).UTC().Format("2006-01-02T15:04:05.000")+"Z"), "franz-group shared 0 42")
	contains(t, "shift", reset("--shift-by", "8"), "franz-group shared 0 50")
	contains(t, "describe after the reset", group("--describe", "--group", "franz-group"), "franz-group shared 0 50 100 50")
	contains(t, "delete offsets", group("--delete-offsets", "--group", "franz-group", "--topic", "shared:1"), "shared 1 Successful")
	contains(t, "delete", group("--delete", "--group", "franz-group"), "Deletion of requested consumer groups ('franz-group') was successful.")
	if out := group("--list"); strings.Contains(out, "franz-group") {
		t.Errorf("the group is still there: %s", out)
	}
	if out, err := peers.KafkaTool(t, consumerGroupCommand, "--bootstrap-server", n.addr, "--describe", "--group", "franz-group"); !refused(out, err, "Group franz-group not found.") {
		t.Errorf("a group that is gone: %q, %v", out, err)
	}
}

// refused says whether a tool named the reason, on either output.
func refused(out string, err error, reason string) bool {
	if err != nil {
		out += err.Error()
	}
	return strings.Contains(out, reason)
}
