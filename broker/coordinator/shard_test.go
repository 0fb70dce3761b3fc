package coordinator_test

import (
	"errors"
	"log/slog"
	"math"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/millrace/millrace/broker/batch"
	"github.com/millrace/millrace/broker/coordinator"
	"github.com/millrace/millrace/broker/coordinator/coordinatortest"
)

// list is a machine that keeps the keys of its records, and notes what became of operations.
type list struct {
	*coordinator.Shard[string]
	keys []string
	// then is called after an operation, on the shard's goroutine.
	then func()

	mu   sync.Mutex
	told []string
}

func (l *list) tell(what string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.told = append(l.told, what)
}

// take returns what was told since the last time.
func (l *list) take() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	told := l.told
	l.told = nil
	return told
}

func (l *list) Reset() { l.keys = nil }

func (l *list) Replay(_ *batch.Batch, r batch.Record) error {
	if string(r.Key) == "bad" {
		return errors.New("bad")
	}
	l.keys = append(l.keys, string(r.Key))
	return nil
}

func (l *list) Loaded() {
	for _, k := range l.keys {
		l.tell("loaded " + k)
	}
}

func (l *list) Handle(o string) {
	if err := l.Append([]batch.Record{{Key: []byte(o)}}); err != nil {
		l.AppendFailed(1, err)
		l.tell("refused " + o)
		return
	}
	l.WhenDurable(func(err error) {
		if err != nil {
			l.tell("lost " + o)
			return
		}
		l.tell("durable " + o)
	})
	if l.then != nil {
		l.then()
	}
}

func (l *list) Flush()                 {}
func (l *list) Tick()                  {}
func (l *list) NextDeadlineMs() int64  { return math.MaxInt64 }
func (l *list) Counts() map[string]int { return map[string]int{"key": len(l.keys)} }
func (l *list) Drop(int16)             { l.keys = nil }
func (l *list) Refuse(o string, code int16) {
	l.tell("refused " + o + " " + kerr.ErrorForCode(code).Error())
}

func newList(shards *coordinator.Shards[*list], log coordinator.Log) *list {
	l := &list{}
	l.Shard = coordinator.NewShard(coordinator.Options{
		Kind: "list", Topic: "t", Logger: slog.New(slog.DiscardHandler), Clock: coordinator.NewClock(nil),
		Metrics: coordinator.NewMetrics(nil, "test_", "t", prometheus.GaugeOpts{Name: "lists"}),
	}, 0, log, l)
	shards.SetPartitions(1)
	shards.Load(0, func() *list { return l })
	return l
}

func (l *list) want(t *testing.T, what ...string) {
	t.Helper()
	synctest.Wait()
	if got := l.take(); !slices.Equal(got, what) {
		t.Errorf("told %q, want %q", got, what)
	}
}

func TestALostFlushBeginsANewLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, shards := &coordinatortest.Log{}, &coordinator.Shards[*list]{}
		l := newList(shards, log)
		defer shards.Close()
		l.Control("a")
		l.want(t, "durable a")
		log.Set(func(log *coordinatortest.Log) { log.Hold = true })
		l.Control("b")
		l.want(t)
		lives := []int{l.Life()}                 // run sleeps
		log.Set(func(log *coordinatortest.Log) { // the records never reached the disk
			log.Batches, log.Ends, log.Hold = log.Batches[:1], log.Ends[:1], false
		})
		log.Release(errors.New("the disk is gone"))
		l.want(t, "lost b")
		if code, ok := l.Submit("c"); ok || code != kerr.CoordinatorNotAvailable.Code {
			t.Errorf("a shard that failed takes operations: %v %d", ok, code)
		}
		<-time.After(coordinator.ReloadBackoff) // on the clock of the bubble
		l.want(t, "loaded a")
		lives = append(lives, l.Life())
		l.After(lives[0], "of the old life")
		l.After(lives[1], "of the new life")
		l.want(t, "durable of the new life")
	})
}

// TestAShardWhoseDiskIsGoneEnds: the failure and the stop come at once, and the
// partition cannot be loaded any more.
func TestAShardWhoseDiskIsGoneEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, shards := &coordinatortest.Log{}, &coordinator.Shards[*list]{}
		l := newList(shards, log)
		l.Control("a")
		l.want(t, "durable a")
		log.Set(func(log *coordinatortest.Log) { log.Hold = true })
		l.Control("b")
		l.want(t)
		closed := make(chan struct{})
		l.then = func() {
			go func() {
				shards.Close()
				close(closed)
			}()
			synctest.Wait() // the shard is told to stop while it is at work
			log.Release(errors.New("the disk is gone"))
		}
		l.Control("c")
		<-closed
	})
}

func TestOperationsOfAClosedShardAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, shards := &coordinatortest.Log{}, &coordinator.Shards[*list]{}
		l := newList(shards, log)
		l.want(t)
		shards.Unload(0)
		if code, ok := l.Submit("a"); ok || code != kerr.NotCoordinator.Code {
			t.Errorf("an ended shard: %v %d", ok, code)
		}
		if _, code := shards.Of("id"); code != kerr.NotCoordinator.Code {
			t.Errorf("a partition that is not here: %d", code)
		}
		shards.Close()
		if _, code := shards.Of("id"); code != kerr.CoordinatorNotAvailable.Code {
			t.Errorf("a closed coordinator: %d", code)
		}
	})
}

func TestTheQueueOfAShardIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, shards := &coordinatortest.Log{}, &coordinator.Shards[*list]{}
		l := newList(shards, log)
		defer shards.Close()
		l.want(t)
		// The shard's goroutine is held inside an append, so that nothing is taken from the queue.
		log.Set(func(*coordinatortest.Log) {
			taken := 0
			for ; taken < 100_000; taken++ {
				if code, ok := l.Submit("x"); !ok {
					if code != kerr.CoordinatorLoadInProgress.Code {
						t.Errorf("a full queue answers %d", code)
					}
					break
				}
			}
			if taken < 1_000 || taken == 100_000 {
				t.Errorf("%d operations are queued", taken)
			}
		})
	})
}
