package core

// applyConsumer changes a consumer group by a record. The same happens when
// the record was just appended and when it is read from the log.
func (s *Shard) applyConsumer(c change) {
	switch c.kind {
	case changeConsumerGone:
		s.applyConsumerGone(c.group)
		return
	case changeMemberGone, changeTargetGone, changeCurrentGone, changeRegexGone:
		if g := s.groups[c.group]; g != nil && g.consumer != nil {
			g.consumer.forget(c)
			if len(g.consumer.members) == 0 {
				g.consumer.emptySinceMs = s.nowMs
			}
		}
		return
	case changeTargetEpoch, changePartitionMetadata:
		if g := s.groups[c.group]; (g == nil || g.consumer == nil) && c.generation < 0 && !c.hasPartitionMetadata {
			return // a tombstone of a group that is gone
		}
	}
	s.consumerOf(c.group).apply(c)
}

// consumerOf returns the consumer group of this id. What the log says last
// holds: a group of the classic protocol ends by it, its offsets stay.
func (s *Shard) consumerOf(id string) *consumerGroup {
	g := s.groupOf(id)
	if g.consumer == nil {
		offsets := g.offsets
		s.removeGroup(g)
		g = s.groupOf(id)
		g.offsets, g.consumer = offsets, newConsumerGroup()
	}
	return g.consumer
}

// applyConsumerGone ends a consumer group; offsets that are left make it a
// group that only keeps offsets.
func (s *Shard) applyConsumerGone(id string) {
	g := s.groups[id]
	if g == nil {
		return
	}
	if g.consumer == nil {
		g.consumerLeft = false
		return
	}
	offsets := g.offsets
	for _, m := range g.consumer.members {
		s.cancelMemberTimers(id, m.id)
	}
	s.removeGroup(g)
	if len(offsets) > 0 {
		s.groupOf(id).offsets = offsets
	}
}

func (c *consumerGroup) apply(ch change) {
	switch ch.kind {
	case changeEpoch:
		c.epoch, c.hash = ch.generation, ch.hash
		c.checkedVersion = ch.version
	case changePartitionMetadata:
		c.hasPartitionMetadata = ch.hasPartitionMetadata
	case changeMember:
		m := ch.member.copy()
		if old := c.members[m.id]; old != nil {
			m.epoch, m.previousEpoch, m.state, m.assigned, m.revoking = old.epoch, old.previousEpoch, old.state, old.assigned, old.revoking
		} else {
			m.epoch, m.previousEpoch, m.state, m.assigned, m.revoking = 0, 0, memberStable, assignment{}, assignment{}
		}
		c.set(m)
	case changeTargetEpoch:
		c.targetEpoch = ch.generation
	case changeTarget:
		c.target[ch.name] = ch.assignment
	case changeCurrent:
		m := newConsumerMember(ch.name)
		if old := c.members[ch.name]; old != nil {
			m = old.copy()
		}
		n := ch.member
		m.epoch, m.previousEpoch, m.state, m.assigned, m.revoking = n.epoch, n.previousEpoch, n.state, n.assigned, n.revoking
		c.set(m)
	case changeRegex:
		c.regexes[ch.name] = ch.regex
		c.resolvedVersion, c.resolvedMs = ch.regex.version, ch.regex.timestamp
	}
}

// forget applies a tombstone.
func (c *consumerGroup) forget(ch change) {
	switch ch.kind {
	case changeMemberGone:
		c.remove(ch.name)
	case changeTargetGone:
		delete(c.target, ch.name)
	case changeCurrentGone:
		if old := c.members[ch.name]; old != nil {
			m := old.copy()
			m.epoch, m.previousEpoch, m.state, m.assigned, m.revoking = epochLeave, epochLeave, memberStable, assignment{}, assignment{}
			c.set(m)
		}
	case changeRegexGone:
		delete(c.regexes, ch.name)
	}
}
