package broker

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	groupscore "github.com/millrace/millrace/broker/groups/core"

	"github.com/millrace/millrace/broker/acl"
	"github.com/millrace/millrace/broker/wire"
)

// mayTransact reports whether the client may write with a transactional id.
func (n *Node) mayTransact(r *wire.Request, id string) bool {
	return n.authorize(r, acl.Write, acl.TransactionalID(id))
}

// mayWriteMarkers reports whether the client may end transactions of others.
func (n *Node) mayWriteMarkers(r *wire.Request) bool {
	return n.mayDo(r, acl.Alter, acl.Cluster()) || n.authorize(r, acl.ClusterAction, acl.Cluster())
}

// authorizeTxnOffsetCommit lets those commit who may write with the transactional
// id, and read the group and the topic. A nil rest means that nothing of the
// request is left; complete adds what was refused to the answer to the rest.
func (n *Node) authorizeTxnOffsetCommit(r *wire.Request, req *kmsg.TxnOffsetCommitRequest) (rest *kmsg.TxnOffsetCommitRequest, complete func(kmsg.Response) kmsg.Response) {
	refuse := func(topics []kmsg.TxnOffsetCommitRequestTopic, code *kerr.Error) *kmsg.TxnOffsetCommitResponse {
		part := *req
		part.Topics = topics
		return groupscore.ErrorResponse(&part, code.Code).(*kmsg.TxnOffsetCommitResponse)
	}
	whole := func(code *kerr.Error) (*kmsg.TxnOffsetCommitRequest, func(kmsg.Response) kmsg.Response) {
		return nil, func(kmsg.Response) kmsg.Response { return refuse(req.Topics, code) }
	}
	switch {
	case n.authorizer == nil:
		return req, func(resp kmsg.Response) kmsg.Response { return resp }
	case !n.mayTransact(r, req.TransactionalID):
		return whole(kerr.TransactionalIDAuthorizationFailed)
	case !n.authorize(r, acl.Read, acl.Group(req.Group)):
		return whole(kerr.GroupAuthorizationFailed)
	}
	may := n.eachTopicOnce(r, acl.Read)
	var allowed, refused []kmsg.TxnOffsetCommitRequestTopic
	for _, t := range req.Topics {
		if may(t.Topic) {
			allowed = append(allowed, t)
		} else {
			refused = append(refused, t)
		}
	}
	if len(allowed) == 0 && len(refused) > 0 {
		return whole(kerr.TopicAuthorizationFailed)
	}
	part := *req
	part.Topics = allowed
	return &part, func(resp kmsg.Response) kmsg.Response {
		out := resp.(*kmsg.TxnOffsetCommitResponse)
		out.Topics = slices.Concat(refuse(refused, kerr.TopicAuthorizationFailed).Topics, out.Topics)
		return out
	}
}
