package core

import (
	"bytes"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// syncGroup handles SyncGroup (14), versions 0 to 5.
func (s *Shard) syncGroup(in Input, req *kmsg.SyncGroupRequest) {
	r := newSyncResponse(req.Version)
	g := s.groups[req.Group]
	if g != nil && g.consumer != nil {
		s.reply(in.Token, s.syncConsumer(g, req))
		return
	}
	if r.ErrorCode = checkSync(g, req); r.ErrorCode != 0 {
		s.reply(in.Token, r)
		return
	}
	m := g.byID[req.MemberID]
	s.removeUnsynced(g, m)
	if g.state == Stable {
		s.touch(g, m)
		s.reply(in.Token, g.assigned(m, req.Version))
		return
	}
	if m.sync != nil { // an older SyncGroup of the same member
		s.failParked(m, kerr.UnknownMemberID.Code)
	}
	m.sync = &parked{token: in.Token, version: req.Version}
	if g.leader == m.id {
		s.assign(g, req.GroupAssignment)
	}
}

func checkSync(g *group, req *kmsg.SyncGroupRequest) int16 {
	if req.Group == "" {
		return kerr.InvalidGroupID.Code
	}
	if g == nil {
		return kerr.UnknownMemberID.Code
	}
	if code := g.validate(req.MemberID, req.InstanceID); code != 0 {
		return code
	}
	switch {
	case req.Generation != g.generation:
		return kerr.IllegalGeneration.Code
	case req.ProtocolType != nil && *req.ProtocolType != g.protocolType,
		req.Protocol != nil && *req.Protocol != g.protocol:
		return kerr.InconsistentGroupProtocol.Code
	case g.state == Empty:
		return kerr.UnknownMemberID.Code
	case g.state == PreparingRebalance:
		return kerr.RebalanceInProgress.Code
	}
	return 0
}

// assign stores the leader's assignment and answers all who wait for it; a member
// that the leader left out gets an empty one.
func (s *Shard) assign(g *group, assignments []kmsg.SyncGroupRequestGroupAssignment) {
	for _, m := range g.members {
		m.assignment = []byte{}
	}
	for _, a := range assignments {
		if m := g.byID[a.MemberID]; m != nil {
			m.assignment = append([]byte{}, bytes.Clone(a.MemberAssignment)...)
		}
	}
	g.transition(Stable, s.nowMs)
	for _, m := range g.members {
		if m.sync != nil {
			s.touch(g, m)
			s.reply(m.sync.token, g.assigned(m, m.sync.version))
			m.sync = nil
		}
	}
	s.writeGroup(g)
}

func (s *Shard) removeUnsynced(g *group, m *member) {
	delete(g.unsynced, m.id)
	if len(g.unsynced) == 0 {
		s.synced(g)
	}
}

func (g *group) assigned(m *member, version int16) *kmsg.SyncGroupResponse {
	r := newSyncResponse(version)
	r.ProtocolType, r.Protocol = new(g.protocolType), new(g.protocol)
	r.MemberAssignment = m.assignment
	return r
}

func newSyncResponse(version int16) *kmsg.SyncGroupResponse {
	r := kmsg.NewPtrSyncGroupResponse()
	r.Version, r.MemberAssignment = version, []byte{}
	return r
}
