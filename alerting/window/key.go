package window

import (
	"cmp"
	"slices"
)

// entry is one event that waits for others.
type entry struct {
	key       *keyState
	id        string
	series    string
	timeMs    int64
	expiresMs int64
	// at is the position from which a replay meets the event again.
	at         Position
	prev, next *entry
	queued     bool
}

// keyState is what is known of one key.
type keyState struct {
	name string
	// waiting are the events that no alert covers.
	// Invariant: ordered by compareEntries; ids holds the same events.
	waiting []*entry
	ids     map[string]struct{}
	// mixed is set once events of several series wait here.
	mixed bool
	// covers are the stretches of the key's alerts, ordered by FromMs.
	covers []Cover
	// coverLongestMs is the length of the longest stretch ever added.
	coverLongestMs int64
}

func newKeyState(name string) *keyState {
	return &keyState{name: name, ids: map[string]struct{}{}}
}

func (k *keyState) waits(id string) bool {
	_, ok := k.ids[id]
	return ok
}

// insert adds an event and returns its place.
func (k *keyState) insert(e *entry) int {
	at, _ := find(k.waiting, e)
	k.waiting = slices.Insert(k.waiting, at, e)
	k.ids[e.id] = struct{}{}
	k.mixed = k.mixed || k.waiting[0].series != e.series || k.waiting[len(k.waiting)-1].series != e.series
	return at
}

func (k *keyState) remove(e *entry) {
	if at, ok := find(k.waiting, e); ok {
		k.waiting = slices.Delete(k.waiting, at, at+1)
		delete(k.ids, e.id)
	}
}

// window returns where the earliest window begins that the event at place at
// has completed.
func (k *keyState) window(at int, r Rule) (first int, found bool) {
	for i := max(0, at-r.Count+1); i <= at; i++ {
		last := i + r.Count - 1
		if last >= len(k.waiting) {
			return 0, false
		}
		if k.waiting[last].timeMs-k.waiting[i].timeMs < r.WithinMs {
			return i, true
		}
	}
	return 0, false
}

// take removes and returns the events inside the stretch. The caller takes them
// out of their series.
func (k *keyState) take(c Cover) []*entry {
	var taken []*entry
	k.waiting = slices.DeleteFunc(k.waiting, func(e *entry) bool {
		if !c.holds(e.timeMs) {
			return false
		}
		taken = append(taken, e)
		delete(k.ids, e.id)
		return true
	})
	return taken
}

// covered reports whether an alert's stretch holds the time.
func (k *keyState) covered(ms int64) bool {
	after, _ := slices.BinarySearchFunc(k.covers, ms, func(c Cover, ms int64) int { return cmp.Compare(c.FromMs, ms) })
	for i := after - 1; i >= 0 && k.covers[i].FromMs+k.coverLongestMs > ms; i-- {
		if k.covers[i].holds(ms) {
			return true
		}
	}
	return false
}

func compareCovers(a, b Cover) int {
	return cmp.Or(cmp.Compare(a.FromMs, b.FromMs), cmp.Compare(a.ToMs, b.ToMs))
}

func (k *keyState) addCover(c Cover) {
	at, _ := slices.BinarySearchFunc(k.covers, c, compareCovers)
	k.covers = slices.Insert(k.covers, at, c)
	k.coverLongestMs = max(k.coverLongestMs, c.ToMs-c.FromMs)
}

func (k *keyState) removeCover(c Cover) {
	if at, ok := slices.BinarySearchFunc(k.covers, c, compareCovers); ok {
		k.covers = slices.Delete(k.covers, at, at+1)
	}
}

// queue is the waiting events of one series in the order of the log. All wait
// equally long, so the first to expire is the head.
type queue struct {
	head, tail *entry
	length     int
}

func (q *queue) push(e *entry) {
	e.queued, e.prev = true, q.tail
	if q.tail == nil {
		q.head = e
	} else {
		q.tail.next = e
	}
	q.tail = e
	q.length++
}

func (q *queue) remove(e *entry) {
	if e.prev == nil {
		q.head = e.next
	} else {
		e.prev.next = e.next
	}
	if e.next == nil {
		q.tail = e.prev
	} else {
		e.next.prev = e.prev
	}
	e.prev, e.next, e.queued = nil, nil, false
	q.length--
}
