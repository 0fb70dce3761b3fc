package broker

import (
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/acl"
	"github.com/millrace/millrace/broker/metadata"
	"github.com/millrace/millrace/broker/wire"
)

// DeleteAcls: v1-3
//
// Behaviour:
// * Removes all entries that any of the filters picks, together and durably, and
//   answers them for each filter: an entry that two filters pick is named twice.
// * Without an authorizer: SECURITY_DISABLED.
// * A filter with a code that is not known is INVALID_REQUEST; the code 0, for
//   unknown, closes the connection, as from Kafka.
// * For who may alter the cluster.
//
// KIPs:
// * KIP-140: the API
// * KIP-290: prefixes, and filters that match a resource (v1)
// * KIP-373: resources of type user (v3)

func (n *Node) serveDeleteACLs(r *wire.Request) {
	decoded, err := r.Decode()
	if err != nil {
		r.Fail(err)
		return
	}
	req := decoded.(*kmsg.DeleteACLsRequest)
	filters := make([]acl.Filter, len(req.Filters))
	for i, f := range req.Filters {
		filters[i] = acl.Filter{
			ResourceType: acl.ResourceType(f.ResourceType), Name: f.ResourceName, PatternType: acl.PatternType(f.ResourcePatternType),
			Principal: f.Principal, Host: f.Host, Operation: acl.Operation(f.Operation), Permission: acl.Permission(f.PermissionType),
		}
		if !filters[i].Sound() {
			r.Fail(fmt.Errorf("%w: a filter of access control lists with unknown elements", wire.ErrMalformed))
			return
		}
	}
	picked := make([][]acl.Binding, len(filters))
	err = n.refuseACLs(r, acl.Alter)
	if err == nil {
		err = n.deleteACLs(filters, picked)
	}
	resp := newResponse[*kmsg.DeleteACLsResponse](req)
	resp.Results = make([]kmsg.DeleteACLsResponseResult, len(filters))
	for i := range resp.Results {
		failed := err
		if failed == nil && !filters[i].Known() {
			failed = refuse(kerr.InvalidRequest, unknownPart(&filters[i]))
		}
		resp.Results[i] = deletedACLs(picked[i], failed)
	}
	r.Reply(resp)
}

// unknownPart names the half of a filter that is not known, in Kafka's words.
func unknownPart(f *acl.Filter) string {
	if !f.ResourceType.Known() || !f.PatternType.Known() {
		return "Unknown patternFilter."
	}
	return "Unknown entryFilter."
}

// deleteACLs removes what the filters pick and sets what each has picked.
func (n *Node) deleteACLs(filters []acl.Filter, picked [][]acl.Binding) error {
	removed := 0
	_, err := n.meta.Update(func(image *metadata.Image) ([]metadata.Record, error) {
		var records []metadata.Record
		for b, id := range image.ACLs() {
			gone := false
			for i := range filters {
				if filters[i].Matches(&b) {
					picked[i] = append(picked[i], b)
					gone = true
				}
			}
			if gone {
				records = append(records, &metadata.ACLRemovedRecord{ID: id})
			}
		}
		removed = len(records)
		return records, nil
	})
	if err == nil && removed > 0 {
		n.log.Info("access control entries removed", "count", removed)
	}
	return err
}

func deletedACLs(picked []acl.Binding, err error) kmsg.DeleteACLsResponseResult {
	out := kmsg.NewDeleteACLsResponseResult()
	out.ErrorCode, out.ErrorMessage = codeOf(err), messageOf(err)
	out.MatchingACLs = []kmsg.DeleteACLsResponseResultMatchingACL{}
	if err != nil {
		return out
	}
	slices.SortFunc(picked, compareACLs)
	for _, b := range picked {
		m := kmsg.NewDeleteACLsResponseResultMatchingACL()
		m.ResourceType, m.ResourceName, m.ResourcePatternType = kmsg.ACLResourceType(b.Type), b.Name, kmsg.ACLResourcePatternType(b.Kind)
		m.Principal, m.Host = b.Principal, b.Host
		m.Operation, m.PermissionType = kmsg.ACLOperation(b.Operation), kmsg.ACLPermissionType(b.Permission)
		out.MatchingACLs = append(out.MatchingACLs, m)
	}
	return out
}
