package transactions

import (
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/millrace/millrace/broker/statelog"
	"github.com/millrace/millrace/broker/transactions/core"
)

// op is one thing for a shard to do: a request, or something that happened.
type op struct {
	request core.Request
	reply   func(core.Result)
	// life is the life of the shard (see shard.life) that the rest is about.
	life int
	// endings are decided and durable.
	endings []core.Ending
	// written is a delivery of which every marker has been tried.
	written *delivery
	// incomplete has all its markers, but the record that says so was refused with code.
	incomplete *delivery
	code       int16
	// flushError is why records that were appended never became durable.
	flushError error
}

// shard runs the transactions of one partition. One goroutine (run) owns state,
// waiting and what is said to be its own; the rest is guarded by mu.
type shard struct {
	coordinator *Coordinator
	partition   int32
	log         Log
	logger      *slog.Logger
	wake        chan struct{} // capacity 1: there is something in the queue, or stopping
	ended       chan struct{} // closed by run
	loadedOnce  chan struct{} // closed by run after the first load

	mu       sync.Mutex
	queue    []op
	queued   int // requests in queue
	status   status
	stopping bool

	// durable is the last offset that is known to be flushed.
	durable atomic.Int64

	// The rest belongs to run.
	state   *core.Shard
	waiting map[core.Token]func(core.Result)
	token   core.Token
	// appended is the last offset that was appended, -1 before the first.
	appended int64
	// life counts the loads: what was under way before one is not this life's.
	life int
	// retries are deliveries that failed in part and are tried again.
	retries     []*delivery
	countedAtMs int64
	counted     map[core.State]int
}

type status int

const (
	loading status = iota
	active
	failed
)

func newShard(c *Coordinator, partition int32, log Log) *shard {
	sh := &shard{
		coordinator: c, partition: partition, log: log,
		logger:     c.options.Logger.With("topic", Topic, "partition", partition),
		wake:       make(chan struct{}, 1),
		ended:      make(chan struct{}),
		loadedOnce: make(chan struct{}),
		waiting:    map[core.Token]func(core.Result){},
		appended:   -1,
	}
	sh.durable.Store(-1)
	return sh
}

// submit queues a request, or answers it where that is not possible.
func (sh *shard) submit(request core.Request, reply func(core.Result)) {
	if code, ok := sh.enqueue(op{request: request, reply: reply}); !ok {
		reply(core.Failed(code))
	}
}

func (sh *shard) enqueue(o op) (code int16, ok bool) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	switch {
	case sh.stopping:
		return kerr.NotCoordinator.Code, false
	case sh.status == failed:
		return kerr.CoordinatorNotAvailable.Code, false
	case sh.status == loading:
		return kerr.CoordinatorLoadInProgress.Code, false
	case sh.queued >= requestsQueuedMax:
		sh.coordinator.metrics.refused.Inc()
		return kerr.CoordinatorLoadInProgress.Code, false
	}
	sh.queue, sh.queued = append(sh.queue, o), sh.queued+1
	sh.signal()
	return 0, true
}

// control queues something that happened: at most one for each transaction and each flush.
func (sh *shard) control(o op) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if !sh.stopping {
		sh.queue = append(sh.queue, o)
		sh.signal()
	}
}

func (sh *shard) stop() {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.stopping = true
	sh.signal()
}

func (sh *shard) isStopping() bool {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return sh.stopping
}

func (sh *shard) signal() {
	select {
	case sh.wake <- struct{}{}:
	default:
	}
}

func (sh *shard) take() (ops []op, stopping bool) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	ops, sh.queue, sh.queued = sh.queue, nil, 0
	return ops, sh.stopping
}

func (sh *shard) setStatus(to status) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.status = to
}

// run is the shard's goroutine: load, then serve until stopped or failed, and again.
func (sh *shard) run() {
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
		if err == nil || errors.Is(err, statelog.ErrStopped) {
			sh.answerAll(kerr.NotCoordinator.Code)
			return
		}
		sh.setStatus(failed)
		sh.answerAll(kerr.CoordinatorNotAvailable.Code)
		sh.logger.Error("transaction coordinator has no use of its partition and will load it again", "error", err)
		if !sh.backOff() {
			sh.answerAll(kerr.NotCoordinator.Code)
			return
		}
	}
}

// backOff waits before the next load; false when the shard was stopped.
func (sh *shard) backOff() bool {
	timer := time.NewTimer(reloadBackoff)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
			return true
		case <-sh.wake:
			if sh.isStopping() {
				return false
			}
		}
	}
}

// serve handles requests and timers until the shard is stopped (nil) or its
// records cannot become durable.
func (sh *shard) serve() error {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		ops, stopping := sh.take()
		for i, o := range ops {
			if err := sh.handle(o); err != nil {
				refuse(ops[i+1:], kerr.NotCoordinator.Code)
				return err
			}
		}
		if stopping {
			return nil
		}
		sh.emit(sh.state.Tick(sh.coordinator.nowMs()))
		sh.retryMarkers()
		sh.count()
		sh.sleep(timer)
	}
}

// sleep waits for an operation or the next deadline.
func (sh *shard) sleep(timer *time.Timer) {
	deadlineMs := sh.state.NextDeadline()
	for _, d := range sh.retries {
		deadlineMs = min(deadlineMs, d.retryAtMs)
	}
	wait := time.Duration(deadlineMs-sh.coordinator.nowMs()) * time.Millisecond
	timer.Reset(max(wait, 0))
	select {
	case <-sh.wake:
	case <-timer.C:
	}
}

func (sh *shard) handle(o op) error {
	switch {
	case o.request != nil:
		sh.step(o.request, o.reply)
	case o.life != sh.life:
	case o.flushError != nil:
		return o.flushError
	case o.written != nil:
		sh.markersTried(o.written)
	case o.incomplete != nil:
		o.incomplete.err = kerr.ErrorForCode(o.code)
		sh.retryLater(o.incomplete)
	default:
		for _, e := range o.endings {
			sh.deliver(e)
		}
	}
	return nil
}

func (sh *shard) step(request core.Request, reply func(core.Result)) {
	sh.token++
	sh.waiting[sh.token] = reply
	sh.emit(sh.state.Step(core.Input{
		NowMs: sh.coordinator.nowMs(), Token: sh.token, Request: request, NewProducerID: sh.coordinator.options.NewProducerID,
	}))
}

// refuse answers operations that will not be handled.
func refuse(ops []op, code int16) {
	for _, o := range ops {
		if o.reply != nil {
			o.reply(core.Failed(code))
		}
	}
}

// answerAll answers everything that is queued or waits, and drops the state.
func (sh *shard) answerAll(code int16) {
	ops, _ := sh.take()
	refuse(ops, code)
	sh.retries = nil
	if sh.state != nil {
		for _, r := range sh.state.Drop(code) {
			sh.resolve(r)(r.Result)
		}
	}
	if len(sh.waiting) > 0 {
		panic("requests without an answer are left in a transaction shard")
	}
}

// resolve takes the reply function of a request whose answer has come.
func (sh *shard) resolve(r core.Reply) func(core.Result) {
	reply, ok := sh.waiting[r.Token]
	if !ok {
		panic("a transaction shard answers a request twice")
	}
	delete(sh.waiting, r.Token)
	return reply
}
