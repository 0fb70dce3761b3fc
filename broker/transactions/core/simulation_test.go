package core

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
)

// identity is a producer as the logs of partitions see it.
type identity struct {
	id         string
	producerID int64
	epoch      int16
}

// simulation runs producers, zombies among them, against a shard whose appends
// are refused and which dies at random.
type simulation struct {
	*bench
	random    *rand.Rand
	producers []identity
	// decisions by the identity of the markers.
	decisions map[identity]bool
	// told are commits that a client was told of.
	told map[identity]bool
	seen int // records that were looked at
}

// TestSimulation checks after each of many random steps: a transaction is decided
// once and never otherwise after that; under version 2 no two transactions have
// the same producer id and epoch; what a client was told survives every
// restart; markers come again and do no harm; every request is answered once.
func TestSimulation(t *testing.T) {
	seeds := uint64(300)
	if testing.Short() {
		seeds = 30
	}
	for seed := range seeds {
		s := &simulation{
			bench: newBench(t), random: rand.New(rand.NewPCG(seed, 1)),
			decisions: map[identity]bool{}, told: map[identity]bool{},
		}
		s.plant()
		for step := range 400 {
			s.step1()
			s.check(fmt.Sprintf("seed %d, step %d", seed, step))
			if t.Failed() {
				return
			}
		}
		s.finish(fmt.Sprintf("seed %d", seed))
	}
}

// plant puts an id into the log whose epochs are about to run out.
func (s *simulation) plant() {
	tx := newTransaction(1, 60_000)
	tx.epoch, tx.updatedMs = epochLast-5, s.nowMs
	s.log = append(s.log, recordAt(valueVersion, "x0", tx))
	s.reload()
	s.producers = append(s.producers, identity{"x0", 1, tx.epoch})
}

func (s *simulation) step1() {
	s.refuse = s.random.IntN(20) == 0
	defer func() { s.refuse = false }()
	if s.random.IntN(40) == 0 {
		s.reload()
		return
	}
	switch s.random.IntN(9) {
	case 0:
		s.init()
	case 1:
		s.tick(int64(s.random.IntN(20_000)))
	case 2, 3:
		s.markers()
	case 4, 5, 6:
		s.join()
	default:
		s.end()
	}
}

func (s *simulation) init() {
	req := initProducer(fmt.Sprintf("x%d", s.random.IntN(3)))
	if len(s.producers) > 0 && s.random.IntN(3) == 0 {
		p := s.anyone()
		req.ID, req.ProducerID, req.Epoch = p.id, p.producerID, p.epoch
	}
	if r := s.do(req); r.Code == 0 {
		s.producers = append(s.producers, identity{req.ID, r.ProducerID, r.Epoch})
	}
}

// anyone is most often the last one; otherwise one that was fenced, perhaps.
func (s *simulation) anyone() identity {
	if s.random.IntN(4) > 0 {
		return s.producers[len(s.producers)-1-s.random.IntN(min(3, len(s.producers)))]
	}
	return s.producers[s.random.IntN(len(s.producers))]
}

// version is that of the client behind an id: it stays.
func version(id string) int16 {
	if id == "x1" {
		return 0
	}
	return 2
}

func (s *simulation) join() {
	p := s.anyone()
	s.step(&AddPartitions{
		ID: p.id, ProducerID: p.producerID, Epoch: p.epoch, Version: version(p.id),
		Partitions: []Partition{partition("t", s.random.Int32N(4))},
	})
}

func (s *simulation) end() {
	p := s.anyone()
	req := &EndTransaction{ID: p.id, ProducerID: p.producerID, Epoch: p.epoch, Version: version(p.id), Commit: s.random.IntN(2) == 0}
	before := len(s.log)
	r := s.do(req)
	if r.Code != 0 {
		return
	}
	if len(s.log) > before && req.Commit {
		after := s.log[before].after
		s.told[identity{p.id, after.producerID, after.epoch}] = true
	}
	if r.ProducerID >= 0 {
		s.producers = append(s.producers, identity{p.id, r.ProducerID, r.Epoch})
	}
}

// markers of a decided transaction are written, perhaps not for the first time.
func (s *simulation) markers() {
	if len(s.endings) == 0 {
		return
	}
	at := s.random.IntN(len(s.endings))
	e := s.endings[at]
	r := s.do(&MarkersWritten{ID: e.ID, ProducerID: e.ProducerID, Epoch: e.Epoch})
	if r.Code == 0 && s.random.IntN(3) > 0 {
		s.endings = append(s.endings[:at:at], s.endings[at+1:]...)
	}
}

// check looks at the records that were appended since the last time.
func (s *simulation) check(when string) {
	s.t.Helper()
	for ; s.seen < len(s.log); s.seen++ {
		r := s.log[s.seen]
		if r.after == nil || !r.after.state.prepared() {
			continue
		}
		who := identity{r.id, r.after.producerID, r.after.epoch}
		commit := r.after.state == PrepareCommit
		if _, twice := s.decisions[who]; twice && version(r.id) == 2 {
			s.t.Fatalf("%s: %+v is decided twice", when, who)
		}
		s.decisions[who] = commit
	}
	for _, e := range s.endings {
		who := identity{e.ID, e.ProducerID, e.Epoch}
		if commit, decided := s.decisions[who]; !decided || version(e.ID) == 2 && commit != e.Commit {
			s.t.Fatalf("%s: markers for %+v, commit %v, but the log says %v, %v", when, who, e.Commit, decided, commit)
		}
	}
}

// finish lets everything end: what a client was told is what the log says, and
// no transaction is left undecided for ever.
func (s *simulation) finish(when string) {
	s.t.Helper()
	for range 3 {
		s.reload()
		s.completeAll()
		s.tick(s.cfg.WaitMs + 70_000)
		s.tick(s.cfg.TimeoutIntervalMs)
	}
	s.completeAll()
	for _, d := range s.do(&List{}).Transactions {
		if !d.State.idle() {
			s.t.Fatalf("%s: %+v is left", when, d)
		}
	}
	for who := range s.told {
		if !s.decisions[who] && version(who.id) == 2 {
			s.t.Fatalf("%s: %+v was told that it has committed", when, who)
		}
	}
	if n := int(s.token); len(s.results) != n {
		s.t.Fatalf("%s: %d of %d requests were answered", when, len(s.results), n)
	}
}

// FuzzReplay: no bytes of a log make a shard panic, then or later.
func FuzzReplay(f *testing.F) {
	tx := newTransaction(7, 60_000)
	tx.epoch = 3
	f.Add(recordAt(valueVersion, "x", tx).Key, recordAt(valueVersion, "x", tx).Value)
	ongoing := tx.extended([]Partition{partition("t", 0), partition("u", 1)}, 2, 5)
	f.Add(keyOf("x"), recordAt(valueVersion, "x", ongoing).Value)
	f.Add(keyOf("x"), recordAt(valueVersion, "x", ongoing.prepared(true, 2, 9, 6)).Value)
	f.Add(keyOf("x"), []byte(nil))
	f.Fuzz(func(t *testing.T, key, value []byte) {
		b := newBench(t)
		if err := b.s.Replay(key, value); err != nil {
			return
		}
		b.run(b.s.Loaded(b.nowMs))
		for id := range b.s.transactions {
			b.do(&Describe{ID: id})
			if r := b.do(&InitProducerID{ID: id, TimeoutMs: 1000, ProducerID: -1, Epoch: -1}); r.Code == kerr.UnknownServerError.Code {
				t.Errorf("%+v", r)
			}
			b.completeAll()
		}
		b.tick(1 << 40)
	})
}
