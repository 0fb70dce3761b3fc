package broker

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/wire"
)

// ListPartitionReassignments: v0
//
// Behaviour:
// * Nothing is ever being reassigned on one node: the list is empty.
//
// KIPs:
// * KIP-455: the API

func (n *Node) listPartitionReassignments(_ *wire.Request, req *kmsg.ListPartitionReassignmentsRequest) *kmsg.ListPartitionReassignmentsResponse {
	resp := newResponse[*kmsg.ListPartitionReassignmentsResponse](req)
	resp.Topics = []kmsg.ListPartitionReassignmentsResponseTopic{}
	return resp
}
