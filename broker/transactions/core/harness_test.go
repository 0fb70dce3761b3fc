package core

import (
	"fmt"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
)

// bench drives a shard as its runtime does: records are appended at once, and
// kept so that another shard can be made of them.
type bench struct {
	t       *testing.T
	cfg     Config
	s       *Shard
	log     []Record
	nowMs   int64
	token   Token
	nextID  int64
	results map[Token]Result
	endings []Ending
	events  []Event
	refuse  bool // refuse appends
}

func newBench(t *testing.T) *bench {
	b := &bench{t: t, cfg: DefaultConfig(), nowMs: 1_000_000, nextID: 1000, results: map[Token]Result{}}
	b.s = New(b.cfg)
	b.s.Loaded(b.nowMs)
	return b
}

func (b *bench) newProducerID() (int64, error) {
	b.nextID++
	return b.nextID, nil
}

// run takes an output as the runtime does.
func (b *bench) run(out Output) {
	b.t.Helper()
	for {
		b.events = append(b.events, out.Events...)
		var next Output
		failed := b.refuse && len(out.Records) > 0
		if len(out.Records) > 0 && !failed {
			b.log = append(b.log, out.Records...)
			next = b.s.Appended(out.Records)
		}
		for _, r := range out.Replies {
			if _, twice := b.results[r.Token]; twice {
				b.t.Fatalf("token %d is answered twice", r.Token)
			}
			if failed {
				r.Result = r.Result.WithError(kerr.CoordinatorNotAvailable.Code)
			}
			b.results[r.Token] = r.Result
		}
		if failed {
			return
		}
		b.endings = append(b.endings, out.Endings...)
		if len(next.Records) == 0 && len(next.Replies) == 0 {
			return
		}
		out = next
	}
}

// step returns the result of a request; ok is false while it waits.
func (b *bench) step(req Request) (r Result, ok bool) {
	b.t.Helper()
	b.token++
	token := b.token
	b.run(b.s.Step(Input{NowMs: b.nowMs, Token: token, Request: req, NewProducerID: b.newProducerID}))
	r, ok = b.results[token]
	return r, ok
}

// do is step for a request that is answered at once.
func (b *bench) do(req Request) Result {
	b.t.Helper()
	r, ok := b.step(req)
	if !ok {
		b.t.Fatalf("%T is not answered", req)
	}
	return r
}

// want is do that expects an error code, nil for none.
func (b *bench) want(code *kerr.Error, req Request) Result {
	b.t.Helper()
	r := b.do(req)
	if (code == nil) != (r.Code == 0) || code != nil && r.Code != code.Code {
		b.t.Fatalf("%T %+v: %v, want %v", req, req, kerr.ErrorForCode(r.Code), code)
	}
	return r
}

func (b *bench) tick(ms int64) {
	b.t.Helper()
	b.nowMs += ms
	b.run(b.s.Tick(b.nowMs))
}

// completeAll writes the markers of all decided transactions.
func (b *bench) completeAll() {
	b.t.Helper()
	for len(b.endings) > 0 {
		e := b.endings[0]
		b.endings = b.endings[1:]
		b.want(nil, &MarkersWritten{ID: e.ID, ProducerID: e.ProducerID, Epoch: e.Epoch})
	}
}

// state is what the shard knows of an id, in a few words.
func (b *bench) state(id string) string {
	b.t.Helper()
	r := b.do(&Describe{ID: id})
	if r.Code != 0 {
		return kerr.TypedErrorForCode(r.Code).Message
	}
	d := r.Transactions[0]
	return fmt.Sprintf("%s %d/%d %v", d.State, d.ProducerID, d.Epoch, d.Partitions)
}

func (b *bench) wantState(id, want string) {
	b.t.Helper()
	if got := b.state(id); got != want {
		b.t.Fatalf("%s is %q, want %q", id, got, want)
	}
}

// reload makes the shard anew from its log, as after kill -9.
func (b *bench) reload() {
	b.t.Helper()
	for _, r := range b.s.Drop(kerr.NotCoordinator.Code) {
		b.results[r.Token] = r.Result
	}
	b.s = New(b.cfg)
	for _, r := range b.log {
		if err := b.s.Replay(r.Key, r.Value); err != nil {
			b.t.Fatal(err)
		}
	}
	b.endings = nil
	b.run(b.s.Loaded(b.nowMs))
}

func initProducer(id string) *InitProducerID {
	return &InitProducerID{ID: id, TimeoutMs: 60_000, ProducerID: -1, Epoch: -1}
}

func partition(topic string, p int32) Partition { return Partition{topic, p} }
