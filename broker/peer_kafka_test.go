package broker

import (
	"fmt"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/batch"
)

// TestAnswersAreThoseOfApacheKafka sends the same requests to a real Apache Kafka
// and to this node and compares every field of the responses, apart from ids,
// addresses and times.
func TestAnswersAreThoseOfApacheKafka(t *testing.T) {
	compareWithKafka(t, comparedSteps(t))
}

// apart shortens two texts to where they begin to differ.
func apart(a, b string) (string, string) {
	at := 0
	for at < min(len(a), len(b)) && a[at] == b[at] {
		at++
	}
	at = max(at-200, 0)
	return a[at:min(len(a), at+600)], b[at:min(len(b), at+600)]
}

// field returns a field of a JSON object, zero where there is none.
func field[T any](v any, name string) T {
	m, _ := v.(map[string]any)
	value, _ := m[name].(T)
	return value
}

// configOrder orders configs, whose order Kafka does not keep, by their names.
func configOrder(a, b any) int {
	m, _ := a.(map[string]any)
	_, config := m["ConfigSynonyms"]
	if _, resource := m["Type"]; config || resource && m["Name"] != nil {
		return strings.Compare(field[string](a, "Name"), field[string](b, "Name"))
	}
	return 0
}

func comparedSteps(t *testing.T) []comparedStep {
	var steps []comparedStep
	add := func(name string, version int16, req kmsg.Request, mask ...string) {
		steps = append(steps, comparedStep{name: name, version: version, req: req, mask: mask})
	}
	create := func(name string, partitions int32, replicas int16, configs ...string) *kmsg.CreateTopicsRequest {
		req := kmsg.NewPtrCreateTopicsRequest()
		rt := kmsg.NewCreateTopicsRequestTopic()
		rt.Topic, rt.NumPartitions, rt.ReplicationFactor = name, partitions, replicas
		for i := 0; i < len(configs); i += 2 {
			rt.Configs = append(rt.Configs, kmsg.CreateTopicsRequestTopicConfig{Name: configs[i], Value: &configs[i+1]})
		}
		req.Topics, req.TimeoutMillis = []kmsg.CreateTopicsRequestTopic{rt}, 10_000
		return req
	}
	for _, version := range []int16{2, 5, 7} {
		add("create", version, create(fmt.Sprintf("made-%d", version), 2, 1, "retention.ms", "1000"), "Configs")
	}
	add("create t", 7, create("t", 1, 1), "Configs")
	add("create defaults", 7, create("defaults", -1, -1), "Configs")
	add("create safe", 7, create("safe", 1, 1, "min.insync.replicas", "2"), "Configs")
	add("create small", 7, create("small", 1, 1, "max.message.bytes", "100"), "Configs")
	add("create young", 7, create("young", 1, 1, "message.timestamp.before.max.ms", "1"), "Configs")
	add("create compacted", 7, create("compacted", 1, 1, "cleanup.policy", "compact"), "Configs")
	add("create again", 7, create("t", 1, 1))
	add("create colliding", 7, create("made_7.x", 1, 1), "Configs")
	add("create colliding 2", 7, create("made_7_x", 1, 1), "Configs")
	for i, name := range []string{"", ".", "a/b", strings.Repeat("x", 250)} {
		add(fmt.Sprintf("create invalid %d", i), 7, create(name, 1, 1))
	}
	add("create without partitions", 7, create("p0", 0, 1))
	add("create with three replicas", 7, create("r3", 1, 3))
	add("create with no replicas", 7, create("r0", 1, 0))
	add("create unknown config", 7, create("c1", 1, 1, "no.such", "1"))
	add("create bad number", 7, create("c2", 1, 1, "retention.ms", "soon"))
	add("create number too small", 7, create("c3", 1, 1, "retention.ms", "-2"))
	add("create bad policy", 7, create("c4", 1, 1, "cleanup.policy", "burn"))
	add("create bad int", 7, create("c5", 1, 1, "segment.bytes", "99999999999"))
	add("create bad boolean", 7, create("c6", 1, 1, "preallocate", "maybe"))
	add("create too many partitions", 7, create("c7", 10_001, 1))
	assigned := create("assigned", -1, -1)
	assigned.Topics[0].ReplicaAssignment = []kmsg.CreateTopicsRequestTopicReplicaAssignment{{Partition: 0, Replicas: []int32{1}}, {Partition: 1, Replicas: []int32{1}}}
	add("create assigned", 7, assigned, "Configs")
	for name, replicas := range map[string][]int32{"unknown": {9}, "empty": {}, "repeated": {1, 1}} {
		req := create("assigned-"+name, -1, -1)
		req.Topics[0].ReplicaAssignment = []kmsg.CreateTopicsRequestTopicReplicaAssignment{{Partition: 0, Replicas: replicas}}
		add("create assigned "+name, 7, req)
	}
	gap := create("gap", -1, -1)
	gap.Topics[0].ReplicaAssignment = []kmsg.CreateTopicsRequestTopicReplicaAssignment{{Partition: 1, Replicas: []int32{1}}}
	add("create assigned gap", 7, gap)
	both := create("both", 2, 1)
	both.Topics[0].ReplicaAssignment = []kmsg.CreateTopicsRequestTopicReplicaAssignment{{Partition: 0, Replicas: []int32{1}}}
	add("create both", 7, both)
	twice := create("twice", 1, 1)
	twice.Topics = append(twice.Topics, twice.Topics[0])
	add("create twice", 7, twice)
	validate := create("validated", 3, 1)
	validate.ValidateOnly = true
	add("create validate only", 7, validate, "Configs")

	for _, version := range []int16{0, 1, 4, 8, 9, 12, 13} {
		req := kmsg.NewPtrMetadataRequest()
		for _, name := range []string{"t", "made-7", "not/valid"} {
			req.Topics = append(req.Topics, kmsg.MetadataRequestTopic{Topic: new(name)})
		}
		req.IncludeTopicAuthorizedOperations, req.IncludeClusterAuthorizedOperations = true, true
		add(fmt.Sprintf("metadata v%d", version), version, req)
	}
	missing := kmsg.NewPtrMetadataRequest()
	missing.Topics = []kmsg.MetadataRequestTopic{{Topic: new("missing")}}
	add("metadata missing", 13, missing)
	byID := kmsg.NewPtrMetadataRequest()
	byID.Topics = []kmsg.MetadataRequestTopic{{TopicID: [16]byte{9}}}
	add("metadata unknown id", 12, byID)

	add("describe cluster", 2, kmsg.NewPtrDescribeClusterRequest())
	for _, kind := range []int8{2, 3} {
		req := kmsg.NewPtrDescribeClusterRequest()
		req.EndpointType = kind
		add(fmt.Sprintf("describe cluster of type %d", kind), 1, req)
	}
	partitions := kmsg.NewPtrDescribeTopicPartitionsRequest()
	partitions.Topics = []kmsg.DescribeTopicPartitionsRequestTopic{{Topic: "t"}, {Topic: "none"}, {Topic: "made-7"}}
	add("describe topic partitions", 0, partitions)
	paged := kmsg.NewPtrDescribeTopicPartitionsRequest()
	paged.Topics, paged.ResponsePartitionLimit = partitions.Topics, 1
	add("describe topic partitions, first page", 0, paged)
	add("list reassignments", 0, kmsg.NewPtrListPartitionReassignmentsRequest())

	good := buildBatch(t, nil, "v")
	produceTo := func(topic string, acks int16, records []byte) *kmsg.ProduceRequest {
		return produceRequest(topic, acks, records)
	}
	cut, damaged, old := good[:40], append([]byte(nil), good...), append([]byte(nil), good...)
	damaged[len(damaged)-1] ^= 1
	old[batchMagicAt] = 1
	for _, version := range []int16{3, 5, 8, 9, 12} {
		add(fmt.Sprintf("produce v%d", version), version, produceTo("t", -1, good))
	}
	add("produce unknown topic", 12, produceTo("none", 1, good))
	add("produce acks 2", 12, produceTo("t", 2, good))
	add("produce min insync", 12, produceTo("safe", -1, good))
	add("produce empty records", 12, produceTo("t", 1, []byte{}), "ErrorMessage")
	add("produce two batches", 12, produceTo("t", 1, append(append([]byte(nil), good...), good...)), "ErrorMessage")
	add("produce damaged", 12, produceTo("t", 1, damaged), "ErrorMessage")
	add("produce cut", 12, produceTo("t", 1, cut), "ErrorMessage")
	add("produce old", 12, produceTo("t", 1, old), "ErrorMessage")
	add("produce large", 12, produceTo("small", 1, buildBatch(t, nil, string(make([]byte, 200)))), "ErrorMessage")
	add("produce without key to compacted", 12, produceTo("compacted", 1, buildBatch(t, nil, "a", "b")))
	add("produce too old", 12, produceTo("young", 1, buildBatch(t, nil, "a", "b")), "ErrorMessage")
	idempotent := func(epoch int16, sequence int32) *kmsg.ProduceRequest {
		return produceTo("t", -1, buildBatch(t, &batch.Producer{ID: 4711, Epoch: epoch, Sequence: sequence}, "v"))
	}
	add("idempotent first", 12, idempotent(1, 0))
	add("idempotent next", 12, idempotent(1, 1))
	add("idempotent again", 12, idempotent(1, 0))
	describeProducers := func(topics ...string) *kmsg.DescribeProducersRequest {
		req := kmsg.NewPtrDescribeProducersRequest()
		for _, topic := range topics {
			req.Topics = append(req.Topics, kmsg.DescribeProducersRequestTopic{Topic: topic, Partitions: []int32{0, 7, -1}})
		}
		return req
	}
	add("describe a producer of several batches", 0, describeProducers("t"))
	add("idempotent gap", 12, idempotent(1, 5), "ErrorMessage")
	add("idempotent older epoch", 12, idempotent(0, 2), "ErrorMessage")
	add("idempotent newer epoch with a gap", 12, idempotent(2, 5), "ErrorMessage")
	add("idempotent newer epoch", 12, idempotent(2, 0))
	add("describe a producer of a newer epoch", 0, describeProducers("t"))
	add("describe no producers", 0, describeProducers("made-7", "none", "not/valid", ""))
	add("describe producers of nothing", 0, &kmsg.DescribeProducersRequest{Topics: []kmsg.DescribeProducersRequestTopic{{Topic: "t"}, {Topic: "none"}}})

	for _, version := range []int16{1, 4, 6, 10} {
		for _, at := range []int64{-1, -2, -3, -4, -5, -6, -100, 0, 1 << 60} {
			req := kmsg.NewPtrListOffsetsRequest()
			p := kmsg.NewListOffsetsRequestTopicPartition()
			p.Timestamp = at
			unknown := p
			unknown.Partition = 7
			req.Topics = []kmsg.ListOffsetsRequestTopic{{Topic: "t", Partitions: []kmsg.ListOffsetsRequestTopicPartition{p, unknown}}}
			add(fmt.Sprintf("list offsets %d v%d", at, version), version, req, "Timestamp")
		}
	}
	fencing := kmsg.NewPtrListOffsetsRequest()
	p := kmsg.NewListOffsetsRequestTopicPartition()
	p.Timestamp, p.CurrentLeaderEpoch = -1, 50
	fencing.Topics = []kmsg.ListOffsetsRequestTopic{{Topic: "t", Partitions: []kmsg.ListOffsetsRequestTopicPartition{p, p}}, {Topic: "made-7", Partitions: []kmsg.ListOffsetsRequestTopicPartition{p}}}
	add("list offsets twice and fenced", 10, fencing)

	fetch := func(topic string, change func(*kmsg.FetchRequest, *kmsg.FetchRequestTopicPartition)) *kmsg.FetchRequest {
		req := kmsg.NewPtrFetchRequest()
		req.MaxWaitMillis, req.MinBytes, req.MaxBytes, req.SessionEpoch = 100, 1, 1<<20, -1
		p := kmsg.NewFetchRequestTopicPartition()
		p.PartitionMaxBytes = 1 << 20
		change(req, &p)
		req.Topics = []kmsg.FetchRequestTopic{{Topic: topic, Partitions: []kmsg.FetchRequestTopicPartition{p}}}
		return req
	}
	type part = kmsg.FetchRequestTopicPartition
	for _, version := range []int16{4, 7, 11, 12} {
		add(fmt.Sprintf("fetch v%d", version), version, fetch("t", func(*kmsg.FetchRequest, *part) {}), "RecordBatches")
		add(fmt.Sprintf("fetch at the end v%d", version), version, fetch("t", func(_ *kmsg.FetchRequest, p *part) { p.FetchOffset = 8 }))
		add(fmt.Sprintf("fetch committed v%d", version), version, fetch("t", func(r *kmsg.FetchRequest, p *part) { r.IsolationLevel, p.FetchOffset = 1, 8 }))
	}
	add("fetch unknown topic", 12, fetch("none", func(*kmsg.FetchRequest, *part) {}))
	add("fetch unknown partition", 12, fetch("t", func(_ *kmsg.FetchRequest, p *part) { p.Partition = 9 }))
	add("fetch beyond", 12, fetch("t", func(_ *kmsg.FetchRequest, p *part) { p.FetchOffset = 100 }))
	add("fetch before", 12, fetch("t", func(_ *kmsg.FetchRequest, p *part) { p.FetchOffset = -5 }))
	add("fetch with a newer epoch", 12, fetch("t", func(_ *kmsg.FetchRequest, p *part) { p.CurrentLeaderEpoch = 60 }))
	add("fetch last epoch unknown", 12, fetch("t", func(_ *kmsg.FetchRequest, p *part) { p.LastFetchedEpoch = 60 }))
	add("fetch diverging", 12, fetch("t", func(_ *kmsg.FetchRequest, p *part) { p.LastFetchedEpoch, p.FetchOffset = 0, 50 }))
	add("fetch in an unknown session", 12, fetch("t", func(r *kmsg.FetchRequest, _ *part) { r.SessionID, r.SessionEpoch = 5, 5 }))
	add("fetch as a follower", 12, fetch("t", func(r *kmsg.FetchRequest, _ *part) { r.ReplicaID = 5 }))

	for _, epoch := range []int32{-1, 0, 5} {
		req := kmsg.NewPtrOffsetForLeaderEpochRequest()
		p := kmsg.NewOffsetForLeaderEpochRequestTopicPartition()
		p.LeaderEpoch = epoch
		req.Topics = []kmsg.OffsetForLeaderEpochRequestTopic{{Topic: "t", Partitions: []kmsg.OffsetForLeaderEpochRequestTopicPartition{p}}, {Topic: "none", Partitions: []kmsg.OffsetForLeaderEpochRequestTopicPartition{p}}}
		add(fmt.Sprintf("offset for epoch %d", epoch), 4, req)
	}
	for _, c := range []struct {
		topic  string
		offset int64
	}{{"t", 3}, {"t", 2}, {"t", 100}, {"t", -2}, {"compacted", 0}, {"none", 1}, {"t", -1}} {
		req := kmsg.NewPtrDeleteRecordsRequest()
		req.TimeoutMillis = 5000
		req.Topics = []kmsg.DeleteRecordsRequestTopic{{Topic: c.topic, Partitions: []kmsg.DeleteRecordsRequestTopicPartition{{Offset: c.offset}}}}
		add(fmt.Sprintf("delete records of %s before %d", c.topic, c.offset), 2, req)
	}
	for _, c := range []struct {
		topic string
		count int32
	}{{"made-7", 4}, {"made-7", 4}, {"made-7", 1}, {"none", 4}, {"made-7", -1}} {
		req := kmsg.NewPtrCreatePartitionsRequest()
		req.TimeoutMillis = 5000
		req.Topics = []kmsg.CreatePartitionsRequestTopic{{Topic: c.topic, Count: c.count}}
		add(fmt.Sprintf("create partitions of %s to %d", c.topic, c.count), 3, req)
	}
	alter := func(kind kmsg.ConfigResourceType, resource, name string, op kmsg.IncrementalAlterConfigOp, value *string) *kmsg.IncrementalAlterConfigsRequest {
		req := kmsg.NewPtrIncrementalAlterConfigsRequest()
		req.Resources = []kmsg.IncrementalAlterConfigsRequestResource{{ResourceType: kind, ResourceName: resource, Configs: []kmsg.IncrementalAlterConfigsRequestResourceConfig{{Name: name, Op: op, Value: value}}}}
		return req
	}
	const topic, broker = kmsg.ConfigResourceTypeTopic, kmsg.ConfigResourceTypeBroker
	add("alter set", 1, alter(topic, "t", "retention.ms", 0, new("5000")))
	add("alter delete", 1, alter(topic, "t", "retention.ms", 1, nil))
	add("alter append", 1, alter(topic, "t", "cleanup.policy", 2, new("compact")))
	add("alter subtract", 1, alter(topic, "t", "cleanup.policy", 3, new("compact")))
	add("alter append to a number", 1, alter(topic, "t", "retention.ms", 2, new("1")))
	add("alter null", 1, alter(topic, "t", "retention.ms", 0, nil))
	add("alter bad value", 1, alter(topic, "t", "retention.ms", 0, new("x")))
	add("alter unknown", 1, alter(topic, "t", "no.such", 0, new("x")))
	add("alter unknown topic", 1, alter(topic, "none", "retention.ms", 0, new("1")))
	add("alter read-only broker config", 1, alter(broker, "1", "num.partitions", 0, new("1")), "ErrorMessage")
	add("alter broker config", 1, alter(broker, "1", "log.retention.ms", 0, new("600000")))
	const relogin = "sasl.kerberos.min.time.before.relogin" // has nothing to do here
	add("alter unused broker config", 1, alter(broker, "1", relogin, 0, new("58000")))
	add("alter unused broker config, bad value", 1, alter(broker, "1", relogin, 0, new("soon")))
	add("alter unused broker config of all", 1, alter(broker, "", relogin, 0, new("58000")))
	add("alter unused broker config of all, bad value", 1, alter(broker, "", relogin, 0, new("soon")))
	add("alter threads of all", 1, alter(broker, "", "num.io.threads", 0, new("9")))
	add("alter no threads of all", 1, alter(broker, "", "num.io.threads", 0, new("0")))
	add("alter refresh", 1, alter(broker, "1", "sasl.login.refresh.buffer.seconds", 0, new("40000")))
	add("alter expiration of producers", 1, alter(broker, "1", "producer.id.expiration.ms", 0, new("7200000")))
	add("alter read-only broker config of all", 1, alter(broker, "", "node.id", 0, new("1")), "ErrorMessage")
	add("alter another broker", 1, alter(broker, "9", "log.retention.ms", 0, new("600000")), "ErrorMessage")
	for _, version := range []int16{1, 4} {
		req := kmsg.NewPtrDescribeConfigsRequest()
		req.IncludeSynonyms = true
		req.Resources = []kmsg.DescribeConfigsRequestResource{
			{ResourceType: topic, ResourceName: "made-7", ConfigNames: []string{"retention.ms", "cleanup.policy", "compression.type", "segment.bytes", "min.cleanable.dirty.ratio", "unclean.leader.election.enable"}},
			{ResourceType: topic, ResourceName: "none"},
			{ResourceType: broker, ResourceName: "9"},
			{ResourceType: broker, ResourceName: "1", ConfigNames: []string{"log.retention.ms", "num.partitions", relogin, "sasl.kerberos.service.name", "sasl.login.refresh.buffer.seconds", "num.io.threads", "producer.id.expiration.ms"}},
			{ResourceType: broker, ResourceName: "", ConfigNames: []string{"num.io.threads", relogin}},
		}
		add(fmt.Sprintf("describe configs v%d", version), version, req, "ReadOnly")
	}
	all := kmsg.NewPtrDescribeConfigsRequest()
	all.Resources = []kmsg.DescribeConfigsRequestResource{{ResourceType: topic, ResourceName: "t"}}
	add("describe all topic configs", 4, all, "ReadOnly", "Source") // Kafka sets min.insync.replicas for all brokers (KIP-966)
	find := kmsg.NewPtrFindCoordinatorRequest()
	find.CoordinatorKeys = []string{}
	add("find no coordinator", 6, find)
	for _, names := range [][]string{{"made-5"}, {"made-5"}, {"none"}, {""}} {
		req := kmsg.NewPtrDeleteTopicsRequest()
		req.TimeoutMillis, req.TopicNames = 5000, names
		add(fmt.Sprintf("delete %q", names), 5, req)
	}
	for _, topic := range []kmsg.DeleteTopicsRequestTopic{{TopicID: [16]byte{8}}, {Topic: new("made-2")}, {}} {
		req := kmsg.NewPtrDeleteTopicsRequest()
		req.TimeoutMillis, req.Topics = 5000, []kmsg.DeleteTopicsRequestTopic{topic}
		add(fmt.Sprintf("delete %v", topic.TopicID), 6, req)
	}
	return steps
}
