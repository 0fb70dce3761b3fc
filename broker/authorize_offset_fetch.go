package broker

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/acl"
	"github.com/millrace/millrace/broker/groups/core"
	"github.com/millrace/millrace/broker/wire"
)

// OffsetFetch is for who may describe the group, and shows the offsets of the
// topics that the client may describe. Version 8 asks for several groups (KIP-709).
const offsetFetchGroupsVersion = 8

func (n *Node) authorizeOffsetFetch(r *wire.Request, req *kmsg.OffsetFetchRequest) (kmsg.Request, func(kmsg.Response) kmsg.Response) {
	if req.Version >= offsetFetchGroupsVersion {
		return n.authorizeGroupsOffsetFetch(r, req)
	}
	if !n.authorize(r, acl.Describe, acl.Group(req.Group)) {
		return refuseGroupRequest(req, kerr.GroupAuthorizationFailed)
	}
	may := n.eachTopicOnce(r, acl.Describe)
	if req.Topics == nil {
		return req, func(resp kmsg.Response) kmsg.Response {
			out := resp.(*kmsg.OffsetFetchResponse)
			out.Topics = slices.DeleteFunc(out.Topics, func(t kmsg.OffsetFetchResponseTopic) bool { return !may(t.Topic) })
			return out
		}
	}
	var refused []kmsg.OffsetFetchResponseTopic
	req.Topics = slices.DeleteFunc(req.Topics, func(t kmsg.OffsetFetchRequestTopic) bool {
		if may(t.Topic) {
			return false
		}
		out := kmsg.NewOffsetFetchResponseTopic()
		out.Topic, out.Partitions = t.Topic, []kmsg.OffsetFetchResponseTopicPartition{}
		for _, p := range t.Partitions {
			q := kmsg.NewOffsetFetchResponseTopicPartition()
			q.Partition, q.Offset, q.Metadata, q.ErrorCode = p, -1, new(""), kerr.TopicAuthorizationFailed.Code
			out.Partitions = append(out.Partitions, q)
		}
		refused = append(refused, out)
		return true
	})
	return req, func(resp kmsg.Response) kmsg.Response {
		out := resp.(*kmsg.OffsetFetchResponse)
		if out.ErrorCode == 0 {
			out.Topics = append(out.Topics, refused...)
		}
		return out
	}
}

func (n *Node) authorizeGroupsOffsetFetch(r *wire.Request, req *kmsg.OffsetFetchRequest) (kmsg.Request, func(kmsg.Response) kmsg.Response) {
	may := n.eachTopicOnce(r, acl.Describe)
	refused := *req
	refused.Groups = nil
	refusedTopics := make(map[string][]kmsg.OffsetFetchResponseGroupTopic)
	allTopics := make(map[string]bool)
	allowed := make([]kmsg.OffsetFetchRequestGroup, 0, len(req.Groups))
	for _, g := range req.Groups {
		if !n.authorize(r, acl.Describe, acl.Group(g.Group)) {
			refused.Groups = append(refused.Groups, g)
			continue
		}
		if g.Topics == nil {
			allTopics[g.Group] = true
		} else {
			g.Topics, refusedTopics[g.Group] = partitionGroupTopics(g.Topics, may)
		}
		allowed = append(allowed, g)
	}
	answer := core.ErrorResponse(&refused, kerr.GroupAuthorizationFailed.Code).(*kmsg.OffsetFetchResponse)
	answer.ErrorCode = 0
	if len(allowed) == 0 && len(req.Groups) > 0 {
		return nil, func(kmsg.Response) kmsg.Response { return answer }
	}
	req.Groups = allowed
	return req, func(resp kmsg.Response) kmsg.Response {
		out := resp.(*kmsg.OffsetFetchResponse)
		for i := range out.Groups {
			g := &out.Groups[i]
			switch {
			case g.ErrorCode != 0:
			case allTopics[g.Group]:
				g.Topics = slices.DeleteFunc(g.Topics, func(t kmsg.OffsetFetchResponseGroupTopic) bool { return !may(t.Topic) })
			default:
				g.Topics = append(g.Topics, refusedTopics[g.Group]...)
			}
		}
		out.Groups = append(out.Groups, answer.Groups...)
		return out
	}
}

// partitionGroupTopics returns the topics that may be asked for, not nil, and the
// answers for the others.
func partitionGroupTopics(topics []kmsg.OffsetFetchRequestGroupTopic, may func(string) bool) ([]kmsg.OffsetFetchRequestGroupTopic, []kmsg.OffsetFetchResponseGroupTopic) {
	allowed := make([]kmsg.OffsetFetchRequestGroupTopic, 0, len(topics))
	var refused []kmsg.OffsetFetchResponseGroupTopic
	for _, t := range topics {
		if may(t.Topic) {
			allowed = append(allowed, t)
			continue
		}
		out := kmsg.NewOffsetFetchResponseGroupTopic()
		out.Topic, out.Partitions = t.Topic, []kmsg.OffsetFetchResponseGroupTopicPartition{}
		for _, p := range t.Partitions {
			q := kmsg.NewOffsetFetchResponseGroupTopicPartition()
			q.Partition, q.Offset, q.Metadata, q.ErrorCode = p, -1, new(""), kerr.TopicAuthorizationFailed.Code
			out.Partitions = append(out.Partitions, q)
		}
		refused = append(refused, out)
	}
	return allowed, refused
}
