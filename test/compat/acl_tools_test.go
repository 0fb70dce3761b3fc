package compat

import (
	"strings"
	"testing"

	"github.com/millrace/millrace/configs"
	"github.com/millrace/millrace/test/peers"
)

const aclCommand = "org.apache.kafka.tools.AclCommand"

// TestAclCommand adds, lists and removes entries with kafka-acls.
func TestAclCommand(t *testing.T) {
	t.Parallel()
	cfg := configs.Default().Broker
	cfg.Listen, cfg.OffsetsPartitions = "127.0.0.1:0", 4
	cfg.Authorizer = configs.Authorizer{Enabled: true, SuperUsers: []string{"User:ANONYMOUS"}}
	n := startNodeWith(t, t.TempDir(), cfg)
	n.tool(t, aclCommand, "--add", "--allow-principal", "User:alice", "--producer", "--topic", "orders", "--resource-pattern-type", "prefixed")
	n.tool(t, aclCommand, "--add", "--deny-principal", "User:bob", "--deny-host", "10.0.0.1", "--operation", "Read", "--topic", "*")
	n.tool(t, aclCommand, "--add", "--allow-principal", "User:alice", "--operation", "IdempotentWrite", "--cluster")
	contains(t, "list", n.tool(t, aclCommand, "--list", "--topic", "orders.eu", "--resource-pattern-type", "match"),
		"ResourcePattern(resourceType=TOPIC, name=orders, patternType=PREFIXED)", "operation=WRITE", "operation=CREATE", "principal=User:bob, host=10.0.0.1, operation=READ, permissionType=DENY")
	n.tool(t, aclCommand, "--remove", "--force", "--allow-principal", "User:alice", "--producer", "--topic", "orders", "--resource-pattern-type", "prefixed")
	if left := n.tool(t, aclCommand, "--list"); strings.Contains(left, "orders") || !strings.Contains(left, "IDEMPOTENT_WRITE") {
		t.Errorf("after the removal:\n%s", left)
	}
}

// TestQuotasWithConfigCommand sets, shows and removes quotas with kafka-configs.
func TestQuotasWithConfigCommand(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	n.tool(t, configCommand, "--alter", "--add-config", "producer_byte_rate=1024,consumer_byte_rate=2048", "--entity-type", "users", "--entity-name", "alice", "--entity-type", "clients", "--entity-name", "app")
	n.tool(t, configCommand, "--alter", "--add-config", "request_percentage=50", "--entity-type", "users", "--entity-default")
	n.tool(t, configCommand, "--alter", "--add-config", "connection_creation_rate=10", "--entity-type", "ips", "--entity-name", "10.0.0.1")
	contains(t, "users", n.tool(t, configCommand, "--describe", "--entity-type", "users"), "default user-principal are request_percentage=50.0")
	contains(t, "user and client", n.tool(t, configCommand, "--describe", "--entity-type", "users", "--entity-name", "alice", "--entity-type", "clients"),
		"user-principal 'alice', client-id 'app'", "producer_byte_rate=1024.0", "consumer_byte_rate=2048.0")
	contains(t, "ips", n.tool(t, configCommand, "--describe", "--entity-type", "ips"), "ip '10.0.0.1' are connection_creation_rate=10.0")
	n.tool(t, configCommand, "--alter", "--delete-config", "request_percentage", "--entity-type", "users", "--entity-default")
	if out := n.tool(t, configCommand, "--describe", "--entity-type", "users", "--entity-default"); strings.Contains(out, "request_percentage") {
		t.Errorf("the quota that was removed is there: %s", out)
	}
	if out, err := peers.KafkaTool(t, configCommand, "--bootstrap-server", n.addr, "--alter", "--add-config", "producer_byte_rate=-1", "--entity-type", "users", "--entity-name", "alice"); err == nil || !strings.Contains(out+err.Error(), "must be greater than 0") {
		t.Errorf("a negative quota: %q, %v", out, err)
	}
}
