package core

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Token names a request from the moment it is stepped until its reply.
type Token uint64

// Client is who sent a request, as DescribeGroups shows it.
type Client struct {
	// ID is the client id of the request header; Host is the peer's address
	// as Kafka writes it ("/127.0.0.1").
	ID, Host string
}

// Input is one request.
type Input struct {
	NowMs   int64
	Token   Token
	Client  Client
	Request kmsg.Request
	// Topics refuses commits for unknown partitions; nil knows every topic.
	Topics Topics
	// Authorized says which topics the client may describe, for its
	// expressions (KIP-848); nil is all.
	Authorized func(topic string) bool
}

// Reply answers the request of a token.
type Reply struct {
	Token    Token
	Response kmsg.Response
}

// Output is what a Step or a Tick asks of its caller: append Records in order,
// then call [Shard.Appended] or [Shard.AppendFailed]; send Replies when these and
// all earlier records are durable.
type Output struct {
	Records []Record
	Replies []Reply
	// Events are for the history: they ask for nothing.
	Events []Event
}

// EventKind says what happened to a group.
type EventKind uint8

const (
	// EventRebalance says that a rebalance began, and in Reason why.
	EventRebalance EventKind = iota + 1
	// EventGeneration says that a generation began, with Members members.
	EventGeneration
	// EventMemberExpired says that the session of Member ended.
	EventMemberExpired
	// EventOffsetsExpired says that Count offsets were too old.
	EventOffsetsExpired
	// EventUpgraded says that a classic group became a consumer group.
	EventUpgraded
	// EventDowngraded says that a consumer group became a classic one.
	EventDowngraded
)

// Event is something about a group that an operator may want to know.
type Event struct {
	Kind           EventKind
	Group          string
	Generation     int32
	Members, Count int
	Member, Reason string
}

// Shard is the state of all groups of one partition of __consumer_offsets.
type Shard struct {
	cfg    Config
	random *rand.Rand
	image  Image
	groups map[string]*group
	timers timers

	// Invariant: nowMs never goes back.
	nowMs int64
	out   Output

	open openTransactions
	// position counts commits in the order of the log.
	position int64
}

// New returns a shard without groups. random makes member ids; its seed must
// differ between processes, or two lives of a broker could give out the same id.
// image is what consumer groups see of the topics; nil is one without any.
func New(cfg Config, random *rand.Rand, image Image) *Shard {
	if image == nil {
		image = noImage{}
	}
	return &Shard{cfg: cfg, random: random, image: image, groups: map[string]*group{}, open: newOpenTransactions()}
}

// Step handles one request. A request of another API than those of groups is
// a broken invariant of the caller and panics.
func (s *Shard) Step(in Input) Output {
	s.begin(in.NowMs)
	switch req := in.Request.(type) {
	case *kmsg.JoinGroupRequest:
		s.joinGroup(in, req)
	case *kmsg.SyncGroupRequest:
		s.syncGroup(in, req)
	case *kmsg.HeartbeatRequest:
		s.reply(in.Token, s.heartbeat(req))
	case *kmsg.LeaveGroupRequest:
		s.reply(in.Token, s.leaveGroup(req))
	case *kmsg.OffsetCommitRequest:
		s.reply(in.Token, s.offsetCommit(in, req))
	case *kmsg.TxnOffsetCommitRequest:
		s.reply(in.Token, s.txnOffsetCommit(in, req))
	case *kmsg.OffsetFetchRequest:
		s.reply(in.Token, s.offsetFetch(req))
	case *kmsg.OffsetDeleteRequest:
		s.reply(in.Token, s.offsetDelete(in, req))
	case *kmsg.DeleteGroupsRequest:
		s.reply(in.Token, s.deleteGroups(req))
	case *kmsg.DescribeGroupsRequest:
		s.reply(in.Token, s.describeGroups(req))
	case *kmsg.ListGroupsRequest:
		s.reply(in.Token, s.listGroups(req))
	case *kmsg.ConsumerGroupHeartbeatRequest:
		s.consumerHeartbeat(in, req)
	case *kmsg.ConsumerGroupDescribeRequest:
		s.reply(in.Token, s.consumerDescribe(req))
	default:
		panic(fmt.Sprintf("request of API key %d is not for the group coordinator", in.Request.Key()))
	}
	return s.end()
}

// Tick fires the timers that are due at nowMs, up to the first that asks for
// records: the next one may depend on what these change. [Shard.NextDeadline]
// says whether there is more to do.
func (s *Shard) Tick(nowMs int64) Output {
	s.begin(nowMs)
	for {
		key, ok := s.timers.pop(s.nowMs)
		if !ok {
			return s.end()
		}
		if s.fire(key); len(s.out.Records) > 0 {
			return s.end()
		}
	}
}

// NextDeadline returns when Tick has something to do.
func (s *Shard) NextDeadline() (ms int64, ok bool) { return s.timers.next() }

// GroupCounts returns the number of groups by state.
func (s *Shard) GroupCounts() map[State]int {
	counts := map[State]int{}
	for _, g := range s.groups {
		counts[g.currentState()]++
	}
	return counts
}

// Drop returns a reply with the error code for every request that is parked,
// and forgets all groups: the shard moves away or is loaded anew.
func (s *Shard) Drop(code int16) []Reply {
	s.begin(s.nowMs)
	for _, id := range s.groupIDs() {
		for _, m := range s.groups[id].members {
			s.failParked(m, code)
		}
	}
	s.groups, s.timers = map[string]*group{}, timers{}
	s.open = newOpenTransactions()
	return s.end().Replies
}

func (s *Shard) fire(key timerKey) {
	if key.kind == timerExpiry {
		s.expireOffsets()
		s.timers.set(timerKey{kind: timerExpiry}, s.nowMs+s.cfg.ExpiryIntervalMs)
		return
	}
	g, ok := s.groups[key.group]
	if !ok {
		return
	}
	if g.consumer != nil {
		s.expireConsumer(g, key)
		return
	}
	switch key.kind {
	case timerMember:
		s.expireMember(g, key.member)
	case timerJoin:
		s.joinDeadline(g)
	case timerSync:
		s.syncDeadline(g)
	case timerExpiry, timerRevocation, timerConsumerJoin, timerConsumerSync:
	}
}

func (s *Shard) begin(nowMs int64) {
	s.nowMs = max(s.nowMs, nowMs)
	s.out = Output{}
}

func (s *Shard) end() Output {
	out := s.out
	s.out = Output{}
	return out
}

func (s *Shard) reply(to Token, r kmsg.Response) {
	s.out.Replies = append(s.out.Replies, Reply{Token: to, Response: r})
}

func (s *Shard) tell(e Event) { s.out.Events = append(s.out.Events, e) }

func (s *Shard) write(r ...Record) { s.out.Records = append(s.out.Records, r...) }

// groupIDs returns the ids in order, so that equal inputs give equal outputs.
func (s *Shard) groupIDs() []string { return slices.Sorted(maps.Keys(s.groups)) }

// forgetIfIdle drops a group of which nothing is worth remembering and nothing is in the log.
func (s *Shard) forgetIfIdle(g *group) {
	if g.consumer != nil || g.consumerLeft || g.persisted {
		return
	}
	if g.state == Empty && len(g.members) == 0 && len(g.pending) == 0 && g.offsetCount() == 0 && s.open.groups[g.id] == 0 {
		s.removeGroup(g)
	}
}

func (s *Shard) removeGroup(g *group) {
	s.timers.cancel(timerKey{timerJoin, g.id, ""})
	s.timers.cancel(timerKey{timerSync, g.id, ""})
	for id := range g.pending {
		s.timers.cancel(timerKey{timerMember, g.id, id})
	}
	delete(s.groups, g.id)
}
