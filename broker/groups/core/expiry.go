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
				if !expired(topic, g.offsets[topic][p]) {
					left++
					continue
				}
				s.write(offsetTombstone(id, topic, p))
			}
		}
		if expired := g.offsetCount() - left; expired > 0 {
			s.tell(Event{Kind: EventOffsetsExpired, Group: id, Generation: g.generation, Count: expired})
		}
		if left == 0 && g.currentState() == Empty {
			s.writeGroupGone(g)
		}
	}
}

// expiry says how the offsets of a group expire; nil when none does now.
//
//   - Those of a classic group do so a retention after it became empty. While it has
//     members only those of topics that nobody subscribes to do, a retention
//     after their commit, and not while it rebalances: its subscriptions may be on
//     their way.
//   - Those of a consumer group do so a retention after their commit, unless a
//     member subscribes to the topic.
//   - Those that were committed without a group, a retention after their commit.
func (s *Shard) expiry(g *group) func(topic string, o offset) bool {
	byCommit := func(_ string, o offset) bool { return s.expiredSince(o.commitMs, o) }
	unread := func(subscribed func(string) bool) func(string, offset) bool {
		return func(topic string, o offset) bool { return s.expiredSince(o.commitMs, o) && !subscribed(topic) }
	}
	switch {
	case g.consumer != nil && len(g.consumer.members) > 0:
		read := g.consumer.subscriptions()
		return unread(func(topic string) bool { _, found := slices.BinarySearch(read, topic); return found })
	case g.consumer != nil:
		return byCommit
	case len(g.pending) > 0:
		return nil
	case g.state == Empty && g.protocolType != "" && g.stateSinceMs > 0:
		return func(_ string, o offset) bool { return s.expiredSince(g.stateSinceMs, o) }
	case g.state == Empty:
		return byCommit
	case g.state == Stable && g.protocolType == consumerProtocolType:
		return unread(g.subscribed)
	}
	return nil
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
