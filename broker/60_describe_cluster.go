package broker

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/wire"
)

// DescribeCluster: v0-2
//
// Behaviour:
// * Describes the brokers. The controllers' endpoints cannot be asked for here:
//   MISMATCHED_ENDPOINT_TYPE, as from a broker of Kafka.
// * Open to everyone, apart from the authorized operations, which are for who may
//   describe the cluster.
//
// KIPs:
// * KIP-700: the API
// * KIP-919: endpoint type (v1)
// * KIP-1073: fenced brokers (v2), there are none

const (
	endpointBrokers     = 1
	endpointControllers = 2
)

func (n *Node) describeCluster(r *wire.Request, req *kmsg.DescribeClusterRequest) *kmsg.DescribeClusterResponse {
	resp := newResponse[*kmsg.DescribeClusterResponse](req)
	resp.Brokers = []kmsg.DescribeClusterResponseBroker{}
	resp.EndpointType = endpointBrokers
	if req.Version >= 1 && req.EndpointType != endpointBrokers {
		err := refuse(kerr.UnsupportedEndpointType, fmt.Sprintf("Unsupported endpoint type %d", req.EndpointType))
		if req.EndpointType == endpointControllers {
			err = refuse(kerr.MismatchedEndpointType, "The request was sent to an endpoint of type BROKER, but we wanted an endpoint of type CONTROLLER")
		}
		resp.ErrorCode, resp.ErrorMessage = codeOf(err), messageOf(err)
		return resp
	}
	image := n.meta.Image()
	resp.ClusterID, resp.ControllerID = image.ClusterID, n.cfg.NodeID
	resp.ClusterAuthorizedOperations = n.clusterOperationsIf(req.IncludeClusterAuthorizedOperations, r)
	for _, b := range image.Brokers() {
		out := kmsg.NewDescribeClusterResponseBroker()
		at, ok := endpointFor(b, r.Conn)
		if !ok {
			continue
		}
		out.NodeID, out.Host, out.Port, out.Rack = b.NodeID, at.Host, at.Port, rackOf(b)
		resp.Brokers = append(resp.Brokers, out)
	}
	return resp
}
