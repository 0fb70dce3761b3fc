package core

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// batchLeaveVersion is the first LeaveGroup version with several members.
const batchLeaveVersion = 3

// leaveGroup handles LeaveGroup (13), versions 0 to 5.
func (s *Shard) leaveGroup(req *kmsg.LeaveGroupRequest) *kmsg.LeaveGroupResponse {
	r := kmsg.NewPtrLeaveGroupResponse()
	r.Version, r.Members = req.Version, []kmsg.LeaveGroupResponseMember{}
	if req.Group == "" {
		r.ErrorCode = kerr.InvalidGroupID.Code
		return r
	}
	g := s.groups[req.Group]
	leaving := req.Members
	if req.Version < batchLeaveVersion {
		leaving = []kmsg.LeaveGroupRequestMember{{MemberID: req.MemberID}}
	}
	if g != nil && g.consumer != nil {
		r.Members = s.leaveConsumer(g, leaving)
	}
	left := false
	for _, who := range leaving[len(r.Members):] {
		m := kmsg.NewLeaveGroupResponseMember()
		m.MemberID, m.InstanceID = who.MemberID, who.InstanceID
		if m.ErrorCode = s.leave(g, who.MemberID, who.InstanceID); m.ErrorCode == 0 {
			left = true
		}
		r.Members = append(r.Members, m)
	}
	if req.Version < batchLeaveVersion {
		r.ErrorCode, r.Members = r.Members[0].ErrorCode, nil
	}
	if left {
		s.afterRemoval(g, "a member left")
		s.forgetIfIdle(g)
	}
	return r
}

// leave removes one member. An administrator names it by its instance alone.
func (s *Shard) leave(g *group, memberID string, instance *string) int16 {
	if g == nil {
		return kerr.UnknownMemberID.Code
	}
	if memberID == "" {
		if instance == nil || g.static[*instance] == "" {
			return kerr.UnknownMemberID.Code
		}
		memberID = g.static[*instance]
	}
	if _, pending := g.pending[memberID]; pending {
		delete(g.pending, memberID)
		s.timers.cancel(timerKey{timerMember, g.id, memberID})
		return 0
	}
	if code := g.validate(memberID, instance); code != 0 {
		return code
	}
	s.dropMember(g, g.byID[memberID])
	return 0
}
