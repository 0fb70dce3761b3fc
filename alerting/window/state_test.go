package window

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// model decides by the rules of the package comment in the plainest way:
// nothing is indexed and every window is tried.
type model struct {
	alerts  []modelAlert
	waiting []modelEvent
	clock   int64
}

type modelAlert struct {
	key   string
	id    ID
	cover Cover
}

type modelEvent struct {
	Match
	expires int64
}

func (m *model) step(e Match) {
	m.clock = max(m.clock, e.LogTimeMs)
	m.waiting = slices.DeleteFunc(m.waiting, func(w modelEvent) bool { return w.expires < m.clock })
	for _, a := range m.alerts {
		if a.key == e.Key && a.cover.FromMs < e.TimeMs && e.TimeMs < a.cover.ToMs {
			return
		}
		if a.key == e.Key && e.Rule.Count <= 1 && a.id == NewID(e.Key, e.EventID) {
			return
		}
	}
	for _, w := range m.waiting {
		if w.Key == e.Key && w.EventID == e.EventID {
			return
		}
	}
	m.waiting = append(m.waiting, modelEvent{Match: e, expires: m.clock + e.Rule.WithinMs + e.Rule.LatenessMs})
	var same []modelEvent
	for _, w := range m.waiting {
		if w.Key == e.Key {
			same = append(same, w)
		}
	}
	slices.SortFunc(same, func(a, b modelEvent) int {
		if a.TimeMs != b.TimeMs {
			return int(a.TimeMs - b.TimeMs)
		}
		return strings.Compare(a.EventID, b.EventID)
	})
	n := max(e.Rule.Count, 1)
	for i := 0; i+n <= len(same); i++ {
		first, last := same[i], same[i+n-1]
		holds := slices.ContainsFunc(same[i:i+n], func(w modelEvent) bool { return w.EventID == e.EventID })
		if !holds || (n > 1 && last.TimeMs-first.TimeMs >= e.Rule.WithinMs) {
			continue
		}
		a := modelAlert{key: e.Key, id: NewID(e.Key, first.EventID), cover: Cover{
			FromMs: min(last.TimeMs-e.Rule.WithinMs, first.TimeMs-e.Rule.RealertMs),
			ToMs:   max(first.TimeMs+e.Rule.WithinMs, last.TimeMs+e.Rule.RealertMs),
		}}
		m.alerts = append(m.alerts, a)
		m.waiting = slices.DeleteFunc(m.waiting, func(w modelEvent) bool {
			return w.Key == e.Key && (n == 1 && w.EventID == e.EventID || a.cover.FromMs < w.TimeMs && w.TimeMs < a.cover.ToMs)
		})
		return
	}
}

func (m *model) ids() map[ID]bool {
	ids := map[ID]bool{}
	for _, a := range m.alerts {
		ids[a.id] = true
	}
	return ids
}

// run gives the whole log to one State and returns what it raised, in order.
func run(t *testing.T, s *State, log []Match) []Raised {
	t.Helper()
	var raised []Raised
	for _, m := range log {
		if r, outcome := s.Step(m); outcome == Alerted {
			raised = append(raised, r)
		}
		checkInvariants(t, s)
	}
	return raised
}

func idsOf(raised []Raised) map[ID]bool {
	ids := map[ID]bool{}
	for _, r := range raised {
		ids[r.ID] = true
	}
	return ids
}

// checkInvariants looks at every list of the State.
func checkInvariants(t *testing.T, s *State) {
	t.Helper()
	queued := 0
	for name, q := range s.series {
		n := 0
		for e := q.head; e != nil; e = e.next {
			if _, ok := find(e.key.waiting, e); !ok || !e.queued || e.series != name {
				t.Fatalf("event %s waits in the series %q but not in its key", e.id, name)
			}
			if e.next != nil && (e.next.at.Offset <= e.at.Offset || e.next.expiresMs < e.expiresMs) {
				t.Fatalf("series %q is out of order at offset %d", name, e.at.Offset)
			}
			n++
		}
		if n != q.length || n == 0 {
			t.Fatalf("series %q holds %d events and says %d", name, n, q.length)
		}
		queued += n
	}
	waiting := 0
	for name, k := range s.keys {
		if len(k.waiting) != len(k.ids) || (len(k.waiting) == 0 && len(k.covers) == 0) {
			t.Fatalf("key %q: %d waiting, %d ids, %d covers", name, len(k.waiting), len(k.ids), len(k.covers))
		}
		if !slices.IsSortedFunc(k.waiting, compareEntries) || !slices.IsSortedFunc(k.covers, compareCovers) {
			t.Fatalf("key %q is not in order", name)
		}
		waiting += len(k.waiting)
	}
	if waiting != queued {
		t.Fatalf("%d events wait in keys, %d in series", waiting, queued)
	}
	if s.history.length() != len(s.history.ids) {
		t.Fatalf("%d alerts remembered, %d ids", s.history.length(), len(s.history.ids))
	}
}

// randomLog makes a log of several rules and keys with disorder, repeats and
// an uneven clock.
func randomLog(rnd *rand.Rand, length int) []Match {
	rules := []Rule{
		{Count: 1},
		{Count: 1, RealertMs: 30},
		{Count: 3, WithinMs: 20, LatenessMs: 40},
		{Count: 5, WithinMs: 60, RealertMs: 100, LatenessMs: 10},
		{Count: 2, WithinMs: 10, RealertMs: 5, LatenessMs: 1000},
	}
	log := make([]Match, 0, length)
	clock, eventTime := int64(1000), int64(0)
	for i := range length {
		clock += rnd.Int64N(12) - 2
		eventTime += rnd.Int64N(6)
		if rnd.IntN(8) == 0 && len(log) > 0 {
			m := log[rnd.IntN(len(log))] // a repeat
			m.Offset, m.LogTimeMs = int64(i), clock
			log = append(log, m)
			continue
		}
		r := rnd.IntN(len(rules))
		rule := rules[r]
		if rnd.IntN(20) == 0 {
			rule.Count++ // the rule was edited
		}
		log = append(log, Match{
			Key:    fmt.Sprintf("r%d/%d", r, rnd.IntN(2)),
			Series: fmt.Sprintf("r%d", r), Rule: rule,
			EventID: fmt.Sprintf("e%d", i),
			TimeMs:  eventTime + rnd.Int64N(30) - 15,
			Offset:  int64(i), LogTimeMs: clock,
		})
	}
	return log
}

func TestStateAgreesWithModel(t *testing.T) {
	for seed := range uint64(400) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		log := randomLog(rnd, 150)
		var m model
		for _, e := range log {
			m.step(e)
		}
		got := idsOf(run(t, New(Limits{}, Position{}), log))
		if !maps.Equal(got, m.ids()) {
			t.Fatalf("seed %d: the State raised %d alerts, the model %d, or others", seed, len(got), len(m.ids()))
		}
		if len(got) < 5 {
			t.Fatalf("seed %d: only %d alerts: this log tests nothing", seed, len(got))
		}
	}
}

// TestCrashAtEveryPoint ends a State after each match, with and without the last
// alert having reached its topic, and goes on with a new one from the position
// that was committed, as of now or as of some matches ago.
func TestCrashAtEveryPoint(t *testing.T) {
	for seed := range uint64(40) {
		rnd := rand.New(rand.NewPCG(seed, 2))
		log := randomLog(rnd, 100)
		want := run(t, New(Limits{}, Position{}), log)
		for crash := range len(log) {
			for _, lastReached := range []bool{true, false} {
				got := runWithCrash(t, log, crash, rnd.IntN(5), lastReached)
				if len(got) != len(want) || !maps.Equal(idsOf(got), idsOf(want)) {
					t.Fatalf("seed %d: killed after match %d (alert reached its topic: %v): %d alerts instead of %d, or others",
						seed, crash, lastReached, len(got), len(want))
				}
			}
		}
	}
}

func runWithCrash(t *testing.T, log []Match, crash, commitAge int, lastReached bool) []Raised {
	t.Helper()
	s := New(Limits{}, Position{})
	var topic []Raised
	keys := map[ID]string{}
	committed := Position{}
	for i, m := range log[:crash+1] {
		r, outcome := s.Step(m)
		if outcome == Alerted && (i < crash || lastReached) {
			topic = append(topic, r)
			keys[r.ID] = m.Key
		}
		if i < crash && i <= crash-commitAge {
			committed = s.Position()
		}
	}
	s = New(Limits{}, committed)
	for _, r := range topic {
		s.Know(r.ID, keys[r.ID], r.Cover)
	}
	return append(topic, run(t, s, log[committed.Offset:])...)
}

// TestOrderDoesNotMatter: events that lie together raise one alert however they come.
func TestOrderDoesNotMatter(t *testing.T) {
	rule := Rule{Count: 5, WithinMs: 60_000, LatenessMs: 600_000}
	for seed := range uint64(200) {
		rnd := rand.New(rand.NewPCG(seed, 3))
		var log []Match
		for burst := range 6 {
			for i := range 5 + rnd.IntN(20) {
				log = append(log, Match{
					Key: "k", Series: "s", Rule: rule, EventID: fmt.Sprintf("%d-%d", burst, i),
					TimeMs: int64(burst)*200_000 + rnd.Int64N(60_000),
				})
			}
		}
		rnd.Shuffle(len(log), func(i, j int) { log[i], log[j] = log[j], log[i] })
		for i := range log {
			log[i].Offset, log[i].LogTimeMs = int64(i), int64(i)
		}
		raised := run(t, New(Limits{}, Position{}), log)
		bursts := map[int64]int{}
		for _, r := range raised {
			bursts[r.FirstMs/200_000]++
		}
		if len(raised) != 6 || len(bursts) != 6 {
			t.Fatalf("seed %d: %d alerts for 6 bursts: %v", seed, len(raised), bursts)
		}
	}
}

func TestEdges(t *testing.T) {
	freq := Rule{Count: 3, WithinMs: 1000, LatenessMs: 5000}
	at := func(times ...int64) []Match {
		log := make([]Match, len(times))
		for i, ms := range times {
			log[i] = Match{Key: "k", Series: "s", Rule: freq, EventID: fmt.Sprint(ms), TimeMs: ms, Offset: int64(i), LogTimeMs: ms}
		}
		return log
	}
	for _, c := range []struct {
		name  string
		log   []Match
		first []int64
	}{
		{"nothing", nil, nil},
		{"two are too few", at(1, 2), nil},
		{"three", at(1, 2, 3), []int64{1}},
		{"just inside the window", at(0, 1, 999), []int64{0}},
		{"the window's end is outside", at(0, 1, 1000), nil},
		{"a sliding window", at(0, 600, 1200, 1500), []int64{600}},
		{"further events belong to the alert", at(0, 1, 2, 3, 4, 5, 6, 7), []int64{0}},
		{"the next window begins where the first ends", at(0, 1, 2, 1000, 1001, 1002), []int64{0, 1000}},
		{"backwards", at(9, 8, 7, 6, 5, 4, 3, 2), []int64{7}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var first []int64
			for _, r := range run(t, New(Limits{}, Position{}), c.log) {
				first = append(first, r.FirstMs)
			}
			if !slices.Equal(first, c.first) {
				t.Errorf("windows begin at %v, want %v", first, c.first)
			}
		})
	}
}

func TestRealertHoldsBack(t *testing.T) {
	rule := Rule{Count: 1, RealertMs: 100}
	var log []Match
	for i, ms := range []int64{1000, 1050, 1099, 1100, 950, 1250, 899} {
		log = append(log, Match{Key: "k", Series: "s", Rule: rule, EventID: fmt.Sprint(ms), TimeMs: ms, Offset: int64(i)})
	}
	var got []int64
	for _, r := range run(t, New(Limits{}, Position{}), log) {
		got = append(got, r.FirstMs)
	}
	if want := []int64{1000, 1100, 1250, 899}; !slices.Equal(got, want) {
		t.Errorf("alerts at %v, want %v", got, want)
	}
}

func TestLimitsDropTheOldest(t *testing.T) {
	rule := Rule{Count: 1000, WithinMs: 1 << 40}
	s := New(Limits{EventsMax: 10, AlertsMax: 3}, Position{})
	for i := range int64(25) {
		s.Step(Match{Key: fmt.Sprint(i % 4), Series: "s", Rule: rule, EventID: fmt.Sprint(i), TimeMs: i, Offset: i})
		checkInvariants(t, s)
	}
	if s.Waiting() != 10 || s.Dropped().Events != 15 || s.Position().Offset != 15 {
		t.Errorf("waiting %d, dropped %d, position %d", s.Waiting(), s.Dropped().Events, s.Position().Offset)
	}
	for i := range int64(10) {
		s.Step(Match{Key: "a", Series: "t", Rule: Rule{Count: 1, RealertMs: 5}, EventID: fmt.Sprint(i), TimeMs: i * 10, Offset: 25 + i})
		checkInvariants(t, s)
	}
	if s.Remembered() != 3 || s.Dropped().Alerts != 7 || len(s.keys["a"].covers) != 3 {
		t.Errorf("remembered %d, dropped %d", s.Remembered(), s.Dropped().Alerts)
	}
}

func TestExpiryReleasesPosition(t *testing.T) {
	rule := Rule{Count: 2, WithinMs: 100, LatenessMs: 50}
	s := New(Limits{}, Position{Offset: 7, ClockMs: 3})
	s.Step(Match{Key: "a", Series: "s", Rule: rule, EventID: "1", TimeMs: 1, Offset: 7, LogTimeMs: 1000})
	s.Step(Match{Key: "b", Series: "s", Rule: rule, EventID: "2", TimeMs: 1, Offset: 8, LogTimeMs: 1150})
	if got, want := s.Position(), (Position{Offset: 7, ClockMs: 3}); got != want {
		t.Errorf("position %+v, want %+v", got, want)
	}
	s.Step(Match{Key: "c", Series: "s", Rule: rule, EventID: "3", TimeMs: 1, Offset: 9, LogTimeMs: 1151})
	if got, want := s.Position(), (Position{Offset: 8, ClockMs: 1000}); got != want {
		t.Errorf("position %+v, want %+v", got, want)
	}
}

func TestIDText(t *testing.T) {
	id := NewID("k", "e")
	back, err := ParseID(id.String())
	if err != nil || back != id {
		t.Errorf("ParseID(%s) = %s, %v", id, back, err)
	}
	for _, bad := range []string{"", "zz", id.String()[:30], id.String() + "00"} {
		if _, err := ParseID(bad); err == nil {
			t.Errorf("ParseID(%q) gave no error", bad)
		}
	}
}

func BenchmarkStepManyKeys(b *testing.B) {
	s := New(Limits{}, Position{})
	rule := Rule{Count: 5, WithinMs: 60_000, LatenessMs: 600_000}
	keys := make([]string, 10_000)
	for i := range keys {
		keys[i] = fmt.Sprintf("pipeline/rule/host-%d", i)
	}
	i := int64(0)
	for b.Loop() {
		s.Step(Match{Key: keys[i%10_000], Series: "s", Rule: rule, EventID: fmt.Sprint(i), TimeMs: i, Offset: i, LogTimeMs: i})
		i++
	}
}
