package core

import (
	"maps"
	"slices"
)

// expireOffsets writes tombstones for the offsets that are too old, and for the
// groups of which nothing is left (KIP-211, KAFKA-13636).
func (s *Shard) expireOffsets() {
	for _, id := range s.groupIDs() {
		g := s.groups[id]
		expired := s.expiry(g)
		if expired == nil || s.open.groups[id] > 0 {
			continue
		}
		left := 0
		for _, topic := range slices.Sorted(maps.Keys(g.offsets)) {
			for _, p := range slices.Sorted(maps.Keys(g.offsets[topic])) {
				if !expired(g.offsets[topic][p]) {
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
			s.writeGroupGone(g)
		}
	}
}

// expiry says how the offsets of a group expire; nil when none does now. Those of
// a group with members never do, not even those of topics that nobody reads any
// more. Those of a group that became empty do so a retention after that, and those that
// were committed without a group a retention after the commit. When a consumer group
// became empty is not in its records: after a start it counts from then.
func (s *Shard) expiry(g *group) func(o offset) bool {
	since := func(ms int64) func(o offset) bool {
		return func(o offset) bool { return s.expiredSince(max(ms, o.commitMs), o) }
	}
	switch {
	case g.currentState() != Empty || len(g.pending) > 0:
		return nil
	case g.consumer != nil:
		return since(g.consumer.emptySinceMs)
	case g.protocolType != "" && g.stateSinceMs > 0:
		return func(o offset) bool { return s.expiredSince(g.stateSinceMs, o) }
	}
	return since(0)
}

// expiredSince says whether an offset that lives by its retention since then is too old.
func (s *Shard) expiredSince(sinceMs int64, o offset) bool {
	if o.expireMs >= 0 {
		return s.nowMs >= o.expireMs
	}
	return s.nowMs-sinceMs >= s.cfg.OffsetsRetentionMs
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
		for _, pending := range s.open.of(id) {
			if _, ok := g.offsets[pending.topic][pending.partition]; !ok && gone(pending.topic, s.open.topicID(pending)) {
				s.write(offsetTombstone(id, pending.topic, pending.partition))
			}
		}
	}
	return s.end()
}
