package core

import (
	"cmp"
	"slices"
)

const (
	// uniformAssignor balances the number of partitions and moves as few as that needs.
	uniformAssignor = "uniform"
	// rangeAssignor gives each member a range of each topic, the same of topics
	// with as many partitions.
	rangeAssignor = "range"
)

// assignors are those that a member may ask for, the default first.
func assignors() []string { return []string{uniformAssignor, rangeAssignor} }

// assignSpec is what an assignor works on.
type assignSpec struct {
	// members are in the order of their ids.
	members []assignMember
	// partitions is the number of partitions of each topic subscribed to.
	partitions map[topicID]int32
}

// assignMember is a member as an assignor sees it.
type assignMember struct {
	id       string
	instance *string
	// topics are those subscribed to that exist, in the order of their ids.
	topics []topicID
	// target is what the last assignment gave it.
	target assignment
}

// assign computes the target of each member, in their order. Every partition of
// a topic that somebody is subscribed to belongs to exactly one of its subscribers.
func assign(assignor string, spec assignSpec) []assignment {
	if assignor == rangeAssignor {
		return assignRange(spec)
	}
	return assignUniform(spec)
}

// subscribers returns the members of each topic, as positions in the spec.
func (s assignSpec) subscribers() map[topicID][]int {
	subscribers := make(map[topicID][]int, len(s.partitions))
	for i, m := range s.members {
		for _, id := range m.topics {
			subscribers[id] = append(subscribers[id], i)
		}
	}
	return subscribers
}

// topics returns the ids of the topics in order.
func (s assignSpec) topics() []topicID {
	all := make(assignment, len(s.partitions))
	for id := range s.partitions {
		all[id] = nil
	}
	return all.topics()
}

// assignRange gives each subscriber of a topic a range of its partitions, in the
// order of instance ids and then member ids, so that static members keep theirs
// through a restart. Topics with the same subscribers and number of partitions
// are cut at the same places (co-partitioning).
//
// Source: Apache Kafka's server-side RangeAssignor (KIP-848).
func assignRange(spec assignSpec) []assignment {
	order := make([]int, len(spec.members))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		x, y := spec.members[a], spec.members[b]
		switch {
		case x.instance != nil && y.instance != nil:
			return cmp.Or(cmp.Compare(*x.instance, *y.instance), cmp.Compare(x.id, y.id))
		case x.instance != nil:
			return -1
		case y.instance != nil:
			return 1
		}
		return cmp.Compare(x.id, y.id)
	})
	rank := make([]int, len(order))
	for r, i := range order {
		rank[i] = r
	}
	out := make([]assignment, len(spec.members))
	for i := range out {
		out[i] = assignment{}
	}
	for id, members := range spec.subscribers() {
		slices.SortFunc(members, func(a, b int) int { return cmp.Compare(rank[a], rank[b]) })
		total, n := spec.partitions[id], int32(len(members))
		next := int32(0)
		for k, i := range members {
			size := total / n
			if int32(k) < total%n {
				size++
			}
			for range size {
				out[i][id] = append(out[i][id], next)
				next++
			}
		}
	}
	return out
}
