package transactions

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"go.uber.org/goleak"

	"github.com/millrace/millrace/broker/batch"
	"github.com/millrace/millrace/broker/coordinator"
	"github.com/millrace/millrace/broker/coordinator/coordinatortest"
	"github.com/millrace/millrace/broker/storage"
	"github.com/millrace/millrace/broker/transactions/core"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is what a coordinator writes to beside its own log. It outlives the coordinator.
type world struct {
	mu      sync.Mutex
	markers []string
	err     error // of the markers that are written now
	nextID  int64
}

func (w *world) writeMarker(p core.Partition, m storage.Marker, done func(error)) {
	w.mu.Lock()
	err := w.err
	if err == nil {
		w.markers = append(w.markers, fmt.Sprintf("%s-%d %d/%d commit=%v by %d v%d", p.Topic, p.Partition, m.ProducerID, m.ProducerEpoch, m.Commit, m.CoordinatorEpoch, m.TransactionVersion))
	}
	w.mu.Unlock()
	done(err)
}

func (w *world) newProducerID() (int64, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.nextID++
	return w.nextID, nil
}

func (w *world) written() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.markers)
}

func (w *world) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.err = err
}

type asker struct {
	t *testing.T
	c *Coordinator
}

// oneShard returns a coordinator with one loaded partition.
func oneShard(t *testing.T, log Log, w *world) asker {
	t.Helper()
	c := New(DefaultConfig(), Options{NewProducerID: w.newProducerID, WriteMarker: w.writeMarker})
	t.Cleanup(c.Close)
	c.SetPartitions(1)
	c.Load(0, log)
	if err := c.WaitLoaded(t.Context()); err != nil {
		t.Fatal(err)
	}
	return asker{t, c}
}

func (a asker) ask(id string, request core.Request) chan core.Result {
	answer := make(chan core.Result, 1)
	a.c.Do(id, request, func(r core.Result) { answer <- r })
	return answer
}

func (a asker) want(code *kerr.Error, id string, request core.Request) core.Result {
	a.t.Helper()
	r := <-a.ask(id, request)
	if (code == nil) != (r.Code == 0) || code != nil && r.Code != code.Code {
		a.t.Fatalf("%T %+v: %v, want %v", request, request, kerr.ErrorForCode(r.Code), code)
	}
	return r
}

func (a asker) state(id string) string {
	a.t.Helper()
	r := a.want(nil, id, &core.Describe{ID: id})
	d := r.Transactions[0]
	return fmt.Sprintf("%s %d/%d %v", d.State, d.ProducerID, d.Epoch, d.Partitions)
}

func initRequest(id string) *core.InitProducerID {
	return &core.InitProducerID{ID: id, TimeoutMs: 60_000, ProducerID: -1, Epoch: -1}
}

func addRequest(id string, producer core.Result, partitions ...int32) *core.AddPartitions {
	r := &core.AddPartitions{ID: id, ProducerID: producer.ProducerID, Epoch: producer.Epoch, Version: 2}
	for _, p := range partitions {
		r.Partitions = append(r.Partitions, core.Partition{Topic: "t", Partition: p})
	}
	return r
}

func endRequest(id string, producer core.Result, commit bool) *core.EndTransaction {
	return &core.EndTransaction{ID: id, ProducerID: producer.ProducerID, Epoch: producer.Epoch, Version: 2, Commit: commit}
}

func TestAnswersAndMarkersWaitForTheFlush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, w := &coordinatortest.Log{Epoch: 3}, &world{}
		a := oneShard(t, log, w)
		p := a.want(nil, "x", initRequest("x"))
		a.want(nil, "x", addRequest("x", p, 0, 1))
		log.Set(func(l *coordinatortest.Log) { l.Hold = true })
		end := a.ask("x", endRequest("x", p, true))
		describe := a.ask("x", &core.Describe{ID: "x"})
		synctest.Wait()
		if len(end)+len(describe) != 0 || len(w.written()) != 0 {
			t.Fatalf("told %d, %d and written %v before the decision is durable", len(end), len(describe), w.written())
		}
		log.Set(func(l *coordinatortest.Log) { l.Hold = false })
		log.Release(nil)
		synctest.Wait()
		if r := <-end; r.Code != 0 || r.Epoch != p.Epoch+1 {
			t.Errorf("end: %+v", r)
		}
		want := []string{"t-0 1/1 commit=true by 3 v2", "t-1 1/1 commit=true by 3 v2"}
		if got := w.written(); !slices.Equal(got, want) {
			t.Errorf("markers %v, want %v", got, want)
		}
		if got := a.state("x"); got != "CompleteCommit 1/1 []" {
			t.Errorf("in the end: %s", got)
		}
	})
}

func TestMarkersAreTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, w := &coordinatortest.Log{Epoch: 3}, &world{}
		a := oneShard(t, log, w)
		p := a.want(nil, "x", initRequest("x"))
		a.want(nil, "x", addRequest("x", p, 0))
		w.fail(storage.ErrNoSpace)
		next := a.want(nil, "x", endRequest("x", p, false))
		a.want(kerr.ConcurrentTransactions, "x", addRequest("x", next, 0)) // after its wait
		w.fail(nil)
		time.Sleep(markerBackoffMaxMs * time.Millisecond) //nolint:forbidigo // fake time
		synctest.Wait()
		if got := a.state("x"); got != "CompleteAbort 1/1 []" {
			t.Errorf("%s, markers %v", got, w.written())
		}
		if got := w.written(); len(got) != 1 {
			t.Errorf("markers %v", got)
		}
	})
}

// TestCompletionIsTriedAgain: a full disk refuses the record that completes the
// transaction, and it is written when there is room.
func TestCompletionIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, w := &coordinatortest.Log{Epoch: 3}, &world{}
		a := oneShard(t, log, w)
		p := a.want(nil, "x", initRequest("x"))
		a.want(nil, "x", addRequest("x", p, 0))
		w.fail(errors.New("not yet"))
		a.want(nil, "x", endRequest("x", p, true))
		log.Set(func(l *coordinatortest.Log) { l.AppendErr = storage.ErrNoSpace })
		a.want(kerr.CoordinatorNotAvailable, "y", initRequest("y"))
		w.fail(nil)
		time.Sleep(time.Second) //nolint:forbidigo // fake time
		synctest.Wait()
		if got := a.state("x"); got != "PrepareCommit 1/1 [{t 0}]" {
			t.Errorf("while the disk is full: %s", got)
		}
		log.Set(func(l *coordinatortest.Log) { l.AppendErr = nil })
		time.Sleep(2 * markerBackoffMaxMs * time.Millisecond) //nolint:forbidigo // fake time
		synctest.Wait()
		if got := a.state("x"); got != "CompleteCommit 1/1 []" {
			t.Errorf("in the end: %s", got)
		}
	})
}

// TestFailedFlushLoadsAgain: what was told nobody is forgotten.
func TestFailedFlushLoadsAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, w := &coordinatortest.Log{Epoch: 3}, &world{}
		a := oneShard(t, log, w)
		p := a.want(nil, "x", initRequest("x"))
		log.Set(func(l *coordinatortest.Log) { l.Hold = true })
		lost := a.ask("x", addRequest("x", p, 0))
		synctest.Wait()
		log.Set(func(l *coordinatortest.Log) { l.Batches, l.Ends = l.Batches[:1], l.Ends[:1]; l.Hold = false })
		log.Release(errors.New("the disk is gone"))
		if r := <-lost; r.Code != kerr.NotCoordinator.Code {
			t.Errorf("code %d for what was lost", r.Code)
		}
		synctest.Wait()
		a.want(kerr.CoordinatorNotAvailable, "x", &core.Describe{ID: "x"})
		time.Sleep(coordinator.ReloadBackoff) //nolint:forbidigo // fake time
		synctest.Wait()
		if got := a.state("x"); got != "Empty 1/0 []" {
			t.Errorf("after it was loaded again: %s", got)
		}
	})
}

func TestTimedOutTransactionIsAborted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, w := &coordinatortest.Log{Epoch: 3}, &world{}
		a := oneShard(t, log, w)
		p := a.want(nil, "x", initRequest("x"))
		a.want(nil, "x", addRequest("x", p, 2))
		time.Sleep(62 * time.Second) //nolint:forbidigo // fake time
		synctest.Wait()
		if got, want := w.written(), []string{"t-2 1/1 commit=false by 3 v2"}; !slices.Equal(got, want) {
			t.Errorf("markers %v, want %v", got, want)
		}
	})
}

func TestWhereNothingIsCoordinated(t *testing.T) {
	w := &world{}
	c := New(DefaultConfig(), Options{NewProducerID: w.newProducerID, WriteMarker: w.writeMarker})
	a := asker{t, c}
	a.want(kerr.CoordinatorNotAvailable, "x", initRequest("x"))
	c.SetPartitions(1)
	a.want(kerr.NotCoordinator, "x", initRequest("x"))
	log := &coordinatortest.Log{Hold: true, Epoch: 3}
	if _, err := log.Append(batchOf(t), storage.AppendOptions{}); err != nil {
		t.Fatal(err)
	}
	c.Load(0, log)
	a.want(kerr.CoordinatorLoadInProgress, "x", initRequest("x"))
	listed := make(chan core.Result, 1)
	c.List(nil, func(r core.Result) { listed <- r })
	if r := <-listed; r.Code != kerr.CoordinatorLoadInProgress.Code {
		t.Errorf("list while loading: %+v", r)
	}
	log.Set(func(l *coordinatortest.Log) { l.Hold = false })
	log.Release(nil)
	if err := c.WaitLoaded(t.Context()); err != nil {
		t.Fatal(err)
	}
	a.want(nil, "x", initRequest("x"))
	c.Unload(0)
	a.want(kerr.NotCoordinator, "x", initRequest("x"))
	c.Close()
	a.want(kerr.CoordinatorNotAvailable, "x", initRequest("x"))
}

// TestKilledAtEveryAppend runs transactions and then, for each record of the
// log, goes on as after a kill right behind it: what was decided by then is
// completed the same way, each marker of it is written, and nothing else is.
func TestKilledAtEveryAppend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, w := &coordinatortest.Log{Epoch: 3}, &world{}
		a := oneShard(t, log, w)
		for i, id := range []string{"a", "b"} {
			p := a.want(nil, id, initRequest(id))
			for round := range 3 {
				a.want(nil, id, addRequest(id, p, int32(i)))
				a.want(nil, id, addRequest(id, p, int32(i), 7))
				p = a.want(nil, id, endRequest(id, p, round != 1))
				synctest.Wait()
			}
			a.want(nil, id, addRequest(id, p, 9))
		}
		all := w.written()
		if len(all) != 12 {
			t.Fatalf("%d markers were written: %v", len(all), all)
		}
		decisions := 0
		for n := range log.Count() + 1 {
			again := &world{nextID: 100}
			b := oneShard(t, log.Clone(n), again)
			synctest.Wait()
			got := again.written()
			if len(got) > 0 {
				decisions++
				if at := slices.Index(all, got[0]); len(got) != 2 || at < 0 || !slices.Equal(all[at:at+2], got) {
					t.Errorf("after %d records the markers are %v", n, got)
				}
			}
			done := make(chan core.Result, 1)
			b.c.List(nil, func(r core.Result) { done <- r })
			for _, d := range (<-done).Transactions {
				if d.State == core.PrepareCommit || d.State == core.PrepareAbort {
					t.Errorf("after %d records %s is left in %s", n, d.ID, d.State)
				}
				if p := (core.Result{ProducerID: d.ProducerID, Epoch: d.Epoch}); d.State == core.Ongoing {
					b.want(nil, d.ID, endRequest(d.ID, p, true))
				}
			}
			b.c.Close()
		}
		if decisions != 6 {
			t.Errorf("markers came again after %d of 6 decisions", decisions)
		}
	})
}

// batchOf is a batch of one record that nobody knows.
func batchOf(t *testing.T) []byte {
	t.Helper()
	raw, err := batch.Build(batch.Options{}, []batch.Record{{Key: []byte{0, 9}, Value: []byte{1}}})
	if err != nil {
		t.Fatal(err)
	}
	return raw
}
