package core

import (
	"bytes"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Appended makes visible what the records of an Output change.
func (s *Shard) Appended(records []Record) {
	for _, r := range records {
		if r.change.kind != changeGroup {
			s.apply(r.change)
			continue
		}
		// Members and assignment were set when the record was made.
		if g := s.groups[r.change.group]; g != nil {
			g.persisted = true
		}
	}
}

// AppendFailed takes back what cannot stay because the records of an Output
// were refused: a group whose assignment was not stored rebalances. The
// caller answers the replies of that Output with an error ([WithError]).
func (s *Shard) AppendFailed(nowMs int64, records []Record) Output {
	s.begin(nowMs)
	for _, r := range records {
		g := s.groups[r.change.group]
		if g != nil && g.consumer != nil {
			s.rearm(g)
			continue
		}
		if r.change.kind != changeGroup || g == nil || g.state != Stable || g.generation != r.change.generation {
			continue
		}
		s.clearAssignments(g, kerr.RebalanceInProgress.Code)
		s.prepareRebalance(g, "the assignment could not be stored")
	}
	return s.end()
}

// Replay applies a record of the log; a nil value is a tombstone. The slices are not kept.
func (s *Shard) Replay(key, value []byte) error {
	c, err := decode(key, value)
	if err != nil {
		return err
	}
	s.apply(c)
	return nil
}

// Loaded ends the replay: sessions of the members found begin now, and offsets
// are looked through for old ones from now on.
func (s *Shard) Loaded(nowMs int64) {
	s.begin(nowMs)
	for _, id := range s.groupIDs() {
		g := s.groups[id]
		for _, m := range g.members {
			s.touch(g, m)
		}
		if g.consumer != nil {
			s.loadedConsumer(g)
		}
		s.forgetIfIdle(g)
	}
	s.timers.set(timerKey{kind: timerExpiry}, s.nowMs+s.cfg.ExpiryIntervalMs)
	s.end()
}

func (s *Shard) apply(c change) {
	switch c.kind {
	case changeOffset:
		s.applyOffset(c, s.nextPosition())
	case changeOffsetGone:
		s.open.drop(offsetID{c.group, c.topic, c.partition})
		if g := s.groups[c.group]; g != nil {
			delete(g.offsets[c.topic], c.partition)
			if len(g.offsets[c.topic]) == 0 {
				delete(g.offsets, c.topic)
			}
		}
	case changeGroup:
		s.restore(c)
	case changeGroupGone:
		s.applyGroupGone(c.group)
	case changeDowngrade:
		s.applyDowngrade(c)
	case changeNone:
	default:
		s.applyConsumer(c)
	}
}

// applyGroupGone removes the group; offsets that were written after its
// tombstones keep it, as a group that only keeps offsets.
func (s *Shard) applyGroupGone(id string) {
	g := s.groups[id]
	if g == nil || g.consumer != nil {
		return
	}
	s.removeGroup(g)
	if g.offsetCount() > 0 {
		kept := s.groupOf(id)
		kept.offsets = g.offsets
	}
}

func (s *Shard) groupOf(id string) *group {
	g := s.groups[id]
	if g == nil {
		g = newGroup(id, s.nowMs)
		s.groups[id] = g
	}
	return g
}

// restore makes the group what a GroupMetadata record says.
func (s *Shard) restore(c change) {
	g := newGroup(c.group, c.value.CurrentStateTimestamp)
	if before := s.groups[c.group]; before != nil {
		g.offsets = before.offsets
	}
	s.groups[c.group] = g
	g.persisted = true
	g.generation, g.protocolType = c.value.Generation, c.value.ProtocolType
	for _, from := range c.value.Members {
		m := restoredMember(from, c.value)
		if g.byID[m.id] != nil || (m.instance != nil && g.static[*m.instance] != "") {
			continue // no broker writes a member twice
		}
		g.add(m)
	}
	g.protocolType = c.value.ProtocolType
	if len(g.members) == 0 {
		return
	}
	g.state = Stable
	if c.value.Protocol != nil {
		g.protocol = *c.value.Protocol
	}
	if c.value.Leader != nil && g.byID[*c.value.Leader] != nil {
		g.leader = *c.value.Leader
	}
}

func restoredMember(from kmsg.GroupMetadataValueMember, v *kmsg.GroupMetadataValue) *member {
	m := &member{
		id: from.MemberID, instance: from.InstanceID, client: Client{from.ClientID, from.ClientHost},
		rebalanceTimeoutMs: from.RebalanceTimeoutMillis, sessionTimeoutMs: from.SessionTimeoutMillis,
		protocolType: v.ProtocolType, assignment: append([]byte{}, from.Assignment...),
	}
	if m.rebalanceTimeoutMs < 0 {
		m.rebalanceTimeoutMs = m.sessionTimeoutMs
	}
	if v.Protocol != nil {
		m.protocols = []protocol{{*v.Protocol, bytes.Clone(from.Subscription)}}
	}
	return m
}
