package broker

import (
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/test/peers"
)

// TestAdminAnswersAreThoseOfApacheKafka is TestAnswersAreThoseOfApacheKafka for
// the requests of operators' tools about replicas, voters and features.
func TestAdminAnswersAreThoseOfApacheKafka(t *testing.T) {
	compareWithKafka(t, adminSteps())
}

// TestBytesAfterARequestAreLeftAlone: a client that sends more than its request's
// version has, as librdkafka 2.12 does with Metadata, is answered all the same.
func TestBytesAfterARequestAreLeftAlone(t *testing.T) {
	kafka := peers.Kafka(t)
	n := startNode(t, t.TempDir(), testConfig())
	produce := kmsg.NewPtrProduceRequest()
	produce.Acks = 1
	for _, req := range []kmsg.Request{kmsg.NewPtrMetadataRequest(), kmsg.NewPtrListGroupsRequest(), produce, kmsg.NewPtrFetchRequest()} {
		for name, c := range map[string]*rawConn{"Kafka": dialRaw(t, kafka.Bootstrap), "this node": dial(t, n)} {
			frame := append(frameOf(4, 1, req), 0, 0, 0)
			binary.BigEndian.PutUint32(frame, uint32(len(frame)-4))
			c.send(frame)
			if len(c.receive()) < 4 {
				t.Errorf("%s does not answer %s", name, kmsg.NameForKey(req.Key()))
			}
		}
	}
}

func adminSteps() []comparedStep {
	var steps []comparedStep
	add := func(name string, version int16, req kmsg.Request, mask ...string) {
		steps = append(steps, comparedStep{name: fmt.Sprintf("%s v%d", name, version), version: version, req: req, mask: mask})
	}
	create := kmsg.NewPtrCreateTopicsRequest()
	rt := kmsg.NewCreateTopicsRequestTopic()
	rt.Topic, rt.NumPartitions, rt.ReplicationFactor = "t", 2, 1
	create.Topics, create.TimeoutMillis = []kmsg.CreateTopicsRequestTopic{rt}, 10_000
	add("create", 7, create, "Configs")

	for _, version := range []int16{0, 1, 2} {
		elect := func(kind int8, topics ...kmsg.ElectLeadersRequestTopic) *kmsg.ElectLeadersRequest {
			return &kmsg.ElectLeadersRequest{ElectionType: kind, Topics: topics, TimeoutMillis: 5000}
		}
		both := []int32{0, 1}
		add("elect the preferred", version, elect(0, kmsg.ElectLeadersRequestTopic{Topic: "t", Partitions: both}))
		add("elect a missing partition", version, elect(0, kmsg.ElectLeadersRequestTopic{Topic: "t", Partitions: []int32{7, -1}}))
		add("elect in a missing topic", version, elect(0, kmsg.ElectLeadersRequestTopic{Topic: "none", Partitions: both}))
		add("elect nothing", version, elect(0, kmsg.ElectLeadersRequestTopic{Topic: "t"}))
		add("elect everywhere", version, elect(0))
	}
	add("elect an unclean one", 2, &kmsg.ElectLeadersRequest{ElectionType: 1, Topics: []kmsg.ElectLeadersRequestTopic{{Topic: "t", Partitions: []int32{0}}}, TimeoutMillis: 5000})
	add("elect unclean everywhere", 2, &kmsg.ElectLeadersRequest{ElectionType: 1, TimeoutMillis: 5000})

	assign := func(version int16, name, topic string, partition int32, replicas []int32, change bool) {
		req := kmsg.NewPtrAlterPartitionAssignmentsRequest()
		req.AllowReplicationFactorChange = change
		req.Topics = []kmsg.AlterPartitionAssignmentsRequestTopic{{Topic: topic, Partitions: []kmsg.AlterPartitionAssignmentsRequestTopicPartition{{Partition: partition, Replicas: replicas}}}}
		add(name, version, req)
	}
	for _, version := range []int16{0, 1} {
		assign(version, "reassign to where it is", "t", 0, []int32{1}, true)
		assign(version, "cancel what is not under way", "t", 0, nil, true)
		assign(version, "reassign to an unknown broker", "t", 0, []int32{9}, true)
		assign(version, "reassign to two", "t", 0, []int32{1, 9}, true)
		assign(version, "reassign to nobody", "t", 0, []int32{}, true)
		assign(version, "reassign to the same twice", "t", 0, []int32{1, 1}, true)
		assign(version, "reassign to a negative id", "t", 0, []int32{-1}, true)
		assign(version, "reassign a missing partition", "t", 7, []int32{1}, true)
		assign(version, "reassign a missing topic", "none", 0, []int32{1}, true)
		assign(version, "cancel in a missing topic", "none", 0, nil, true)
		add("reassign nothing", version, kmsg.NewPtrAlterPartitionAssignmentsRequest())
	}
	assign(1, "reassign without change of the factor", "t", 0, []int32{1, 9}, false)
	listed := kmsg.NewPtrListPartitionReassignmentsRequest()
	listed.Topics = []kmsg.ListPartitionReassignmentsRequestTopic{{Topic: "t", Partitions: []int32{0, 9}}, {Topic: "none", Partitions: []int32{0}}}
	add("list reassignments of some", 0, listed)

	for _, version := range []int16{1, 2} {
		for name, dir := range map[string]string{"unknown": "/no/such/dir", "relative": "dir", "empty": ""} {
			add("move to a directory that is "+name, version, &kmsg.AlterReplicaLogDirsRequest{Dirs: []kmsg.AlterReplicaLogDirsRequestDir{
				{Dir: dir, Topics: []kmsg.AlterReplicaLogDirsRequestDirTopic{{Topic: "t", Partitions: []int32{0, 7}}, {Topic: "none", Partitions: []int32{0}}}},
			}})
		}
		add("move nothing", version, &kmsg.AlterReplicaLogDirsRequest{})
	}

	quorum := func(topic string, partitions ...int32) *kmsg.DescribeQuorumRequest {
		req := &kmsg.DescribeQuorumRequest{Topics: []kmsg.DescribeQuorumRequestTopic{{Topic: topic}}}
		for _, p := range partitions {
			req.Topics[0].Partitions = append(req.Topics[0].Partitions, kmsg.DescribeQuorumRequestTopicPartition{Partition: p})
		}
		return req
	}
	moving := []string{"LeaderEpoch", "HighWatermark", "LogEndOffset", "LastFetchTimestamp", "LastCaughtUpTimestamp", "ReplicaDirectoryID", "Nodes"}
	for _, version := range []int16{0, 1, 2} {
		add("describe the quorum", version, quorum("__cluster_metadata", 0), moving...)
		add("describe the quorum of a topic", version, quorum("t", 0), moving...)
		add("describe a missing partition of the quorum", version, quorum("__cluster_metadata", 1), moving...)
		add("describe too many partitions of the quorum", version, quorum("__cluster_metadata", 0, 1), moving...)
		add("describe the quorum of nothing", version, &kmsg.DescribeQuorumRequest{}, moving...)
	}

	feature := func(name string, level int16, kind int8, validate bool) *kmsg.UpdateFeaturesRequest {
		req := kmsg.NewPtrUpdateFeaturesRequest()
		u := kmsg.NewUpdateFeaturesRequestFeatureUpdate()
		u.Feature, u.MaxVersionLevel, u.UpgradeType, u.AllowDowngrade = name, level, kind, kind != 1
		req.FeatureUpdates, req.ValidateOnly, req.TimeoutMillis = []kmsg.UpdateFeaturesRequestFeatureUpdate{u}, validate, 5000
		return req
	}
	for _, version := range []int16{0, 1, 2} {
		add("update an unknown feature", version, feature("no.such", 1, 1, false))
		add("update a feature beyond what there is", version, feature("transaction.version", 99, 1, false))
		add("update a feature to what it is", version, feature("transaction.version", 2, 1, false))
		add("update no feature", version, kmsg.NewPtrUpdateFeaturesRequest())
	}
	add("downgrade a feature as an upgrade", 2, feature("transaction.version", 1, 1, true))
	add("update a feature of a negative level", 2, feature("transaction.version", -1, 1, true))
	add("update a feature by an unknown kind", 2, feature("transaction.version", 1, 9, true))

	add("unregister an unknown broker", 0, &kmsg.UnregisterBrokerRequest{BrokerID: 9})
	for _, version := range []int16{0, 1} {
		add("list config resources", version, kmsg.NewPtrListConfigResourcesRequest())
	}
	for _, kind := range []int8{2, 4, 8, 16, 32, 99} {
		req := kmsg.NewPtrListConfigResourcesRequest()
		req.ResourceTypes = []int8{kind}
		add(fmt.Sprintf("list config resources of type %d", kind), 1, req)
	}
	join := kmsg.NewPtrAddRaftVoterRequest()
	join.VoterID, join.TimeoutMillis = 2, 1000
	join.Listeners = []kmsg.AddRaftVoterRequestListener{{Name: "CONTROLLER", Host: "127.0.0.1", Port: 1}}
	add("add a voter", 0, join)
	elsewhere := *join
	elsewhere.ClusterID = new("other")
	add("add a voter to another cluster", 0, &elsewhere, "ErrorMessage") // it names the cluster
	leave := kmsg.NewPtrRemoveRaftVoterRequest()
	leave.VoterID = 2
	add("remove a voter", 0, leave)
	return steps
}
