package core

import (
	"encoding/base64"
	"encoding/binary"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// consumerHeartbeat handles ConsumerGroupHeartbeat (68), versions 0 and 1
// (KIP-848, KIP-1082). It changes nothing itself: what changes is in the records.
func (s *Shard) consumerHeartbeat(in Input, req *kmsg.ConsumerGroupHeartbeatRequest) {
	r, no := s.heartbeatOrLeave(in, req)
	if no != nil {
		s.out.Records, s.out.Events = nil, nil
		r = newConsumerResponse(req.Version)
		r.ErrorCode, r.ErrorMessage = no.code, &no.message
	}
	s.reply(in.Token, r)
}

func newConsumerResponse(version int16) *kmsg.ConsumerGroupHeartbeatResponse {
	r := kmsg.NewPtrConsumerGroupHeartbeatResponse()
	r.Version = version
	return r
}

func (s *Shard) heartbeatOrLeave(in Input, req *kmsg.ConsumerGroupHeartbeatRequest) (*kmsg.ConsumerGroupHeartbeatResponse, *refusal) {
	if no := s.checkHeartbeat(req); no != nil {
		return nil, no
	}
	if req.MemberEpoch < 0 {
		return s.consumerLeave(req)
	}
	id, c, no := s.consumerFor(req.Group, req.MemberEpoch == epochJoin)
	if no != nil {
		return nil, no
	}
	if no := s.hasRoomFor(c, req.MemberID); no != nil {
		return nil, no
	}
	owned := ownedBy(req)
	m, no := s.heartbeatMember(id, c, req, owned)
	if no != nil {
		return nil, no
	}
	updated := m.describedBy(in.Client, req)
	updated, no = s.advance(id, c, in, m, updated, owned)
	if no != nil {
		return nil, no
	}
	settings := s.settings(id)
	s.touchConsumer(id, updated)

	r := newConsumerResponse(req.Version)
	r.MemberID, r.MemberEpoch, r.HeartbeatIntervalMillis = &updated.id, updated.epoch, settings.heartbeatIntervalMs
	full := req.RebalanceTimeoutMillis != -1 && (req.SubscribedTopicNames != nil || req.SubscribedTopicRegex != nil) && req.Topics != nil
	if req.MemberEpoch == epochJoin || full || !m.assigned.equal(updated.assigned) {
		r.Assignment = responseAssignment(updated.assigned)
	}
	return r, nil
}

// consumerFor finds the consumer group that a heartbeat is for. A member that
// joins makes it where there is none: from nothing, in the place of an
// empty group, or of the members of a classic group (KIP-848, migration). The
// group that is returned is one of the shard only if it was one before.
func (s *Shard) consumerFor(id string, join bool) (string, *consumerGroup, *refusal) {
	g := s.groups[id]
	switch {
	case g != nil && g.consumer != nil:
		return id, g.consumer, nil
	case !join && g == nil:
		return id, nil, refuse(kerr.GroupIDNotFound, "Consumer group %s not found.", id)
	case !join:
		return id, nil, refuse(kerr.GroupIDNotFound, "Group %s is not a consumer group", id)
	case g == nil && len(s.groups) >= s.cfg.GroupsMax:
		return id, nil, refuse(kerr.CoordinatorNotAvailable, "The coordinator has as many groups as it can have.")
	case g == nil:
		return id, newConsumerGroup(), nil
	case g.state == Empty:
		if g.persisted {
			s.write(groupTombstone(id))
		}
		return id, newConsumerGroup(), nil
	}
	c, no := s.upgrade(g)
	return id, c, no
}

// heartbeatMember returns the member as it was before the heartbeat, a new one when it joins.
func (s *Shard) heartbeatMember(id string, c *consumerGroup, req *kmsg.ConsumerGroupHeartbeatRequest, owned assignment) (*consumerMember, *refusal) {
	join := req.MemberEpoch == epochJoin
	memberID := req.MemberID
	if memberID == "" {
		memberID = s.newUUID()
	}
	if req.InstanceID == nil {
		m := c.members[memberID]
		if m == nil {
			if !join {
				return nil, unknownMember(memberID, id)
			}
			return newConsumerMember(memberID), nil
		}
		return m, m.checkEpoch(req.MemberEpoch, owned)
	}
	m := c.instance(req.InstanceID)
	if !join {
		if no := m.checkInstance(memberID, *req.InstanceID); no != nil {
			return nil, no
		}
		return m, m.checkEpoch(req.MemberEpoch, owned)
	}
	if m == nil {
		if old := c.members[memberID]; old != nil {
			return old, nil
		}
		return newConsumerMember(memberID), nil
	}
	if m.classic == nil && m.epoch != epochLeaveStatic {
		return nil, refuse(kerr.UnreleasedInstanceID, "Static member %s with instance id %s cannot join the group because the instance id is owned by %s member.", memberID, *req.InstanceID, m.id)
	}
	return s.replaceInstance(id, c, m, memberID), nil
}

// replaceInstance lets a member go on, under a new id, where the last of its instance was.
func (s *Shard) replaceInstance(id string, c *consumerGroup, old *consumerMember, memberID string) *consumerMember {
	m := old.copy()
	m.id, m.epoch, m.previousEpoch = memberID, 0, 0
	s.write(memberTombstones(id, old.id)...)
	s.write(memberRecord(id, m), targetRecord(id, m.id, c.target[old.id]), currentRecord(id, m))
	return m
}

// describedBy returns the member with what a heartbeat says of it; fields that are null stay.
func (m *consumerMember) describedBy(client Client, req *kmsg.ConsumerGroupHeartbeatRequest) *consumerMember {
	u := m.copy()
	u.client, u.classic = client, nil
	if req.InstanceID != nil {
		u.instance = req.InstanceID
	}
	if req.RackID != nil {
		u.rack = req.RackID
	}
	if req.RebalanceTimeoutMillis != -1 {
		u.rebalanceTimeoutMs = req.RebalanceTimeoutMillis
	}
	if req.ServerAssignor != nil {
		u.assignor = req.ServerAssignor
	}
	if req.SubscribedTopicNames != nil {
		u.topics = sortedUnique(slices.Clone(req.SubscribedTopicNames))
	}
	if req.SubscribedTopicRegex != nil {
		u.regex = *req.SubscribedTopicRegex
	}
	return u
}

// ownedBy is what a heartbeat says that the member has; nil when it does not say.
func ownedBy(req *kmsg.ConsumerGroupHeartbeatRequest) assignment {
	if req.Topics == nil {
		return nil
	}
	return assignmentOf(func(yield func(topicPartition) bool) {
		for _, t := range req.Topics {
			for _, p := range t.Partitions {
				if !yield(topicPartition{t.TopicID, p}) {
					return
				}
			}
		}
	})
}

func responseAssignment(a assignment) *kmsg.ConsumerGroupHeartbeatResponseAssignment {
	r := kmsg.NewConsumerGroupHeartbeatResponseAssignment()
	r.Topics = make([]kmsg.ConsumerGroupHeartbeatResponseAssignmentTopic, 0, len(a))
	for _, id := range a.topics() {
		t := kmsg.NewConsumerGroupHeartbeatResponseAssignmentTopic()
		t.TopicID, t.Partitions = id, a[id]
		r.Topics = append(r.Topics, t)
	}
	return &r
}

// newUUID makes an id as Kafka writes them: 22 characters of URL-safe base64.
func (s *Shard) newUUID() string {
	for {
		var b [16]byte
		binary.BigEndian.PutUint64(b[:8], s.random.Uint64()&^0xf000|0x4000)
		binary.BigEndian.PutUint64(b[8:], s.random.Uint64()&^(0xc<<60)|0x8<<60)
		if id := base64.RawURLEncoding.EncodeToString(b[:]); id[0] != '-' {
			return id
		}
	}
}
