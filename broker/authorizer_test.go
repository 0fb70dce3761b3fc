package broker

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/acl"
	"github.com/millrace/millrace/broker/metadata"
	"github.com/millrace/millrace/configs"
)

const anonymous = "User:ANONYMOUS"

// closedConfig is a node on which nobody may do anything yet.
func closedConfig() configs.Broker {
	cfg := testConfig()
	cfg.Authorizer.Enabled = true
	cfg.Authorizer.SuperUsers = []string{"User:root"}
	return cfg
}

// allow lets the test's client do op, as CreateAcls would.
func allow(t testing.TB, n *testNode, op acl.Operation, resource acl.Resource) {
	t.Helper()
	_, err := n.meta.Update(func(*metadata.Image) ([]metadata.Record, error) {
		return []metadata.Record{&metadata.ACLRecord{ID: newID(), ACL: metadata.ACLOf(acl.Binding{
			Pattern:   acl.Pattern{Type: resource.Type, Name: resource.Name, Kind: acl.PatternLiteral},
			Principal: anonymous, Host: acl.Wildcard, Operation: op, Permission: acl.Allow,
		})}}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// grant is an operation on a resource.
type grant struct {
	op       acl.Operation
	resource acl.Resource
}

// authorizationRule says what a request needs.
type authorizationRule struct {
	req     kmsg.Request
	version int16
	// refusal is the error without any permission; nil for what is open to everyone.
	refusal *kerr.Error
	// needs are the permissions, from which on the refusal is gone.
	needs []grant
}

// authorizationRules has a row for every API.
func authorizationRules(t *testing.T) map[int16]authorizationRule {
	topic, group, cluster := acl.Topic("t"), acl.Group("g"), acl.Cluster()
	noTopic, noGroup, noCluster, noID := kerr.TopicAuthorizationFailed, kerr.GroupAuthorizationFailed, kerr.ClusterAuthorizationFailed, kerr.TransactionalIDAuthorizationFailed
	rules := make(map[int16]authorizationRule)
	add := func(version int16, refusal *kerr.Error, req kmsg.Request, needs ...grant) {
		if _, twice := rules[req.Key()]; twice {
			t.Fatalf("%s is there twice", kmsg.NameForKey(req.Key()))
		}
		rules[req.Key()] = authorizationRule{req: req, version: version, refusal: refusal, needs: needs}
	}
	add(12, noTopic, produceRequest("t", -1, buildBatch(t, nil, "v")), grant{acl.Write, topic})
	part := kmsg.NewFetchRequestTopicPartition()
	part.PartitionMaxBytes = 1 << 20
	fetch := kmsg.NewPtrFetchRequest()
	fetch.SessionEpoch, fetch.MaxBytes = -1, 1<<20
	fetch.Topics = []kmsg.FetchRequestTopic{{Topic: "t", Partitions: []kmsg.FetchRequestTopicPartition{part}}}
	add(12, noTopic, fetch, grant{acl.Read, topic})
	add(10, noTopic, &kmsg.ListOffsetsRequest{ReplicaID: -1, Topics: []kmsg.ListOffsetsRequestTopic{{Topic: "t", Partitions: []kmsg.ListOffsetsRequestTopicPartition{{Timestamp: -1, CurrentLeaderEpoch: -1}}}}}, grant{acl.Describe, topic})
	add(13, noTopic, &kmsg.MetadataRequest{Topics: []kmsg.MetadataRequestTopic{{Topic: new("t")}}}, grant{acl.Describe, topic})
	add(9, noGroup, &kmsg.OffsetCommitRequest{Group: "g", Generation: -1, Topics: []kmsg.OffsetCommitRequestTopic{{Topic: "t", Partitions: []kmsg.OffsetCommitRequestTopicPartition{{Offset: 1}}}}}, grant{acl.Read, group}, grant{acl.Read, topic})
	add(9, noGroup, &kmsg.OffsetFetchRequest{Groups: []kmsg.OffsetFetchRequestGroup{{Group: "g", MemberEpoch: -1, Topics: []kmsg.OffsetFetchRequestGroupTopic{{Topic: "t", Partitions: []int32{0}}}}}}, grant{acl.Describe, group}, grant{acl.Describe, topic})
	add(6, noGroup, &kmsg.FindCoordinatorRequest{CoordinatorKeys: []string{"g"}}, grant{acl.Describe, group})
	add(9, noGroup, &kmsg.JoinGroupRequest{Group: "g", SessionTimeoutMillis: 10_000, RebalanceTimeoutMillis: 10_000, ProtocolType: "consumer", Protocols: []kmsg.JoinGroupRequestProtocol{{Name: "range", Metadata: []byte{}}}}, grant{acl.Read, group})
	add(4, noGroup, &kmsg.HeartbeatRequest{Group: "g", MemberID: "m"}, grant{acl.Read, group})
	add(5, noGroup, &kmsg.LeaveGroupRequest{Group: "g", Members: []kmsg.LeaveGroupRequestMember{{MemberID: "m"}}}, grant{acl.Read, group})
	add(5, noGroup, &kmsg.SyncGroupRequest{Group: "g", MemberID: "m", ProtocolType: new("consumer"), Protocol: new("range")}, grant{acl.Read, group})
	add(6, noGroup, &kmsg.DescribeGroupsRequest{Groups: []string{"g"}}, grant{acl.Describe, group})
	add(5, nil, &kmsg.ListGroupsRequest{})
	add(4, nil, &kmsg.ApiVersionsRequest{ClientSoftwareName: "test", ClientSoftwareVersion: "1"})
	add(7, noTopic, &kmsg.CreateTopicsRequest{TimeoutMillis: 5000, ValidateOnly: true, Topics: []kmsg.CreateTopicsRequestTopic{{Topic: "n", NumPartitions: 1, ReplicationFactor: 1}}}, grant{acl.Create, acl.Topic("n")})
	add(6, noTopic, &kmsg.DeleteTopicsRequest{TimeoutMillis: 5000, Topics: []kmsg.DeleteTopicsRequestTopic{{Topic: new("gone")}}}, grant{acl.Delete, acl.Topic("gone")})
	add(2, noTopic, &kmsg.DeleteRecordsRequest{TimeoutMillis: 5000, Topics: []kmsg.DeleteRecordsRequestTopic{{Topic: "t", Partitions: []kmsg.DeleteRecordsRequestTopicPartition{{Offset: 0}}}}}, grant{acl.Delete, topic})
	add(5, noCluster, &kmsg.InitProducerIDRequest{ProducerID: -1, ProducerEpoch: -1}, grant{acl.IdempotentWrite, cluster})
	add(4, noTopic, &kmsg.OffsetForLeaderEpochRequest{ReplicaID: -1, Topics: []kmsg.OffsetForLeaderEpochRequestTopic{{Topic: "t", Partitions: []kmsg.OffsetForLeaderEpochRequestTopicPartition{{CurrentLeaderEpoch: -1}}}}}, grant{acl.Describe, topic})
	add(3, noCluster, &kmsg.DescribeACLsRequest{ResourceType: 1, ResourcePatternType: 1, Operation: 1, PermissionType: 1}, grant{acl.Describe, cluster})
	add(3, noCluster, &kmsg.CreateACLsRequest{Creations: []kmsg.CreateACLsRequestCreation{{ResourceType: 2, ResourceName: "x", ResourcePatternType: 3, Principal: "User:x", Host: "*", Operation: 3, PermissionType: 3}}}, grant{acl.Alter, cluster})
	add(3, noCluster, &kmsg.DeleteACLsRequest{Filters: []kmsg.DeleteACLsRequestFilter{{ResourceType: 2, ResourceName: new("x"), ResourcePatternType: 3, Operation: 1, PermissionType: 1}}}, grant{acl.Alter, cluster})
	add(4, noTopic, &kmsg.DescribeConfigsRequest{Resources: []kmsg.DescribeConfigsRequestResource{{ResourceType: kmsg.ConfigResourceTypeTopic, ResourceName: "t"}}}, grant{acl.DescribeConfigs, topic})
	add(2, noTopic, &kmsg.AlterConfigsRequest{ValidateOnly: true, Resources: []kmsg.AlterConfigsRequestResource{{ResourceType: kmsg.ConfigResourceTypeTopic, ResourceName: "t"}}}, grant{acl.AlterConfigs, topic})
	add(2, noCluster, &kmsg.AlterReplicaLogDirsRequest{Dirs: []kmsg.AlterReplicaLogDirsRequestDir{{Dir: "/", Topics: []kmsg.AlterReplicaLogDirsRequestDirTopic{{Topic: "t", Partitions: []int32{0}}}}}}, grant{acl.Alter, cluster})
	add(4, noCluster, &kmsg.DescribeLogDirsRequest{}, grant{acl.Describe, cluster})
	add(3, noTopic, &kmsg.CreatePartitionsRequest{TimeoutMillis: 5000, ValidateOnly: true, Topics: []kmsg.CreatePartitionsRequestTopic{{Topic: "t", Count: 5}}}, grant{acl.Alter, topic})
	add(2, noGroup, &kmsg.DeleteGroupsRequest{Groups: []string{"g"}}, grant{acl.Delete, group})
	add(2, noCluster, &kmsg.ElectLeadersRequest{TimeoutMillis: 5000, Topics: []kmsg.ElectLeadersRequestTopic{{Topic: "t", Partitions: []int32{0}}}}, grant{acl.Alter, cluster})
	add(1, noTopic, &kmsg.IncrementalAlterConfigsRequest{ValidateOnly: true, Resources: []kmsg.IncrementalAlterConfigsRequestResource{{ResourceType: kmsg.ConfigResourceTypeTopic, ResourceName: "t"}}}, grant{acl.AlterConfigs, topic})
	add(1, noCluster, &kmsg.AlterPartitionAssignmentsRequest{TimeoutMillis: 5000, Topics: []kmsg.AlterPartitionAssignmentsRequestTopic{{Topic: "t", Partitions: []kmsg.AlterPartitionAssignmentsRequestTopicPartition{{Replicas: []int32{1}}}}}}, grant{acl.Alter, cluster})
	add(0, noCluster, &kmsg.ListPartitionReassignmentsRequest{TimeoutMillis: 5000}, grant{acl.Describe, cluster})
	add(1, noGroup, consumerHeartbeat("g", "m"), grant{acl.Read, group}, grant{acl.Describe, topic})
	add(1, noGroup, &kmsg.ConsumerGroupDescribeRequest{Groups: []string{"g"}}, grant{acl.Describe, group})
	add(0, noGroup, &kmsg.OffsetDeleteRequest{Group: "g", Topics: []kmsg.OffsetDeleteRequestTopic{{Topic: "t", Partitions: []kmsg.OffsetDeleteRequestTopicPartition{{}}}}}, grant{acl.Delete, group})
	add(2, noCluster, &kmsg.DescribeQuorumRequest{Topics: []kmsg.DescribeQuorumRequestTopic{{Topic: metadataTopic, Partitions: []kmsg.DescribeQuorumRequestTopicPartition{{}}}}}, grant{acl.Describe, cluster})
	add(2, noCluster, &kmsg.UpdateFeaturesRequest{ValidateOnly: true}, grant{acl.Alter, cluster})
	add(2, nil, &kmsg.DescribeClusterRequest{EndpointType: 1})
	add(0, noTopic, &kmsg.DescribeProducersRequest{Topics: []kmsg.DescribeProducersRequestTopic{{Topic: "t", Partitions: []int32{0}}}}, grant{acl.Read, topic})
	add(0, noCluster, &kmsg.UnregisterBrokerRequest{BrokerID: 9}, grant{acl.Alter, cluster})
	add(1, noCluster, &kmsg.ListConfigResourcesRequest{}, grant{acl.DescribeConfigs, cluster})
	add(0, noTopic, &kmsg.DescribeTopicPartitionsRequest{Topics: []kmsg.DescribeTopicPartitionsRequestTopic{{Topic: "t"}}, ResponsePartitionLimit: 10}, grant{acl.Describe, topic})
	add(0, noCluster, &kmsg.AddRaftVoterRequest{VoterID: 2, VoterDirectoryID: [16]byte{1}}, grant{acl.Alter, cluster})
	add(0, noCluster, &kmsg.RemoveRaftVoterRequest{VoterID: 2, VoterDirectoryID: [16]byte{1}}, grant{acl.Alter, cluster})
	add(0, noCluster, &kmsg.DescribeUserSCRAMCredentialsRequest{Users: []kmsg.DescribeUserSCRAMCredentialsRequestUser{}}, grant{acl.Describe, cluster})
	add(0, noCluster, &kmsg.AlterUserSCRAMCredentialsRequest{Deletions: []kmsg.AlterUserSCRAMCredentialsRequestDeletion{{Name: "nobody", Mechanism: 1}}}, grant{acl.Alter, cluster})
	add(1, nil, &kmsg.SASLHandshakeRequest{Mechanism: "PLAIN"})
	add(2, nil, &kmsg.SASLAuthenticateRequest{})
	id := acl.TransactionalID("x")
	add(3, noID, &kmsg.AddPartitionsToTxnRequest{TransactionalID: "x", Topics: []kmsg.AddPartitionsToTxnRequestTopic{{Topic: "t", Partitions: []int32{0}}}}, grant{acl.Write, id}, grant{acl.Write, topic})
	add(4, noID, &kmsg.AddOffsetsToTxnRequest{TransactionalID: "x", Group: "g"}, grant{acl.Write, id}, grant{acl.Read, group})
	add(5, noID, &kmsg.EndTxnRequest{TransactionalID: "x"}, grant{acl.Write, id})
	add(1, noCluster, &kmsg.WriteTxnMarkersRequest{Markers: []kmsg.WriteTxnMarkersRequestMarker{{Topics: []kmsg.WriteTxnMarkersRequestMarkerTopic{{Topic: "t", Partitions: []int32{0}}}}}}, grant{acl.Alter, cluster})
	add(5, noID, &kmsg.TxnOffsetCommitRequest{TransactionalID: "x", Group: "g", Generation: -1, Topics: []kmsg.TxnOffsetCommitRequestTopic{{Topic: "t", Partitions: []kmsg.TxnOffsetCommitRequestTopicPartition{{Offset: 1}}}}}, grant{acl.Write, id}, grant{acl.Read, group}, grant{acl.Read, topic})
	add(0, noID, &kmsg.DescribeTransactionsRequest{TransactionalIDs: []string{"x"}}, grant{acl.Describe, id})
	add(2, nil, &kmsg.ListTransactionsRequest{DurationFilterMillis: -1})
	add(1, noCluster, &kmsg.DescribeClientQuotasRequest{}, grant{acl.DescribeConfigs, cluster})
	add(1, noCluster, &kmsg.AlterClientQuotasRequest{ValidateOnly: true, Entries: []kmsg.AlterClientQuotasRequestEntry{{Entity: []kmsg.AlterClientQuotasRequestEntryEntity{{Type: "user", Name: new("u")}}}}}, grant{acl.AlterConfigs, cluster})
	return rules
}

// TestEveryAPIAsksForPermission fails for an API that is advertised and has no
// row above: whoever adds one says who may use it.
func TestEveryAPIAsksForPermission(t *testing.T) {
	open := startNode(t, t.TempDir(), testConfig())
	rules := authorizationRules(t)
	for _, a := range open.advertisedAPIs {
		rule, ok := rules[a.Key]
		if !ok {
			t.Errorf("nobody has said who may use %s", kmsg.NameForKey(a.Key))
			continue
		}
		t.Run(kmsg.NameForKey(a.Key), func(t *testing.T) { checkRule(t, rule) })
	}
}

func checkRule(t *testing.T, rule authorizationRule) {
	n := startNode(t, t.TempDir(), closedConfig())
	if _, err := n.createTopic(topicSpec{name: "t", partitions: 1}); err != nil {
		t.Fatal(err)
	}
	if err := n.ensureOffsetsTopic(); err != nil {
		t.Fatal(err)
	}
	codes := func() []int16 {
		return errorCodesIn(t, dial(t, n).exchange(comparedStep{version: rule.version, req: rule.req}))
	}
	refused := func(codes []int16) bool {
		return slices.ContainsFunc(codes, func(c int16) bool {
			return c == kerr.TopicAuthorizationFailed.Code || c == kerr.GroupAuthorizationFailed.Code ||
				c == kerr.ClusterAuthorizationFailed.Code || c == kerr.TransactionalIDAuthorizationFailed.Code
		})
	}
	if rule.refusal == nil {
		if got := codes(); refused(got) {
			t.Errorf("open to everyone, but refused with %v", got)
		}
		return
	}
	if got := codes(); !slices.Contains(got, rule.refusal.Code) || slices.Contains(got, 0) && len(got) == 1 {
		t.Errorf("without permission the codes are %v, want %d", got, rule.refusal.Code)
	}
	for i, g := range rule.needs {
		if got := codes(); !refused(got) {
			t.Errorf("already taken without %s of %s: %v", g.op, rule.needs[i].resource.Type, got)
		}
		allow(t, n, g.op, g.resource)
	}
	if got := codes(); refused(got) {
		t.Errorf("refused with all that it needs: %v", got)
	}
}

// errorCodesIn returns the error codes of a response, wherever they are.
func errorCodesIn(t *testing.T, masked string) []int16 {
	t.Helper()
	var decoded any
	if err := json.Unmarshal([]byte(masked), &decoded); err != nil {
		t.Fatalf("%v: %s", err, masked)
	}
	var codes []int16
	var walk func(any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			if code, ok := v["ErrorCode"].(float64); ok {
				codes = append(codes, int16(code))
			}
			for _, inner := range v {
				walk(inner)
			}
		case []any:
			for _, inner := range v {
				walk(inner)
			}
		}
	}
	walk(decoded)
	return codes
}

// TestWhatMayNotBeDescribedIsLeftOut: lists do not reveal what a client may not see.
func TestWhatMayNotBeDescribedIsLeftOut(t *testing.T) {
	n := startNode(t, t.TempDir(), closedConfig())
	for _, name := range []string{"seen", "hidden"} {
		if _, err := n.createTopic(topicSpec{name: name, partitions: 1}); err != nil {
			t.Fatal(err)
		}
	}
	allow(t, n, acl.Read, acl.Topic("seen"))
	seenOnly := func(what string, version int16, req kmsg.Request) {
		answer := dial(t, n).exchange(comparedStep{version: version, req: req})
		if !strings.Contains(answer, `"seen"`) || strings.Contains(answer, "hidden") {
			t.Errorf("%s: %s", what, answer)
		}
	}
	all := kmsg.NewPtrMetadataRequest()
	all.Topics = nil
	seenOnly("all topics", 13, all)
	old := kmsg.NewPtrMetadataRequest()
	old.Topics = []kmsg.MetadataRequestTopic{}
	seenOnly("all topics of version 0", 0, old)
	seenOnly("all partitions", 0, kmsg.NewPtrDescribeTopicPartitionsRequest())

	ask := kmsg.NewPtrMetadataRequest()
	ask.AllowAutoTopicCreation, ask.IncludeTopicAuthorizedOperations = true, true
	ask.Topics = []kmsg.MetadataRequestTopic{{Topic: new("hidden")}, {Topic: new("none")}, {Topic: new("seen")}}
	resp := request[*kmsg.MetadataResponse](t, newClient(t, n), 12, ask)
	for _, topic := range resp.Topics {
		switch *topic.Topic {
		case "seen":
			if want := int32(1<<acl.Read | 1<<acl.Describe); topic.ErrorCode != 0 || topic.AuthorizedOperations != want {
				t.Errorf("seen: error %d, operations %x, want %x", topic.ErrorCode, topic.AuthorizedOperations, want)
			}
		default:
			if topic.ErrorCode != kerr.TopicAuthorizationFailed.Code || topic.TopicID != [16]byte{} || len(topic.Partitions) > 0 || topic.AuthorizedOperations != operationsNotAsked {
				t.Errorf("%s: %+v", *topic.Topic, topic)
			}
		}
	}
	if n.meta.Image().Topic("none") != nil {
		t.Error("a topic was made for a client that may not create it")
	}
	allow(t, n, acl.Describe, acl.Topic("none"))
	resp = request[*kmsg.MetadataResponse](t, newClient(t, n), 12, ask)
	if code := resp.Topics[1].ErrorCode; code != kerr.TopicAuthorizationFailed.Code || n.meta.Image().Topic("none") != nil {
		t.Errorf("describing is not creating: %d", code)
	}
	allow(t, n, acl.Create, acl.Cluster())
	resp = request[*kmsg.MetadataResponse](t, newClient(t, n), 12, ask)
	if code := resp.Topics[1].ErrorCode; code != 0 || n.meta.Image().Topic("none") == nil {
		t.Errorf("the topic was not made for a client that may create topics: %d", code)
	}
}

func TestSuperUsersMayDoEverything(t *testing.T) {
	cfg := closedConfig()
	cfg.Authorizer.SuperUsers = []string{anonymous}
	n := startNode(t, t.TempDir(), cfg)
	createTopic(t, n, "t", 1, nil)
	if n.log.count("access denied") > 0 {
		t.Error("a super user was refused something")
	}
}

func TestWhoIsRefusedIsLogged(t *testing.T) {
	n := startNode(t, t.TempDir(), closedConfig())
	for range 20 {
		dial(t, n).exchange(comparedStep{version: 4, req: kmsg.NewPtrDescribeLogDirsRequest()})
	}
	if got := n.log.count("access denied"); got != 1 {
		t.Errorf("%d lines for one client", got)
	}
	if want := fmt.Sprintf("principal=%s host=127.0.0.1 operation=DESCRIBE resource=CLUSTER", anonymous); n.log.count(want) != 1 {
		t.Errorf("no line has %q", want)
	}
}
