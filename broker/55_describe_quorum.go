package broker

import (
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/acl"
	"github.com/millrace/millrace/broker/metadata"
	"github.com/millrace/millrace/broker/raftgroup"
	"github.com/millrace/millrace/broker/wire"
)

// DescribeQuorum: v0-2
//
// Behaviour:
// * Answers are of the metadata's Raft group: the leader epoch is Raft's term, the
//   high watermark follows the last committed entry. A group has one voter, this node.
// * Times are those of the answer for this node, -1 for others, which only a leader has heard from.
// * Partitions other than __cluster_metadata-0 are answered with
//   UNKNOWN_TOPIC_OR_PARTITION, all of them if one is, as Kafka does.
// * For who may describe the cluster.
//
// KIPs:
// * KIP-595: the API
// * KIP-836: times (v1)
// * KIP-853: error messages, directory ids, nodes (v2); a static voter has no
//   directory id

const metadataTopic = "__cluster_metadata"

func (n *Node) describeQuorum(r *wire.Request, req *kmsg.DescribeQuorumRequest) *kmsg.DescribeQuorumResponse {
	resp := newResponse[*kmsg.DescribeQuorumResponse](req)
	resp.Topics = []kmsg.DescribeQuorumResponseTopic{}
	resp.Nodes = []kmsg.DescribeQuorumResponseNode{}
	if req.Version >= 2 {
		resp.ErrorMessage = new("")
	}
	if err := n.authorizeCluster(r, acl.Describe); err != nil {
		resp.ErrorCode, resp.ErrorMessage = codeOf(err), messageOf(err)
		return resp
	}
	image := n.meta.Image()
	known := asksForMetadata(req)
	for _, rt := range req.Topics {
		topic := kmsg.NewDescribeQuorumResponseTopic()
		topic.Topic = rt.Topic
		topic.Partitions = make([]kmsg.DescribeQuorumResponseTopicPartition, 0, len(rt.Partitions))
		for _, rp := range rt.Partitions {
			p := n.quorumPartition(req.Version, known)
			p.Partition = rp.Partition
			topic.Partitions = append(topic.Partitions, p)
		}
		resp.Topics = append(resp.Topics, topic)
	}
	if b := image.Broker(n.cfg.NodeID); known && b != nil {
		at, _ := endpointFor(b, r.Conn) // this node has every listener
		resp.Nodes = append(resp.Nodes, kmsg.DescribeQuorumResponseNode{NodeID: b.NodeID, Listeners: []kmsg.DescribeQuorumResponseNodeListener{
			{Name: "CONTROLLER", Host: at.Host, Port: uint16(at.Port)},
		}})
	}
	return resp
}

func asksForMetadata(req *kmsg.DescribeQuorumRequest) bool {
	return len(req.Topics) == 1 && req.Topics[0].Topic == metadataTopic &&
		len(req.Topics[0].Partitions) == 1 && req.Topics[0].Partitions[0].Partition == 0
}

func (n *Node) quorumPartition(version int16, known bool) kmsg.DescribeQuorumResponseTopicPartition {
	p := kmsg.NewDescribeQuorumResponseTopicPartition()
	p.CurrentVoters = []kmsg.DescribeQuorumResponseTopicPartitionReplicaState{}
	p.Observers = []kmsg.DescribeQuorumResponseTopicPartitionReplicaState{}
	if version >= 2 {
		p.ErrorMessage = new("")
	}
	if !known {
		p.ErrorCode = kerr.UnknownTopicOrPartition.Code
		if version >= 2 {
			p.ErrorMessage = new(kerr.UnknownTopicOrPartition.Description)
		}
		return p
	}
	status := n.meta.Group().Status()
	p.LeaderID, p.LeaderEpoch, p.HighWatermark = metadata.NodeOf(status.Leader), int32(status.Term), int64(status.Commit)+1
	for _, m := range status.Members {
		if r := n.quorumMember(m); m.Voter {
			p.CurrentVoters = append(p.CurrentVoters, r)
		} else {
			p.Observers = append(p.Observers, r)
		}
	}
	return p
}

func (n *Node) quorumMember(m raftgroup.Member) kmsg.DescribeQuorumResponseTopicPartitionReplicaState {
	r := kmsg.NewDescribeQuorumResponseTopicPartitionReplicaState()
	r.ReplicaID, r.LogEndOffset = metadata.NodeOf(m.ID), int64(m.Match)+1
	r.LastFetchTimestamp, r.LastCaughtUpTimestamp = -1, -1
	if r.ReplicaID == n.cfg.NodeID {
		now := time.Now().UnixMilli()
		r.LastFetchTimestamp, r.LastCaughtUpTimestamp = now, now
	}
	return r
}
