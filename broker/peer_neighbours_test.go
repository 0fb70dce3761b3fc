package broker

import (
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestBadNeighboursAnswerAsApacheKafka sends requests of which a part is good and another
// is bad: what only a handler sees that has found the topic, the partition, the group, the
// resource that the request names.
func TestBadNeighboursAnswerAsApacheKafka(t *testing.T) {
	onlyRecords(t)
	var l neighbours
	l.topics()
	l.produce(t)
	l.fetch()
	l.listOffsets()
	l.leaderEpochs()
	l.deleteRecords()
	l.coordinators()
	l.offsets()
	l.classicGroup()
	l.configs()
	l.changeTopics()
	l.pages()
	compareWithKafka(t, slices.Concat(coordinatorsAreLoaded(), l))
}

// neighbours gathers steps. Good neighbours are topic "t" with two partitions, "small",
// whose batches have at most 100 bytes, and "bad", for batches that are.
type neighbours []comparedStep

// each adds a step for each of the versions; build gets what Kafka has given out, and the version.
func (l *neighbours) each(name string, oldest, newest int16, build func(seen *given, version int16) kmsg.Request, mask ...string) {
	for version := oldest; version <= newest; version++ {
		*l = append(*l, comparedStep{
			name: fmt.Sprintf("%s v%d", name, version), version: version, mask: mask,
			build: func(seen *given) kmsg.Request { return build(seen, version) },
		})
	}
}

// one adds a step of one version.
func (l *neighbours) one(name string, version int16, req kmsg.Request, mask ...string) {
	*l = append(*l, comparedStep{name: fmt.Sprintf("%s v%d", name, version), version: version, req: req, mask: mask})
}

// always is a request that is the same whatever Kafka has given out. It is made anew
// for each version.
func always[Req kmsg.Request](build func() Req) func(*given, int16) kmsg.Request {
	return func(*given, int16) kmsg.Request { return build() }
}

// inOrder goes through a map by its sorted keys, so that golden files are the same each time.
func inOrder[V any](m map[string]V) iter.Seq2[string, V] {
	return func(yield func(string, V) bool) {
		for _, key := range slices.Sorted(maps.Keys(m)) {
			if !yield(key, m[key]) {
				return
			}
		}
	}
}

func topicToCreate(name string, partitions int32, configs ...string) kmsg.CreateTopicsRequestTopic {
	rt := kmsg.NewCreateTopicsRequestTopic()
	rt.Topic, rt.NumPartitions, rt.ReplicationFactor = name, partitions, 1
	for i := 0; i < len(configs); i += 2 {
		rt.Configs = append(rt.Configs, kmsg.CreateTopicsRequestTopicConfig{Name: configs[i], Value: &configs[i+1]})
	}
	return rt
}

func createTopicsRequest(topics ...kmsg.CreateTopicsRequestTopic) *kmsg.CreateTopicsRequest {
	req := kmsg.NewPtrCreateTopicsRequest()
	req.Topics, req.TimeoutMillis = topics, 10_000
	return req
}

func (l *neighbours) topics() {
	const long = 250
	l.one("make the good neighbours", 7, createTopicsRequest(
		topicToCreate("t", 2, "retention.ms", "-1"), topicToCreate("bad", 1, "retention.ms", "-1"), topicToCreate("small", 1, "max.message.bytes", "100"),
	), "Configs")
	l.each("create good and bad", 2, 7, func(_ *given, version int16) kmsg.Request {
		return createTopicsRequest(
			topicToCreate(fmt.Sprintf("good-%d", version), 1), topicToCreate("t", 1), topicToCreate(strings.Repeat("x", long), 1),
			topicToCreate("", 1), topicToCreate("..", 1), topicToCreate("typed", 1, "retention.ms", "soon"), topicToCreate("unknown", 1, "no.such", "1"),
			topicToCreate("none", -2), topicToCreate("valued", 1, "retention.ms", "-2"),
		)
	}, "Configs")
	l.each("create the same three times", 2, 7, always(func() *kmsg.CreateTopicsRequest {
		return createTopicsRequest(topicToCreate("thrice", 1), topicToCreate("thrice", 1), topicToCreate("thrice", 2))
	}))
	l.each("create with a config twice", 2, 7, func(_ *given, version int16) kmsg.Request {
		return createTopicsRequest(topicToCreate(fmt.Sprintf("config-twice-%d", version), 1, "retention.ms", "1000", "retention.ms", "2000"))
	}, "Configs")
	l.each("create with a config of null", 2, 7, func(_ *given, version int16) kmsg.Request {
		req := createTopicsRequest(topicToCreate(fmt.Sprintf("config-null-%d", version), 1, "retention.ms", ""))
		req.Topics[0].Configs[0].Value = nil
		return req
	}, "Configs")
	l.each("create with an assignment that counts too", 2, 7, always(func() *kmsg.CreateTopicsRequest {
		rt := topicToCreate("assigned", 2)
		rt.ReplicaAssignment = []kmsg.CreateTopicsRequestTopicReplicaAssignment{{Partition: 0, Replicas: []int32{1}}}
		return createTopicsRequest(rt)
	}))
	l.each("create with a partition assigned twice", 2, 7, always(func() *kmsg.CreateTopicsRequest {
		rt := topicToCreate("assigned", -1)
		rt.ReplicationFactor = -1
		rt.ReplicaAssignment = []kmsg.CreateTopicsRequestTopicReplicaAssignment{{Partition: 0, Replicas: []int32{1}}, {Partition: 0, Replicas: []int32{1}}}
		return createTopicsRequest(rt)
	}))
	for _, name := range []string{"good-2", "t"} {
		l.each("metadata of good and bad", 0, 13, always(func() *kmsg.MetadataRequest {
			req := kmsg.NewPtrMetadataRequest()
			req.AllowAutoTopicCreation = false
			for _, n := range []string{name, "no/such", strings.Repeat("x", long), name} {
				req.Topics = append(req.Topics, kmsg.MetadataRequestTopic{Topic: &n})
			}
			return req
		}))
	}
	l.each("metadata of ids", 10, 13, func(seen *given, _ int16) kmsg.Request {
		req := kmsg.NewPtrMetadataRequest()
		req.Topics = []kmsg.MetadataRequestTopic{{TopicID: seen.topics["t"]}, {TopicID: [16]byte{1}}}
		return req
	})
	l.each("metadata of a name and an id", 10, 13, func(seen *given, _ int16) kmsg.Request {
		req := kmsg.NewPtrMetadataRequest()
		req.Topics = []kmsg.MetadataRequestTopic{{TopicID: seen.topics["t"], Topic: new("t")}}
		return req
	})
	l.each("metadata of a topic without a name", 10, 13, always(func() *kmsg.MetadataRequest {
		req := kmsg.NewPtrMetadataRequest()
		req.Topics = []kmsg.MetadataRequestTopic{{}}
		return req
	}))
}

func (l *neighbours) changeTopics() {
	more := func(topic string, count int32, assigned ...int32) kmsg.CreatePartitionsRequestTopic {
		rt := kmsg.CreatePartitionsRequestTopic{Topic: topic, Count: count}
		for _, broker := range assigned {
			rt.Assignment = append(rt.Assignment, kmsg.CreatePartitionsRequestTopicAssignment{Replicas: []int32{broker}})
		}
		return rt
	}
	add := func(topics ...kmsg.CreatePartitionsRequestTopic) func(*given, int16) kmsg.Request {
		return always(func() *kmsg.CreatePartitionsRequest {
			return &kmsg.CreatePartitionsRequest{Topics: topics, TimeoutMillis: 5000}
		})
	}
	l.each("more partitions, good and bad", 0, 3, func(_ *given, version int16) kmsg.Request {
		return add(more("t", int32(version)+3), more("good-2", 1), more("good-3", 0), more("no-such", 3), more("no/such", 3), more("good-4", -3), more("good-5", 1<<30))(nil, 0)
	})
	l.each("more partitions of the same topic", 0, 3, add(more("t", 8), more("t", 9)))
	l.each("more partitions on too few brokers", 0, 3, add(more("good-6", 4, 1)))
	l.each("more partitions on an unknown broker", 0, 3, add(more("good-6", 2, 9)))
	l.each("more partitions on a negative broker", 0, 3, add(more("good-6", 2, -1)))
	nowhere := more("good-6", 2)
	nowhere.Assignment = []kmsg.CreatePartitionsRequestTopicAssignment{{}}
	l.each("more partitions on no broker", 0, 3, add(nowhere))

	l.each("delete good and bad", 1, 5, func(_ *given, version int16) kmsg.Request {
		return &kmsg.DeleteTopicsRequest{TimeoutMillis: 5000, TopicNames: []string{fmt.Sprintf("good-%d", version), "no-such", "no/such", ""}}
	})
	l.each("delete twice at once", 1, 5, always(func() *kmsg.DeleteTopicsRequest {
		return &kmsg.DeleteTopicsRequest{TimeoutMillis: 5000, TopicNames: []string{"good-6", "good-6"}}
	}))
	type topic = kmsg.DeleteTopicsRequestTopic
	for name, topics := range inOrder(map[string]func(*given) []topic{
		"by unknown ids":         func(*given) []topic { return []topic{{TopicID: [16]byte{7}}, {TopicID: [16]byte{8}}} },
		"by a name and an id":    func(seen *given) []topic { return []topic{{TopicID: seen.topics["t"], Topic: new("t")}} },
		"by neither":             func(*given) []topic { return []topic{{}} },
		"by an id and its name":  func(seen *given) []topic { return []topic{{TopicID: seen.topics["t"]}, {Topic: new("t")}} },
		"by an id twice":         func(seen *given) []topic { return []topic{{TopicID: seen.topics["t"]}, {TopicID: seen.topics["t"]}} },
		"by an unknown id twice": func(*given) []topic { return []topic{{TopicID: [16]byte{7}}, {TopicID: [16]byte{7}}} },
		"by its id":              func(seen *given) []topic { return []topic{{TopicID: seen.topics["t"]}} },
	}) {
		l.each("delete "+name, 6, 6, func(seen *given, _ int16) kmsg.Request {
			return &kmsg.DeleteTopicsRequest{TimeoutMillis: 5000, Topics: topics(seen)}
		})
	}
}

// pages are steps about DescribeTopicPartitions.
func (l *neighbours) pages() {
	type cursor = kmsg.DescribeTopicPartitionsRequestCursor
	for name, at := range inOrder(map[string]*cursor{
		"at a topic":              {Topic: "small"},
		"at a partition":          {Topic: "small", Partition: 1},
		"beyond its partitions":   {Topic: "small", Partition: 77},
		"before its partitions":   {Topic: "small", Partition: -3},
		"at an unknown topic":     {Topic: "sm"},
		"beyond all topics":       {Topic: "zzz"},
		"at a topic without name": {},
	}) {
		for _, limit := range []int32{2000, 1, 0, -1} {
			req := kmsg.NewPtrDescribeTopicPartitionsRequest()
			req.Topics = []kmsg.DescribeTopicPartitionsRequestTopic{{Topic: "small"}, {Topic: "no-such"}}
			req.Cursor, req.ResponsePartitionLimit = at, limit
			l.one(fmt.Sprintf("page %s of %d", name, limit), 0, req)
		}
	}
}
