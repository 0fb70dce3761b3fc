package broker

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/acl"
	"github.com/millrace/millrace/broker/metadata"
	"github.com/millrace/millrace/broker/wire"
)

// AddRaftVoter, RemoveRaftVoter: v0
//
// Behaviour:
// * The metadata has one voter, which is static: what is well formed is answered
//   with UNSUPPORTED_VERSION, as by a Kafka whose kraft.version is 0.
// * For who may alter the cluster.
//
// KIPs:
// * KIP-853: the APIs

func (n *Node) addRaftVoter(r *wire.Request, req *kmsg.AddRaftVoterRequest) *kmsg.AddRaftVoterResponse {
	resp := newResponse[*kmsg.AddRaftVoterResponse](req)
	err := n.voterRefusal(r, "Add", req.ClusterID, req.VoterID, req.VoterDirectoryID)
	if err == nil && len(req.Listeners) == 0 {
		err = refuse(kerr.InvalidRequest, "Add voter request didn't include the endpoint for the default listener CONTROLLER")
	}
	if err == nil {
		err = refuse(kerr.UnsupportedVersion, "Cluster doesn't support adding voter because the kraft.version feature is 0")
	}
	resp.ErrorCode, resp.ErrorMessage = codeOf(err), messageOf(err)
	return resp
}

func (n *Node) removeRaftVoter(r *wire.Request, req *kmsg.RemoveRaftVoterRequest) *kmsg.RemoveRaftVoterResponse {
	resp := newResponse[*kmsg.RemoveRaftVoterResponse](req)
	err := n.voterRefusal(r, "Remove", req.ClusterID, req.VoterID, req.VoterDirectoryID)
	if err == nil {
		err = refuse(kerr.UnsupportedVersion, "Cluster doesn't support removing voter because the kraft.version feature is 0")
	}
	resp.ErrorCode, resp.ErrorMessage = codeOf(err), messageOf(err)
	return resp
}

// voterRefusal says what is wrong with a request about a voter, nil if nothing is.
func (n *Node) voterRefusal(r *wire.Request, verb string, clusterID *string, id int32, dir [16]byte) error {
	if err := n.authorizeCluster(r, acl.Alter); err != nil {
		return err
	}
	switch own := n.ClusterID(); {
	case clusterID != nil && *clusterID != own:
		return refuse(kerr.InconsistentClusterID, fmt.Sprintf("The given id %q doesn't match the cluster id %q", *clusterID, own))
	case id < 0 || metadata.TopicID(dir) == metadata.TopicID{}:
		return refuse(kerr.InvalidRequest, verb+" voter request didn't include a valid voter")
	}
	return nil
}
