package core

import (
	"fmt"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	// groupNotFoundVersion is the first DescribeGroups version that says so (KIP-1043).
	groupNotFoundVersion = 6
	// groupOperations are the ACL operations on a group that an unrestricted
	// client may perform: read, delete, describe, describe configs, alter configs.
	groupOperations = 1<<3 | 1<<6 | 1<<8 | 1<<10 | 1<<11
	// classicType and consumerType are the types of groups, as ListGroups names them.
	classicType  = "classic"
	consumerType = "consumer"
)

// describeGroups handles DescribeGroups (15), versions 0 to 6.
func (s *Shard) describeGroups(req *kmsg.DescribeGroupsRequest) *kmsg.DescribeGroupsResponse {
	r := kmsg.NewPtrDescribeGroupsResponse()
	r.Version, r.Groups = req.Version, []kmsg.DescribeGroupsResponseGroup{}
	for _, id := range req.Groups {
		d := s.describe(id, req.Version)
		if req.IncludeAuthorizedOperations && d.ErrorCode == 0 {
			d.AuthorizedOperations = groupOperations
		}
		r.Groups = append(r.Groups, d)
	}
	return r
}

func (s *Shard) describe(id string, version int16) kmsg.DescribeGroupsResponseGroup {
	d := kmsg.NewDescribeGroupsResponseGroup()
	d.Group, d.Members = id, []kmsg.DescribeGroupsResponseGroupMember{}
	g := s.groups[id]
	if g == nil || g.consumer != nil {
		d.State = string(Dead)
		if version >= groupNotFoundVersion {
			why := "Group %s not found."
			if g != nil {
				why = "Group %s is not a classic group."
			}
			d.ErrorCode, d.ErrorMessage = kerr.GroupIDNotFound.Code, new(fmt.Sprintf(why, id))
		}
		return d
	}
	d.State, d.ProtocolType = string(g.state), g.protocolType
	if g.state == Stable {
		d.Protocol = g.protocol
	}
	for _, m := range g.members {
		to := kmsg.NewDescribeGroupsResponseGroupMember()
		to.MemberID, to.InstanceID = m.id, m.instance
		to.ClientID, to.ClientHost = m.client.ID, m.client.Host
		to.ProtocolMetadata, to.MemberAssignment = []byte{}, []byte{}
		if g.state == Stable {
			to.ProtocolMetadata, to.MemberAssignment = m.metadata(g.protocol), m.assignment
		}
		d.Members = append(d.Members, to)
	}
	return d
}

// listGroups handles ListGroups (16), versions 0 to 5 (KIP-518 states, KIP-848 types).
func (s *Shard) listGroups(req *kmsg.ListGroupsRequest) *kmsg.ListGroupsResponse {
	r := kmsg.NewPtrListGroupsResponse()
	r.Version, r.Groups = req.Version, []kmsg.ListGroupsResponseGroup{}
	for _, id := range s.groupIDs() {
		g := s.groups[id]
		state, kind := string(g.currentState()), classicType
		if g.consumer != nil {
			kind = consumerType
		}
		if !named(req.StatesFilter, state) || !named(req.TypesFilter, kind) {
			continue
		}
		to := kmsg.NewListGroupsResponseGroup()
		to.Group, to.ProtocolType, to.GroupState, to.GroupType = id, g.currentProtocolType(), state, kind
		r.Groups = append(r.Groups, to)
	}
	return r
}

// named says whether a filter lets the name through; an empty one does.
func named(filter []string, name string) bool {
	return len(filter) == 0 || slices.ContainsFunc(filter, func(f string) bool { return strings.EqualFold(f, name) })
}
