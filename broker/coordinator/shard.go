package coordinator

import (
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/millrace/millrace/broker/batch"
)

// Machine is the state of one partition, and what is done with it.
type Machine[Op any] interface {
	// Reset begins a life: the state is empty until the log has been replayed.
	Reset()
	// Replay applies one record of the log.
	Replay(b *batch.Batch, r batch.Record) error
	// Loaded ends the replay. It may append.
	Loaded()
	// Handle does one operation.
	Handle(o Op)
	// Flush follows the operations that were there together: what was gathered is appended.
	Flush()
	// Tick does what is due.
	Tick()
	// NextDeadlineMs is when Tick has something to do; math.MaxInt64 is never.
	NextDeadlineMs() int64
	// Refuse answers an operation that was not handled.
	Refuse(o Op, code int16)
	// Drop answers all that waits with code; the state is not used again. It may
	// come before the first Reset.
	Drop(code int16)
	// Counts are what the gauge of the metrics shows, by its label.
	Counts() map[string]int
}

// Options are what the shards of one coordinator have in common.
type Options struct {
	// Kind is what the records are of, in errors and in the log: "group".
	Kind    string
	Topic   string
	Logger  *slog.Logger
	Clock   *Clock
	Metrics *Metrics
}

// Shard runs the machine of one partition. One goroutine (run) owns the machine
// and what is said to be its own; the rest is guarded by mu.
type Shard[Op any] struct {
	// Log and Logger are the partition's.
	Log    Log
	Logger *slog.Logger

	options    Options
	machine    Machine[Op]
	wake       chan struct{} // capacity 1: there is something in the queue, or stopping
	ended      chan struct{} // closed by run
	loadedOnce chan struct{} // closed by run after the first load

	mu       sync.Mutex
	queue    []queued[Op]
	waiting  int // operations of clients in queue
	status   status
	stopping bool
	failure  failure

	// durable is the last offset that is known to be flushed.
	durable atomic.Int64

	// The rest belongs to run.

	// appended is the last offset that was appended, -1 before the first.
	appended int64
	// life counts the loads: what was under way before one is not this life's.
	life        int
	countedAtMs int64
	counted     map[string]int
}

// queued is an operation; life is 0, or the only one that it means something to.
type queued[Op any] struct {
	op   Op
	life int
}

// failure is why what was appended in a life never became durable.
type failure struct {
	life int
	err  error
}

type status int

const (
	loading status = iota
	active
	failed
)

// NewShard returns a shard that waits to be started by [Shards.Load].
func NewShard[Op any](o Options, partition int32, log Log, m Machine[Op]) *Shard[Op] {
	sh := &Shard[Op]{
		Log: log, Logger: o.Logger.With("topic", o.Topic, "partition", partition),
		options: o, machine: m,
		wake:       make(chan struct{}, 1),
		ended:      make(chan struct{}),
		loadedOnce: make(chan struct{}),
		appended:   -1,
	}
	sh.durable.Store(-1)
	return sh
}

// run is the shard's goroutine: load, then serve until stopped or failed, and again.
func (sh *Shard[Op]) run() {
	defer close(sh.ended)
	defer sh.setCounts(nil)
	for first := true; ; first = false {
		sh.setStatus(loading)
		err := sh.load()
		if err == nil {
			sh.setStatus(active)
		}
		if first {
			close(sh.loadedOnce) // after the status: who waited for it is served
		}
		if err == nil {
			err = sh.serve()
		}
		if err == nil || errors.Is(err, errStopped) {
			sh.answerAll(kerr.NotCoordinator.Code)
			return
		}
		sh.setStatus(failed)
		sh.answerAll(kerr.CoordinatorNotAvailable.Code)
		sh.Logger.Error("coordinator has no use of its partition and will load it again", "coordinator", sh.options.Kind, "error", err)
		if !sh.backOff() {
			sh.answerAll(kerr.NotCoordinator.Code)
			return
		}
	}
}

// backOff waits before the next load; false when the shard was stopped, also
// before: serve may have failed with the signal of that in its hands.
func (sh *Shard[Op]) backOff() bool {
	timer := time.NewTimer(ReloadBackoff)
	defer timer.Stop()
	for !sh.isStopping() {
		select {
		case <-timer.C:
			return true
		case <-sh.wake:
		}
	}
	return false
}

// serve handles operations and timers until the shard is stopped (nil) or its
// records cannot become durable.
func (sh *Shard[Op]) serve() error {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		ops, stopping, lost := sh.take()
		if lost.err != nil && lost.life == sh.life {
			sh.refuse(ops, kerr.NotCoordinator.Code)
			return lost.err
		}
		for _, q := range ops {
			if q.life == 0 || q.life == sh.life {
				sh.machine.Handle(q.op)
			}
		}
		sh.machine.Flush()
		if stopping {
			return nil
		}
		sh.machine.Tick()
		sh.count()
		sh.sleep(timer)
	}
}

// sleep waits for an operation or the next deadline.
func (sh *Shard[Op]) sleep(timer *time.Timer) {
	waitMs := min(sh.machine.NextDeadlineMs()-sh.options.Clock.NowMs(), sleepMaxMs)
	timer.Reset(time.Duration(max(waitMs, 0)) * time.Millisecond)
	select {
	case <-sh.wake:
	case <-timer.C:
	}
}

// refuse answers operations that will not be handled.
func (sh *Shard[Op]) refuse(ops []queued[Op], code int16) {
	for _, q := range ops {
		sh.machine.Refuse(q.op, code)
	}
}

// answerAll answers everything that is queued or waits, and drops the state.
func (sh *Shard[Op]) answerAll(code int16) {
	ops, _, _ := sh.take()
	sh.refuse(ops, code)
	sh.machine.Drop(code)
}
