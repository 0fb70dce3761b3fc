package core

import (
	"bytes"
	"cmp"
	"container/heap"
	"slices"
)

// balanceRoundsMax bounds the rounds over all topics that balance them. With
// equal subscriptions one is enough; each further one about halves what is left.
const balanceRoundsMax = 16

// assignUniform balances the number of partitions of the members, and among the
// balanced assignments takes one near to the last. With equal subscriptions no
// two members differ by more than one partition. With unequal ones that holds
// for the subscribers of each topic, as far as moving that topic's partitions
// reaches.
//
// Source: Apache Kafka's UniformAssignor (KIP-848). Unlike Kafka's, the members
// that may have one partition more are those that have it already, so that
// no partition moves without need.
func assignUniform(spec assignSpec) []assignment {
	u := newUniform(spec)
	u.keep()
	topics := spec.topics()
	u.sortTopics(topics)
	if u.homogeneous() {
		u.shed(topics)
	}
	u.place(topics)
	for range balanceRoundsMax {
		moved := 0
		for _, id := range topics {
			moved += u.balance(id)
		}
		if moved == 0 {
			break
		}
	}
	return u.result()
}

type uniform struct {
	spec        assignSpec
	subscribers map[topicID][]int
	// owners has the member of each partition of each topic, -1 without one.
	owners map[topicID][]int
	// load is the number of partitions of each member.
	load []int
}

func newUniform(spec assignSpec) *uniform {
	u := &uniform{spec: spec, subscribers: spec.subscribers(), owners: map[topicID][]int{}, load: make([]int, len(spec.members))}
	for id := range u.subscribers {
		owners := make([]int, spec.partitions[id])
		for p := range owners {
			owners[p] = -1
		}
		u.owners[id] = owners
	}
	return u
}

// keep leaves each member what it had and may still have.
func (u *uniform) keep() {
	for i, m := range u.spec.members {
		for _, id := range m.topics {
			owners := u.owners[id]
			for _, p := range m.target[id] {
				if int(p) < len(owners) && owners[p] < 0 {
					owners[p] = i
					u.load[i]++
				}
			}
		}
	}
}

// homogeneous says whether all members have the same subscription.
func (u *uniform) homogeneous() bool {
	first := u.spec.members[0].topics
	for _, m := range u.spec.members[1:] {
		if !slices.Equal(m.topics, first) {
			return false
		}
	}
	return true
}

// sortTopics puts those first that burden their subscribers most.
func (u *uniform) sortTopics(topics []topicID) {
	slices.SortFunc(topics, func(a, b topicID) int {
		x, y := len(u.subscribers[a]), len(u.subscribers[b])
		return cmp.Or(
			cmp.Compare(int64(u.spec.partitions[b])*int64(x), int64(u.spec.partitions[a])*int64(y)),
			cmp.Compare(x, y), bytes.Compare(a[:], b[:]),
		)
	})
}

// shed takes from members with equal subscriptions what is above their share.
func (u *uniform) shed(topics []topicID) {
	total := 0
	for _, id := range topics {
		total += len(u.owners[id])
	}
	share, more := total/len(u.load), total%len(u.load)
	quota := make([]int, len(u.load))
	for _, i := range u.byLoad() {
		quota[i] = share
		if more > 0 {
			quota[i]++
			more--
		}
	}
	for _, id := range slices.Backward(topics) {
		owners := u.owners[id]
		for p := len(owners) - 1; p >= 0; p-- {
			if i := owners[p]; i >= 0 && u.load[i] > quota[i] {
				owners[p] = -1
				u.load[i]--
			}
		}
	}
}

// byLoad returns the members, those with the most partitions first.
func (u *uniform) byLoad() []int {
	order := make([]int, len(u.load))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(u.load[b], u.load[a]) })
	return order
}

// place gives each partition without an owner to the subscriber with the fewest.
func (u *uniform) place(topics []topicID) {
	for _, id := range topics {
		var least *loads
		for p, owner := range u.owners[id] {
			if owner >= 0 {
				continue
			}
			if least == nil {
				least = u.loadsOf(u.subscribers[id], 1)
			}
			i := least.top()
			u.owners[id][p] = i
			u.load[i]++
		}
	}
}

// balance moves partitions of a topic from its subscribers with the most
// partitions to those with the fewest, while that evens them out, and returns
// how many it moved.
func (u *uniform) balance(id topicID) int {
	if len(u.subscribers[id]) < 2 {
		return 0
	}
	has := map[int][]int{}
	for p, i := range u.owners[id] {
		has[i] = append(has[i], p)
	}
	givers := make([]int, 0, len(has))
	for _, i := range u.subscribers[id] {
		if len(has[i]) > 0 {
			givers = append(givers, i)
		}
	}
	most, least := u.loadsOf(givers, -1), u.loadsOf(u.subscribers[id], 1)
	moved := 0
	for most.Len() > 0 {
		from, to := most.top(), least.top()
		if u.load[from]-u.load[to] <= 1 {
			break
		}
		parts := has[from]
		p := parts[len(parts)-1]
		if has[from] = parts[:len(parts)-1]; len(has[from]) == 0 {
			most.drop()
		}
		u.owners[id][p] = to
		u.load[from]--
		u.load[to]++
		moved++
	}
	return moved
}

func (u *uniform) result() []assignment {
	out := make([]assignment, len(u.spec.members))
	for i := range out {
		out[i] = assignment{}
	}
	for id, owners := range u.owners {
		for p, i := range owners {
			out[i][id] = append(out[i][id], int32(p))
		}
	}
	return out
}

// loads is a heap of members by load, the least first with sign 1, the most
// with -1. Loads change while it is in use, top sees to it.
type loads struct {
	u       *uniform
	sign    int
	members []int
	// known is the load with which a member is in its place.
	known []int
}

func (u *uniform) loadsOf(members []int, sign int) *loads {
	l := &loads{u: u, sign: sign, members: slices.Clone(members), known: make([]int, len(members))}
	for k, i := range l.members {
		l.known[k] = u.load[i]
	}
	heap.Init(l)
	return l
}

// top returns the first member, which stays in the heap.
func (l *loads) top() int {
	for l.known[0] != l.u.load[l.members[0]] {
		l.known[0] = l.u.load[l.members[0]]
		heap.Fix(l, 0)
	}
	return l.members[0]
}

// drop removes the member that top returned last.
func (l *loads) drop() { heap.Pop(l) }

// Len is for package heap.
func (l *loads) Len() int { return len(l.members) }

// Less is for package heap.
func (l *loads) Less(a, b int) bool {
	if l.known[a] != l.known[b] {
		return l.sign*l.known[a] < l.sign*l.known[b]
	}
	return l.members[a] < l.members[b]
}

// Swap is for package heap.
func (l *loads) Swap(a, b int) {
	l.members[a], l.members[b] = l.members[b], l.members[a]
	l.known[a], l.known[b] = l.known[b], l.known[a]
}

// Push is for package heap; nothing is added to loads.
func (l *loads) Push(any) { panic("a heap of loads does not grow") }

// Pop is for package heap.
func (l *loads) Pop() any {
	last := len(l.members) - 1
	i := l.members[last]
	l.members, l.known = l.members[:last], l.known[:last]
	return i
}
