package core

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	// memberIDRequiredVersion is the first JoinGroup version whose new members
	// join a second time with the id that they were given (KIP-394).
	memberIDRequiredVersion = 4
	// skipAssignmentVersion is the first that can tell a static leader that
	// the assignment stays as it is (KIP-814).
	skipAssignmentVersion = 9
)

// joinGroup handles JoinGroup (11), versions 0 to 9.
func (s *Shard) joinGroup(in Input, req *kmsg.JoinGroupRequest) {
	at := &parked{token: in.Token, version: req.Version}
	if code := s.checkJoin(req); code != 0 {
		s.joinError(at, req.MemberID, code)
		return
	}
	g := s.groups[req.Group]
	if g != nil && g.consumer != nil {
		if len(g.consumer.members) > 0 {
			s.joinConsumer(g, in, req)
			return
		}
		if req.MemberID == "" {
			g.leaveConsumerProtocol(s.nowMs)
		}
	}
	switch {
	case g != nil && g.consumer != nil && req.MemberID != "":
		s.joinError(at, req.MemberID, kerr.UnknownMemberID.Code)
		return
	case g == nil && req.MemberID != "":
		s.joinError(at, req.MemberID, kerr.UnknownMemberID.Code)
		return
	case g == nil && len(s.groups) >= s.cfg.GroupsMax:
		s.joinError(at, "", kerr.CoordinatorNotAvailable.Code)
		return
	case g == nil:
		g = newGroup(req.Group, s.nowMs)
		s.groups[req.Group] = g
	}
	switch {
	case !s.hasRoom(g, req.MemberID):
		s.joinError(at, req.MemberID, kerr.GroupMaxSizeReached.Code)
	case !g.supports(req.ProtocolType, req.Protocols):
		s.joinError(at, req.MemberID, kerr.InconsistentGroupProtocol.Code)
	case req.MemberID == "":
		s.joinNew(g, in, req, at)
	default:
		s.joinKnown(g, in, req, at)
	}
	s.forgetIfIdle(g)
}

func (s *Shard) checkJoin(req *kmsg.JoinGroupRequest) int16 {
	if req.Group == "" {
		return kerr.InvalidGroupID.Code
	}
	if req.SessionTimeoutMillis < s.cfg.SessionTimeoutMinMs || req.SessionTimeoutMillis > s.cfg.SessionTimeoutMaxMs {
		return kerr.InvalidSessionTimeout.Code
	}
	size := 0
	for _, p := range req.Protocols {
		size += len(p.Name) + len(p.Metadata)
	}
	if size > s.cfg.MemberMetadataBytesMax {
		return kerr.InvalidRequest.Code
	}
	return 0
}

// hasRoom bounds the members of a group (KIP-389) and its pending ids.
func (s *Shard) hasRoom(g *group, memberID string) bool {
	m := g.byID[memberID]
	switch g.state {
	case PreparingRebalance:
		if m != nil && m.join != nil {
			return true
		}
		if g.awaitingJoin() >= s.cfg.GroupMembersMax {
			return false
		}
	case CompletingRebalance, Stable:
		if m == nil && len(g.members) >= s.cfg.GroupMembersMax {
			return false
		}
	case Empty, Dead:
	}
	return memberID != "" || len(g.pending) < s.cfg.GroupMembersMax
}

// joinNew handles a client that has no member id yet.
func (s *Shard) joinNew(g *group, in Input, req *kmsg.JoinGroupRequest, at *parked) {
	if req.InstanceID != nil {
		id := s.newMemberID(*req.InstanceID)
		if old, ok := g.static[*req.InstanceID]; ok {
			s.replaceStatic(g, g.byID[old], id, in, req, at)
			return
		}
		s.addMember(g, newMember(id, in, req), at)
		return
	}
	id := s.newMemberID(in.Client.ID)
	if req.Version >= memberIDRequiredVersion {
		g.pending[id] = struct{}{}
		s.timers.set(timerKey{timerMember, g.id, id}, s.nowMs+int64(req.SessionTimeoutMillis))
		s.joinError(at, id, kerr.MemberIDRequired.Code)
		return
	}
	s.addMember(g, newMember(id, in, req), at)
}

// joinKnown handles a client that has a member id.
func (s *Shard) joinKnown(g *group, in Input, req *kmsg.JoinGroupRequest, at *parked) {
	if _, pending := g.pending[req.MemberID]; pending {
		s.addMember(g, newMember(req.MemberID, in, req), at)
		return
	}
	if code := g.validate(req.MemberID, req.InstanceID); code != 0 {
		s.joinError(at, req.MemberID, code)
		return
	}
	m := g.byID[req.MemberID]
	switch g.state {
	case PreparingRebalance:
		s.updateMember(g, m, req, at)
	case CompletingRebalance:
		if !m.matches(req.Protocols) {
			s.updateMember(g, m, req, at)
			return
		}
		// The member has missed the answer to its JoinGroup.
		s.touch(g, m)
		s.reply(at.token, g.joined(m, at.version))
	case Stable:
		// A leader may know of new partitions, which its metadata does not show.
		if g.leader == m.id || !m.matches(req.Protocols) {
			s.updateMember(g, m, req, at)
			return
		}
		s.touch(g, m)
		s.reply(at.token, g.joined(m, at.version))
	case Empty, Dead:
		s.joinError(at, req.MemberID, kerr.UnknownMemberID.Code)
	}
}

func (s *Shard) addMember(g *group, m *member, at *parked) {
	m.isNew, m.join = true, at
	if g.state == PreparingRebalance && g.previous == Empty {
		g.newMemberAdded = true
	}
	g.add(m)
	// Nobody can send heartbeats before it knows its id, and a connection that
	// went away while its request is parked is not seen: so a bound of its own.
	s.timers.set(timerKey{timerMember, g.id, m.id}, s.nowMs+int64(s.cfg.NewMemberJoinTimeoutMs))
	s.rebalanceOrComplete(g, "a member joined")
}

func (s *Shard) updateMember(g *group, m *member, req *kmsg.JoinGroupRequest, at *parked) {
	s.failJoin(m, kerr.UnknownMemberID.Code) // an older JoinGroup of the same member
	g.countVotes(m, -1)
	m.update(req)
	g.countVotes(m, 1)
	m.join = at
	s.rebalanceOrComplete(g, "a member joined again")
}

// replaceStatic gives a static member that came back a new id (KIP-345).
func (s *Shard) replaceStatic(g *group, m *member, id string, in Input, req *kmsg.JoinGroupRequest, at *parked) {
	oldLeader, oldID := g.leader, m.id
	// Whoever still waits under the old id is a duplicate.
	s.failParked(m, kerr.FencedInstanceID.Code)
	s.timers.cancel(timerKey{timerMember, g.id, oldID})
	delete(g.byID, oldID)
	if _, unsynced := g.unsynced[oldID]; unsynced {
		delete(g.unsynced, oldID)
		if g.state == Stable {
			s.synced(g)
		}
	}
	g.countVotes(m, -1)
	m.update(req)
	m.id, m.client = id, in.Client
	g.countVotes(m, 1)
	g.byID[id] = m
	g.static[*m.instance] = id
	if g.leader == oldID {
		g.leader = id
	}
	s.touch(g, m)

	if g.state != Stable || g.selectProtocol() != g.protocol {
		m.join = at
		s.rebalanceOrComplete(g, "a static member came back")
		return
	}
	// The assignment stays; only the new id has to be remembered.
	r := g.joined(m, at.version)
	switch {
	case g.leader != id:
	case at.version >= skipAssignmentVersion:
		r.SkipAssignment = true
	default:
		// An old client must not believe that it leads, or it would assign.
		r.LeaderID, r.Members = oldLeader, []kmsg.JoinGroupResponseMember{}
	}
	s.reply(at.token, r)
	s.writeGroup(g)
}

func (s *Shard) newMemberID(prefix string) string {
	hi, lo := s.random.Uint64(), s.random.Uint64()
	hi = hi&^0xf000 | 0x4000
	lo = lo&^(0xc<<60) | 0x8<<60
	return fmt.Sprintf("%s-%08x-%04x-%04x-%04x-%012x", prefix, hi>>32, hi>>16&0xffff, hi&0xffff, lo>>48, lo&0xffffffffffff)
}

// joined is the answer that tells a member about the current generation.
func (g *group) joined(m *member, version int16) *kmsg.JoinGroupResponse {
	r := newJoinResponse(version)
	r.Generation, r.LeaderID, r.MemberID = g.generation, g.leader, m.id
	r.ProtocolType, r.Protocol = new(g.protocolType), new(g.protocol)
	if g.leader == m.id {
		for _, other := range g.members {
			to := kmsg.NewJoinGroupResponseMember()
			to.MemberID, to.InstanceID, to.ProtocolMetadata = other.id, other.instance, other.metadata(g.protocol)
			r.Members = append(r.Members, to)
		}
	}
	return r
}

func newJoinResponse(version int16) *kmsg.JoinGroupResponse {
	r := kmsg.NewPtrJoinGroupResponse()
	r.Version, r.Members = version, []kmsg.JoinGroupResponseMember{}
	return r
}

func (s *Shard) joinError(at *parked, memberID string, code int16) {
	r := newJoinResponse(at.version)
	r.ErrorCode, r.MemberID = code, memberID
	s.reply(at.token, r)
}

func (s *Shard) failJoin(m *member, code int16) {
	if m.join != nil {
		s.joinError(m.join, m.id, code)
		m.join = nil
	}
}

func (s *Shard) failParked(m *member, code int16) {
	s.failJoin(m, code)
	s.failSync(m, code)
}

func (s *Shard) failSync(m *member, code int16) {
	if m.sync != nil {
		r := newSyncResponse(m.sync.version)
		r.ErrorCode = code
		s.reply(m.sync.token, r)
		m.sync = nil
	}
}
