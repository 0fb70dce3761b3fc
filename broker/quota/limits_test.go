package quota

import (
	"math/rand/v2"
	"testing"
	"time"
)

func TestTheMostSpecificLimitCounts(t *testing.T) {
	anyName := DefaultName()
	// In the order of precedence: the first that is set counts.
	rows := []struct {
		entity  Entity
		account Account
	}{
		{Entity{User: Named("u"), ClientID: Named("c")}, Account{"u", "c"}},
		{Entity{User: Named("u"), ClientID: anyName}, Account{"u", "c"}},
		{Entity{User: Named("u")}, Account{"u", ""}},
		{Entity{User: anyName, ClientID: Named("c")}, Account{"u", "c"}},
		{Entity{User: anyName, ClientID: anyName}, Account{"u", "c"}},
		{Entity{User: anyName}, Account{"u", ""}},
		{Entity{ClientID: Named("c")}, Account{"", "c"}},
		{Entity{ClientID: anyName}, Account{"", "c"}},
	}
	for set := range 1 << len(rows) {
		l := new(Limits)
		want := -1
		for i, row := range rows {
			if set&(1<<i) != 0 {
				l = l.With(row.entity, ProducerByteRate, new(float64(i+1)))
				if want < 0 {
					want = i
				}
			}
		}
		limit, account, ok := l.Of(ProducerByteRate, "u", "c")
		if ok != (want >= 0) || ok && (limit != float64(want+1) || account != rows[want].account) {
			t.Fatalf("of the limits %08b the client has %v of %+v, want row %d", set, limit, account, want)
		}
		if _, _, ok := l.Of(ConsumerByteRate, "u", "c"); ok || l.Has(ConsumerByteRate) {
			t.Fatal("a limit of one kind is one of another")
		}
	}
}

func TestLimitsAreNotChanged(t *testing.T) {
	e := Entity{User: Named("u")}
	one := new(Limits).With(e, ProducerByteRate, new(1.0))
	two := one.With(e, ProducerByteRate, new(2.0)).With(e, ConsumerByteRate, new(3.0))
	none := two.With(e, ProducerByteRate, nil).With(e, ConsumerByteRate, nil)
	if one.Get(e)[ProducerByteRate] != 1 || len(two.Get(e)) != 2 || two.Get(e)[ProducerByteRate] != 2 {
		t.Errorf("%v, then %v", one.Get(e), two.Get(e))
	}
	if len(none.Entities()) != 0 || none.Has(ProducerByteRate) {
		t.Errorf("limits are left over: %v", none.Entities())
	}
}

func TestAddressesHaveADefault(t *testing.T) {
	l := new(Limits).With(Entity{IP: DefaultName()}, ConnectionCreationRate, new(5.0)).With(Entity{IP: Named("10.0.0.1")}, ConnectionCreationRate, new(1.0))
	for ip, want := range map[string]float64{"10.0.0.1": 1, "10.0.0.2": 5} {
		if got, ok := l.OfIP(ConnectionCreationRate, ip); !ok || got != want {
			t.Errorf("%s has the limit %v", ip, got)
		}
	}
}

// TestARateIsKept: whatever a client sends, if it waits as it is told, its rate over
// any long time is the limit.
func TestARateIsKept(t *testing.T) {
	const limit = 1000.0
	l := new(Limits).With(Entity{ClientID: DefaultName()}, ProducerByteRate, new(limit))
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 0))
		tracker := NewTracker(ProducerByteRate)
		now, sent := time.Duration(0), 0.0
		for now < 300*time.Second {
			size := 1 + r.Float64()*2000
			now += time.Duration(r.IntN(20)) * time.Millisecond
			sent += size
			now += tracker.Record(l, "u", "c", size, now)
		}
		if rate := sent / now.Seconds(); rate > 1.1*limit || rate < 0.9*limit {
			t.Errorf("seed %d: %.0f per second, want %.0f", seed, rate, limit)
		}
	}
}

// TestASlowClientIsLeftAlone also after a pause: what it did not use is not a burst
// beyond the windows.
func TestASlowClientIsLeftAlone(t *testing.T) {
	l := new(Limits).With(Entity{User: Named("u")}, ConsumerByteRate, new(100.0))
	tracker := NewTracker(ConsumerByteRate)
	for i := range 1000 {
		if wait := tracker.Record(l, "u", "c", 90, time.Duration(i)*time.Second); wait > 0 {
			t.Fatalf("throttled for %s after %d s", wait, i)
		}
	}
	later := 2000 * time.Second
	if wait := tracker.Record(l, "u", "c", 1000, later); wait > 0 {
		t.Errorf("what ten windows allow is throttled for %s", wait)
	}
	if wait := tracker.Record(l, "u", "c", 1000, later); wait < 5*time.Second {
		t.Errorf("twice of that is throttled for %s only", wait)
	}
}

func TestWhatIsTakenBackDoesNotCount(t *testing.T) {
	l := new(Limits).With(Entity{User: Named("u")}, ConsumerByteRate, new(100.0))
	tracker := NewTracker(ConsumerByteRate)
	for i := range 100 {
		if wait := tracker.TryRecord(l, "u", "c", 5000, 0); wait != 40*time.Second {
			t.Fatalf("attempt %d has to wait for %s", i, wait)
		}
	}
	if wait := tracker.Record(l, "u", "c", 900, 0); wait != 0 {
		t.Errorf("attempts that failed have used up %s", wait)
	}
}

func TestChangesArePaidFromABucket(t *testing.T) {
	l := new(Limits).With(Entity{User: Named("u")}, ControllerMutationRate, new(2.0))
	tracker := NewTracker(ControllerMutationRate)
	take := func(tokens float64, strict bool, now time.Duration) (time.Duration, bool) {
		return tracker.Take(l, "u", "c", tokens, strict, now)
	}
	// A full bucket holds 22 and may be overdrawn once.
	if wait, refused := take(30, true, 0); wait != 0 || refused {
		t.Errorf("the first change: %s, %v", wait, refused)
	}
	if wait, refused := take(1, true, 0); wait != 4*time.Second || !refused {
		t.Errorf("a change beyond the bucket: %s, %v", wait, refused)
	}
	if wait, refused := take(2, false, 0); wait != 5*time.Second || refused {
		t.Errorf("an older client: %s, %v", wait, refused)
	}
	if wait, refused := take(1, true, 5*time.Second); wait != 0 || refused {
		t.Errorf("after the wait: %s, %v", wait, refused)
	}
}

func TestWhatIsTrackedIsBounded(t *testing.T) {
	l := new(Limits).With(Entity{ClientID: DefaultName()}, ProducerByteRate, new(10.0))
	tracker := NewTracker(ProducerByteRate)
	name := func(i int) string { return string(rune('a'+i%26)) + time.Duration(i).String() }
	for i := range 2 * TrackedMax {
		tracker.Record(l, "u", name(i), 1, time.Duration(i)*time.Microsecond)
	}
	if got := tracker.Len(); got > TrackedMax+1 {
		t.Errorf("%d accounts", got)
	}
	tracker.Record(l, "u", "late", 1, time.Minute)
	if got := tracker.Len(); got != 1 {
		t.Errorf("%d accounts after all were idle for a minute", got)
	}
}

func TestConnectionsOfAnAddress(t *testing.T) {
	l := new(Limits).With(Entity{IP: Named("10.0.0.1")}, ConnectionCreationRate, new(2.0))
	tracker := NewTracker(ConnectionCreationRate)
	taken := 0
	for i := range 1000 {
		now := time.Duration(i) * 100 * time.Millisecond
		wait := tracker.RecordIP(l, "10.0.0.1", now)
		if wait == 0 {
			taken++
		}
		if wait > Window {
			t.Fatalf("an address has to wait for %s", wait)
		}
		if tracker.RecordIP(l, "10.0.0.2", now) > 0 {
			t.Fatal("an address without a limit has to wait")
		}
	}
	if taken < 190 || taken > 225 {
		t.Errorf("%d connections in 100 s, want about 200", taken)
	}
}
