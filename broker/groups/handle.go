package groups

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/groups/core"
)

// ClientInfo is who sent a request: the client id of its header, and its
// address as Kafka writes it ("/127.0.0.1").
type ClientInfo = core.Client

// Handle answers a request by calling reply once. It returns false, and does not
// call reply, for requests of other APIs.
func (c *Coordinator) Handle(client ClientInfo, request kmsg.Request, reply func(kmsg.Response)) bool {
	switch req := request.(type) {
	case *kmsg.JoinGroupRequest:
		c.route(req.Group, client, req, reply)
	case *kmsg.SyncGroupRequest:
		if req.Version >= 5 && (req.ProtocolType == nil || req.Protocol == nil) { // mandatory since KIP-559
			reply(core.ErrorResponse(req, kerr.InconsistentGroupProtocol.Code))
			return true
		}
		c.route(req.Group, client, req, reply)
	case *kmsg.HeartbeatRequest:
		c.route(req.Group, client, req, reply)
	case *kmsg.LeaveGroupRequest:
		c.route(req.Group, client, req, reply)
	case *kmsg.OffsetCommitRequest:
		c.route(req.Group, client, req, reply)
	case *kmsg.OffsetDeleteRequest:
		c.route(req.Group, client, req, reply)
	case *kmsg.OffsetFetchRequest:
		c.offsetFetch(client, req, reply)
	case *kmsg.DeleteGroupsRequest:
		c.deleteGroups(client, req, reply)
	case *kmsg.DescribeGroupsRequest:
		c.describeGroups(client, req, reply)
	case *kmsg.ConsumerGroupHeartbeatRequest:
		c.route(req.Group, client, req, reply)
	case *kmsg.ConsumerGroupDescribeRequest:
		c.describeConsumerGroups(client, req, reply)
	case *kmsg.ListGroupsRequest:
		c.listGroups(client, req, reply)
	default:
		return false
	}
	return true
}

// HandleHeartbeat is Handle for a ConsumerGroupHeartbeat of a client whose expressions
// match only the topics for which authorized is true. authorized is called
// before reply, on a shard's goroutine.
func (c *Coordinator) HandleHeartbeat(client ClientInfo, req *kmsg.ConsumerGroupHeartbeatRequest, authorized func(topic string) bool, reply func(kmsg.Response)) {
	sh, code := c.shards.Of(req.Group)
	if code != 0 {
		reply(core.ErrorResponse(req, code))
		return
	}
	sh.submit(op{client: client, request: req, authorized: authorized, reply: reply})
}

// route gives the request to the shard of its group.
func (c *Coordinator) route(group string, client ClientInfo, request kmsg.Request, reply func(kmsg.Response)) {
	sh, code := c.shards.Of(group)
	if code != 0 {
		reply(core.ErrorResponse(request, code))
		return
	}
	sh.submit(op{client: client, request: request, reply: reply})
}
