package core

import (
	"maps"
	"slices"
)

// expireOffsets writes tombstones for the offsets that are too old, and for the
// groups of which nothing is left. Offsets of a group with members never
// expire; those of a group that became empty do so a retention after that; those that
// were committed without a group, a retention after the commit (KIP-211).
func (s *Shard) expireOffsets() {
	for _, id := range s.groupIDs() {
		g := s.groups[id]
		if g.state != Empty || len(g.pending) > 0 {
			continue
		}
		left := 0
		for _, topic := range slices.Sorted(maps.Keys(g.offsets)) {
			for _, p := range slices.Sorted(maps.Keys(g.offsets[topic])) {
				if !s.expired(g, g.offsets[topic][p]) {
					left++
					continue
				}
				s.write(offsetTombstone(id, topic, p))
			}
		}
		if expired := g.offsetCount() - left; expired > 0 {
			s.tell(Event{Kind: EventOffsetsExpired, Group: id, Generation: g.generation, Count: expired})
		}
		if left == 0 {
			s.write(groupTombstone(id))
		}
	}
}

func (s *Shard) expired(g *group, o offset) bool {
	if o.expireMs >= 0 {
		return s.nowMs >= o.expireMs
	}
	since := o.commitMs
	if g.protocolType != "" && g.stateSinceMs > 0 {
		since = g.stateSinceMs
	}
	return s.nowMs-since >= s.cfg.OffsetsRetentionMs
}

// DeleteTopics writes tombstones for the offsets of the topics for which
// gone(name, id) is true. id is all zero where a commit did not say it.
func (s *Shard) DeleteTopics(nowMs int64, gone func(name string, id [16]byte) bool) Output {
	s.begin(nowMs)
	for _, id := range s.groupIDs() {
		g := s.groups[id]
		for _, topic := range slices.Sorted(maps.Keys(g.offsets)) {
			for _, p := range slices.Sorted(maps.Keys(g.offsets[topic])) {
				if gone(topic, g.offsets[topic][p].topicID) {
					s.write(offsetTombstone(id, topic, p))
				}
			}
		}
	}
	return s.end()
}
