package broker

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/acl"
	"github.com/millrace/millrace/broker/wire"
)

// ListPartitionReassignments: v0
//
// Behaviour:
// * Nothing is ever being reassigned on one node: the list is empty.
// * For who may describe the cluster.
//
// KIPs:
// * KIP-455: the API

func (n *Node) listPartitionReassignments(r *wire.Request, req *kmsg.ListPartitionReassignmentsRequest) *kmsg.ListPartitionReassignmentsResponse {
	resp := newResponse[*kmsg.ListPartitionReassignmentsResponse](req)
	resp.Topics = []kmsg.ListPartitionReassignmentsResponseTopic{}
	if err := n.authorizeCluster(r, acl.Describe); err != nil {
		resp.ErrorCode, resp.ErrorMessage = codeOf(err), messageOf(err)
	}
	return resp
}
