package core

import (
	"bytes"
	"iter"
	"maps"
	"slices"
)

type topicID = [16]byte

type topicPartition struct {
	topic     topicID
	partition int32
}

// assignment is a set of partitions by topic. Invariant: partitions are in order
// and without repetition, no list is empty, and neither map nor lists are
// changed once the assignment has been handed over.
type assignment map[topicID][]int32

func (a assignment) topics() []topicID {
	return slices.SortedFunc(maps.Keys(a), func(x, y topicID) int { return bytes.Compare(x[:], y[:]) })
}

// all yields the partitions in the order of topic id and number.
func (a assignment) all() iter.Seq[topicPartition] {
	return func(yield func(topicPartition) bool) {
		for _, id := range a.topics() {
			for _, p := range a[id] {
				if !yield(topicPartition{id, p}) {
					return
				}
			}
		}
	}
}

func (a assignment) has(tp topicPartition) bool {
	_, found := slices.BinarySearch(a[tp.topic], tp.partition)
	return found
}

func (a assignment) count() int {
	n := 0
	for _, ps := range a {
		n += len(ps)
	}
	return n
}

func (a assignment) equal(b assignment) bool {
	return maps.EqualFunc(a, b, slices.Equal[[]int32])
}

// contains says whether every partition of b is one of a.
func (a assignment) contains(b assignment) bool {
	for tp := range b.all() {
		if !a.has(tp) {
			return false
		}
	}
	return true
}

// overlaps says whether a partition is in both.
func (a assignment) overlaps(b assignment) bool {
	for tp := range a.all() {
		if b.has(tp) {
			return true
		}
	}
	return false
}

// filter returns the partitions for which keep is true.
func (a assignment) filter(keep func(topicPartition) bool) assignment {
	out := assignment{}
	for id, ps := range a {
		var kept []int32
		for _, p := range ps {
			if keep(topicPartition{id, p}) {
				kept = append(kept, p)
			}
		}
		if len(kept) > 0 {
			out[id] = kept
		}
	}
	return out
}

// union returns the partitions of both.
func (a assignment) union(b assignment) assignment {
	out := maps.Clone(a)
	if out == nil {
		out = assignment{}
	}
	for id, ps := range b {
		out[id] = sortedUnique(slices.Concat(out[id], ps))
	}
	return out
}

// assignmentOf makes an assignment of partitions that come in any order.
func assignmentOf(partitions iter.Seq[topicPartition]) assignment {
	out := assignment{}
	for tp := range partitions {
		out[tp.topic] = append(out[tp.topic], tp.partition)
	}
	for id, ps := range out {
		out[id] = sortedUnique(ps)
	}
	return out
}

// sortedUnique puts a slice that is its own in order, without repetitions.
func sortedUnique[E int32 | string](s []E) []E {
	slices.Sort(s)
	return slices.Compact(s)
}
