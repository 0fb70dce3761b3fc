package transactions

import (
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/millrace/millrace/broker/coordinator"
	"github.com/millrace/millrace/broker/transactions/core"
)

// op is one thing for a shard to do: a request, or something that happened.
type op struct {
	request core.Request
	reply   func(core.Result)
	// endings are decided and durable.
	endings []core.Ending
	// written is a delivery of which every marker has been tried.
	written *delivery
	// incomplete has all its markers, but the record that says so was refused with code.
	incomplete *delivery
	code       int16
}

// shard runs the transactions of one partition. It is the machine of its
// [coordinator.Shard], on whose goroutine all its methods but submit are called.
type shard struct {
	*coordinator.Shard[op]
	coordinator *Coordinator
	state       *core.Shard
	waiting     coordinator.Waiting[core.Token, core.Result]
	// retries are deliveries that failed in part and are tried again.
	retries []*delivery
}

func newShard(c *Coordinator, partition int32, log Log) *shard {
	sh := &shard{coordinator: c}
	sh.Shard = coordinator.NewShard(coordinator.Options{
		Kind: "transaction", Topic: Topic, Logger: c.options.Logger, Clock: c.clock, Metrics: c.metrics.Metrics,
	}, partition, log, sh)
	return sh
}

// submit queues a request, or answers it where that is not possible.
func (sh *shard) submit(request core.Request, reply func(core.Result)) {
	if code, ok := sh.Submit(op{request: request, reply: reply}); !ok {
		reply(core.Failed(code))
	}
}

func (sh *shard) nowMs() int64 { return sh.coordinator.clock.NowMs() }

// Handle implements [coordinator.Machine].
func (sh *shard) Handle(o op) {
	switch {
	case o.request != nil:
		sh.step(o.request, o.reply)
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
}

func (sh *shard) step(request core.Request, reply func(core.Result)) {
	sh.state.SetVersion(sh.coordinator.options.TransactionVersion())
	sh.emit(sh.state.Step(core.Input{
		NowMs: sh.nowMs(), Token: sh.waiting.Add(reply), Request: request, NewProducerID: sh.coordinator.options.NewProducerID,
	}))
}

// Flush implements [coordinator.Machine]: nothing is gathered.
func (sh *shard) Flush() {}

// Tick implements [coordinator.Machine].
func (sh *shard) Tick() {
	sh.state.SetVersion(sh.coordinator.options.TransactionVersion())
	sh.emit(sh.state.Tick(sh.nowMs()))
	sh.retryMarkers()
}

// NextDeadlineMs implements [coordinator.Machine].
func (sh *shard) NextDeadlineMs() int64 {
	deadlineMs := sh.state.NextDeadline()
	for _, d := range sh.retries {
		deadlineMs = min(deadlineMs, d.retryAtMs)
	}
	return deadlineMs
}

// Refuse answers an operation that will not be handled.
func (sh *shard) Refuse(o op, code int16) {
	if o.reply != nil {
		o.reply(core.Failed(code))
	}
}

// Drop answers everything that waits, and drops the state.
func (sh *shard) Drop(code int16) {
	sh.retries = nil
	if sh.state != nil {
		for _, r := range sh.state.Drop(code) {
			sh.waiting.Take(r.Token)(r.Result)
		}
	}
	sh.waiting.MustBeEmpty()
}
