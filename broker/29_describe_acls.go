package broker

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/acl"
	"github.com/millrace/millrace/broker/wire"
)

// DescribeAcls: v1-3
//
// Behaviour:
// * Answers the entries that a filter picks, in the order of their resources.
// * Without an authorizer: SECURITY_DISABLED.
// * A filter with the code 0, for unknown, closes the connection, as from Kafka.
// * For who may describe the cluster.
//
// KIPs:
// * KIP-140: the API
// * KIP-290: prefixes, and filters that match a resource (v1)
// * KIP-373: resources of type user (v3)

func (n *Node) serveDescribeACLs(r *wire.Request) {
	decoded, err := r.Decode()
	if err != nil {
		r.Fail(err)
		return
	}
	req := decoded.(*kmsg.DescribeACLsRequest)
	filter := acl.Filter{
		ResourceType: acl.ResourceType(req.ResourceType), Name: req.ResourceName, PatternType: acl.PatternType(req.ResourcePatternType),
		Principal: req.Principal, Host: req.Host, Operation: acl.Operation(req.Operation), Permission: acl.Permission(req.PermissionType),
	}
	if !filter.Sound() {
		r.Fail(fmt.Errorf("%w: a filter of access control lists with unknown elements", wire.ErrMalformed))
		return
	}
	resp := newResponse[*kmsg.DescribeACLsResponse](req)
	resp.Resources = []kmsg.DescribeACLsResponseResource{}
	if err := n.refuseACLs(r, acl.Describe); err != nil {
		resp.ErrorCode, resp.ErrorMessage = codeOf(err), messageOf(err)
	} else {
		resp.ErrorMessage = new("") // as Kafka's
		resp.Resources = describedACLs(n.pickedACLs(&filter))
	}
	r.Reply(resp)
}

// noAuthorizer is Kafka's message, of which it has two.
func noAuthorizer(op acl.Operation) string {
	if op == acl.Describe {
		return "No Authorizer is configured on the broker"
	}
	return "No Authorizer is configured."
}

// refuseACLs says why the client may not see or change access control lists.
func (n *Node) refuseACLs(r *wire.Request, op acl.Operation) error {
	if n.authorizer == nil {
		return refuse(kerr.SecurityDisabled, noAuthorizer(op))
	}
	return n.authorizeCluster(r, op)
}

// pickedACLs returns the entries that a filter picks, in order.
func (n *Node) pickedACLs(filter *acl.Filter) []acl.Binding {
	var picked []acl.Binding
	for b := range n.meta.Image().ACLs() {
		if filter.Matches(&b) {
			picked = append(picked, b)
		}
	}
	slices.SortFunc(picked, compareACLs)
	return picked
}

func compareACLs(a, b acl.Binding) int {
	return cmp.Or(
		cmp.Compare(a.Type, b.Type), strings.Compare(a.Name, b.Name), cmp.Compare(a.Kind, b.Kind),
		strings.Compare(a.Principal, b.Principal), strings.Compare(a.Host, b.Host),
		cmp.Compare(a.Operation, b.Operation), cmp.Compare(a.Permission, b.Permission))
}

// describedACLs groups ordered entries by their patterns.
func describedACLs(bindings []acl.Binding) []kmsg.DescribeACLsResponseResource {
	out := []kmsg.DescribeACLsResponseResource{}
	for i, b := range bindings {
		if i == 0 || bindings[i-1].Pattern != b.Pattern {
			r := kmsg.NewDescribeACLsResponseResource()
			r.ResourceType, r.ResourceName, r.ResourcePatternType = kmsg.ACLResourceType(b.Type), b.Name, kmsg.ACLResourcePatternType(b.Kind)
			out = append(out, r)
		}
		r := &out[len(out)-1]
		r.ACLs = append(r.ACLs, kmsg.DescribeACLsResponseResourceACL{
			Principal: b.Principal, Host: b.Host,
			Operation: kmsg.ACLOperation(b.Operation), PermissionType: kmsg.ACLPermissionType(b.Permission),
		})
	}
	return out
}
