package core

import (
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// clientMemberIDVersion is the first ConsumerGroupHeartbeat version whose
// members make their ids themselves (KIP-1082).
const clientMemberIDVersion = 1

// checkHeartbeat says what is wrong with the form of a request, in the order in which Kafka looks.
func (s *Shard) checkHeartbeat(req *kmsg.ConsumerGroupHeartbeatRequest) *refusal {
	invalid := func(message string) *refusal { return &refusal{code: kerr.InvalidRequest.Code, message: message} }
	empty := func(v *string) bool { return v != nil && strings.TrimSpace(*v) == "" }
	if (req.Version >= clientMemberIDVersion || req.MemberEpoch > 0 || req.MemberEpoch == epochLeave) && empty(&req.MemberID) {
		return invalid("MemberId can't be empty.")
	}
	switch {
	case empty(&req.Group):
		return invalid("GroupId can't be empty.")
	case empty(req.InstanceID):
		return invalid("InstanceId can't be empty.")
	case empty(req.RackID):
		return invalid("RackId can't be empty.")
	case req.MemberEpoch == epochJoin && req.RebalanceTimeoutMillis == -1:
		return invalid("RebalanceTimeoutMs must be provided in first request.")
	case req.MemberEpoch == epochJoin && (req.Topics == nil || len(req.Topics) > 0):
		return invalid("TopicPartitions must be empty when (re-)joining.")
	case req.MemberEpoch == epochJoin && req.SubscribedTopicNames == nil && req.SubscribedTopicRegex == nil:
		return invalid("Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when (re-)joining.")
	case req.MemberEpoch == epochLeaveStatic && req.InstanceID == nil:
		return invalid("InstanceId can't be null.")
	case req.MemberEpoch < epochLeaveStatic:
		return invalid("MemberEpoch is invalid.")
	case subscriptionBytes(req) > s.cfg.MemberMetadataBytesMax:
		return invalid("The subscription is too large.")
	}
	if req.ServerAssignor != nil && !slices.Contains(assignors(), *req.ServerAssignor) {
		return refuse(kerr.UnsupportedAssignor, "ServerAssignor %s is not supported. Supported assignors: %s.",
			*req.ServerAssignor, strings.Join(assignors(), ", "))
	}
	return nil
}

// subscriptionBytes is what a group would have to remember of a request.
func subscriptionBytes(req *kmsg.ConsumerGroupHeartbeatRequest) int {
	n := len(req.MemberID)
	for _, name := range req.SubscribedTopicNames {
		n += len(name)
	}
	for _, v := range []*string{req.SubscribedTopicRegex, req.InstanceID, req.RackID} {
		if v != nil {
			n += len(*v)
		}
	}
	return n
}

// checkEpoch fences a member that is not where the coordinator is. One that
// comes with the epoch before, and has nothing that it should not have, has
// missed an answer.
func (m *consumerMember) checkEpoch(epoch int32, owned assignment) *refusal {
	switch {
	case epoch > m.epoch:
		return refuse(kerr.FencedMemberEpoch, "The consumer group member has a greater member epoch (%d) than the one known by the group coordinator (%d). The member must abandon all its partitions and rejoin.", epoch, m.epoch)
	case epoch < m.epoch && (epoch != m.previousEpoch || owned == nil || !m.assigned.contains(owned)):
		return refuse(kerr.FencedMemberEpoch, "The consumer group member has a smaller member epoch (%d) than the one known by the group coordinator (%d). The member must abandon all its partitions and rejoin.", epoch, m.epoch)
	}
	return nil
}

// hasRoomFor bounds the members of a group.
func (s *Shard) hasRoomFor(c *consumerGroup, memberID string) *refusal {
	if len(c.members) >= s.cfg.GroupMembersMax && c.members[memberID] == nil {
		return refuse(kerr.GroupMaxSizeReached, "The consumer group has reached its maximum capacity of %d members.", s.cfg.GroupMembersMax)
	}
	return nil
}

// checkInstance says whether the member is the one of its instance.
func (m *consumerMember) checkInstance(memberID, instance string) *refusal {
	if m == nil {
		return refuse(kerr.UnknownMemberID, "Instance id %s is unknown.", instance)
	}
	if m.id != memberID {
		return refuse(kerr.FencedInstanceID, "Static member %s with instance id %s was fenced by member %s.", memberID, instance, m.id)
	}
	return nil
}

func unknownMember(id, group string) *refusal {
	return refuse(kerr.UnknownMemberID, "Member %s is not a member of group %s.", id, group)
}
