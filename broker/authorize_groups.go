package broker

import (
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/acl"
	"github.com/millrace/millrace/broker/groups/core"
	"github.com/millrace/millrace/broker/wire"
)

// This file stands between the requests of the group APIs and the coordinator,
// which knows nothing of access control lists. A request is refused, or what the
// client may not ask for is taken out of it and put back into the response.

// authorizeGroups returns the request that the coordinator may answer and what is
// to be done with its response; or nil, and the response that refuses the request.
func (n *Node) authorizeGroups(r *wire.Request, request kmsg.Request) (kmsg.Request, func(kmsg.Response) kmsg.Response) {
	switch req := request.(type) {
	case *kmsg.JoinGroupRequest:
		return n.memberOf(r, req.Group, req)
	case *kmsg.SyncGroupRequest:
		return n.memberOf(r, req.Group, req)
	case *kmsg.HeartbeatRequest:
		return n.memberOf(r, req.Group, req)
	case *kmsg.LeaveGroupRequest:
		return n.memberOf(r, req.Group, req)
	case *kmsg.ConsumerGroupHeartbeatRequest:
		return n.authorizeConsumerHeartbeat(r, req)
	case *kmsg.ConsumerGroupDescribeRequest:
		return n.authorizeConsumerDescribe(r, req)
	case *kmsg.OffsetCommitRequest:
		return n.authorizeOffsetCommit(r, req)
	case *kmsg.OffsetFetchRequest:
		return n.authorizeOffsetFetch(r, req)
	case *kmsg.OffsetDeleteRequest:
		return n.authorizeOffsetDelete(r, req)
	case *kmsg.DescribeGroupsRequest:
		return n.authorizeDescribeGroups(r, req)
	case *kmsg.DeleteGroupsRequest:
		return n.authorizeDeleteGroups(r, req)
	case *kmsg.ListGroupsRequest:
		return req, func(resp kmsg.Response) kmsg.Response { return n.authorizedGroups(r, resp.(*kmsg.ListGroupsResponse)) }
	}
	panic(fmt.Sprintf("broker: nobody has said who may use API key %d", request.Key()))
}

// refuseGroupRequest answers a request with an error code.
func refuseGroupRequest(req kmsg.Request, code *kerr.Error) (kmsg.Request, func(kmsg.Response) kmsg.Response) {
	resp := core.ErrorResponse(req, code.Code)
	if join, ok := resp.(*kmsg.JoinGroupResponse); ok {
		join.MemberID = ""
	}
	return nil, func(kmsg.Response) kmsg.Response { return resp }
}

// memberOf lets those take part in a group who may read it.
func (n *Node) memberOf(r *wire.Request, group string, req kmsg.Request) (kmsg.Request, func(kmsg.Response) kmsg.Response) {
	if !n.authorize(r, acl.Read, acl.Group(group)) {
		return refuseGroupRequest(req, kerr.GroupAuthorizationFailed)
	}
	return req, func(resp kmsg.Response) kmsg.Response { return resp }
}

// authorizeOffsetCommit lets those commit who may read the group and the topic.
func (n *Node) authorizeOffsetCommit(r *wire.Request, req *kmsg.OffsetCommitRequest) (kmsg.Request, func(kmsg.Response) kmsg.Response) {
	if !n.authorize(r, acl.Read, acl.Group(req.Group)) {
		return refuseGroupRequest(req, kerr.GroupAuthorizationFailed)
	}
	may := n.eachTopicOnce(r, acl.Read)
	var refused []kmsg.OffsetCommitRequestTopic
	all := len(req.Topics)
	req.Topics = slices.DeleteFunc(req.Topics, func(t kmsg.OffsetCommitRequestTopic) bool {
		if may(t.Topic) {
			return false
		}
		refused = append(refused, t)
		return true
	})
	rest := *req
	rest.Topics = refused
	answer := core.ErrorResponse(&rest, kerr.TopicAuthorizationFailed.Code).(*kmsg.OffsetCommitResponse)
	if all > 0 && len(req.Topics) == 0 {
		return nil, func(kmsg.Response) kmsg.Response { return answer }
	}
	return req, func(resp kmsg.Response) kmsg.Response {
		out := resp.(*kmsg.OffsetCommitResponse)
		out.Topics = append(answer.Topics, out.Topics...)
		return out
	}
}

// authorizeOffsetDelete lets those delete offsets who may delete the group and
// read the topic.
func (n *Node) authorizeOffsetDelete(r *wire.Request, req *kmsg.OffsetDeleteRequest) (kmsg.Request, func(kmsg.Response) kmsg.Response) {
	if !n.authorize(r, acl.Delete, acl.Group(req.Group)) {
		return refuseGroupRequest(req, kerr.GroupAuthorizationFailed)
	}
	may := n.eachTopicOnce(r, acl.Read)
	var refused []kmsg.OffsetDeleteResponseTopic
	req.Topics = slices.DeleteFunc(req.Topics, func(t kmsg.OffsetDeleteRequestTopic) bool {
		if may(t.Topic) {
			return false
		}
		out := kmsg.OffsetDeleteResponseTopic{Topic: t.Topic, Partitions: make([]kmsg.OffsetDeleteResponseTopicPartition, len(t.Partitions))}
		for i, p := range t.Partitions {
			out.Partitions[i] = kmsg.OffsetDeleteResponseTopicPartition{Partition: p.Partition, ErrorCode: kerr.TopicAuthorizationFailed.Code}
		}
		refused = append(refused, out)
		return true
	})
	return req, func(resp kmsg.Response) kmsg.Response {
		out := resp.(*kmsg.OffsetDeleteResponse)
		if out.ErrorCode == 0 {
			out.Topics = append(out.Topics, refused...)
		}
		return out
	}
}

// authorizeDescribeGroups describes the groups that the client may describe, with
// the operations that it may do if it asked for them (KIP-430).
func (n *Node) authorizeDescribeGroups(r *wire.Request, req *kmsg.DescribeGroupsRequest) (kmsg.Request, func(kmsg.Response) kmsg.Response) {
	rest := *req
	req.Groups, rest.Groups = n.partitionGroups(r, acl.Describe, req.Groups)
	refused := core.ErrorResponse(&rest, kerr.GroupAuthorizationFailed.Code).(*kmsg.DescribeGroupsResponse)
	return req, func(resp kmsg.Response) kmsg.Response {
		out := resp.(*kmsg.DescribeGroupsResponse)
		for i := range out.Groups {
			if g := &out.Groups[i]; g.ErrorCode == 0 {
				g.AuthorizedOperations = n.operationsIf(req.IncludeAuthorizedOperations, r, acl.Group(g.Group))
			}
		}
		out.Groups = append(refused.Groups, out.Groups...)
		return out
	}
}

func (n *Node) authorizeDeleteGroups(r *wire.Request, req *kmsg.DeleteGroupsRequest) (kmsg.Request, func(kmsg.Response) kmsg.Response) {
	rest := *req
	req.Groups, rest.Groups = n.partitionGroups(r, acl.Delete, req.Groups)
	refused := core.ErrorResponse(&rest, kerr.GroupAuthorizationFailed.Code).(*kmsg.DeleteGroupsResponse)
	return req, func(resp kmsg.Response) kmsg.Response {
		out := resp.(*kmsg.DeleteGroupsResponse)
		out.Groups = append(out.Groups, refused.Groups...)
		return out
	}
}

// partitionGroups parts the groups that the client may do op to from the others.
func (n *Node) partitionGroups(r *wire.Request, op acl.Operation, groups []string) (allowed, refused []string) {
	allowed = make([]string, 0, len(groups))
	for _, g := range groups {
		if n.authorize(r, op, acl.Group(g)) {
			allowed = append(allowed, g)
		} else {
			refused = append(refused, g)
		}
	}
	return allowed, refused
}

// authorizedGroups takes the groups out of a list that the client may not describe.
// Who may describe the cluster sees all.
func (n *Node) authorizedGroups(r *wire.Request, resp *kmsg.ListGroupsResponse) *kmsg.ListGroupsResponse {
	if !n.mayDo(r, acl.Describe, acl.Cluster()) {
		resp.Groups = slices.DeleteFunc(resp.Groups, func(g kmsg.ListGroupsResponseGroup) bool {
			return !n.mayDo(r, acl.Describe, acl.Group(g.Group))
		})
	}
	return resp
}

// eachTopicOnce is authorize for the topics of one request, which may name one
// often.
func (n *Node) eachTopicOnce(r *wire.Request, op acl.Operation) func(topic string) bool {
	known := make(map[string]bool)
	return func(topic string) bool {
		may, ok := known[topic]
		if !ok {
			may = n.authorize(r, op, acl.Topic(topic))
			known[topic] = may
		}
		return may
	}
}
