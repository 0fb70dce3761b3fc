package broker

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/acl"
	"github.com/millrace/millrace/broker/metadata"
	"github.com/millrace/millrace/broker/wire"
)

// ElectLeaders: v0-2
//
// Behaviour:
// * On one node every partition is led by its only replica, which is also the
//   preferred one: ELECTION_NOT_NEEDED.
// * Asked for all partitions, it names only those whose election failed or
//   led somewhere, so every topic comes without partitions, as from Kafka.
// * For who may alter the cluster.
//
// KIPs:
// * KIP-183: the API
// * KIP-460: kinds of election (v1)

const electionUnclean = 1

func (n *Node) electLeaders(r *wire.Request, req *kmsg.ElectLeadersRequest) *kmsg.ElectLeadersResponse {
	resp := newResponse[*kmsg.ElectLeadersResponse](req)
	resp.Topics = []kmsg.ElectLeadersResponseTopic{}
	refused := n.authorizeCluster(r, acl.Alter)
	resp.ErrorCode = codeOf(refused)
	if req.ElectionType < 0 || req.ElectionType > electionUnclean {
		refused = refuse(kerr.InvalidRequest, fmt.Sprintf("Unknown election type %d", req.ElectionType))
		resp.ErrorCode = kerr.InvalidRequest.Code
	}
	image := n.meta.Image()
	if req.Topics == nil && refused == nil {
		for _, name := range image.TopicNames() {
			resp.Topics = append(resp.Topics, kmsg.ElectLeadersResponseTopic{Topic: name, Partitions: []kmsg.ElectLeadersResponseTopicPartition{}})
		}
		return resp
	}
	for _, rt := range req.Topics {
		topic := kmsg.NewElectLeadersResponseTopic()
		topic.Topic = rt.Topic
		topic.Partitions = make([]kmsg.ElectLeadersResponseTopicPartition, 0, len(rt.Partitions))
		for _, p := range rt.Partitions {
			out := kmsg.NewElectLeadersResponseTopicPartition()
			err := refused
			if err == nil {
				err = electionOutcome(image.Topic(rt.Topic), rt.Topic, p)
			}
			out.Partition, out.ErrorCode, out.ErrorMessage = p, codeOf(err), messageOf(err)
			topic.Partitions = append(topic.Partitions, out)
		}
		resp.Topics = append(resp.Topics, topic)
	}
	return resp
}

func electionOutcome(t *metadata.Topic, name string, partition int32) error {
	switch {
	case t == nil:
		return refuse(kerr.UnknownTopicOrPartition, "No such topic as "+name)
	case partition < 0 || int(partition) >= len(t.Partitions):
		return refuse(kerr.UnknownTopicOrPartition, fmt.Sprintf("No such partition as %s-%d", name, partition))
	}
	return refuse(kerr.ElectionNotNeeded, "Leader election not needed for topic partition.")
}
