package core

import (
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/recordvalue"
)

// MigrationPolicy says which groups may change their protocol while they have
// members (group.consumer.migration.policy).
type MigrationPolicy string

// Policies, by Kafka's names.
const (
	// MigrationBidirectional lets groups go to the new protocol and back.
	MigrationBidirectional MigrationPolicy = "bidirectional"
	// MigrationUpgrade lets them go to the new one.
	MigrationUpgrade MigrationPolicy = "upgrade"
	// MigrationDowngrade lets them go back.
	MigrationDowngrade MigrationPolicy = "downgrade"
	// MigrationDisabled keeps them.
	MigrationDisabled MigrationPolicy = "disabled"
)

func (p MigrationPolicy) upgrades() bool {
	return p == MigrationBidirectional || p == MigrationUpgrade
}

func (p MigrationPolicy) downgrades() bool {
	return p == MigrationBidirectional || p == MigrationDowngrade
}

// upgrade makes a consumer group of a classic one, for a member of the new
// protocol that joins. The group that it returns is not the shard's yet: the
// records that it writes make it that. Members that wait for a rebalance of the
// classic protocol are sent to join again.
func (s *Shard) upgrade(g *group) (*consumerGroup, *refusal) {
	if !s.cfg.MigrationPolicy.upgrades() || g.protocolType != consumerProtocolType || len(g.members) > s.cfg.GroupMembersMax {
		return nil, refuse(kerr.GroupIDNotFound, "Group %s is not a consumer group", g.id)
	}
	c, err := s.consumerGroupOf(g)
	if err != nil {
		return nil, refuse(kerr.GroupIDNotFound, "Cannot upgrade the classic group %s to consumer group because the embedded consumer protocol is malformed.", g.id)
	}
	for _, m := range g.members {
		s.failParked(m, kerr.RebalanceInProgress.Code)
	}
	s.write(groupTombstone(g.id))
	members := c.sorted()
	for _, m := range members {
		s.write(memberRecord(g.id, m))
	}
	s.write(epochRecord(g.id, c.epoch, c.hash, c.checkedVersion))
	for _, m := range members {
		s.write(targetRecord(g.id, m.id, c.target[m.id]))
	}
	s.write(targetEpochRecord(g.id, c.targetEpoch))
	for _, m := range members {
		s.write(currentRecord(g.id, m))
		s.touchConsumer(g.id, m)
	}
	s.tell(Event{Kind: EventUpgraded, Group: g.id, Generation: c.epoch, Members: len(members)})
	return c, nil
}

// consumerGroupOf is a classic group as a consumer group: the generation is the
// epoch, the last assignment is target and current assignment.
func (s *Shard) consumerGroupOf(g *group) (*consumerGroup, error) {
	c := newConsumerGroup()
	c.epoch, c.targetEpoch = g.generation, g.generation
	for _, from := range g.members {
		m, err := s.consumerMemberOf(from, g.generation)
		if err != nil {
			return nil, fmt.Errorf("member %s of group %q: %w", from.id, g.id, err)
		}
		// No client should have assigned a partition twice; if one did, the
		// first keeps it.
		m.assigned = m.assigned.filter(func(tp topicPartition) bool { _, taken := c.owner[tp]; return !taken })
		c.set(m)
		c.target[m.id] = m.assigned
	}
	c.hash = hashTopics(subscribedTopics(c.sorted(), nil), s.image)
	c.checkedVersion = s.image.Version()
	return c, nil
}

func (s *Shard) consumerMemberOf(from *member, generation int32) (*consumerMember, error) {
	as := &classicMember{sessionTimeoutMs: from.sessionTimeoutMs, protocols: from.protocols}
	if len(as.protocols) == 0 {
		return nil, fmt.Errorf("%w: no protocol", recordvalue.ErrForm)
	}
	_, data := as.metadata()
	subscription, no := readSubscription(data)
	if no != nil {
		return nil, fmt.Errorf("%w: subscription", recordvalue.ErrForm)
	}
	m := newConsumerMember(from.id)
	m.instance, m.client, m.rebalanceTimeoutMs, m.classic = from.instance, from.client, from.rebalanceTimeoutMs, as
	if subscription.Rack != nil && *subscription.Rack != "" {
		m.rack = subscription.Rack
	}
	m.topics = sortedUnique(append([]string{}, subscription.Topics...))
	m.epoch, m.previousEpoch = generation, generation
	var err error
	if len(from.assignment) == 0 {
		// Between two generations a member has what it said when it joined.
		m.assigned = s.ownedIn(subscription)
	} else if m.assigned, err = s.assignmentIn(from.assignment); err != nil {
		return nil, err
	}
	return m, nil
}

// assignmentIn reads an assignment of the consumer protocol; topics that are
// gone are left out.
func (s *Shard) assignmentIn(data []byte) (assignment, error) {
	in := kmsgAssignment(data)
	if in == nil {
		return nil, fmt.Errorf("%w: assignment", recordvalue.ErrForm)
	}
	return assignmentOf(func(yield func(topicPartition) bool) {
		for _, t := range in.Topics {
			topic, ok := s.image.Topic(t.Topic)
			for _, p := range t.Partitions {
				if ok && !yield(topicPartition{topic.ID, p}) {
					return
				}
			}
		}
	}), nil
}

// downgrade makes a classic group of a consumer group of which these members
// are left, all of the classic protocol. joining is the one that took the
// place of the last of the new protocol, nil when that one left. With
// rebalance, or when members are still on their way to the target, they are
// sent to join again.
//
// Their assignments in the classic group are what they own, where Kafka puts the
// target: a member that comes back to the new protocol before the others have
// joined must not be given what one of them still uses.
func (s *Shard) downgrade(g *group, left []*consumerMember, joining *consumerMember, rebalance bool) {
	c := g.consumer
	rebalance = rebalance || c.epoch != c.targetEpoch ||
		slices.ContainsFunc(left, func(m *consumerMember) bool { return !m.reconciled(c.targetEpoch) })
	s.write(consumerTombstones(g.id, c)...)
	if joining != nil && c.members[joining.id] == nil {
		s.write(memberTombstones(g.id, joining.id)...)
	}
	classic := newGroup(g.id, s.nowMs)
	classic.generation, classic.state, classic.previous = c.epoch, Stable, Stable
	for _, m := range left {
		classic.add(&member{
			id: m.id, instance: m.instance, client: m.client, rebalanceTimeoutMs: m.rebalanceTimeoutMs,
			sessionTimeoutMs: m.classic.sessionTimeoutMs, protocolType: consumerProtocolType, protocols: m.classic.protocols,
		})
	}
	classic.protocolType = consumerProtocolType
	classic.protocol = classic.selectProtocol()
	for i, m := range left {
		to := classic.members[i]
		to.assignment = s.classicAssignment(m.assigned.union(m.revoking), to.metadata(classic.protocol))
	}
	r := groupRecord(classic)
	r.change = change{kind: changeDowngrade, group: g.id, generation: c.epoch, classic: classic, rebalance: rebalance}
	s.write(r)
	s.tell(Event{Kind: EventDowngraded, Group: g.id, Generation: c.epoch, Members: len(left)})
}

// downgradeByInstance is for a classic member that takes the place of the last
// member of the new protocol, whose instance it has.
func (s *Shard) downgradeByInstance(g *group, in Input, m, updated *consumerMember, owned assignment) (*consumerMember, *refusal) {
	c := g.consumer
	p, no := s.subscribe(g.id, c, in, m, updated)
	if no != nil {
		return nil, no
	}
	changed := p.epoch > c.epoch
	if !changed {
		updated = s.reconcileMember(g.id, c, updated, c.targetEpoch, c.targetOf(updated), owned)
	}
	// What was written about the members ends with the group that follows.
	s.downgrade(g, c.with(updated), updated, changed)
	return updated, nil
}

// applyDowngrade puts the classic group in the place of what is left of the consumer group.
func (s *Shard) applyDowngrade(c change) {
	classic := c.classic
	if before := s.groups[c.group]; before != nil {
		classic.offsets = before.offsets
		s.removeGroup(before)
	}
	s.groups[c.group] = classic
	classic.persisted = true
	for _, m := range classic.members {
		s.cancelMemberTimers(c.group, m.id)
		s.touch(classic, m)
	}
	if c.rebalance {
		classic.transition(PreparingRebalance, s.nowMs)
		classic.rebalanceDeadlineMs = s.nowMs + classic.rebalanceTimeoutMs()
		s.timers.set(timerKey{timerJoin, c.group, ""}, classic.rebalanceDeadlineMs)
	}
}

// kmsgAssignment reads an assignment of the consumer protocol; nil for what is none.
func kmsgAssignment(data []byte) *kmsg.ConsumerMemberAssignment {
	in := kmsg.NewConsumerMemberAssignment()
	if in.ReadFrom(data) != nil {
		return nil
	}
	return &in
}

// leaveConsumerProtocol makes a classic group of a consumer group without
// members, for a classic member that joins. The log learns of it with the
// first record of the classic group.
func (g *group) leaveConsumerProtocol(nowMs int64) {
	g.consumer, g.consumerLeft = nil, true
	g.state, g.previous, g.stateSinceMs, g.generation = Empty, Empty, nowMs, 0
	g.protocolType, g.protocol, g.leader = "", "", ""
}

// emptyConsumerTombstones removes a consumer group that has no members.
func emptyConsumerTombstones(group string) []Record {
	return []Record{targetEpochTombstone(group), epochTombstone(group)}
}

// writeGroup writes a classic group down.
func (s *Shard) writeGroup(g *group) {
	if g.consumerLeft {
		s.write(emptyConsumerTombstones(g.id)...)
	}
	s.write(groupRecord(g))
}

// loadedConsumer starts the timers of a group that was read from the log.
func (s *Shard) loadedConsumer(g *group) {
	g.consumer.emptySinceMs = s.nowMs
	g.consumer.checkedVersion, g.consumer.resolvedVersion, g.consumer.resolvedMs = -1, -1, 0
	for _, m := range g.consumer.sorted() {
		s.touchConsumer(g.id, m)
		if m.classic == nil {
			s.timeRevocation(g.id, m)
		}
	}
}
