package core

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Types of the members of a consumer group, by Kafka's numbers.
const (
	memberTypeClassic  = 0
	memberTypeConsumer = 1
)

// consumerDescribe handles ConsumerGroupDescribe (69), versions 0 and 1.
func (s *Shard) consumerDescribe(req *kmsg.ConsumerGroupDescribeRequest) *kmsg.ConsumerGroupDescribeResponse {
	r := newConsumerDescribeResponse(req.Version)
	for _, id := range req.Groups {
		d := s.describeConsumer(id)
		if req.IncludeAuthorizedOperations && d.ErrorCode == 0 {
			d.AuthorizedOperations = groupOperations
		}
		r.Groups = append(r.Groups, d)
	}
	return r
}

func newConsumerDescribeResponse(version int16) *kmsg.ConsumerGroupDescribeResponse {
	r := kmsg.NewPtrConsumerGroupDescribeResponse()
	r.Version, r.Groups = version, []kmsg.ConsumerGroupDescribeResponseGroup{}
	return r
}

func newDescribedGroup(id string) kmsg.ConsumerGroupDescribeResponseGroup {
	d := kmsg.NewConsumerGroupDescribeResponseGroup()
	d.Group, d.Members = id, []kmsg.ConsumerGroupDescribeResponseGroupMember{}
	return d
}

func (s *Shard) describeConsumer(id string) kmsg.ConsumerGroupDescribeResponseGroup {
	d := newDescribedGroup(id)
	g := s.groups[id]
	switch {
	case id == "":
		d.ErrorCode = kerr.InvalidGroupID.Code
		return d
	case g == nil:
		d.ErrorCode, d.ErrorMessage = kerr.GroupIDNotFound.Code, new(fmt.Sprintf("Group %s not found.", id))
		return d
	case g.consumer == nil:
		d.ErrorCode, d.ErrorMessage = kerr.GroupIDNotFound.Code, new(fmt.Sprintf("Group %s is not a consumer group.", id))
		return d
	}
	c := g.consumer
	members := c.sorted()
	d.State, d.Epoch, d.AssignmentEpoch = string(c.state()), c.epoch, c.targetEpoch
	d.AssignorName = preferredAssignor(members)
	for _, m := range members {
		to := kmsg.NewConsumerGroupDescribeResponseGroupMember()
		to.MemberID, to.InstanceID, to.RackID, to.MemberEpoch = m.id, m.instance, m.rack, m.epoch
		to.ClientID, to.ClientHost = m.client.ID, m.client.Host
		to.SubscribedTopics, to.SubscribedTopicRegex = m.topics, &m.regex
		to.Assignment, to.TargetAssignment = s.described(m.assigned), s.described(c.target[m.id])
		to.MemberType = memberTypeConsumer
		if m.classic != nil {
			to.MemberType = memberTypeClassic
		}
		d.Members = append(d.Members, to)
	}
	return d
}

// described is an assignment with the names of the topics; topics that are gone are left out.
func (s *Shard) described(a assignment) kmsg.Assignment {
	out := kmsg.NewAssignment()
	out.TopicPartitions = make([]kmsg.AssignmentTopicPartition, 0, len(a))
	for _, id := range a.topics() {
		if name, ok := s.image.TopicName(id); ok {
			t := kmsg.NewAssignmentTopicPartition()
			t.TopicID, t.Topic, t.Partitions = id, name, a[id]
			out.TopicPartitions = append(out.TopicPartitions, t)
		}
	}
	return out
}
