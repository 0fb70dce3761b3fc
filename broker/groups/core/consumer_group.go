package core

import (
	"maps"
	"slices"
)

const (
	// Assigning has a subscription that no target has been computed for.
	Assigning State = "Assigning"
	// Reconciling has members that are on their way to the target.
	Reconciling State = "Reconciling"
)

// consumerGroup is what makes a group one of the new protocol (KIP-848). It
// changes only by the records that are applied to it, the same when they were
// just appended and when they are read from the log.
type consumerGroup struct {
	// epoch grows with each change of members, subscriptions and topics.
	epoch int32
	// hash is that of the topics subscribed to, as of epoch (KIP-1101).
	hash int64
	// targetEpoch is the epoch that target was computed for.
	targetEpoch int32
	target      map[string]assignment
	members     map[string]*consumerMember
	// static maps a group instance id to the id of its member.
	static map[string]string
	// owner is who has a partition. Invariant: it is what the members have,
	// assigned or being revoked, and a partition has one owner.
	owner map[topicPartition]string
	// regexes are the expressions that were resolved.
	regexes map[string]*resolvedRegex
	// hasPartitionMetadata says that the log has a record that Kafka 4.0 wrote,
	// which is to be deleted.
	hasPartitionMetadata bool

	// checkedVersion is the version of the image that hash was last compared
	// with, and resolvedVersion and resolvedMs that of the last look at the
	// expressions. They are in memory alone.
	checkedVersion, resolvedVersion, resolvedMs int64
	// emptySinceMs is when the last member went, or the group was loaded
	// without members.
	emptySinceMs int64
}

// resolvedRegex is what an expression matched.
type resolvedRegex struct {
	topics    []string // in order
	version   int64
	timestamp int64
}

func newConsumerGroup() *consumerGroup {
	return &consumerGroup{
		targetEpoch: -1, target: map[string]assignment{}, members: map[string]*consumerMember{},
		static: map[string]string{}, owner: map[topicPartition]string{}, regexes: map[string]*resolvedRegex{},
		checkedVersion: -1, resolvedVersion: -1,
	}
}

func (c *consumerGroup) state() State {
	switch {
	case len(c.members) == 0:
		return Empty
	case c.epoch > c.targetEpoch:
		return Assigning
	}
	for _, m := range c.members {
		if !m.reconciled(c.targetEpoch) {
			return Reconciling
		}
	}
	return Stable
}

// sorted returns the members in the order of their ids.
func (c *consumerGroup) sorted() []*consumerMember {
	ids := slices.Sorted(maps.Keys(c.members))
	members := make([]*consumerMember, len(ids))
	for i, id := range ids {
		members[i] = c.members[id]
	}
	return members
}

// with returns the members as they are when updated has taken its place, also
// that of another member with the same instance.
func (c *consumerGroup) with(updated *consumerMember) []*consumerMember {
	members := slices.DeleteFunc(c.sorted(), func(m *consumerMember) bool {
		return m.id == updated.id || m.instance != nil && equalPtr(m.instance, updated.instance)
	})
	at, _ := slices.BinarySearchFunc(members, updated.id, func(m *consumerMember, id string) int {
		switch {
		case m.id < id:
			return -1
		case m.id > id:
			return 1
		}
		return 0
	})
	return slices.Insert(members, at, updated)
}

// without returns the members that are not gone.
func (c *consumerGroup) without(gone []*consumerMember) []*consumerMember {
	return slices.DeleteFunc(c.sorted(), func(m *consumerMember) bool {
		return slices.ContainsFunc(gone, func(g *consumerMember) bool { return g.id == m.id })
	})
}

// instance returns the member of a group instance id, nil without one.
func (c *consumerGroup) instance(id *string) *consumerMember {
	if id == nil {
		return nil
	}
	return c.members[c.static[*id]]
}

// targetOf is the target of a member; one that takes the place of another
// with the same instance has that one's.
func (c *consumerGroup) targetOf(m *consumerMember) assignment {
	if t, ok := c.target[m.id]; ok {
		return t
	}
	if old := c.instance(m.instance); old != nil {
		return c.target[old.id]
	}
	return nil
}

// set puts a member in the place of its older self.
func (c *consumerGroup) set(m *consumerMember) {
	if old := c.members[m.id]; old != nil {
		c.disown(old)
		if old.instance != nil && c.static[*old.instance] == old.id {
			delete(c.static, *old.instance)
		}
	}
	c.members[m.id] = m
	if m.instance != nil {
		c.static[*m.instance] = m.id
	}
	for _, a := range []assignment{m.assigned, m.revoking} {
		for id, ps := range a {
			for _, p := range ps {
				c.owner[topicPartition{id, p}] = m.id
			}
		}
	}
}

func (c *consumerGroup) remove(id string) {
	m := c.members[id]
	if m == nil {
		return
	}
	c.disown(m)
	delete(c.members, id)
	if m.instance != nil && c.static[*m.instance] == id {
		delete(c.static, *m.instance)
	}
}

func (c *consumerGroup) disown(m *consumerMember) {
	for _, a := range []assignment{m.assigned, m.revoking} {
		for id, ps := range a {
			for _, p := range ps {
				if tp := (topicPartition{id, p}); c.owner[tp] == m.id {
					delete(c.owner, tp)
				}
			}
		}
	}
}

// classicOnly says whether there are members, and all of them but those that
// are gone speak the classic protocol.
func classicOnly(members []*consumerMember) bool {
	return len(members) > 0 && !slices.ContainsFunc(members, func(m *consumerMember) bool { return m.classic == nil })
}

// supportsClassic says whether a member with these protocols can be in the
// group: with each classic member it must have one in common with all.
func (c *consumerGroup) supportsClassic(protocolType string, protocols []protocol) bool {
	if protocolType != consumerProtocolType || len(protocols) == 0 {
		return false
	}
	votes, classic := map[string]int{}, 0
	for _, m := range c.members {
		if m.classic == nil {
			continue
		}
		classic++
		for _, p := range m.classic.protocols {
			votes[p.name]++
		}
	}
	return slices.ContainsFunc(protocols, func(p protocol) bool { return votes[p.name] == classic })
}

// regexSubscribers counts the members that are subscribed to an expression.
func (c *consumerGroup) regexSubscribers(regex string) int {
	n := 0
	for _, m := range c.members {
		if m.regex == regex {
			n++
		}
	}
	return n
}

// waits says whether a partition of the member's target still belongs to somebody else.
func (c *consumerGroup) waits(m *consumerMember) bool {
	for tp := range c.target[m.id].all() {
		if _, owned := c.owner[tp]; owned && !m.assigned.has(tp) {
			return true
		}
	}
	return false
}

// subscribed says whether a member reads the topic.
func (c *consumerGroup) subscribed(topic string) bool {
	_, found := slices.BinarySearch(c.subscriptions(), topic)
	return found
}

// subscriptions returns the names of all topics subscribed to, in order.
func (c *consumerGroup) subscriptions() []string { return subscribedTopics(c.sorted(), c.regexes) }

// subscribedTopics returns the names of all topics subscribed to, in order.
func subscribedTopics(members []*consumerMember, regexes map[string]*resolvedRegex) []string {
	names := map[string]struct{}{}
	seen := map[string]struct{}{}
	for _, m := range members {
		for _, name := range m.topics {
			names[name] = struct{}{}
		}
		if _, again := seen[m.regex]; again || m.regex == "" {
			continue
		}
		seen[m.regex] = struct{}{}
		if r := regexes[m.regex]; r != nil {
			for _, name := range r.topics {
				names[name] = struct{}{}
			}
		}
	}
	return slices.Sorted(maps.Keys(names))
}
