package broker

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/acl"
	"github.com/millrace/millrace/broker/wire"
)

// OffsetForLeaderEpoch: v0-4
//
// Behaviour:
// * Returns the largest epoch of the log that is not above the one asked for,
//   and the offset after its last record; -1, -1 when there is none.
// * For brokers, and for who may describe the topic.
//
// KIPs:
// * KIP-101: the API
// * KIP-279: the epoch found (v1)
// * KIP-320: leader epoch of the client (v2), replica id (v3)

func (n *Node) offsetForLeaderEpoch(r *wire.Request, req *kmsg.OffsetForLeaderEpochRequest) *kmsg.OffsetForLeaderEpochResponse {
	resp := newResponse[*kmsg.OffsetForLeaderEpochResponse](req)
	resp.Topics = make([]kmsg.OffsetForLeaderEpochResponseTopic, 0, len(req.Topics))
	isBroker := n.mayDo(r, acl.ClusterAction, acl.Cluster())
	for _, rt := range req.Topics {
		topic := kmsg.NewOffsetForLeaderEpochResponseTopic()
		topic.Topic = rt.Topic
		topic.Partitions = make([]kmsg.OffsetForLeaderEpochResponseTopicPartition, 0, len(rt.Partitions))
		state := n.topics.byName(rt.Topic)
		described := isBroker || n.authorize(r, acl.Describe, acl.Topic(rt.Topic))
		for _, rp := range rt.Partitions {
			p := kmsg.NewOffsetForLeaderEpochResponseTopicPartition()
			p.Partition, p.LeaderEpoch, p.EndOffset = rp.Partition, -1, -1
			log, err := n.leaderLog(state, rp.Partition, rp.CurrentLeaderEpoch)
			if !described {
				err = kerr.TopicAuthorizationFailed
			}
			if err == nil && rp.LeaderEpoch >= 0 {
				p.LeaderEpoch, p.EndOffset = log.EpochEndOffset(rp.LeaderEpoch)
			}
			p.ErrorCode = codeOf(err)
			topic.Partitions = append(topic.Partitions, p)
		}
		resp.Topics = append(resp.Topics, topic)
	}
	return resp
}
