package core

import (
	"maps"
	"slices"
)

// Committed is an offset that a group has committed.
type Committed struct {
	Group, Topic string
	Partition    int32
	Offset       int64
}

// CommittedOffsets returns at most limit committed offsets in the order of group,
// topic and partition, and whether there are more.
func (s *Shard) CommittedOffsets(limit int) (all []Committed, more bool) {
	for _, id := range s.groupIDs() {
		g := s.groups[id]
		for _, topic := range slices.Sorted(maps.Keys(g.offsets)) {
			for _, p := range slices.Sorted(maps.Keys(g.offsets[topic])) {
				if len(all) >= limit {
					return all, true
				}
				all = append(all, Committed{Group: id, Topic: topic, Partition: p, Offset: g.offsets[topic][p].offset})
			}
		}
	}
	return all, false
}
