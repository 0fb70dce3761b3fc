package broker

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/acl"
	"github.com/millrace/millrace/configs"
	"github.com/millrace/millrace/test/peers"
)

// TestPermissionsAreThoseOfApacheKafka asks both, as alice, for everything that there
// is: without a permission, with each of those that the API needs, and with all. The
// refusals are compared field by field, then the error codes.
func TestPermissionsAreThoseOfApacheKafka(t *testing.T) {
	sasl := peers.FreeAddr(t)
	kafka := peers.Kafka(t, peers.KafkaProperties(
		"listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL:SASL_PLAINTEXT",
		"sasl.enabled.mechanisms=PLAIN",
		`listener.name.sasl.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_alice="secret";`,
		"authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer",
		"super.users="+anonymous,
	), peers.KafkaListener("SASL", sasl))
	cfg := closedConfig()
	cfg.Authorizer.SuperUsers = []string{anonymous}
	cfg.Listeners = []configs.Listener{{Name: "PLAINTEXT", Listen: "127.0.0.1:0"}, {Name: "SASL", Listen: "127.0.0.1:0", SASL: configs.ListenerSASL{Mechanisms: []string{"PLAIN"}}}}
	cfg.Users = []configs.User{{Name: "alice", Password: "secret"}}
	n := startNode(t, t.TempDir(), cfg)
	ours, _ := n.ListenerAddr("SASL")
	open, _ := n.ListenerAddr("PLAINTEXT")
	both := []authorizedBroker{{kafka.Bootstrap, sasl}, {open, ours}}
	for _, b := range both {
		create := kmsg.NewPtrCreateTopicsRequest()
		create.TimeoutMillis = 5000
		create.Topics = []kmsg.CreateTopicsRequestTopic{{Topic: "t", NumPartitions: 1, ReplicationFactor: 1}}
		b.asRoot(t, 7, create)
		for kind := range int8(2) {
			find := kmsg.NewPtrFindCoordinatorRequest()
			find.CoordinatorType, find.CoordinatorKeys = kind, []string{"g"}
			for b.asRoot(t, 6, find).(*kmsg.FindCoordinatorResponse).Coordinators[0].ErrorCode != 0 {
				time.Sleep(100 * time.Millisecond) // Kafka makes the coordinators' topics meanwhile
			}
		}
	}
	rules := authorizationRules(t)
	for _, a := range n.advertisedAPIs {
		rule, name := rules[a.Key], kmsg.NameForKey(a.Key)
		if slices.Contains([]string{"SASLHandshake", "SASLAuthenticate", "ApiVersions"}, name) {
			continue
		}
		t.Run(name, func(t *testing.T) { comparePermissions(t, both, rule) })
	}
}

// authorizedBroker is a broker with the address of the super user and that of alice.
type authorizedBroker struct{ root, alice string }

func (b authorizedBroker) asRoot(t *testing.T, version int16, req kmsg.Request) kmsg.Response {
	t.Helper()
	return ask[kmsg.Response](dialRaw(t, b.root), version, req)
}

func (b authorizedBroker) asAlice(t *testing.T, step comparedStep) string {
	t.Helper()
	c := dialRaw(t, b.alice)
	ask[*kmsg.SASLHandshakeResponse](c, 1, handshakeRequest("PLAIN"))
	if resp := ask[*kmsg.SASLAuthenticateResponse](c, 1, tokenRequest("\x00alice\x00secret")); resp.ErrorCode != 0 {
		t.Fatalf("alice may not log in: %+v", resp)
	}
	return c.exchange(step)
}

func (b authorizedBroker) grant(t *testing.T, g grant) {
	t.Helper()
	resp := b.asRoot(t, 3, &kmsg.CreateACLsRequest{Creations: []kmsg.CreateACLsRequestCreation{{
		ResourceType: kmsg.ACLResourceType(g.resource.Type), ResourceName: g.resource.Name, ResourcePatternType: kmsg.ACLResourcePatternTypeLiteral,
		Principal: "User:alice", Host: "*", Operation: kmsg.ACLOperation(g.op), PermissionType: kmsg.ACLPermissionTypeAllow,
	}}}).(*kmsg.CreateACLsResponse)
	if resp.Results[0].ErrorCode != 0 {
		t.Fatalf("%+v", resp)
	}
}

func (b authorizedBroker) revokeAll(t *testing.T) {
	t.Helper()
	all := kmsg.DeleteACLsRequestFilter{
		ResourceType: kmsg.ACLResourceTypeAny, ResourcePatternType: kmsg.ACLResourcePatternTypeAny, Principal: new("User:alice"),
		Operation: kmsg.ACLOperationAny, PermissionType: kmsg.ACLPermissionTypeAny,
	}
	if resp := b.asRoot(t, 3, &kmsg.DeleteACLsRequest{Filters: []kmsg.DeleteACLsRequestFilter{all}}).(*kmsg.DeleteACLsResponse); resp.Results[0].ErrorCode != 0 {
		t.Fatalf("%+v", resp)
	}
}

func comparePermissions(t *testing.T, both []authorizedBroker, rule authorizationRule) {
	for _, b := range both {
		b.revokeAll(t)
	}
	step := comparedStep{version: rule.version, req: rule.req, mask: []string{
		"ErrorMessage", "MemberID", "ProducerID", "Topics", "Groups", "NodeID", "Brokers", "Nodes",
	}}
	if rule.refusal != nil { // in full
		step.mask = []string{"ErrorMessage"}
		if rule.refusal.Code == 31 {
			step.mask = append(step.mask, "TopicID")
		}
	}
	agree(t, both, "without permission", func(b authorizedBroker) string { return b.asAlice(t, step) })
	for i, g := range rule.needs {
		for _, b := range both {
			b.grant(t, g)
		}
		agree(t, both, fmt.Sprintf("with %s of %s (%d of %d)", g.op, g.resource.Type, i+1, len(rule.needs)), func(b authorizedBroker) string {
			codes := errorCodesIn(t, b.asAlice(t, step))
			slices.Sort(codes)
			return fmt.Sprint(slices.Compact(codes))
		})
	}
	// One permission that helps with nothing is as none.
	for _, b := range both {
		b.revokeAll(t)
		b.grant(t, grant{acl.Read, acl.Topic("another")})
	}
	agree(t, both, "with another permission", func(b authorizedBroker) string { return b.asAlice(t, step) })
}

// agree asks both until they say the same: Kafka's entries are in force a moment after
// they are answered.
func agree(t *testing.T, both []authorizedBroker, when string, say func(authorizedBroker) string) {
	t.Helper()
	deadline := time.Now().Add(3 * time.Second)
	for {
		want, got := say(both[0]), say(both[1])
		if want == got {
			return
		}
		if time.Now().After(deadline) {
			want, got = apart(want, got)
			t.Errorf("%s\nKafka %s\nours  %s", when, want, got)
			return
		}
		time.Sleep(50 * time.Millisecond) // until Kafka's metadata has got there
	}
}
