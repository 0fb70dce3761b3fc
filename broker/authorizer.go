package broker

import (
	"math"
	"math/bits"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/acl"
	"github.com/millrace/millrace/broker/wire"
	"github.com/millrace/millrace/configs"
)

// This file is the seam between the handlers and the access control lists. Without
// an authorizer every question costs one comparison.

// newAuthorizer returns nil when none is configured.
func newAuthorizer(cfg configs.Authorizer) (*acl.Authorizer, error) {
	if !cfg.Enabled {
		return nil, nil //nolint:nilnil // none is what was asked for
	}
	return acl.NewAuthorizer(cfg.SuperUsers, cfg.AllowEveryoneIfNoACL)
}

// authorize reports whether the client that sent r may do op to a resource. Where
// it may not, that is counted and logged.
func (n *Node) authorize(r *wire.Request, op acl.Operation, resource acl.Resource) bool {
	if n.authorizer == nil {
		return true
	}
	ok := n.mayDo(r, op, resource)
	if !ok {
		n.denials.denied(r, op, resource)
	}
	return ok
}

// mayDo is authorize for what the client has not asked for by name: lists are
// shortened in silence.
func (n *Node) mayDo(r *wire.Request, op acl.Operation, resource acl.Resource) bool {
	return n.authorizer == nil ||
		n.authorizer.Authorize(n.meta.Image().ACLIndex(), r.Principal(), r.ClientHost(), op, resource)
}

// authorizeAny reports whether the client may do op to any resource of a kind (KIP-679).
func (n *Node) authorizeAny(r *wire.Request, op acl.Operation, kind acl.ResourceType) bool {
	return n.authorizer == nil ||
		n.authorizer.AuthorizeAny(n.meta.Image().ACLIndex(), r.Principal(), r.ClientHost(), op, kind)
}

// authorizeCluster returns CLUSTER_AUTHORIZATION_FAILED unless the client may do
// op to the cluster.
func (n *Node) authorizeCluster(r *wire.Request, op acl.Operation) error {
	if n.authorize(r, op, acl.Cluster()) {
		return nil
	}
	return kerr.ClusterAuthorizationFailed
}

// authorizeConfigs reports by its error whether the client may do op to the configs of
// a resource. Kinds that have no configs are not refused here.
func (n *Node) authorizeConfigs(r *wire.Request, op acl.Operation, kind kmsg.ConfigResourceType, name string) error {
	switch kind {
	case kmsg.ConfigResourceTypeTopic:
		if !n.authorize(r, op, acl.Topic(name)) {
			return kerr.TopicAuthorizationFailed
		}
	case kmsg.ConfigResourceTypeGroupConfig:
		if !n.authorize(r, op, acl.Group(name)) {
			return kerr.GroupAuthorizationFailed
		}
	case kmsg.ConfigResourceTypeBroker, kmsg.ConfigResourceTypeBrokerLogger, kmsg.ConfigResourceTypeClientMetrics:
		return n.authorizeCluster(r, op)
	case kmsg.ConfigResourceTypeUnknown:
	}
	return nil
}

// authorizeProducerID reports by its error whether the client may have a producer
// id (KIP-679); transactionalID is nil for an idempotent producer.
func (n *Node) authorizeProducerID(r *wire.Request, transactionalID *string) error {
	switch {
	case transactionalID != nil:
		if !n.authorize(r, acl.Write, acl.TransactionalID(*transactionalID)) {
			return kerr.TransactionalIDAuthorizationFailed
		}
	case !n.mayDo(r, acl.IdempotentWrite, acl.Cluster()) && !n.authorizeAny(r, acl.Write, acl.ResourceTopic):
		n.denials.denied(r, acl.IdempotentWrite, acl.Cluster())
		return kerr.ClusterAuthorizationFailed
	}
	return nil
}

// operationsNotAsked is what a response says when the request did not ask for
// authorized operations (KIP-430).
const operationsNotAsked = math.MinInt32

// authorizedOperations is the bit set of the operations on a resource that the client
// may do, of those that the kind of resource has (KIP-430).
func (n *Node) authorizedOperations(r *wire.Request, resource acl.Resource) int32 {
	supported := acl.SupportedOperations(resource.Type)
	if n.authorizer == nil {
		return supported
	}
	may := int32(0)
	for left := uint32(supported); left != 0; left &= left - 1 {
		if op := bits.TrailingZeros32(left); n.mayDo(r, acl.Operation(op), resource) {
			may |= 1 << op
		}
	}
	return may
}

// operationsIf is authorizedOperations if the request asked for them.
func (n *Node) operationsIf(asked bool, r *wire.Request, resource acl.Resource) int32 {
	if !asked {
		return operationsNotAsked
	}
	return n.authorizedOperations(r, resource)
}

// clusterOperationsIf is operationsIf for the cluster, which must be described to
// be asked about.
func (n *Node) clusterOperationsIf(asked bool, r *wire.Request) int32 {
	switch {
	case !asked:
		return operationsNotAsked
	case !n.authorize(r, acl.Describe, acl.Cluster()):
		return 0
	}
	return n.authorizedOperations(r, acl.Cluster())
}
