package broker

import (
	"bytes"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/acl"
	"github.com/millrace/millrace/broker/metadata"
	"github.com/millrace/millrace/broker/sasl"
	"github.com/millrace/millrace/broker/wire"
)

// AlterUserScramCredentials: v0
//
// Behaviour:
// * Sets and removes users' credentials. The client has salted the password; of
//   that the stored key and the server key are kept, so that nobody who reads the
//   metadata can log in with them.
// * The result of each user stands for itself: what is right is done, also
//   when another user's change is refused. What is done is durable.
// * A user who is named twice is DUPLICATE_RESOURCE and is not changed, an empty name
//   or iterations outside 4096 to 16384 UNACCEPTABLE_CREDENTIAL, an unknown mechanism
//   UNSUPPORTED_SASL_MECHANISM, and the removal of what is not there
//   RESOURCE_NOT_FOUND.
// * For who may alter the cluster.
//
// KIPs:
// * KIP-554: the API

func (n *Node) alterUserScramCredentials(r *wire.Request, req *kmsg.AlterUserSCRAMCredentialsRequest) *kmsg.AlterUserSCRAMCredentialsResponse {
	resp := newResponse[*kmsg.AlterUserSCRAMCredentialsResponse](req)
	resp.Results = []kmsg.AlterUserSCRAMCredentialsResponseResult{}
	var plan scramPlan
	err := n.authorizeCluster(r, acl.Alter)
	if err == nil {
		_, err = n.meta.Update(func(image *metadata.Image) ([]metadata.Record, error) {
			plan = planScram(image, req)
			return plan.records, nil
		})
	} else {
		plan.users = scramUsersOf(req)
	}
	for _, user := range plan.users {
		result := kmsg.NewAlterUserSCRAMCredentialsResponseResult()
		failed := plan.errors[user]
		if failed == nil {
			failed = err
		}
		result.User, result.ErrorCode, result.ErrorMessage = user, codeOf(failed), messageOf(failed)
		resp.Results = append(resp.Results, result)
	}
	if err == nil && len(plan.records) > 0 {
		n.log.Info("user credentials changed", "users", plan.users)
	}
	return resp
}

// scramUsersOf returns the users of a request in the order of their names.
func scramUsersOf(req *kmsg.AlterUserSCRAMCredentialsRequest) []string {
	var users []string
	for _, d := range req.Deletions {
		users = append(users, d.Name)
	}
	for _, u := range req.Upsertions {
		users = append(users, u.Name)
	}
	slices.Sort(users)
	return slices.Compact(users)
}

// scramPlan is what a request comes to, as Kafka's ScramControlManager decides it.
type scramPlan struct {
	users   []string // in the order of the request
	errors  map[string]error
	pending map[string]metadata.Record // of users whose change is right so far
	records []metadata.Record
}

func planScram(image *metadata.Image, req *kmsg.AlterUserSCRAMCredentialsRequest) scramPlan {
	plan := scramPlan{errors: make(map[string]error), pending: make(map[string]metadata.Record)}
	for _, d := range req.Deletions {
		plan.decide(d.Name, d.Mechanism, func(mechanism string) (metadata.Record, error) {
			if image.ScramCredential(d.Name, mechanism) == nil {
				return nil, refuse(kerr.ResourceNotFound, "Attempt to delete a user credential that does not exist")
			}
			return &metadata.UserScramRemovedRecord{User: d.Name, Mechanism: mechanism}, nil
		})
	}
	for _, u := range req.Upsertions {
		plan.decide(u.Name, u.Mechanism, func(mechanism string) (metadata.Record, error) { return scramUpsert(u, mechanism) })
	}
	for _, user := range plan.users {
		if r := plan.pending[user]; r != nil {
			plan.records = append(plan.records, r)
		}
	}
	return plan
}

// decide takes a change of a user: the first error of a user counts, and a second
// change undoes the first.
func (p *scramPlan) decide(user string, mechanism int8, change func(mechanism string) (metadata.Record, error)) {
	if p.errors[user] != nil {
		return
	}
	var record metadata.Record
	var err error
	switch {
	case p.pending[user] != nil:
		delete(p.pending, user)
		p.errors[user] = refuse(kerr.DuplicateResource, "A user credential cannot be altered twice in the same request")
		return
	case user == "":
		err = refuse(kerr.UnacceptableCredential, "Username must not be empty")
	case scramName(mechanism) == "":
		err = refuse(kerr.UnsupportedSaslMechanism, "Unknown SCRAM mechanism")
	default:
		record, err = change(scramName(mechanism))
	}
	p.users = append(p.users, user)
	if err != nil {
		p.errors[user] = err
		return
	}
	p.pending[user] = record
}

func scramUpsert(u kmsg.AlterUserSCRAMCredentialsRequestUpsertion, mechanism string) (metadata.Record, error) {
	switch {
	case u.Iterations < sasl.IterationsMin:
		return nil, refuse(kerr.UnacceptableCredential, "Too few iterations")
	case u.Iterations > sasl.IterationsMax:
		return nil, refuse(kerr.UnacceptableCredential, "Too many iterations")
	}
	c, err := sasl.FromSaltedPassword(mechanism, u.SaltedPassword, bytes.Clone(u.Salt), int(u.Iterations))
	if err != nil {
		return nil, err
	}
	return scramRecord(u.Name, c), nil
}

// The numbers of the mechanisms in requests.

func scramName(mechanism int8) string {
	switch mechanism {
	case 1:
		return sasl.ScramSHA256
	case 2:
		return sasl.ScramSHA512
	}
	return ""
}

func scramNumber(mechanism string) int8 {
	switch mechanism {
	case sasl.ScramSHA256:
		return 1
	case sasl.ScramSHA512:
		return 2
	}
	return 0
}
