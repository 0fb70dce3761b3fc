package core

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// heartbeat handles Heartbeat (12), versions 0 to 4.
func (s *Shard) heartbeat(req *kmsg.HeartbeatRequest) *kmsg.HeartbeatResponse {
	r := kmsg.NewPtrHeartbeatResponse()
	r.Version = req.Version
	r.ErrorCode = s.heartbeatCode(req)
	return r
}

func (s *Shard) heartbeatCode(req *kmsg.HeartbeatRequest) int16 {
	if req.Group == "" {
		return kerr.InvalidGroupID.Code
	}
	g := s.groups[req.Group]
	if g == nil {
		return kerr.UnknownMemberID.Code
	}
	if g.consumer != nil {
		return s.heartbeatConsumer(g, req)
	}
	if code := g.validate(req.MemberID, req.InstanceID); code != 0 {
		return code
	}
	if req.Generation != g.generation {
		return kerr.IllegalGeneration.Code
	}
	m := g.byID[req.MemberID]
	switch g.state {
	case PreparingRebalance:
		s.touch(g, m)
		return kerr.RebalanceInProgress.Code
	case CompletingRebalance, Stable:
		s.touch(g, m)
		return 0
	case Empty, Dead:
	}
	return kerr.UnknownMemberID.Code
}
