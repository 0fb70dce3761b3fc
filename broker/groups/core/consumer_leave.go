package core

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// consumerLeave handles a heartbeat with which a member leaves (epoch -1), or an
// instance goes for a while (epoch -2).
func (s *Shard) consumerLeave(req *kmsg.ConsumerGroupHeartbeatRequest) (*kmsg.ConsumerGroupHeartbeatResponse, *refusal) {
	id := req.Group
	g := s.groups[id]
	if g == nil {
		return nil, refuse(kerr.GroupIDNotFound, "Group %s not found.", id)
	}
	if g.consumer == nil {
		return nil, refuse(kerr.GroupIDNotFound, "Group %s is not a consumer group.", id)
	}
	r := newConsumerResponse(req.Version)
	r.MemberID, r.MemberEpoch = &req.MemberID, req.MemberEpoch
	m := g.consumer.members[req.MemberID]
	if req.InstanceID != nil {
		m = g.consumer.instance(req.InstanceID)
		if no := m.checkInstance(req.MemberID, *req.InstanceID); no != nil {
			return nil, no
		}
	}
	switch {
	case m == nil:
		return nil, unknownMember(req.MemberID, id)
	case req.InstanceID != nil && req.MemberEpoch == epochLeaveStatic:
		away := m.copy()
		away.epoch, away.revoking = epochLeaveStatic, assignment{}
		s.write(currentRecord(id, away))
	default:
		s.fence(g, []*consumerMember{m}, "a member left")
	}
	return r, nil
}

// fence removes members. When only members that speak the classic protocol are
// left, the group becomes a classic one.
func (s *Shard) fence(g *group, gone []*consumerMember, reason string) {
	if len(gone) == 0 {
		return
	}
	c := g.consumer
	left := c.without(gone)
	if s.mayDowngrade(left) {
		s.downgrade(g, left, nil, true)
	} else {
		for _, m := range gone {
			s.write(memberTombstones(g.id, m.id)...)
		}
		regexes := s.dropRegexes(g.id, c, left)
		version := s.image.Version()
		hash := hashTopics(subscribedTopics(left, regexes), s.image)
		s.write(epochRecord(g.id, c.epoch+1, hash, version))
		s.tell(Event{Kind: EventRebalance, Group: g.id, Generation: c.epoch + 1, Members: len(left), Reason: reason})
	}
	for _, m := range gone {
		s.cancelMemberTimers(g.id, m.id)
	}
}

// mayDowngrade says whether a group of these members is to become a classic one.
func (s *Shard) mayDowngrade(left []*consumerMember) bool {
	return s.cfg.MigrationPolicy.downgrades() && classicOnly(left) && len(left) <= s.cfg.GroupMembersMax
}

// expireConsumer is called when one of the timers of a member of a consumer group fires.
func (s *Shard) expireConsumer(g *group, key timerKey) {
	m := g.consumer.members[key.member]
	if m == nil {
		return
	}
	reason := "a member's session ended"
	switch key.kind {
	case timerRevocation:
		if m.state != memberUnrevoked || m.epoch == epochLeaveStatic {
			return
		}
		reason = "a member did not give up its partitions in time"
	case timerConsumerJoin:
		reason = "a classic member did not join again in time"
	case timerConsumerSync:
		reason = "a classic member did not ask for its assignment in time"
	case timerMember, timerJoin, timerSync, timerExpiry:
	}
	s.tell(Event{Kind: EventMemberExpired, Group: g.id, Generation: g.consumer.epoch, Members: len(g.consumer.members), Member: m.id})
	s.fence(g, []*consumerMember{m}, reason)
}

// settings are what a group's configs, or else the broker's, say.
type settings struct{ sessionTimeoutMs, heartbeatIntervalMs int32 }

// Names of the configs of a group (resource type GROUP).
const (
	configSessionTimeout    = "consumer.session.timeout.ms"
	configHeartbeatInterval = "consumer.heartbeat.interval.ms"
)

func (s *Shard) settings(group string) settings {
	set := s.image.GroupConfigs(group)
	return settings{
		sessionTimeoutMs:    configured(set, configSessionTimeout, s.cfg.ConsumerSessionTimeoutMs),
		heartbeatIntervalMs: configured(set, configHeartbeatInterval, s.cfg.ConsumerHeartbeatIntervalMs),
	}
}

// touchConsumer starts the member's session again.
func (s *Shard) touchConsumer(group string, m *consumerMember) {
	ms := s.settings(group).sessionTimeoutMs
	if m.classic != nil {
		ms = m.classic.sessionTimeoutMs
	}
	s.timers.set(timerKey{timerMember, group, m.id}, s.nowMs+int64(ms))
}

// timeRevocation bounds the time that a member has to give up partitions.
func (s *Shard) timeRevocation(group string, m *consumerMember) {
	key := timerKey{timerRevocation, group, m.id}
	if m.state == memberUnrevoked {
		s.timers.set(key, s.nowMs+int64(m.rebalanceTimeoutMs))
	} else {
		s.timers.cancel(key)
	}
}

func (s *Shard) cancelMemberTimers(group, member string) {
	for _, kind := range []timerKind{timerMember, timerRevocation, timerConsumerJoin, timerConsumerSync} {
		s.timers.cancel(timerKey{kind, group, member})
	}
}

// rearm starts the timers that members of a consumer group should have and do
// not, because records could not be appended: soon, where a session has
// ended, and with all its time where a member has partitions to give up.
func (s *Shard) rearm(g *group) {
	for _, m := range g.consumer.sorted() {
		s.timers.setIfAbsent(timerKey{timerMember, g.id, m.id}, s.nowMs+timerRetryMs)
		if m.state == memberUnrevoked && m.classic == nil {
			s.timers.setIfAbsent(timerKey{timerRevocation, g.id, m.id}, s.nowMs+int64(m.rebalanceTimeoutMs))
		}
	}
}
