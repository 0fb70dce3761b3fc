package broker

import (
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/acl"
	"github.com/millrace/millrace/broker/metadata"
	"github.com/millrace/millrace/broker/wire"
)

// DescribeQuorum: v0-2
//
// Behaviour:
// * The metadata's only voter is this node: it leads, and what is committed is
//   what there is. The leader epoch is the commit that registered this start.
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
			p := n.quorumPartition(image, req.Version, known)
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

func (n *Node) quorumPartition(image *metadata.Image, version int16, known bool) kmsg.DescribeQuorumResponseTopicPartition {
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
	voter := kmsg.NewDescribeQuorumResponseTopicPartitionReplicaState()
	now := time.Now().UnixMilli()
	voter.ReplicaID, voter.LogEndOffset = n.cfg.NodeID, image.Index+1
	voter.LastFetchTimestamp, voter.LastCaughtUpTimestamp = now, now
	p.LeaderID, p.HighWatermark = n.cfg.NodeID, image.Index+1
	if b := image.Broker(n.cfg.NodeID); b != nil {
		p.LeaderEpoch = int32(b.Epoch)
	}
	p.CurrentVoters = append(p.CurrentVoters, voter)
	return p
}
