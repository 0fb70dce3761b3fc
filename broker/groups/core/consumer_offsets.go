package core

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// memberEpochCommitVersion is the first OffsetCommit version that members of the
// new protocol may use.
const memberEpochCommitVersion = 9

// checkCommit says who may commit: a member in its epoch, or anyone while the
// group has no members.
func (c *consumerGroup) checkCommit(memberID string, _ *string, epoch int32, version int16) int16 {
	if epoch < 0 && len(c.members) == 0 {
		return 0
	}
	m := c.members[memberID]
	if m != nil && m.classic == nil && version < memberEpochCommitVersion {
		return kerr.UnsupportedVersion.Code
	}
	return c.checkMemberEpoch(memberID, epoch)
}

// checkTransactionalCommit is checkCommit for TxnOffsetCommit: a producer that
// does not say for whom it commits may do so.
func (c *consumerGroup) checkTransactionalCommit(memberID string, instance *string, epoch int32) int16 {
	if epoch < 0 && (len(c.members) == 0 || epoch == -1 && memberID == "" && instance == nil) {
		return 0
	}
	return c.checkMemberEpoch(memberID, epoch)
}

func (c *consumerGroup) checkMemberEpoch(memberID string, epoch int32) int16 {
	m := c.members[memberID]
	switch {
	case m == nil:
		return kerr.UnknownMemberID.Code
	case epoch == m.epoch:
		return 0
	case m.classic != nil:
		return kerr.IllegalGeneration.Code
	}
	return kerr.StaleMemberEpoch.Code
}

// checkFetch says who may fetch offsets: anyone who does not claim to be a
// member, and a member in its epoch (OffsetFetch v9).
func (s *Shard) checkFetch(req kmsg.OffsetFetchRequestGroup) int16 {
	g := s.groups[req.Group]
	if g == nil || g.consumer == nil || req.MemberID == nil && req.MemberEpoch < 0 {
		return 0
	}
	id := ""
	if req.MemberID != nil {
		id = *req.MemberID
	}
	return g.consumer.checkMemberEpoch(id, req.MemberEpoch)
}
