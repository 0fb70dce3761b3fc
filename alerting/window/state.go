package window

import (
	"slices"
	"strings"
)

// Rule is what decides, in milliseconds.
type Rule struct {
	// Count of events that raise an alert, at least 1.
	Count int
	// WithinMs is the length of the window; 0 for a rule that alerts on every event.
	WithinMs int64
	// RealertMs is how long an alert holds back others of its key.
	RealertMs int64
	// LatenessMs is how much longer than WithinMs an event waits for others.
	LatenessMs int64
}

func (r Rule) waitMs() int64 { return r.WithinMs + r.LatenessMs }

// Match is one event that a rule's condition accepted, as the log holds it.
type Match struct {
	// Key names rule and group; events of one key are counted together.
	Key string
	// Series names events that wait equally long: those of one rule, as long as
	// its window and its lateness stay as they are.
	Series string
	// Rule is the rule as it was when it matched. The windows that this match
	// completes are counted by it.
	Rule Rule
	// EventID is the identity of the event.
	EventID string
	// TimeMs is the event's time.
	TimeMs int64
	// Offset of the match in its partition.
	Offset int64
	// LogTimeMs is the time at which the log took the match.
	LogTimeMs int64
}

// Raised is an alert.
type Raised struct {
	// ID follows from the key and the first event.
	ID ID
	// EventIDs are the events that were counted, in the order of their time.
	EventIDs []string
	// FirstMs and LastMs are the times of the first and the last of them.
	FirstMs, LastMs int64
	// Cover is the stretch of event time that belongs to the alert.
	Cover Cover
}

// Cover is a stretch of event time, both ends exclusive.
type Cover struct {
	FromMs, ToMs int64
}

func (c Cover) holds(ms int64) bool { return c.FromMs < ms && ms < c.ToMs }

func coverOf(r Rule, firstMs, lastMs int64) Cover {
	return Cover{
		FromMs: min(lastMs-r.WithinMs, firstMs-r.RealertMs),
		ToMs:   max(firstMs+r.WithinMs, lastMs+r.RealertMs),
	}
}

// Outcome says what became of a match.
type Outcome int

// Outcomes of [State.Step].
const (
	// Waiting: the event is counted and waits for others.
	Waiting Outcome = iota
	// Alerted: the event completed a window.
	Alerted
	// Covered: the event belongs to an alert that was raised before.
	Covered
	// Repeated: the event was given before.
	Repeated
)

// Position is a place in the partition from which a State can be made again.
type Position struct {
	// Offset of the first match to read.
	Offset int64
	// ClockMs is the log's clock before that match.
	ClockMs int64
}

// Dropped counts what the limits made a State forget.
type Dropped struct {
	// Events that waited and were dropped uncounted.
	Events int64
	// Alerts that are not remembered any more.
	Alerts int64
}

// State is the windows of one partition.
type State struct {
	limits  Limits
	keys    map[string]*keyState
	series  map[string]*queue
	history history
	// next is the position after the last match; clock is part of it.
	next    Position
	dropped Dropped
}

// New returns an empty State that expects the match at start.
func New(limits Limits, start Position) *State {
	return &State{
		limits: limits.withDefaults(),
		keys:   map[string]*keyState{},
		series: map[string]*queue{},
		history: history{
			ids: map[ID]struct{}{},
		},
		next: start,
	}
}

// Know tells the State of an alert that was raised before. It is called before
// the first Step, with the alerts in the order in which they were raised.
func (s *State) Know(id ID, key string, cover Cover) {
	s.remember(id, key, cover)
}

// Step takes the next match. The alert is meaningful with [Alerted] only.
func (s *State) Step(m Match) (Raised, Outcome) {
	before := s.next.ClockMs
	s.next = Position{Offset: m.Offset + 1, ClockMs: max(before, m.LogTimeMs)}
	if q := s.series[m.Series]; q != nil {
		s.expire(q)
	}
	if k := s.keys[m.Key]; k != nil && k.mixed {
		s.expireAll()
	}
	k := s.keys[m.Key]
	if k != nil && k.covered(m.TimeMs) {
		return Raised{}, Covered
	}
	if k != nil && k.waits(m.EventID) {
		return Raised{}, Repeated
	}
	if m.Rule.Count <= 1 {
		id := NewID(m.Key, m.EventID)
		if s.history.has(id) {
			return Raised{}, Repeated
		}
		return s.raise(m, id, []string{m.EventID}, m.TimeMs, m.TimeMs), Alerted
	}
	return s.count(m, k, before)
}

// count adds an event that is not covered to those that wait.
func (s *State) count(m Match, k *keyState, clockBefore int64) (Raised, Outcome) {
	if k == nil {
		k = newKeyState(m.Key)
		s.keys[m.Key] = k
	}
	e := &entry{
		key: k, id: m.EventID, timeMs: m.TimeMs,
		at:        Position{Offset: m.Offset, ClockMs: clockBefore},
		expiresMs: s.next.ClockMs + m.Rule.waitMs(),
		series:    m.Series,
	}
	at := k.insert(e)
	first, found := k.window(at, m.Rule)
	if !found {
		s.wait(e)
		return Raised{}, Waiting
	}
	counted := k.waiting[first : first+m.Rule.Count]
	ids := make([]string, 0, len(counted))
	for _, c := range counted {
		ids = append(ids, c.id)
	}
	firstMs, lastMs := counted[0].timeMs, counted[len(counted)-1].timeMs
	id := NewID(m.Key, ids[0])
	known := s.history.has(id)
	r := s.raise(m, id, ids, firstMs, lastMs)
	if known {
		return Raised{}, Repeated
	}
	return r, Alerted
}

// raise remembers the alert and forgets the events that it covers.
func (s *State) raise(m Match, id ID, ids []string, firstMs, lastMs int64) Raised {
	cover := coverOf(m.Rule, firstMs, lastMs)
	if k := s.keys[m.Key]; k != nil {
		for _, e := range k.take(cover) {
			s.unlink(e)
		}
	}
	s.remember(id, m.Key, cover)
	return Raised{ID: id, EventIDs: ids, FirstMs: firstMs, LastMs: lastMs, Cover: cover}
}

// Position returns what may be committed: no match before it is needed any more.
func (s *State) Position() Position {
	s.expireAll()
	at := s.next
	for _, q := range s.series {
		if q.head != nil && q.head.at.Offset < at.Offset {
			at = q.head.at
		}
	}
	return at
}

// Waiting is the number of events that wait for others.
func (s *State) Waiting() int {
	n := 0
	for _, q := range s.series {
		n += q.length
	}
	return n
}

// Remembered is the number of alerts whose ids are known.
func (s *State) Remembered() int { return len(s.history.ids) }

// Dropped counts what the limits made the State forget so far.
func (s *State) Dropped() Dropped { return s.dropped }

// expire forgets the events of a series whose waiting time is over.
func (s *State) expire(q *queue) {
	for q.head != nil && q.head.expiresMs < s.next.ClockMs {
		s.forget(q.head)
	}
}

func (s *State) expireAll() {
	for _, q := range s.series {
		s.expire(q)
	}
}

// wait puts the event at the end of its series, over the oldest if need be.
func (s *State) wait(e *entry) {
	q := s.series[e.series]
	if q == nil {
		q = &queue{}
		s.series[e.series] = q
	}
	q.push(e)
	if q.length > s.limits.EventsMax {
		s.forget(q.head)
		s.dropped.Events++
	}
}

// forget removes a waiting event from its key and its series.
func (s *State) forget(e *entry) {
	e.key.remove(e)
	s.unlink(e)
	s.dropKey(e.key)
}

// unlink removes the event from its series; one that never waited is in none.
func (s *State) unlink(e *entry) {
	q := s.series[e.series]
	if !e.queued {
		return
	}
	q.remove(e)
	if q.length == 0 {
		delete(s.series, e.series)
	}
}

func (s *State) dropKey(k *keyState) {
	if len(k.waiting) == 0 && len(k.covers) == 0 {
		delete(s.keys, k.name)
	}
}

func (s *State) remember(id ID, key string, cover Cover) {
	if s.history.has(id) {
		return
	}
	stored := remembered{id: id}
	if cover.ToMs-cover.FromMs > 1 {
		k := s.keys[key]
		if k == nil {
			k = newKeyState(key)
			s.keys[key] = k
		}
		k.addCover(cover)
		stored.key, stored.cover = k, cover
	}
	s.history.push(stored)
	for s.history.length() > s.limits.AlertsMax {
		old := s.history.pop()
		s.dropped.Alerts++
		if old.key != nil {
			old.key.removeCover(old.cover)
			s.dropKey(old.key)
		}
	}
}

// compareEntries orders events by time, and by id where times are equal, so
// that the first of a window does not depend on the order of arrival.
func compareEntries(a, b *entry) int {
	switch {
	case a.timeMs < b.timeMs:
		return -1
	case a.timeMs > b.timeMs:
		return 1
	}
	return strings.Compare(a.id, b.id)
}

// find returns where e is, or where it belongs.
func find(list []*entry, e *entry) (int, bool) {
	return slices.BinarySearchFunc(list, e, compareEntries)
}

// String names the outcome as metrics do.
func (o Outcome) String() string {
	switch o {
	case Waiting:
		return "waiting"
	case Alerted:
		return "alerted"
	case Covered:
		return "covered"
	case Repeated:
		return "repeated"
	}
	return "unknown"
}
