package broker

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/acl"
	"github.com/millrace/millrace/broker/metadata"
	"github.com/millrace/millrace/broker/wire"
)

// CreateAcls: v1-3
//
// Behaviour:
// * Entries that are there already are taken without error and not stored
//   twice. Those that are sound are stored together, durably; the others are
//   INVALID_REQUEST each.
// * They are in force when the answer is sent.
// * Without an authorizer: SECURITY_DISABLED.
// * An entry with the code 0, for unknown, closes the connection, as from Kafka.
// * For who may alter the cluster.
//
// KIPs:
// * KIP-140: the API
// * KIP-290: prefixes (v1)
// * KIP-373: resources of type user (v3)

func (n *Node) serveCreateACLs(r *wire.Request) {
	decoded, err := r.Decode()
	if err != nil {
		r.Fail(err)
		return
	}
	req := decoded.(*kmsg.CreateACLsRequest)
	bindings := make([]acl.Binding, len(req.Creations))
	for i, c := range req.Creations {
		b := acl.Binding{
			Pattern:   acl.Pattern{Type: acl.ResourceType(c.ResourceType), Name: c.ResourceName, Kind: acl.PatternType(c.ResourcePatternType)},
			Principal: c.Principal, Host: c.Host, Operation: acl.Operation(c.Operation), Permission: acl.Permission(c.PermissionType),
		}
		if b.Type == acl.ResourceUnknown || b.Kind == acl.PatternUnknown || b.Operation == acl.OperationUnknown || b.Permission == acl.PermissionUnknown {
			r.Fail(fmt.Errorf("%w: an access control entry with unknown elements", wire.ErrMalformed))
			return
		}
		bindings[i] = b
	}
	resp := newResponse[*kmsg.CreateACLsResponse](req)
	resp.Results = make([]kmsg.CreateACLsResponseResult, len(bindings))
	refused := n.refuseACLs(r, acl.Alter)
	errs := make([]error, len(bindings))
	if refused == nil {
		refused = n.createACLs(bindings, errs)
	}
	for i := range resp.Results {
		err := errs[i]
		if err == nil {
			err = refused
		}
		resp.Results[i].ErrorCode, resp.Results[i].ErrorMessage = codeOf(err), messageOf(err)
		if err == nil {
			resp.Results[i].ErrorMessage = new("") // as Kafka's
		}
	}
	r.Reply(resp)
}

// createACLs stores the sound ones of bindings and sets the errors of the others.
func (n *Node) createACLs(bindings []acl.Binding, errs []error) error {
	for i := range bindings {
		errs[i] = checkACL(&bindings[i])
	}
	added := 0
	_, err := n.meta.Update(func(image *metadata.Image) ([]metadata.Record, error) {
		var records []metadata.Record
		seen := make(map[acl.Binding]bool)
		for i, b := range bindings {
			if _, there := image.ACLID(b); there || seen[b] || errs[i] != nil {
				continue
			}
			seen[b] = true
			records = append(records, &metadata.ACLRecord{ID: newID(), ACL: metadata.ACLOf(b)})
		}
		added = len(records)
		return records, nil
	})
	if err == nil && added > 0 {
		n.log.Info("access control entries added", "count", added)
	}
	return err
}

// checkACL says what is wrong with an entry, in Kafka's words.
func checkACL(b *acl.Binding) error {
	invalid := func(what string, value any) error {
		return refuse(kerr.InvalidRequest, fmt.Sprintf("Invalid %s %s", what, value))
	}
	switch {
	case b.Type == acl.ResourceCluster && b.Name != acl.ClusterName:
		return refuse(kerr.InvalidRequest, "The only valid name for the CLUSTER resource is "+acl.ClusterName)
	case b.Name == "":
		return refuse(kerr.InvalidRequest, "Invalid empty resource name")
	case b.Type == acl.ResourceAny || !b.Type.Known():
		return invalid("resourceType", b.Type)
	case b.Kind != acl.PatternLiteral && b.Kind != acl.PatternPrefixed:
		return invalid("patternType", b.Kind)
	case b.Operation == acl.OperationAny || !b.Operation.Known():
		return invalid("operation", b.Operation)
	case b.Permission != acl.Allow && b.Permission != acl.Deny:
		return invalid("permissionType", b.Permission)
	}
	if err := acl.CheckPrincipal(b.Principal); err != nil {
		return refuse(kerr.InvalidRequest, err.Error())
	}
	return nil
}
