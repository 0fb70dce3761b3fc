package broker

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/wire"
)

// DescribeCluster: v0-2
//
// Behaviour:
// * Describes the brokers. The controller's endpoints cannot be asked for here:
//   UNSUPPORTED_ENDPOINT_TYPE, as from a broker of Kafka: MISMATCHED_ENDPOINT_TYPE.
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
		code := kerr.UnsupportedEndpointType
		if req.EndpointType == endpointControllers {
			code = kerr.MismatchedEndpointType
		}
		resp.ErrorCode, resp.ErrorMessage = code.Code, &code.Description
		return resp
	}
	image := n.meta.Image()
	resp.ClusterID, resp.ControllerID = image.ClusterID, n.cfg.NodeID
	resp.ClusterAuthorizedOperations = operationsIf(req.IncludeClusterAuthorizedOperations, clusterOperations)
	for _, b := range image.Brokers() {
		out := kmsg.NewDescribeClusterResponseBroker()
		at := n.endpointFor(b, r.Conn.LocalAddr())
		out.NodeID, out.Host, out.Port, out.Rack = b.NodeID, at.host, at.port, rackOf(b)
		resp.Brokers = append(resp.Brokers, out)
	}
	return resp
}
