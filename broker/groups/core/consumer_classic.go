package core

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// A consumer group serves members that speak the classic protocol (KIP-848,
// migration): the generation they see is their member epoch, and the
// assignment is the coordinator's. There is no leader.

// joinConsumer handles JoinGroup for a consumer group that has members.
func (s *Shard) joinConsumer(g *group, in Input, req *kmsg.JoinGroupRequest) {
	at := &parked{token: in.Token, version: req.Version}
	r, no := s.joinAsClassic(g, in, req)
	if no != nil {
		s.out.Records, s.out.Events = nil, nil
		s.joinError(at, req.MemberID, no.code)
		return
	}
	s.reply(in.Token, r)
}

func (s *Shard) joinAsClassic(g *group, in Input, req *kmsg.JoinGroupRequest) (*kmsg.JoinGroupResponse, *refusal) {
	c, memberID, r := g.consumer, req.MemberID, newJoinResponse(req.Version)
	if memberID == "" {
		memberID = s.newUUID()
	}
	if no := s.hasRoomFor(c, memberID); no != nil {
		return nil, no
	}
	as := classicMemberOf(req.SessionTimeoutMillis, req.Protocols)
	if !c.supportsClassic(req.ProtocolType, as.protocols) {
		return nil, refuse(kerr.InconsistentGroupProtocol, "Member %s's protocols are not supported.", memberID)
	}
	if req.MemberID == "" && req.InstanceID == nil && req.Version >= memberIDRequiredVersion {
		r.ErrorCode, r.MemberID = kerr.MemberIDRequired.Code, memberID
		return r, nil
	}
	protocolName, data := as.metadata()
	subscription, no := readSubscription(data)
	if no != nil {
		return nil, no
	}
	m, no := s.classicMemberFor(g.id, c, req, memberID)
	if no != nil {
		return nil, no
	}
	replaced := c.instance(req.InstanceID)
	updated := m.joinedBy(in.Client, req, as, subscription)
	if replaced != nil && s.mayDowngrade(c.with(updated)) {
		updated, no = s.downgradeByInstance(g, in, m, updated, s.ownedIn(subscription))
	} else if updated, no = s.advance(g.id, c, in, m, updated, s.ownedIn(subscription)); no == nil {
		s.touchConsumer(g.id, updated)
		s.timers.cancel(timerKey{timerConsumerJoin, g.id, updated.id})
		s.timers.set(timerKey{timerConsumerSync, g.id, updated.id}, s.nowMs+int64(updated.rebalanceTimeoutMs))
	}
	if no != nil {
		return nil, no
	}
	r.MemberID, r.Generation = updated.id, updated.epoch
	r.ProtocolType, r.Protocol = new(consumerProtocolType), new(protocolName)
	return r, nil
}

// classicMemberFor returns the member as it was before it joined.
func (s *Shard) classicMemberFor(id string, c *consumerGroup, req *kmsg.JoinGroupRequest, memberID string) (*consumerMember, *refusal) {
	m := c.members[memberID]
	if req.InstanceID != nil {
		m = c.instance(req.InstanceID)
		if req.MemberID == "" && m != nil {
			return s.replaceInstance(id, c, m, memberID), nil
		}
		if req.MemberID != "" {
			return m, m.checkInstance(memberID, *req.InstanceID)
		}
	}
	if m == nil {
		m = newConsumerMember(memberID)
	}
	return m, nil
}

// joinedBy returns the member with what a JoinGroup says of it.
func (m *consumerMember) joinedBy(client Client, req *kmsg.JoinGroupRequest, as *classicMember, subscription kmsg.ConsumerMemberMetadata) *consumerMember {
	u := m.copy()
	u.client, u.classic, u.regex = client, as, ""
	u.topics = sortedUnique(append([]string{}, subscription.Topics...))
	if req.InstanceID != nil {
		u.instance = req.InstanceID
	}
	if subscription.Rack != nil && *subscription.Rack != "" {
		u.rack = subscription.Rack
	}
	u.rebalanceTimeoutMs = rebalanceTimeoutOf(req)
	return u
}

func readSubscription(data []byte) (kmsg.ConsumerMemberMetadata, *refusal) {
	m := kmsg.NewConsumerMemberMetadata()
	if err := m.ReadFrom(data); err != nil {
		return m, refuse(kerr.UnknownServerError, "Malformed embedded consumer protocol in subscription deserialization.")
	}
	return m, nil
}

// ownedIn is what a classic member says that it still has, never nil.
func (s *Shard) ownedIn(subscription kmsg.ConsumerMemberMetadata) assignment {
	return assignmentOf(func(yield func(topicPartition) bool) {
		for _, o := range subscription.OwnedPartitions {
			t, ok := s.image.Topic(o.Topic)
			for _, p := range o.Partitions {
				if ok && !yield(topicPartition{t.ID, p}) {
					return
				}
			}
		}
	})
}

// classicMember finds the member of a request of the classic protocol.
func (c *consumerGroup) classicMember(group, memberID string, instance *string, generation int32) (*consumerMember, *refusal) {
	m := c.members[memberID]
	if instance != nil {
		m = c.instance(instance)
		if no := m.checkInstance(memberID, *instance); no != nil {
			return nil, no
		}
	}
	switch {
	case m == nil:
		return nil, unknownMember(memberID, group)
	case m.classic == nil:
		return nil, refuse(kerr.UnknownMemberID, "Member %s does not use the classic protocol.", memberID)
	case generation != m.epoch:
		return nil, refuse(kerr.IllegalGeneration, "The request generation id %d is not equal to the member epoch %d of member %s.", generation, m.epoch, memberID)
	}
	return m, nil
}

// syncConsumer handles SyncGroup for a consumer group.
func (s *Shard) syncConsumer(g *group, req *kmsg.SyncGroupRequest) *kmsg.SyncGroupResponse {
	r := newSyncResponse(req.Version)
	m, no := g.consumer.classicMember(g.id, req.MemberID, req.InstanceID, req.Generation)
	if no != nil {
		r.ErrorCode = no.code
		return r
	}
	name, data := m.classic.metadata()
	switch {
	case req.ProtocolType != nil && *req.ProtocolType != consumerProtocolType, req.Protocol != nil && *req.Protocol != name:
		r.ErrorCode = kerr.InconsistentGroupProtocol.Code
		return r
	case g.consumer.epoch > m.epoch && m.state != memberUnrevoked:
		s.touchConsumer(g.id, m)
		s.expectJoin(g.id, m)
		r.ErrorCode = kerr.RebalanceInProgress.Code
		return r
	}
	s.timers.cancel(timerKey{timerConsumerSync, g.id, m.id})
	s.touchConsumer(g.id, m)
	r.ProtocolType, r.Protocol = req.ProtocolType, req.Protocol
	r.MemberAssignment = s.classicAssignment(m.assigned, data)
	return r
}

// classicAssignment writes an assignment in the form of the consumer protocol,
// in the version of the member's own metadata.
func (s *Shard) classicAssignment(a assignment, metadata []byte) []byte {
	out := kmsg.NewConsumerMemberAssignment()
	if subscription, no := readSubscription(metadata); no == nil {
		out.Version = min(subscription.Version, consumerProtocolVersionMax)
	}
	for _, id := range a.topics() {
		if name, ok := s.image.TopicName(id); ok {
			out.Topics = append(out.Topics, kmsg.ConsumerMemberAssignmentTopic{Topic: name, Partitions: a[id]})
		}
	}
	slices.SortFunc(out.Topics, func(x, y kmsg.ConsumerMemberAssignmentTopic) int {
		if x.Topic < y.Topic {
			return -1
		}
		return 1
	})
	return out.AppendTo(nil)
}

// consumerProtocolVersionMax is the newest version of the consumer protocol's metadata.
const consumerProtocolVersionMax = 3

// heartbeatConsumer handles Heartbeat for a consumer group.
func (s *Shard) heartbeatConsumer(g *group, req *kmsg.HeartbeatRequest) int16 {
	m, no := g.consumer.classicMember(g.id, req.MemberID, req.InstanceID, req.Generation)
	if no != nil {
		return no.code
	}
	s.touchConsumer(g.id, m)
	if m.epoch < g.consumer.epoch || m.state == memberUnrevoked || (m.state == memberUnreleased && !g.consumer.waits(m)) {
		s.expectJoin(g.id, m)
		return kerr.RebalanceInProgress.Code
	}
	return 0
}

// expectJoin bounds the time until a classic member joins again.
func (s *Shard) expectJoin(group string, m *consumerMember) {
	s.timers.setIfAbsent(timerKey{timerConsumerJoin, group, m.id}, s.nowMs+int64(m.rebalanceTimeoutMs))
}

// leaveConsumer handles LeaveGroup for a consumer group.
func (s *Shard) leaveConsumer(g *group, leaving []kmsg.LeaveGroupRequestMember) []kmsg.LeaveGroupResponseMember {
	out := make([]kmsg.LeaveGroupResponseMember, 0, len(leaving))
	var gone []*consumerMember
	for _, who := range leaving {
		to := kmsg.NewLeaveGroupResponseMember()
		to.MemberID, to.InstanceID = who.MemberID, who.InstanceID
		m, no := g.consumer.leaver(g.id, who)
		if to.ErrorCode = no.errorCode(); no == nil {
			to.MemberID = m.id
			if !slices.Contains(gone, m) {
				gone = append(gone, m)
			}
		}
		out = append(out, to)
	}
	s.fence(g, gone, "a member left")
	return out
}

// leaver finds a member that leaves. An administrator names it by its instance
// alone, and may remove members of either protocol.
func (c *consumerGroup) leaver(group string, who kmsg.LeaveGroupRequestMember) (*consumerMember, *refusal) {
	m := c.members[who.MemberID]
	if who.InstanceID != nil {
		m = c.instance(who.InstanceID)
		id := who.MemberID
		if id == "" && m != nil {
			id = m.id
		}
		if no := m.checkInstance(id, *who.InstanceID); no != nil {
			return nil, no
		}
	}
	if m == nil {
		return nil, unknownMember(who.MemberID, group)
	}
	return m, nil
}
