package broker

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/acl"
	"github.com/millrace/millrace/broker/wire"
)

// UnregisterBroker: v0
//
// Behaviour:
// * The only broker is this one, which is running and would register again: it
//   is refused with INVALID_REQUEST. Other ids are not registered.
// * For who may alter the cluster.
//
// KIPs:
// * KIP-631: the API

func (n *Node) unregisterBroker(r *wire.Request, req *kmsg.UnregisterBrokerRequest) *kmsg.UnregisterBrokerResponse {
	resp := newResponse[*kmsg.UnregisterBrokerResponse](req)
	if err := n.authorizeCluster(r, acl.Alter); err != nil {
		resp.ErrorCode, resp.ErrorMessage = codeOf(err), messageOf(err)
		return resp
	}
	err := refuse(kerr.BrokerIDNotRegistered, fmt.Sprintf("Broker ID %d is not currently registered", req.BrokerID))
	if req.BrokerID == n.cfg.NodeID {
		err = refuse(kerr.InvalidRequest, fmt.Sprintf("Broker ID %d is running: stop it before it is unregistered", req.BrokerID))
	}
	resp.ErrorCode, resp.ErrorMessage = codeOf(err), messageOf(err)
	return resp
}
