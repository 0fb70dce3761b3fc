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
				pause(t, 100*time.Millisecond) // Kafka makes the coordinators' topics meanwhile
			}
		}
	}
	for _, step := range entrySteps() {
		agree(t, both, step.name, func(b authorizedBroker) string { return conversation(t, b.root, []comparedStep{step})[0] })
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
	deadline := time.Now().Add(time.Minute)
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
		pause(t, 50*time.Millisecond) // until Kafka's metadata has got there
	}
}

// entrySteps make and describe entries and quotas, sound and unsound ones. Entries
// whose parts are those of filters are left out: Kafka answers them with
// UNKNOWN_SERVER_ERROR, we with INVALID_REQUEST.
func entrySteps() []comparedStep {
	var steps []comparedStep
	add := func(name string, version int16, req kmsg.Request, mask ...string) {
		steps = append(steps, comparedStep{name: name, version: version, req: req, mask: mask})
	}
	sound := kmsg.CreateACLsRequestCreation{ResourceType: 2, ResourceName: "entry", ResourcePatternType: 3, Principal: "User:a", Host: "*", Operation: 3, PermissionType: 3}
	create := func(change func(*kmsg.CreateACLsRequestCreation)) *kmsg.CreateACLsRequest {
		c := sound
		change(&c)
		return &kmsg.CreateACLsRequest{Creations: []kmsg.CreateACLsRequestCreation{c}}
	}
	for name, change := range map[string]func(*kmsg.CreateACLsRequestCreation){
		"sound":            func(*kmsg.CreateACLsRequestCreation) {},
		"no name":          func(c *kmsg.CreateACLsRequestCreation) { c.ResourceName = "" },
		"another cluster":  func(c *kmsg.CreateACLsRequestCreation) { c.ResourceType = 4 },
		"unknown type":     func(c *kmsg.CreateACLsRequestCreation) { c.ResourceType = 0 },
		"unknown op":       func(c *kmsg.CreateACLsRequestCreation) { c.Operation = 99 },
		"newer permission": func(c *kmsg.CreateACLsRequestCreation) { c.PermissionType = 9 },
		"newer type":       func(c *kmsg.CreateACLsRequestCreation) { c.ResourceType = 99 },
		"newer pattern":    func(c *kmsg.CreateACLsRequestCreation) { c.ResourcePatternType = 9 },
		"of two operation": func(c *kmsg.CreateACLsRequestCreation) { c.ResourceType, c.ResourceName, c.Operation = 5, "x", 15 },
	} {
		add("create entry: "+name, 3, create(change))
	}
	for name, pattern := range map[string]int8{"any": 1, "match": 2, "literal": 3, "prefixed": 4, "unknown": 0} {
		add("describe entries: "+name, 3, &kmsg.DescribeACLsRequest{ResourceType: 2, ResourceName: new("entry"), ResourcePatternType: kmsg.ACLResourcePatternType(pattern), Operation: 1, PermissionType: 1})
	}
	filter := kmsg.DeleteACLsRequestFilter{ResourceType: 1, ResourcePatternType: 1, Principal: new("User:a"), Operation: 1, PermissionType: 1}
	unknown := filter
	unknown.Operation = 0
	add("delete entries: unknown", 3, &kmsg.DeleteACLsRequest{Filters: []kmsg.DeleteACLsRequestFilter{unknown}})
	newer := filter
	newer.Operation = 99
	add("delete entries: newer", 3, &kmsg.DeleteACLsRequest{Filters: []kmsg.DeleteACLsRequestFilter{newer}})
	add("describe entries: newer", 3, &kmsg.DescribeACLsRequest{ResourceType: 2, ResourcePatternType: 1, Operation: 99, PermissionType: 1})
	add("delete entries of nobody", 3, &kmsg.DeleteACLsRequest{Filters: []kmsg.DeleteACLsRequestFilter{{ResourceType: 1, ResourcePatternType: 1, Principal: new("User:nobody"), Operation: 1, PermissionType: 1}}})

	type entity = []kmsg.AlterClientQuotasRequestEntryEntity
	type ops = []kmsg.AlterClientQuotasRequestEntryOp
	user := entity{{Type: "user", Name: new("u")}}
	for name, e := range map[string]kmsg.AlterClientQuotasRequestEntry{
		"sound":                {Entity: user, Ops: ops{{Key: "producer_byte_rate", Value: 1024}}},
		"the default user":     {Entity: entity{{Type: "user"}}, Ops: ops{{Key: "request_percentage", Value: 12.5}}},
		"an address":           {Entity: entity{{Type: "ip", Name: new("10.0.0.1")}}, Ops: ops{{Key: "connection_creation_rate", Value: 3}}},
		"removal of none":      {Entity: entity{{Type: "client-id", Name: new("c")}}, Ops: ops{{Key: "producer_byte_rate", Remove: true}}},
		"no entity":            {},
		"an unknown kind":      {Entity: entity{{Type: "group", Name: new("g")}}},
		"an empty name":        {Entity: entity{{Type: "user", Name: new("")}}},
		"an address of a user": {Entity: entity{user[0], {Type: "ip"}}},
		"an unknown key":       {Entity: user, Ops: ops{{Key: "k", Value: 1}}},
		"another kind's key":   {Entity: user, Ops: ops{{Key: "connection_creation_rate", Value: 1}}},
		"zero":                 {Entity: user, Ops: ops{{Key: "producer_byte_rate", Value: 0}}},
		"half a byte":          {Entity: user, Ops: ops{{Key: "producer_byte_rate", Value: 1.5}}},
		"too much":             {Entity: user, Ops: ops{{Key: "producer_byte_rate", Value: 1e19}}},
		"too many connections": {Entity: entity{{Type: "ip"}}, Ops: ops{{Key: "connection_creation_rate", Value: 1e10}}},
	} {
		add("alter quota: "+name, 1, &kmsg.AlterClientQuotasRequest{Entries: []kmsg.AlterClientQuotasRequestEntry{e}})
	}
	type component = kmsg.DescribeClientQuotasRequestComponent
	for name, c := range map[string][]component{
		"a user":           {{EntityType: "user", Match: new("u")}},
		"users":            {{EntityType: "user", MatchType: 2}},
		"the default user": {{EntityType: "user", MatchType: 1}},
		"addresses":        {{EntityType: "ip", MatchType: 2}},
		"no type":          {{}},
		"unknown type":     {{EntityType: "group", MatchType: 2}},
		"twice":            {{EntityType: "user", MatchType: 2}, {EntityType: "user", MatchType: 1}},
		"no name":          {{EntityType: "user"}},
		"default named":    {{EntityType: "user", MatchType: 1, Match: new("u")}},
		"any named":        {{EntityType: "user", MatchType: 2, Match: new("u")}},
		"unknown match":    {{EntityType: "user", MatchType: 7}},
		"user and address": {{EntityType: "user", MatchType: 2}, {EntityType: "ip", MatchType: 2}},
	} {
		for _, strict := range []bool{false, true} {
			add(fmt.Sprintf("describe quotas: %s, strict %v", name, strict), 1, &kmsg.DescribeClientQuotasRequest{Components: c, Strict: strict})
		}
	}
	return steps
}
