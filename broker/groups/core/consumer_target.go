package core

import (
	"slices"
)

// advance is what heartbeats and joins have in common: the member describes
// itself anew, the group's epoch grows when that or the topics ask for it, the
// target is computed for a new epoch, and the member moves towards its target.
// m is the member as it was, updated as it describes itself now.
func (s *Shard) advance(id string, c *consumerGroup, in Input, m, updated *consumerMember, owned assignment) (*consumerMember, *refusal) {
	p, no := s.subscribe(id, c, in, m, updated)
	if no != nil {
		return nil, no
	}
	target, targetEpoch := c.targetOf(updated), c.targetEpoch
	if p.epoch > c.targetEpoch {
		target, targetEpoch = s.retarget(id, c, p, updated), p.epoch
	}
	return s.reconcileMember(id, c, updated, targetEpoch, target, owned), nil
}

// plan is a consumer group as it will be when what was written so far is applied.
type plan struct {
	epoch   int32
	members []*consumerMember
	regexes map[string]*resolvedRegex
}

// subscribe writes what the member says of itself, and a new epoch if that, or
// what has become of the topics since the last look, changes what is subscribed to.
func (s *Shard) subscribe(id string, c *consumerGroup, in Input, m, updated *consumerMember) (plan, *refusal) {
	p := plan{epoch: c.epoch, regexes: c.regexes}
	changed := c.epoch == 0
	if !updated.sameMetadata(m) {
		s.write(memberRecord(id, updated))
		changed = changed || !slices.Equal(m.topics, updated.topics)
	}
	regexChanged, no := s.resolveRegexes(id, c, in, m, updated, &p)
	if no != nil {
		return p, no
	}
	changed = changed || regexChanged
	version := s.image.Version()
	if !changed && c.checkedVersion == version {
		return p, nil
	}
	p.members = c.with(updated)
	hash := hashTopics(subscribedTopics(p.members, p.regexes), s.image)
	if !changed && hash == c.hash {
		c.checkedVersion = version
		return p, nil
	}
	if c.hasPartitionMetadata {
		s.write(partitionMetadataTombstone(id))
	}
	p.epoch++
	s.write(epochRecord(id, p.epoch, hash, version))
	reason := "topics changed"
	if changed {
		reason = "a member joined or changed its subscription"
	}
	s.tell(Event{Kind: EventRebalance, Group: id, Generation: p.epoch, Members: len(p.members), Reason: reason})
	return p, nil
}

// retarget computes the target of a new epoch and writes what differs from the
// last. It returns the target of updated.
func (s *Shard) retarget(id string, c *consumerGroup, p plan, updated *consumerMember) assignment {
	if p.members == nil {
		p.members = c.with(updated)
	}
	targets := assign(preferredAssignor(p.members), s.assignSpec(c, p))
	var mine assignment
	for i, m := range p.members {
		if m.id == updated.id {
			mine = targets[i]
		}
		if old, ok := c.target[m.id]; !ok || !old.equal(targets[i]) {
			s.write(targetRecord(id, m.id, targets[i]))
		}
	}
	s.write(targetEpochRecord(id, p.epoch))
	return mine
}

func (s *Shard) assignSpec(c *consumerGroup, p plan) assignSpec {
	spec := assignSpec{members: make([]assignMember, len(p.members)), partitions: map[topicID]int32{}}
	ids := map[string]topicID{}
	for _, name := range subscribedTopics(p.members, p.regexes) {
		if t, ok := s.image.Topic(name); ok {
			ids[name], spec.partitions[t.ID] = t.ID, t.Partitions
		}
	}
	for i, m := range p.members {
		mine := assignment{}
		for _, name := range subscribedTopics([]*consumerMember{m}, p.regexes) {
			if id, ok := ids[name]; ok {
				mine[id] = nil
			}
		}
		spec.members[i] = assignMember{id: m.id, instance: m.instance, topics: mine.topics(), target: c.targetOf(m)}
	}
	return spec
}

// preferredAssignor is the assignor that most members ask for, among equals the
// one that comes first; the default when nobody asks.
func preferredAssignor(members []*consumerMember) string {
	votes := map[string]int{}
	for _, m := range members {
		if m.assignor != nil {
			votes[*m.assignor]++
		}
	}
	best := uniformAssignor
	for _, name := range assignors() {
		if votes[name] > votes[best] {
			best = name
		}
	}
	return best
}

// reconcileMember moves the member by one step, and writes where it is.
func (s *Shard) reconcileMember(id string, c *consumerGroup, m *consumerMember, targetEpoch int32, target, owned assignment) *consumerMember {
	if m.reconciled(targetEpoch) {
		return m
	}
	next := reconcile(m, targetEpoch, target, owned, c.owner)
	if next == m {
		return m
	}
	s.write(currentRecord(id, next))
	if next.classic == nil {
		s.timeRevocation(id, next)
	}
	return next
}
