package groups

import (
	crand "crypto/rand"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/groups/core"
	"github.com/millrace/millrace/broker/statelog"
	"github.com/millrace/millrace/broker/storage"
)

// op is one thing for a shard to do: a request, or a control operation.
type op struct {
	client  ClientInfo
	request kmsg.Request
	reply   func(kmsg.Response)
	// authorized says which topics the client may describe; nil is all.
	authorized func(topic string) bool
	// guard goes with a TxnOffsetCommit.
	guard storage.VerificationGuard
	// marker ends a transaction; marked is told when it is durable.
	marker *storage.Marker
	marked func(error)
	// inspect looks at the state.
	inspect func(*core.Shard)
	// gone says which topics were deleted.
	gone func(name string, id [16]byte) bool
	// flushError is why records that were appended never became durable.
	flushError error
	// life is the life of the shard (see shard.life) that flushError is about.
	life int
}

// shard runs the groups of one partition. One goroutine (run) owns state,
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
	waiting map[core.Token]op
	token   core.Token
	// appended is the last offset that was appended, -1 before the first.
	appended int64
	// life counts the loads: a flush that failed concerns only the life that wrote it.
	life        int
	pending     pendingCommits
	countedAtMs int64
	counted     map[core.State]int
}

// pendingCommits are OffsetCommits that are appended together.
type pendingCommits struct {
	records []core.Record
	replies []core.Reply
	bytes   int
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
		waiting:    map[core.Token]op{},
		appended:   -1,
	}
	sh.durable.Store(-1)
	return sh
}

func newRandom() *rand.Rand {
	var seed [32]byte
	crand.Read(seed[:]) // never fails
	return rand.New(rand.NewChaCha8(seed))
}

// submit queues a request, or answers it where that is not possible.
func (sh *shard) submit(client ClientInfo, request kmsg.Request, reply func(kmsg.Response)) {
	sh.submitOp(op{client: client, request: request, reply: reply})
}

func (sh *shard) submitOp(o op) {
	if code, ok := sh.enqueue(o); !ok {
		if _, heartbeat := o.request.(*kmsg.HeartbeatRequest); heartbeat && code == kerr.CoordinatorLoadInProgress.Code {
			code = 0 // the member's session begins anew when the shard is loaded
		}
		o.reply(core.ErrorResponse(o.request, code))
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

// control queues an operation of this node; there are few of them.
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
	defer sh.coordinator.metrics.forget(sh)
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
		sh.logger.Error("group coordinator has no use of its partition and will load it again", "error", err)
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
			sh.mu.Lock()
			stopping := sh.stopping
			sh.mu.Unlock()
			if stopping {
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
				sh.refuse(ops[i+1:], kerr.NotCoordinator.Code)
				return err
			}
		}
		sh.appendPending()
		if stopping {
			return nil
		}
		sh.emit(sh.state.Tick(sh.coordinator.nowMs()))
		sh.count()
		sh.sleep(timer)
	}
}

// sleep waits for an operation or the next deadline.
func (sh *shard) sleep(timer *time.Timer) {
	wait := time.Hour
	if deadlineMs, ok := sh.state.NextDeadline(); ok {
		wait = min(wait, time.Duration(deadlineMs-sh.coordinator.nowMs())*time.Millisecond)
	}
	timer.Reset(max(wait, 0))
	select {
	case <-sh.wake:
	case <-timer.C:
	}
}

func (sh *shard) handle(o op) error {
	nowMs := sh.coordinator.nowMs()
	switch {
	case o.flushError != nil:
		if o.life == sh.life {
			return o.flushError
		}
	case o.marker != nil:
		sh.appendPending()
		sh.endTransaction(*o.marker, o.marked)
	case o.inspect != nil:
		o.inspect(sh.state)
	case o.gone != nil:
		sh.appendPending()
		sh.emit(sh.state.DeleteTopics(nowMs, o.gone))
	default:
		sh.request(o, nowMs)
	}
	return nil
}

// request steps one request. Only commits and heartbeats go on while
// commits wait for their append: all others need to see them.
func (sh *shard) request(o op, nowMs int64) {
	_, commit := o.request.(*kmsg.OffsetCommitRequest)
	if !commit && !beats(o.request) {
		sh.appendPending()
	}
	if req, ok := o.request.(*kmsg.TxnOffsetCommitRequest); ok {
		sh.commitInTransaction(o, req)
		return
	}
	sh.token++
	sh.waiting[sh.token] = o
	out := sh.state.Step(core.Input{
		NowMs: nowMs, Token: sh.token, Client: o.client, Request: o.request, Topics: sh.coordinator.options.Topics,
		Authorized: o.authorized,
	})
	if !commit || len(out.Records) == 0 {
		if len(out.Records) > 0 {
			sh.appendPending()
		}
		sh.emit(out)
		return
	}
	sh.pending.records = append(sh.pending.records, out.Records...)
	sh.pending.replies = append(sh.pending.replies, out.Replies...)
	for _, r := range out.Records {
		sh.pending.bytes += len(r.Key) + len(r.Value) + statelog.RecordOverheadMax
	}
	if sh.pending.bytes >= statelog.AppendBytesMax {
		sh.appendPending()
	}
}

// beats says whether a request is one of those that come all the time, and
// seldom change anything.
func beats(request kmsg.Request) bool {
	switch request.(type) {
	case *kmsg.HeartbeatRequest, *kmsg.ConsumerGroupHeartbeatRequest:
		return true
	}
	return false
}

func (sh *shard) appendPending() {
	if len(sh.pending.records) == 0 {
		return
	}
	out := core.Output{Records: sh.pending.records, Replies: sh.pending.replies}
	sh.pending = pendingCommits{}
	sh.emit(out)
}

// refuse answers operations that will not be handled.
func (sh *shard) refuse(ops []op, code int16) {
	for _, o := range ops {
		switch {
		case o.marker != nil:
			o.marked(kerr.ErrorForCode(code))
		case o.reply != nil:
			o.reply(core.ErrorResponse(o.request, code))
		}
	}
}

// answerAll answers everything that is queued or parked, and drops the state.
func (sh *shard) answerAll(code int16) {
	ops, _ := sh.take()
	sh.refuse(ops, code)
	for _, r := range sh.pending.replies {
		sh.resolve(r)(core.WithError(r.Response, code))
	}
	sh.pending = pendingCommits{}
	if sh.state != nil {
		for _, r := range sh.state.Drop(code) {
			sh.resolve(r)(r.Response)
		}
	}
	if len(sh.waiting) > 0 {
		panic("requests without an answer are left in a group shard")
	}
}

// resolve takes the reply function of a request whose answer has come.
func (sh *shard) resolve(r core.Reply) func(kmsg.Response) {
	o, ok := sh.waiting[r.Token]
	if !ok {
		panic("a group shard answers a request twice")
	}
	delete(sh.waiting, r.Token)
	return o.reply
}
