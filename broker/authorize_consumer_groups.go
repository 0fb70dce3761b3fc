package broker

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/acl"
	"github.com/millrace/millrace/broker/groups/core"
	"github.com/millrace/millrace/broker/wire"
)

// authorizeConsumerHeartbeat lets those take part in a group who may read it and
// describe the topics that they subscribe to by name. An expression matches only
// topics that they may describe (KIP-848).
func (n *Node) authorizeConsumerHeartbeat(r *wire.Request, req *kmsg.ConsumerGroupHeartbeatRequest) (kmsg.Request, func(kmsg.Response) kmsg.Response) {
	if !n.authorize(r, acl.Read, acl.Group(req.Group)) {
		return refuseGroupRequest(req, kerr.GroupAuthorizationFailed)
	}
	may := n.eachTopicOnce(r, acl.Describe)
	if slices.ContainsFunc(req.SubscribedTopicNames, func(topic string) bool { return !may(topic) }) {
		return refuseGroupRequest(req, kerr.TopicAuthorizationFailed)
	}
	return req, func(resp kmsg.Response) kmsg.Response { return resp }
}

// authorizeConsumerDescribe describes the groups that the client may describe,
// unless a member has a topic that it may not.
func (n *Node) authorizeConsumerDescribe(r *wire.Request, req *kmsg.ConsumerGroupDescribeRequest) (kmsg.Request, func(kmsg.Response) kmsg.Response) {
	rest := *req
	req.Groups, rest.Groups = n.partitionGroups(r, acl.Describe, req.Groups)
	refused := core.ErrorResponse(&rest, kerr.GroupAuthorizationFailed.Code).(*kmsg.ConsumerGroupDescribeResponse)
	return req, func(resp kmsg.Response) kmsg.Response {
		out := resp.(*kmsg.ConsumerGroupDescribeResponse)
		for i := range out.Groups {
			g := &out.Groups[i]
			if g.ErrorCode != 0 {
				continue
			}
			if !n.describesAll(r, g.Members) {
				hidden := kmsg.NewConsumerGroupDescribeResponseGroup()
				hidden.Group, hidden.ErrorCode = g.Group, kerr.TopicAuthorizationFailed.Code
				hidden.ErrorMessage = new("The group has described topic(s) that the client is not authorized to describe.")
				hidden.Members = []kmsg.ConsumerGroupDescribeResponseGroupMember{}
				*g = hidden
				continue
			}
			g.AuthorizedOperations = n.operationsIf(req.IncludeAuthorizedOperations, r, acl.Group(g.Group))
		}
		out.Groups = append(refused.Groups, out.Groups...)
		return out
	}
}

// describesAll says whether the client may describe every topic that members have or are to have.
func (n *Node) describesAll(r *wire.Request, members []kmsg.ConsumerGroupDescribeResponseGroupMember) bool {
	may := n.eachTopicOnce(r, acl.Describe)
	for _, m := range members {
		for _, a := range []kmsg.Assignment{m.Assignment, m.TargetAssignment} {
			if slices.ContainsFunc(a.TopicPartitions, func(t kmsg.AssignmentTopicPartition) bool { return !may(t.Topic) }) {
				return false
			}
		}
	}
	return true
}

// describable says of a topic whether the client may describe it.
func (n *Node) describable(r *wire.Request) func(topic string) bool {
	return func(topic string) bool { return n.mayDo(r, acl.Describe, acl.Topic(topic)) }
}
