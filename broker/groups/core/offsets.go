package core

import (
	"maps"
	"slices"
	"sync"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	// multiGroupFetchVersion is the first OffsetFetch version with several groups (KIP-709).
	multiGroupFetchVersion = 8
	// groupIDNotFoundCommitVersion is the first OffsetCommit version that knows GROUP_ID_NOT_FOUND.
	groupIDNotFoundCommitVersion = 9
)

// offset is what a group has committed for a partition.
type offset struct {
	offset      int64
	leaderEpoch int32
	metadata    string
	commitMs    int64
	// expireMs is when it ends by the client's own wish (OffsetCommit v2 to v4); -1 without one.
	expireMs int64
	topicID  [16]byte
	// position orders the commits of the log.
	position int64
}

// topic looks a topic up that offsets are committed for; where nobody knows the topics, each exists.
func (in Input) topic(name string) (topic Topic, known bool) {
	if in.Topics == nil {
		return Topic{Partitions: 1<<31 - 1}, true
	}
	return in.Topics(name)
}

// offsetCommit handles OffsetCommit (8), versions 0 to 9.
func (s *Shard) offsetCommit(in Input, req *kmsg.OffsetCommitRequest) *kmsg.OffsetCommitResponse {
	check := sync.OnceValue(func() int16 { return s.checkCommit(req) })
	r := kmsg.NewPtrOffsetCommitResponse()
	r.Version, r.Topics = req.Version, make([]kmsg.OffsetCommitResponseTopic, 0, len(req.Topics))
	places := make(map[string]int, len(req.Topics)) // a topic that is named twice is answered in one place
	for _, t := range req.Topics {
		place, again := places[t.Topic]
		if !again {
			place, places[t.Topic] = len(r.Topics), len(r.Topics)
			to := kmsg.NewOffsetCommitResponseTopic()
			to.Topic, to.Partitions = t.Topic, make([]kmsg.OffsetCommitResponseTopicPartition, 0, len(t.Partitions))
			r.Topics = append(r.Topics, to)
		}
		to := &r.Topics[place]
		topic, known := in.topic(t.Topic)
		for _, p := range t.Partitions {
			one := kmsg.NewOffsetCommitResponseTopicPartition()
			one.Partition = p.Partition
			switch {
			case !known || p.Partition < 0 || p.Partition >= topic.Partitions:
				// Found before the group is looked at, which is asked only for what exists.
				one.ErrorCode = kerr.UnknownTopicOrPartition.Code
			case check() != 0:
				one.ErrorCode = check()
			case p.Metadata != nil && len(*p.Metadata) > s.cfg.OffsetMetadataBytesMax:
				one.ErrorCode = kerr.OffsetMetadataTooLarge.Code
			default:
				s.write(offsetRecord(req.Group, t.Topic, p.Partition, s.committed(req, p, topic.ID)))
			}
			to.Partitions = append(to.Partitions, one)
		}
	}
	r.Topics = slices.DeleteFunc(r.Topics, func(t kmsg.OffsetCommitResponseTopic) bool { return len(t.Partitions) == 0 })
	return r
}

func (s *Shard) committed(req *kmsg.OffsetCommitRequest, p kmsg.OffsetCommitRequestTopicPartition, topicID [16]byte) offset {
	o := offset{offset: p.Offset, leaderEpoch: p.LeaderEpoch, commitMs: s.nowMs, expireMs: -1, topicID: topicID}
	if p.Metadata != nil {
		o.metadata = *p.Metadata
	}
	if req.Version >= 2 && req.Version <= 4 && req.RetentionTimeMillis >= 0 {
		o.expireMs = s.nowMs + req.RetentionTimeMillis
	}
	return o
}

// checkCommit says who may commit: a member in its generation, or anyone while the group is empty.
func (s *Shard) checkCommit(req *kmsg.OffsetCommitRequest) int16 {
	g := s.groups[req.Group]
	if g == nil {
		switch {
		case req.Generation < 0 && len(s.groups) >= s.cfg.GroupsMax:
			return kerr.CoordinatorNotAvailable.Code
		case req.Generation < 0:
			return 0 // a group that only keeps offsets
		case req.Version >= groupIDNotFoundCommitVersion:
			return kerr.GroupIDNotFound.Code
		}
		return kerr.IllegalGeneration.Code
	}
	if g.consumer != nil {
		return g.consumer.checkCommit(req.MemberID, req.InstanceID, req.Generation, req.Version)
	}
	if req.Generation < 0 && g.state == Empty {
		return 0
	}
	if req.Generation < 0 && req.MemberID == "" && req.InstanceID == nil {
		return kerr.UnknownMemberID.Code
	}
	if code := g.validate(req.MemberID, req.InstanceID); code != 0 {
		return code
	}
	if req.Generation != g.generation {
		return kerr.IllegalGeneration.Code
	}
	if g.state == CompletingRebalance {
		// The member knows of the generation, but it has no assignment in it yet.
		return kerr.RebalanceInProgress.Code
	}
	s.touch(g, g.byID[req.MemberID])
	return 0
}

// offsetFetch handles OffsetFetch (9), versions 0 to 9.
func (s *Shard) offsetFetch(req *kmsg.OffsetFetchRequest) *kmsg.OffsetFetchResponse {
	r := kmsg.NewPtrOffsetFetchResponse()
	r.Version = req.Version
	r.Topics, r.Groups = []kmsg.OffsetFetchResponseTopic{}, []kmsg.OffsetFetchResponseGroup{}
	if req.Version < multiGroupFetchVersion {
		r.Topics = s.fetchSingle(req)
		return r
	}
	for _, g := range req.Groups {
		to := kmsg.NewOffsetFetchResponseGroup()
		to.Group, to.Topics = g.Group, []kmsg.OffsetFetchResponseGroupTopic{}
		if to.ErrorCode = s.checkFetch(g); to.ErrorCode == 0 {
			to.Topics = s.fetchGroup(g.Group, g.Topics, req.RequireStable)
		}
		r.Groups = append(r.Groups, to)
	}
	return r
}

// fetchSingle is the form of one group per request.
func (s *Shard) fetchSingle(req *kmsg.OffsetFetchRequest) []kmsg.OffsetFetchResponseTopic {
	var wanted []kmsg.OffsetFetchRequestGroupTopic
	for _, t := range req.Topics {
		wanted = append(wanted, kmsg.OffsetFetchRequestGroupTopic{Topic: t.Topic, Partitions: t.Partitions})
	}
	if req.Topics != nil && wanted == nil {
		wanted = []kmsg.OffsetFetchRequestGroupTopic{}
	}
	topics := []kmsg.OffsetFetchResponseTopic{}
	for _, t := range s.fetchGroup(req.Group, wanted, req.RequireStable) {
		to := kmsg.NewOffsetFetchResponseTopic()
		to.Topic, to.Partitions = t.Topic, make([]kmsg.OffsetFetchResponseTopicPartition, 0, len(t.Partitions))
		for _, p := range t.Partitions {
			to.Partitions = append(to.Partitions, kmsg.OffsetFetchResponseTopicPartition(p))
		}
		topics = append(topics, to)
	}
	return topics
}

// fetchGroup returns the offsets of the wanted topics; nil wants all. Where
// stable ones are required (KIP-447), a partition whose offset an open
// transaction is about to change has UNSTABLE_OFFSET_COMMIT.
func (s *Shard) fetchGroup(id string, wanted []kmsg.OffsetFetchRequestGroupTopic, stable bool) []kmsg.OffsetFetchResponseGroupTopic {
	var offsets map[string]map[int32]offset
	if g := s.groups[id]; g != nil {
		offsets = g.offsets
	}
	if wanted == nil {
		for _, topic := range slices.Sorted(maps.Keys(offsets)) {
			wanted = append(wanted, kmsg.OffsetFetchRequestGroupTopic{
				Topic: topic, Partitions: slices.Sorted(maps.Keys(offsets[topic])),
			})
		}
	}
	topics := make([]kmsg.OffsetFetchResponseGroupTopic, 0, len(wanted))
	for _, t := range wanted {
		to := kmsg.NewOffsetFetchResponseGroupTopic()
		to.Topic, to.Partitions = t.Topic, make([]kmsg.OffsetFetchResponseGroupTopicPartition, 0, len(t.Partitions))
		for _, p := range t.Partitions {
			one := kmsg.NewOffsetFetchResponseGroupTopicPartition()
			one.Partition, one.Offset, one.LeaderEpoch, one.Metadata = p, -1, -1, new("")
			if stable && s.open.pending[offsetID{id, t.Topic, p}] > 0 {
				one.ErrorCode = kerr.UnstableOffsetCommit.Code
			} else if o, ok := offsets[t.Topic][p]; ok {
				one.Offset, one.LeaderEpoch, one.Metadata = o.offset, o.leaderEpoch, new(o.metadata)
			}
			to.Partitions = append(to.Partitions, one)
		}
		topics = append(topics, to)
	}
	return topics
}

// offsetDelete handles OffsetDelete (47), version 0 (KIP-496).
func (s *Shard) offsetDelete(in Input, req *kmsg.OffsetDeleteRequest) *kmsg.OffsetDeleteResponse {
	r := kmsg.NewPtrOffsetDeleteResponse()
	r.Version, r.Topics = req.Version, []kmsg.OffsetDeleteResponseTopic{}
	g := s.groups[req.Group]
	switch {
	case req.Group == "":
		r.ErrorCode = kerr.InvalidGroupID.Code
		return r
	case g == nil:
		r.ErrorCode = kerr.GroupIDNotFound.Code
		return r
	case g.currentState() != Empty && g.currentProtocolType() != consumerProtocolType:
		r.ErrorCode = kerr.NonEmptyGroup.Code
		return r
	}
	for _, t := range req.Topics {
		to := kmsg.NewOffsetDeleteResponseTopic()
		to.Topic, to.Partitions = t.Topic, []kmsg.OffsetDeleteResponseTopicPartition{}
		subscribed := g.subscribed(t.Topic)
		topic, known := in.topic(t.Topic)
		for _, p := range t.Partitions {
			one := kmsg.NewOffsetDeleteResponseTopicPartition()
			one.Partition = p.Partition
			if !known || p.Partition < 0 || p.Partition >= topic.Partitions {
				one.ErrorCode = kerr.UnknownTopicOrPartition.Code
			} else if subscribed {
				one.ErrorCode = kerr.GroupSubscribedToTopic.Code
			} else if _, ok := g.offsets[t.Topic][p.Partition]; ok || s.open.pending[offsetID{g.id, t.Topic, p.Partition}] > 0 {
				s.write(offsetTombstone(g.id, t.Topic, p.Partition))
			}
			to.Partitions = append(to.Partitions, one)
		}
		r.Topics = append(r.Topics, to)
	}
	return r
}

// deleteGroups handles DeleteGroups (42), versions 0 to 2.
func (s *Shard) deleteGroups(req *kmsg.DeleteGroupsRequest) *kmsg.DeleteGroupsResponse {
	r := kmsg.NewPtrDeleteGroupsResponse()
	r.Version, r.Groups = req.Version, []kmsg.DeleteGroupsResponseGroup{}
	for i, id := range req.Groups {
		to := kmsg.NewDeleteGroupsResponseGroup()
		to.Group = id
		g := s.groups[id]
		switch {
		case g == nil || slices.Contains(req.Groups[:i], id):
			to.ErrorCode = kerr.GroupIDNotFound.Code
		case g.currentState() != Empty:
			to.ErrorCode = kerr.NonEmptyGroup.Code
		default:
			s.writeDeletion(g)
		}
		r.Groups = append(r.Groups, to)
	}
	return r
}

// writeDeletion writes tombstones for everything that the log has of a group;
// the group goes when they are appended.
func (s *Shard) writeDeletion(g *group) {
	for _, topic := range slices.Sorted(maps.Keys(g.offsets)) {
		for _, p := range slices.Sorted(maps.Keys(g.offsets[topic])) {
			s.write(offsetTombstone(g.id, topic, p))
		}
	}
	for _, id := range s.open.of(g.id) {
		if _, ok := g.offsets[id.topic][id.partition]; !ok {
			s.write(offsetTombstone(g.id, id.topic, id.partition))
		}
	}
	s.writeGroupGone(g)
}

// writeGroupGone writes tombstones for everything of a group but its offsets.
func (s *Shard) writeGroupGone(g *group) {
	if g.consumer != nil {
		s.write(consumerTombstones(g.id, g.consumer)...)
		return
	}
	if g.consumerLeft {
		s.write(emptyConsumerTombstones(g.id)...)
	}
	s.write(groupTombstone(g.id))
}
