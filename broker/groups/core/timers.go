package core

import "container/heap"

type timerKind uint8

const (
	// timerMember ends a member's session, or the life of a pending member id.
	timerMember timerKind = iota + 1
	// timerJoin ends the join phase of a rebalance.
	timerJoin
	// timerSync ends the wait for the members' SyncGroup.
	timerSync
	// timerExpiry looks for expired offsets.
	timerExpiry
	// timerRevocation ends the time that a member of a consumer group has to
	// give up partitions.
	timerRevocation
	// timerConsumerJoin and timerConsumerSync bound the time until a classic
	// member of a consumer group joins again, and asks for its assignment.
	timerConsumerJoin
	timerConsumerSync
)

// timerRetryMs is the time after which what a timer asked for is tried again when it
// could not be appended.
const timerRetryMs = 500

type timerKey struct {
	kind          timerKind
	group, member string
}

type timer struct {
	key        timerKey
	deadlineMs int64
	sequence   uint64
	index      int
}

// timers is a queue of deadlines with at most one per key.
type timers struct {
	queue    timerQueue
	byKey    map[timerKey]*timer
	sequence uint64
}

// set starts the timer of key, or moves it.
func (t *timers) set(key timerKey, deadlineMs int64) {
	t.sequence++
	if at, ok := t.byKey[key]; ok {
		at.deadlineMs, at.sequence = deadlineMs, t.sequence
		heap.Fix(&t.queue, at.index)
		return
	}
	if t.byKey == nil {
		t.byKey = map[timerKey]*timer{}
	}
	at := &timer{key: key, deadlineMs: deadlineMs, sequence: t.sequence}
	t.byKey[key] = at
	heap.Push(&t.queue, at)
}

// setIfAbsent starts the timer of key unless it runs.
func (t *timers) setIfAbsent(key timerKey, deadlineMs int64) {
	if _, ok := t.byKey[key]; !ok {
		t.set(key, deadlineMs)
	}
}

func (t *timers) cancel(key timerKey) {
	at, ok := t.byKey[key]
	if !ok {
		return
	}
	delete(t.byKey, key)
	heap.Remove(&t.queue, at.index)
}

func (t *timers) next() (deadlineMs int64, ok bool) {
	if len(t.queue) == 0 {
		return 0, false
	}
	return t.queue[0].deadlineMs, true
}

// pop takes the earliest timer that is due.
func (t *timers) pop(nowMs int64) (timerKey, bool) {
	if len(t.queue) == 0 || t.queue[0].deadlineMs > nowMs {
		return timerKey{}, false
	}
	key := t.queue[0].key
	t.cancel(key)
	return key, true
}

// timerQueue is a heap.Interface.
type timerQueue []*timer

func (q timerQueue) Len() int { return len(q) }

func (q timerQueue) Less(i, j int) bool {
	if q[i].deadlineMs != q[j].deadlineMs {
		return q[i].deadlineMs < q[j].deadlineMs
	}
	return q[i].sequence < q[j].sequence
}

func (q timerQueue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].index, q[j].index = i, j
}

// Push is for package heap.
func (q *timerQueue) Push(x any) {
	at := x.(*timer)
	at.index = len(*q)
	*q = append(*q, at)
}

// Pop is for package heap.
func (q *timerQueue) Pop() any {
	old := *q
	at := old[len(old)-1]
	old[len(old)-1] = nil
	*q = old[:len(old)-1]
	return at
}
