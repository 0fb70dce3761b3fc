package broker

import (
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/acl"
	"github.com/millrace/millrace/broker/metadata"
	"github.com/millrace/millrace/broker/wire"
)

// AlterPartitionReassignments: v0-1 (AlterPartitionAssignments in kmsg)
//
// Behaviour:
// * A partition can be assigned only to brokers that are registered. On one node
//   that is where it is: nothing moves, and nothing can be cancelled.
// * For who may alter the cluster.
//
// KIPs:
// * KIP-455: the API
// * KIP-860: refusing a change of the replication factor (v1)

func (n *Node) alterPartitionReassignments(r *wire.Request, req *kmsg.AlterPartitionAssignmentsRequest) *kmsg.AlterPartitionAssignmentsResponse {
	resp := newResponse[*kmsg.AlterPartitionAssignmentsResponse](req)
	resp.AllowReplicationFactorChange = req.AllowReplicationFactorChange
	resp.Topics = make([]kmsg.AlterPartitionAssignmentsResponseTopic, 0, len(req.Topics))
	if len(req.Topics) == 0 {
		resp.ErrorMessage = new("") // as Kafka does
	}
	refused := n.authorizeCluster(r, acl.Alter)
	if refused != nil {
		resp.ErrorCode, resp.ErrorMessage = codeOf(refused), messageOf(refused)
		resp.AllowReplicationFactorChange = true // as Kafka's
	}
	image := n.meta.Image()
	for _, rt := range req.Topics {
		topic := kmsg.NewAlterPartitionAssignmentsResponseTopic()
		topic.Topic = rt.Topic
		topic.Partitions = make([]kmsg.AlterPartitionAssignmentsResponseTopicPartition, 0, len(rt.Partitions))
		for _, p := range rt.Partitions {
			out := kmsg.NewAlterPartitionAssignmentsResponseTopicPartition()
			err := refused
			if err == nil {
				err = reassign(image, rt.Topic, p.Partition, p.Replicas, req.AllowReplicationFactorChange)
			}
			out.Partition, out.ErrorCode, out.ErrorMessage = p.Partition, codeOf(err), detailOf(err)
			topic.Partitions = append(topic.Partitions, out)
		}
		resp.Topics = append(resp.Topics, topic)
	}
	return resp
}

// reassign says why a partition cannot be assigned to the replicas; nil replicas
// cancel a reassignment.
func reassign(image *metadata.Image, topic string, partition int32, replicas []int32, changeFactor bool) error {
	t := image.Topic(topic)
	switch {
	case t == nil:
		return refuse(kerr.UnknownTopicOrPartition, fmt.Sprintf("Unable to find a topic named %s.", topic))
	case partition < 0 || int(partition) >= len(t.Partitions):
		return refuse(kerr.UnknownTopicOrPartition, fmt.Sprintf("Unable to find partition %s:%d.", topic, partition))
	case replicas == nil:
		return kerr.NoReassignmentInProgress
	case len(replicas) == 0:
		return refuse(kerr.InvalidReplicaAssignment, "The manual partition assignment includes an empty replica list.")
	}
	for i, id := range replicas {
		switch {
		case image.Broker(id) == nil:
			return refuse(kerr.InvalidReplicaAssignment, fmt.Sprintf("The manual partition assignment includes broker %d, but no such broker is registered.", id))
		case slices.Contains(replicas[:i], id):
			return refuse(kerr.InvalidReplicaAssignment, fmt.Sprintf("The manual partition assignment includes the broker %d more than once.", id))
		}
	}
	if have := len(t.Partitions[partition].Replicas); !changeFactor && len(replicas) != have {
		return refuse(kerr.InvalidReplicationFactor, fmt.Sprintf("The replication factor is changed from %d to %d", have, len(replicas)))
	}
	return nil
}
