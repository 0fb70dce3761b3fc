package broker

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/acl"
	"github.com/millrace/millrace/broker/metadata"
	"github.com/millrace/millrace/broker/wire"
)

// DescribeUserScramCredentials: v0
//
// Behaviour:
// * Mechanisms and iterations of the named users, of all when none is named.
//   Salts and keys are never told.
// * A user who is named twice is DUPLICATE_RESOURCE, one without credentials
//   RESOURCE_NOT_FOUND.
// * For who may describe the cluster.
//
// KIPs:
// * KIP-554: the API

func (n *Node) describeUserScramCredentials(r *wire.Request, req *kmsg.DescribeUserSCRAMCredentialsRequest) *kmsg.DescribeUserSCRAMCredentialsResponse {
	resp := newResponse[*kmsg.DescribeUserSCRAMCredentialsResponse](req)
	resp.Results = []kmsg.DescribeUserSCRAMCredentialsResponseResult{}
	resp.ErrorMessage = new("") // as Kafka: not null
	if err := n.authorizeCluster(r, acl.Describe); err != nil {
		resp.ErrorCode, resp.ErrorMessage = codeOf(err), messageOf(err)
		return resp
	}
	byUser, names := scramUsers(n.meta.Image())
	asked := map[string]int{}
	if len(req.Users) > 0 {
		names = names[:0]
		for _, u := range req.Users {
			if asked[u.Name]++; asked[u.Name] == 1 {
				names = append(names, u.Name)
			}
		}
	}
	for _, name := range names {
		result := kmsg.NewDescribeUserSCRAMCredentialsResponseResult()
		result.ErrorMessage = new("")
		result.User, result.CredentialInfos = name, []kmsg.DescribeUserSCRAMCredentialsResponseResultCredentialInfo{}
		var err error
		switch {
		case asked[name] > 1:
			err = refuse(kerr.DuplicateResource, "Cannot describe SCRAM credentials for the same user twice in a single request: "+name)
		case len(byUser[name]) == 0:
			err = refuse(kerr.ResourceNotFound, "Attempt to describe a user credential that does not exist: "+name)
		default:
			result.CredentialInfos = append(result.CredentialInfos, byUser[name]...)
		}
		if err != nil {
			result.ErrorCode, result.ErrorMessage = codeOf(err), messageOf(err)
		}
		resp.Results = append(resp.Results, result)
	}
	return resp
}

// scramUsers returns the credentials of all users, and their names in order.
func scramUsers(image *metadata.Image) (byUser map[string][]kmsg.DescribeUserSCRAMCredentialsResponseResultCredentialInfo, names []string) {
	byUser = make(map[string][]kmsg.DescribeUserSCRAMCredentialsResponseResultCredentialInfo)
	for _, c := range image.ScramCredentials() {
		if byUser[c.User] == nil {
			names = append(names, c.User)
		}
		info := kmsg.NewDescribeUserSCRAMCredentialsResponseResultCredentialInfo()
		info.Mechanism, info.Iterations = scramNumber(c.Mechanism), int32(c.Iterations)
		byUser[c.User] = append(byUser[c.User], info)
	}
	return byUser, names
}
