package broker

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
)

// counting gives ids 1, 2, 3, ...
func counting() func() int32 {
	last := int32(0)
	return func() int32 {
		last++
		return last
	}
}

func sessionRequests(partitions ...int32) []sessionRequest {
	var out []sessionRequest
	for _, p := range partitions {
		out = append(out, sessionRequest{key: sessionKey{name: "t", partition: p}})
	}
	return out
}

func toldAll(n int, told fetchTold) []fetchTold { return slices.Repeat([]fetchTold{told}, n) }

func partitionsOf(all []sessionRequest) []int32 {
	var out []int32
	for _, r := range all {
		out = append(out, r.key.partition)
	}
	return out
}

func TestASessionTellsNews(t *testing.T) {
	now := time.Unix(1000, 0)
	c := newFetchSessions(10, 100, counting())
	quiet := fetchTold{highWatermark: 5, logStart: 1}
	id := c.open(false, sessionRequests(0, 1, 2), toldAll(3, quiet), now)
	epoch := int32(0)
	round := func(changed []sessionRequest, forgotten []sessionKey, wantAll []int32, told []fetchTold, wantNamed ...bool) {
		t.Helper()
		epoch = nextFetchEpoch(epoch)
		s, all, err := c.resume(id, epoch, false, changed, forgotten, now)
		if err != nil || !slices.Equal(partitionsOf(all), wantAll) {
			t.Fatalf("epoch %d: %v, %v", epoch, partitionsOf(all), err)
		}
		named, err := s.tell(nextFetchEpoch(epoch), all, told)
		if err != nil || !slices.Equal(named, wantNamed) {
			t.Fatalf("epoch %d: named %v, %v", epoch, named, err)
		}
	}
	round(nil, nil, []int32{0, 1, 2}, toldAll(3, quiet), false, false, false)
	// A new high watermark, a new start, an error; the error is told again, and then its end.
	failed := fetchTold{highWatermark: -1, logStart: -1, failed: true}
	round(nil, nil, []int32{0, 1, 2}, []fetchTold{{highWatermark: 6, logStart: 1}, {highWatermark: 5, logStart: 2}, failed}, true, true, true)
	round(nil, nil, []int32{0, 1, 2}, []fetchTold{{highWatermark: 6, logStart: 1}, {highWatermark: 5, logStart: 2}, failed}, false, false, true)
	round(nil, nil, []int32{0, 1, 2}, []fetchTold{{highWatermark: 6, logStart: 1}, {highWatermark: 5, logStart: 2}, quiet}, false, false, true)
	// Who had data goes to the end.
	round(nil, nil, []int32{0, 1, 2}, []fetchTold{{highWatermark: 6, logStart: 1, hasData: true}, {highWatermark: 5, logStart: 2}, quiet}, true, false, false)
	round(nil, nil, []int32{1, 2, 0}, []fetchTold{{highWatermark: 5, logStart: 2}, quiet, {highWatermark: 6, logStart: 1}}, false, false, false)
	// One comes, one goes, one diverges.
	round(sessionRequests(7), []sessionKey{{name: "t", partition: 1}, {name: "none"}}, []int32{2, 0, 7},
		[]fetchTold{quiet, {highWatermark: 6, logStart: 1, diverges: true}, quiet}, false, true, true)
	if sessions, parts := c.count(); sessions != 1 || parts != 3 {
		t.Fatalf("%d sessions with %d partitions", sessions, parts)
	}
	// Nothing is left: the session is over.
	s, all, err := c.resume(id, epoch+1, false, nil, []sessionKey{{name: "t", partition: 0}, {name: "t", partition: 2}, {name: "t", partition: 7}}, now)
	if s != nil || all != nil || err != nil {
		t.Fatalf("%v, %v, %v", s, all, err)
	}
	if sessions, parts := c.count(); sessions != 0 || parts != 0 {
		t.Fatalf("%d sessions with %d partitions", sessions, parts)
	}
}

func TestASessionIsOfOneRequestAfterTheOther(t *testing.T) {
	now := time.Unix(1000, 0)
	c := newFetchSessions(10, 100, counting())
	id := c.open(false, sessionRequests(0), toldAll(1, fetchTold{}), now)
	for _, step := range []struct {
		id, epoch int32
		byID      bool
		want      *kerr.Error
	}{
		{id + 1, 1, false, kerr.FetchSessionIDNotFound},
		{0, 1, false, kerr.FetchSessionIDNotFound},
		{id, 2, false, kerr.InvalidFetchSessionEpoch},
		{id, 1, true, kerr.FetchSessionTopicIDError},
		{id, 1, false, nil},
		{id, 1, false, kerr.InvalidFetchSessionEpoch},
	} {
		if _, _, err := c.resume(step.id, step.epoch, step.byID, nil, nil, now); err != step.want {
			t.Fatalf("%+v: %v", step, err)
		}
	}
	s, all, err := c.resume(id, 2, false, nil, nil, now)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.resume(id, 3, false, nil, nil, now); err != nil {
		t.Fatal(err)
	}
	if _, err := s.tell(3, all, toldAll(1, fetchTold{})); err != kerr.InvalidFetchSessionEpoch {
		t.Fatalf("the answer of a request that another has overtaken: %v", err)
	}
	c.close(id)
	if _, _, err := c.resume(id, 4, false, nil, nil, now); err != kerr.FetchSessionIDNotFound {
		t.Fatalf("a session that was closed: %v", err)
	}
}

func TestEpochsOfASessionHaveNoMeaningOfTheirOwn(t *testing.T) {
	for epoch, want := range map[int32]int32{-1: 1, 0: 1, 1: 2, 1<<31 - 2: 1<<31 - 1, 1<<31 - 1: 1} {
		if got := nextFetchEpoch(epoch); got != want {
			t.Errorf("after %d comes %d", epoch, got)
		}
	}
}

func TestRoomForSessions(t *testing.T) {
	start := time.Unix(1000, 0)
	open := func(c *fetchSessions, partitions int, at time.Time) int32 {
		requests := make([]sessionRequest, partitions)
		for i := range requests {
			requests[i].key = sessionKey{name: "t", partition: int32(i)}
		}
		return c.open(false, requests, make([]fetchTold, partitions), at)
	}
	use := func(c *fetchSessions, id, epoch int32, at time.Time) *kerr.Error {
		_, _, err := c.resume(id, epoch, false, nil, nil, at)
		return err
	}
	t.Run("young ones stay", func(t *testing.T) {
		c := newFetchSessions(2, 1000, counting())
		open(c, 1, start)
		open(c, 1, start)
		if id := open(c, 100, start.Add(fetchSessionEviction)); id != 0 {
			t.Fatal("one was evicted")
		}
	})
	t.Run("one that is not used goes", func(t *testing.T) {
		c := newFetchSessions(2, 1000, counting())
		idle, busy := open(c, 50, start), open(c, 1, start)
		later := start.Add(fetchSessionEviction + time.Second)
		if err := use(c, busy, 1, later); err != nil {
			t.Fatal(err)
		}
		if id := open(c, 1, later); id == 0 {
			t.Fatal("there was no room")
		}
		if use(c, idle, 1, later) == nil || use(c, busy, 2, later) != nil {
			t.Fatal("the wrong one went")
		}
	})
	t.Run("a smaller one of some age goes", func(t *testing.T) {
		c := newFetchSessions(2, 1000, counting())
		small, large := open(c, 3, start), open(c, 50, start)
		later := start.Add(fetchSessionEviction + time.Second)
		for _, id := range []int32{small, large} {
			if err := use(c, id, 1, later); err != nil {
				t.Fatal(err)
			}
		}
		if id := open(c, 2, later); id != 0 {
			t.Fatal("a larger one went")
		}
		if id := open(c, 3, later); id == 0 {
			t.Fatal("there was no room")
		}
		if use(c, small, 2, later) == nil || use(c, large, 2, later) != nil {
			t.Fatal("the wrong one went")
		}
	})
	t.Run("partitions are bounded", func(t *testing.T) {
		c := newFetchSessions(100, 10, counting())
		id := open(c, 6, start)
		if open(c, 5, start) != 0 {
			t.Fatal("more partitions than there is room for")
		}
		if _, _, err := c.resume(id, 1, false, sessionRequests(20, 21, 22, 23, 24), nil, start); err != kerr.FetchSessionIDNotFound {
			t.Fatalf("it has grown: %v", err)
		}
		if sessions, parts := c.count(); sessions != 0 || parts != 0 {
			t.Fatalf("%d sessions with %d partitions", sessions, parts)
		}
	})
}

// TestAClientOfASessionKnowsAll: whatever happens to partitions and which the client wants,
// what it was told is what it would be told of all.
func TestAClientOfASessionKnowsAll(t *testing.T) {
	for seed := range uint64(50) {
		random := rand.New(rand.NewPCG(seed, 1))
		now := time.Unix(1000, 0)
		c := newFetchSessions(10, 1000, counting())
		truth := make([]fetchTold, 8)
		known, wanted := map[int32]fetchTold{}, map[int32]bool{}
		var id, epoch int32
		for step := range 200 {
			for i := range truth {
				if random.IntN(4) == 0 {
					truth[i] = fetchTold{highWatermark: random.Int64N(3), logStart: random.Int64N(2), hasData: random.IntN(3) == 0}
				}
				if truth[i].hasData && random.IntN(2) == 0 {
					truth[i].hasData = false
				}
				if random.IntN(20) == 0 {
					truth[i] = fetchTold{highWatermark: -1, logStart: -1, failed: true}
				}
			}
			var changed []sessionRequest
			var forgotten []sessionKey
			for i := range int32(len(truth)) {
				switch random.IntN(10) {
				case 0:
					changed, wanted[i] = append(changed, sessionRequests(i)...), true
				case 1:
					if len(wanted) > 1 && wanted[i] {
						forgotten = append(forgotten, sessionKey{name: "t", partition: i})
						delete(wanted, i)
						delete(known, i)
					}
				}
			}
			if id == 0 && len(wanted) == 0 {
				continue
			}
			if id == 0 {
				changed = nil
				for i := range wanted {
					changed = append(changed, sessionRequests(i)...)
				}
				var told []fetchTold
				for _, r := range changed {
					told = append(told, truth[r.key.partition])
					known[r.key.partition] = truth[r.key.partition]
				}
				id, epoch = c.open(false, changed, told, now), 0
				continue
			}
			epoch = nextFetchEpoch(epoch)
			s, all, err := c.resume(id, epoch, false, changed, forgotten, now)
			if err != nil || len(all) != len(wanted) {
				t.Fatalf("seed %d step %d: %d of %d partitions, %v", seed, step, len(all), len(wanted), err)
			}
			var told []fetchTold
			for _, r := range all {
				told = append(told, truth[r.key.partition])
			}
			named, err := s.tell(nextFetchEpoch(epoch), all, told)
			if err != nil {
				t.Fatal(err)
			}
			for i, r := range all {
				if named[i] {
					known[r.key.partition] = told[i]
				} else if k := known[r.key.partition]; told[i].hasData || told[i].failed || k.highWatermark != told[i].highWatermark || k.logStart != told[i].logStart {
					t.Fatalf("seed %d step %d: partition %d is %+v, the client knows %+v", seed, step, r.key.partition, told[i], k)
				}
			}
		}
	}
}
