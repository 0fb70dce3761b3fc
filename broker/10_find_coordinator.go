package broker

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/acl"
	"github.com/millrace/millrace/broker/wire"
)

// FindCoordinator: v0-6
//
// Behaviour:
// * This node coordinates every group and every transaction. __consumer_offsets
//   and __transaction_state are made when the first coordinator is looked for.
// * Share groups have no coordinator: INVALID_REQUEST.
// * For who may describe the group or transactional id.
//
// KIPs:
// * KIP-98: coordinator type (v1)
// * KIP-482: flexible (v3)
// * KIP-699: several keys (v4)
// * KIP-890 (v5), KIP-932 (v6): no change here

// Types of coordinators.
const (
	coordinatorGroup       = 0
	coordinatorTransaction = 1
	coordinatorShare       = 2 // of which this node has none
)

func (n *Node) findCoordinator(r *wire.Request, req *kmsg.FindCoordinatorRequest) *kmsg.FindCoordinatorResponse {
	resp := newResponse[*kmsg.FindCoordinatorResponse](req)
	if req.Version < 4 {
		found, err := n.coordinatorFor(r, req.CoordinatorType, req.CoordinatorKey)
		resp.NodeID, resp.Host, resp.Port = found.NodeID, found.Host, found.Port
		resp.ErrorCode, resp.ErrorMessage = codeOf(err), messageOf(err)
		if err == nil && req.Version > 0 {
			resp.ErrorMessage = new("NONE") // as Kafka writes it
		}
		return resp
	}
	resp.Coordinators = make([]kmsg.FindCoordinatorResponseCoordinator, 0, len(req.CoordinatorKeys))
	for _, key := range req.CoordinatorKeys {
		c, err := n.coordinatorFor(r, req.CoordinatorType, key)
		c.Key, c.ErrorCode, c.ErrorMessage = key, codeOf(err), messageOf(err)
		if err == nil {
			c.ErrorMessage = new("")
		}
		resp.Coordinators = append(resp.Coordinators, c)
	}
	return resp
}

// coordinatorFor is coordinator for who may describe the group or transactional id.
func (n *Node) coordinatorFor(r *wire.Request, kind int8, key string) (kmsg.FindCoordinatorResponseCoordinator, error) {
	none := kmsg.NewFindCoordinatorResponseCoordinator()
	none.NodeID, none.Host, none.Port = -1, "", -1
	switch {
	case kind == coordinatorGroup && !n.authorize(r, acl.Describe, acl.Group(key)):
		return none, kerr.GroupAuthorizationFailed
	case kind == coordinatorTransaction && !n.authorize(r, acl.Describe, acl.TransactionalID(key)):
		return none, kerr.TransactionalIDAuthorizationFailed
	}
	return n.coordinator(r.Conn, kind)
}

func (n *Node) coordinator(conn *wire.Conn, kind int8) (kmsg.FindCoordinatorResponseCoordinator, error) {
	c := kmsg.NewFindCoordinatorResponseCoordinator()
	c.NodeID, c.Host, c.Port = -1, "", -1
	ensure, topic := n.ensureOffsetsTopic, offsetsTopic
	switch kind {
	case coordinatorGroup:
	case coordinatorTransaction:
		ensure, topic = n.ensureTransactionTopic, transactionTopic
	case coordinatorShare:
		return c, refuse(kerr.InvalidRequest, fmt.Sprintf("This broker has no coordinator of type %d: it has no share groups.", kind))
	default:
		return c, refuse(kerr.InvalidRequest, messageMalformed)
	}
	if err := ensure(); err != nil {
		n.log.Warn("coordinator's topic not created", "topic", topic, "error", err)
		return c, kerr.CoordinatorNotAvailable
	}
	at, ok := endpointFor(n.meta.Image().Broker(n.cfg.NodeID), conn)
	if !ok {
		return c, kerr.CoordinatorNotAvailable
	}
	c.NodeID, c.Host, c.Port = n.cfg.NodeID, at.Host, at.Port
	return c, nil
}
