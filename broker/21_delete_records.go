package broker

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/acl"
	"github.com/millrace/millrace/broker/storage"
	"github.com/millrace/millrace/broker/wire"
)

// DeleteRecords: v0-2
//
// Behaviour:
// * Moves the log start, durably; -1 stands for the last stable offset. Beyond it
//   is OFFSET_OUT_OF_RANGE. Kafka goes up to the high watermark, through undecided
//   transactions; without transactions that is the same. What was written before the
//   request is flushed first, so that it can be deleted.
// * The topic must be deletable by the client (TOPIC_AUTHORIZATION_FAILED).
// * Topics that are only compacted are refused with POLICY_VIOLATION.
//
// KIPs:
// * KIP-107: the API

func (n *Node) deleteRecords(r *wire.Request, req *kmsg.DeleteRecordsRequest) *kmsg.DeleteRecordsResponse {
	resp := newResponse[*kmsg.DeleteRecordsResponse](req)
	resp.Topics = make([]kmsg.DeleteRecordsResponseTopic, 0, len(req.Topics))
	for _, rt := range eachPartitionOnce(req) {
		topic := kmsg.NewDeleteRecordsResponseTopic()
		topic.Topic = rt.Topic
		topic.Partitions = make([]kmsg.DeleteRecordsResponseTopicPartition, 0, len(rt.Partitions))
		state := n.topics.byName(rt.Topic)
		deletable := n.authorize(r, acl.Delete, acl.Topic(rt.Topic))
		for _, rp := range rt.Partitions {
			p := kmsg.NewDeleteRecordsResponseTopicPartition()
			p.Partition = rp.Partition
			low, err := int64(-1), error(kerr.TopicAuthorizationFailed)
			if deletable {
				low, err = n.deleteRecordsOf(state, rp)
			}
			p.LowWatermark, p.ErrorCode = low, codeOf(err)
			topic.Partitions = append(topic.Partitions, p)
		}
		resp.Topics = append(resp.Topics, topic)
	}
	return resp
}

// eachPartitionOnce returns the topics of a request without repetitions: of a partition
// that it names more than once the last offset counts, as in Kafka.
func eachPartitionOnce(req *kmsg.DeleteRecordsRequest) []kmsg.DeleteRecordsRequestTopic {
	topics := make([]kmsg.DeleteRecordsRequestTopic, 0, len(req.Topics))
	places := make(map[string]int, len(req.Topics))
	at := make(map[storage.TopicPartition]int)
	for _, rt := range req.Topics {
		place, again := places[rt.Topic]
		if !again {
			place, places[rt.Topic] = len(topics), len(topics)
			topics = append(topics, kmsg.DeleteRecordsRequestTopic{Topic: rt.Topic})
		}
		topic := &topics[place]
		for _, rp := range rt.Partitions {
			tp := storage.TopicPartition{Topic: rt.Topic, Partition: rp.Partition}
			if i, named := at[tp]; named {
				topic.Partitions[i] = rp
				continue
			}
			at[tp] = len(topic.Partitions)
			topic.Partitions = append(topic.Partitions, rp)
		}
	}
	return slices.DeleteFunc(topics, func(t kmsg.DeleteRecordsRequestTopic) bool { return len(t.Partitions) == 0 })
}

func (n *Node) deleteRecordsOf(state *topicState, rp kmsg.DeleteRecordsRequestTopicPartition) (int64, error) {
	log, err := n.leaderLog(state, rp.Partition, -1)
	if err != nil {
		return -1, err
	}
	switch {
	case state.internal:
		return -1, kerr.InvalidTopicException
	case log.Config().CleanupPolicy&storage.CleanupDelete == 0:
		return -1, kerr.PolicyViolation
	case rp.Offset < -1:
		return -1, kerr.OffsetOutOfRange
	}
	awaitAcknowledged(log)
	low, err := log.DeleteRecords(rp.Offset)
	if err != nil {
		return -1, err
	}
	return low, nil
}
