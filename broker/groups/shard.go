package groups

import (
	"math"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/coordinator"
	"github.com/millrace/millrace/broker/groups/core"
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
}

// shard runs the groups of one partition. It is the machine of its [coordinator.Shard], on
// whose goroutine all its methods but submit are called.
type shard struct {
	*coordinator.Shard[op]
	coordinator *Coordinator
	log         Log // the same as Shard.Log, with markers
	state       *core.Shard
	waiting     coordinator.Waiting[core.Token, kmsg.Response]
	pending     pendingCommits
}

// pendingCommits are OffsetCommits that are appended together.
type pendingCommits struct {
	records []core.Record
	replies []core.Reply
	bytes   int
}

func newShard(c *Coordinator, partition int32, log Log) *shard {
	sh := &shard{coordinator: c, log: log}
	sh.Shard = coordinator.NewShard(coordinator.Options{
		Kind: "group", Topic: Topic, Logger: c.options.Logger, Clock: c.clock, Metrics: c.metrics.Metrics,
	}, partition, log, sh)
	return sh
}

// submit queues a request, or answers it where that is not possible.
func (sh *shard) submit(o op) {
	if code, ok := sh.Submit(o); !ok {
		if _, heartbeat := o.request.(*kmsg.HeartbeatRequest); heartbeat && code == kerr.CoordinatorLoadInProgress.Code {
			code = 0 // the member's session begins anew when the shard is loaded
		}
		o.reply(core.ErrorResponse(o.request, code))
	}
}

func (sh *shard) nowMs() int64 { return sh.coordinator.clock.NowMs() }

// Handle implements [coordinator.Machine].
func (sh *shard) Handle(o op) {
	switch {
	case o.marker != nil:
		sh.Flush()
		sh.endTransaction(*o.marker, o.marked)
	case o.inspect != nil:
		o.inspect(sh.state)
	case o.gone != nil:
		sh.Flush()
		sh.emit(sh.state.DeleteTopics(sh.nowMs(), o.gone))
	default:
		sh.request(o)
	}
}

// request steps one request. Only commits and heartbeats go on while
// commits wait for their append: all others need to see them.
func (sh *shard) request(o op) {
	_, commit := o.request.(*kmsg.OffsetCommitRequest)
	if !commit && !beats(o.request) {
		sh.Flush()
	}
	if req, ok := o.request.(*kmsg.TxnOffsetCommitRequest); ok {
		sh.commitInTransaction(o, req)
		return
	}
	out := sh.state.Step(core.Input{
		NowMs: sh.nowMs(), Token: sh.waiting.Add(o.reply), Client: o.client, Request: o.request,
		Topics: sh.coordinator.options.Topics, Authorized: o.authorized,
	})
	if !commit || len(out.Records) == 0 {
		if len(out.Records) > 0 {
			sh.Flush()
		}
		sh.emit(out)
		return
	}
	sh.pending.records = append(sh.pending.records, out.Records...)
	sh.pending.replies = append(sh.pending.replies, out.Replies...)
	for _, r := range out.Records {
		sh.pending.bytes += len(r.Key) + len(r.Value) + coordinator.RecordOverheadMax
	}
	if sh.pending.bytes >= coordinator.AppendBytesMax {
		sh.Flush()
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

// Flush appends the commits that were gathered.
func (sh *shard) Flush() {
	if len(sh.pending.records) == 0 {
		return
	}
	out := core.Output{Records: sh.pending.records, Replies: sh.pending.replies}
	sh.pending = pendingCommits{}
	sh.emit(out)
}

// Tick implements [coordinator.Machine].
func (sh *shard) Tick() { sh.emit(sh.state.Tick(sh.nowMs())) }

// NextDeadlineMs implements [coordinator.Machine].
func (sh *shard) NextDeadlineMs() int64 {
	if deadlineMs, ok := sh.state.NextDeadline(); ok {
		return deadlineMs
	}
	return math.MaxInt64
}

// Refuse answers an operation that will not be handled.
func (sh *shard) Refuse(o op, code int16) {
	switch {
	case o.marker != nil:
		o.marked(kerr.ErrorForCode(code))
	case o.reply != nil:
		o.reply(core.ErrorResponse(o.request, code))
	}
}

// Drop answers everything that is parked, and drops the state.
func (sh *shard) Drop(code int16) {
	for _, r := range sh.pending.replies {
		sh.waiting.Take(r.Token)(core.WithError(r.Response, code))
	}
	sh.pending = pendingCommits{}
	if sh.state != nil {
		for _, r := range sh.state.Drop(code) {
			sh.waiting.Take(r.Token)(r.Response)
		}
	}
	sh.waiting.MustBeEmpty()
}
