package broker

import (
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/acl"
	"github.com/millrace/millrace/broker/metadata"
	"github.com/millrace/millrace/broker/wire"
)

// DescribeTopicPartitions: v0
//
// Behaviour:
// * Topics in the order of their names, all if none are named, from the
//   cursor on, and at most the limit of partitions (2,000 at most); what is
//   left is pointed at by the next cursor.
// * Topics that the client may not describe are left out, or, when they are
//   named, TOPIC_AUTHORIZATION_FAILED.
// * There are no eligible leader replicas besides the in-sync ones.
//
// KIPs:
// * KIP-966: the API

const describePartitionsMax = 2000

func (n *Node) describeTopicPartitions(r *wire.Request, req *kmsg.DescribeTopicPartitionsRequest) *kmsg.DescribeTopicPartitionsResponse {
	resp := newResponse[*kmsg.DescribeTopicPartitionsResponse](req)
	resp.Topics = []kmsg.DescribeTopicPartitionsResponseTopic{}
	image := n.meta.Image()
	names, named := image.TopicNames(), len(req.Topics) > 0
	if named {
		names = make([]string, 0, len(req.Topics))
		for _, t := range req.Topics {
			names = append(names, t.Topic)
		}
		slices.Sort(names)
		names = slices.Compact(names)
	}
	if req.Cursor != nil && (req.Cursor.Partition < 0 || named && !slices.Contains(names, req.Cursor.Topic)) {
		return misplacedCursor(resp, names)
	}
	first := 0
	if req.Cursor != nil {
		first = max(int(req.Cursor.Partition), 0)
		at, found := slices.BinarySearchFunc(names, req.Cursor.Topic, strings.Compare)
		if names = names[at:]; !found {
			first = 0
		}
	}
	left := describePartitionsMax
	if req.ResponsePartitionLimit > 0 {
		left = min(left, int(req.ResponsePartitionLimit))
	}
	for _, name := range names {
		if left == 0 {
			resp.NextCursor = &kmsg.DescribeTopicPartitionsResponseNextCursor{Topic: name}
			return resp
		}
		if !named && !n.mayDo(r, acl.Describe, acl.Topic(name)) {
			first = 0
			continue
		}
		if named && !n.authorize(r, acl.Describe, acl.Topic(name)) {
			first = 0
			resp.Topics = append(resp.Topics, undescribedTopic(name))
			continue
		}
		topic, next := describePartitions(image, name, first, left)
		topic.AuthorizedOperations = n.authorizedOperations(r, acl.Topic(name))
		first = 0
		left -= len(topic.Partitions)
		resp.Topics = append(resp.Topics, topic)
		if next > 0 {
			resp.NextCursor = &kmsg.DescribeTopicPartitionsResponseNextCursor{Topic: name, Partition: int32(next)}
			return resp
		}
	}
	return resp
}

// misplacedCursor refuses each of the topics.
func misplacedCursor(resp *kmsg.DescribeTopicPartitionsResponse, names []string) *kmsg.DescribeTopicPartitionsResponse {
	for _, name := range names {
		topic := undescribedTopic(name)
		topic.ErrorCode = kerr.InvalidRequest.Code
		resp.Topics = append(resp.Topics, topic)
	}
	return resp
}

// undescribedTopic says nothing about a topic, not even whether it exists.
func undescribedTopic(name string) kmsg.DescribeTopicPartitionsResponseTopic {
	topic := kmsg.NewDescribeTopicPartitionsResponseTopic()
	topic.Topic, topic.ErrorCode = &name, kerr.TopicAuthorizationFailed.Code
	topic.AuthorizedOperations = operationsNotAsked
	topic.Partitions = []kmsg.DescribeTopicPartitionsResponseTopicPartition{}
	return topic
}

// describePartitions describes at most limit partitions from first on; next is
// the first that was left out, 0 if none was.
func describePartitions(image *metadata.Image, name string, first, limit int) (topic kmsg.DescribeTopicPartitionsResponseTopic, next int) {
	topic = kmsg.NewDescribeTopicPartitionsResponseTopic()
	topic.Topic = &name
	topic.Partitions = []kmsg.DescribeTopicPartitionsResponseTopicPartition{}
	t := image.Topic(name)
	if t == nil {
		topic.ErrorCode = kerr.UnknownTopicOrPartition.Code
		if err := checkTopicName(name); err != nil {
			topic.ErrorCode = codeOf(err)
		}
		return topic, 0
	}
	topic.TopicID, topic.IsInternal = t.ID, t.Internal
	for i := first; i < len(t.Partitions); i++ {
		if len(topic.Partitions) == limit {
			return topic, i
		}
		from := t.Partitions[i]
		p := kmsg.NewDescribeTopicPartitionsResponseTopicPartition()
		p.Partition, p.LeaderID, p.LeaderEpoch = int32(i), from.Leader, from.LeaderEpoch
		p.Replicas, p.ISR = from.Replicas, from.ISR
		p.EligibleLeaderReplicas, p.LastKnownELR, p.OfflineReplicas = []int32{}, []int32{}, []int32{}
		topic.Partitions = append(topic.Partitions, p)
	}
	return topic, 0
}
