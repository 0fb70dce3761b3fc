package core

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	simPartitions = 5
	simGroup      = "sim"
)

// TestSimulation runs clients that join, leave, die and come back against a
// shard whose appends fail, whose log is flushed late, and which is killed. It
// checks at each step that a partition has one owner per generation, that an
// offset that was told to somebody never goes back, that each request is answered once, and
// that a replayed log gives the state that was there.
func TestSimulation(t *testing.T) {
	seeds := 150
	if testing.Short() {
		seeds = 100
	}
	if f := flag.Lookup("test.run"); strings.HasPrefix(f.Value.String(), "TestSimulation$") {
		seeds = 3000
	}
	var total simStats
	for seed := range seeds {
		w := newSimWorld(t, uint64(seed))
		w.run(1500)
		w.settle()
		total.add(w.stats)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	t.Logf("%d seeds: %+v", seeds, total)
	v := reflect.ValueOf(total)
	for i := range v.NumField() {
		if v.Field(i).Int() == 0 {
			t.Errorf("the simulation never had %s", v.Type().Field(i).Name)
		}
	}
}

type simStats struct{ Generations, Commits, Refused, Crashes, AppendFailures, Replays, Fenced, Skipped, Expired int }

func (s *simStats) add(o simStats) {
	a, b := reflect.ValueOf(s).Elem(), reflect.ValueOf(o)
	for i := range a.NumField() {
		a.Field(i).SetInt(a.Field(i).Int() + b.Field(i).Int())
	}
}

type simWorld struct {
	t       *testing.T
	seed    uint64
	random  *rand.Rand
	cfg     Config
	shard   *Shard
	lives   uint64
	nowMs   int64
	log     []Record
	durable int
	waiting []simWaiting
	token   Token
	open    map[Token]simAsk
	clients []*simClient
	stats   simStats

	// owners says, for each generation that somebody was assigned something in, who owns a partition.
	owners map[int32]map[int]string
	// told is the highest offset of a partition that anybody was told is committed.
	told [simPartitions]int64
	// unsure is set while memory and log may differ about a group without members.
	unsure bool
}

type simWaiting struct {
	records int // how much of the log must be durable
	reply   Reply
}

type simAsk struct {
	client *simClient
	life   int
	told   [simPartitions]int64
	offset int64
	part   int
}

type simState int

const (
	simIdle simState = iota
	simWaits
	simHasJoined
	simHasAssignment
	simOwns
	simGone
)

type simClient struct {
	w        *simWorld
	name     string
	version  int16
	instance *string
	// stubborn clients go on with what they own while others rebalance.
	stubborn bool
	life     int
	state    simState
	id       string
	gen      int32
	leader   bool
	others   []kmsg.JoinGroupResponseMember
	owns     []int
	at       map[int]int64
	beatMs   int64
}

func newSimWorld(t *testing.T, seed uint64) *simWorld {
	w := &simWorld{
		t: t, seed: seed, random: rand.New(rand.NewPCG(seed, 1)), cfg: DefaultConfig(), nowMs: 1 << 40,
		open: map[Token]simAsk{}, owners: map[int32]map[int]string{},
	}
	w.cfg.GroupMembersMax = 4
	for i := range 5 {
		c := &simClient{w: w, name: fmt.Sprintf("c%d", i), version: []int16{3, 5, 9}[w.random.IntN(3)]}
		if c.version >= 5 && w.random.IntN(2) == 0 {
			c.instance, c.stubborn = new(fmt.Sprintf("i%d", i%4)), w.random.IntN(2) == 0
		}
		w.clients = append(w.clients, c)
	}
	for p := range w.told {
		w.told[p] = -1
	}
	w.restart()
	return w
}

func (w *simWorld) failf(format string, args ...any) {
	w.t.Helper()
	w.t.Fatalf("seed %d: %s", w.seed, fmt.Sprintf(format, args...))
}

func (w *simWorld) restart() {
	w.lives++
	w.shard = w.replayed(w.log)
	w.unsure = false
}

func (w *simWorld) replayed(log []Record) *Shard {
	s := New(w.cfg, rand.New(rand.NewPCG(w.seed, w.lives+100)), nil)
	for _, r := range log {
		if err := s.Replay(r.Key, r.Value); err != nil {
			w.failf("replay: %v", err)
		}
	}
	s.Loaded(w.nowMs)
	return s
}

func (w *simWorld) run(steps int) {
	for range steps {
		switch n := w.random.IntN(1000); {
		case n < 3:
			w.crash()
		case n < 30:
			w.checkReplay()
		case n < 400:
			w.flush()
		case n < 600:
			w.pass(int64(w.random.IntN(2000)))
		case n < 603:
			w.pass(int64(w.random.IntN(70_000)))
		default:
			w.clients[w.random.IntN(len(w.clients))].act()
		}
		w.shard.checkInvariants(w)
	}
}

// settle lets all requests end: without clients, time answers everything.
func (w *simWorld) settle() {
	for _, c := range w.clients {
		c.die()
	}
	for range 100 {
		w.pass(60_000)
		w.flush()
	}
	if len(w.open) != 0 {
		w.failf("%d requests were never answered", len(w.open))
	}
	if g := w.shard.groups[simGroup]; g != nil && len(g.members) != 0 {
		w.failf("%d members never expired", len(g.members))
	}
	w.checkReplay()
}

func (w *simWorld) pass(ms int64) {
	w.nowMs += ms
	w.do(w.shard.Tick(w.nowMs))
}

func (w *simWorld) ask(c *simClient, req kmsg.Request, part int, offset int64) {
	w.token++
	w.open[w.token] = simAsk{client: c, life: c.life, told: w.told, part: part, offset: offset}
	w.do(w.shard.Step(Input{NowMs: w.nowMs, Token: w.token, Client: Client{ID: c.name, Host: "/h"}, Request: req}))
}

func (w *simWorld) do(out Output) {
	for _, e := range out.Events {
		switch e.Kind {
		case EventGeneration:
			w.stats.Generations++
		case EventMemberExpired:
			w.stats.Expired++
		case EventRebalance, EventOffsetsExpired:
		}
	}
	if len(out.Records) > 0 && w.random.IntN(60) == 0 {
		w.stats.AppendFailures++
		w.unsure = true
		for _, r := range out.Replies {
			w.answer(Reply{r.Token, WithError(r.Response, kerr.CoordinatorNotAvailable.Code)})
		}
		w.do(w.shard.AppendFailed(w.nowMs, out.Records))
		return
	}
	w.log = append(w.log, out.Records...)
	w.shard.Appended(out.Records)
	for _, r := range out.Replies {
		w.waiting = append(w.waiting, simWaiting{len(w.log), r})
	}
	if w.durable == len(w.log) {
		w.deliver()
	}
}

func (w *simWorld) flush() {
	w.durable += w.random.IntN(len(w.log) - w.durable + 1)
	if w.random.IntN(2) == 0 {
		w.durable = len(w.log)
	}
	w.deliver()
}

func (w *simWorld) deliver() {
	var later []simWaiting
	ready := w.waiting
	w.waiting = nil
	for _, x := range ready {
		if x.records > w.durable {
			later = append(later, x)
			continue
		}
		w.answer(x.reply)
	}
	w.waiting = append(later, w.waiting...)
}

// crash loses what is not durable, and every connection.
func (w *simWorld) crash() {
	w.stats.Crashes++
	w.log = w.log[:w.durable:w.durable]
	w.waiting = nil
	clear(w.open)
	for _, c := range w.clients {
		if c.state == simWaits {
			c.state = simIdle
		}
		c.life++
	}
	w.restart()
}

func (w *simWorld) answer(r Reply) {
	ask, ok := w.open[r.Token]
	if !ok {
		w.failf("token %d is answered twice", r.Token)
	}
	delete(w.open, r.Token)
	c := ask.client
	if resp, ok := r.Response.(*kmsg.OffsetCommitResponse); ok {
		// A commit that succeeded counts even if nobody hears of it.
		if code := resp.Topics[0].Partitions[0].ErrorCode; code == 0 {
			w.stats.Commits++
			w.told[ask.part] = max(w.told[ask.part], ask.offset)
		} else {
			w.stats.Refused++
		}
	}
	if ask.life != c.life {
		return // the client hung up before
	}
	switch resp := r.Response.(type) {
	case *kmsg.JoinGroupResponse:
		c.joined(resp)
	case *kmsg.SyncGroupResponse:
		c.synced(resp)
	case *kmsg.HeartbeatResponse:
		c.failed(resp.ErrorCode)
	case *kmsg.OffsetCommitResponse:
		c.failed(resp.Topics[0].Partitions[0].ErrorCode)
	case *kmsg.OffsetFetchResponse:
		c.fetched(resp, ask)
	}
}

// checkReplay compares the state with the one that the log gives.
func (w *simWorld) checkReplay() {
	w.stats.Replays++
	other := w.replayed(w.log)
	a, b := project(w.shard, w.unsure), project(other, w.unsure)
	for id, x := range b {
		// Of a group in between, the log has the generation before.
		if mine, ok := a[id]; !ok || mine.generation < 0 {
			x.generation, x.leader, x.members = -1, "", nil
			if b[id] = x; len(x.offsets) == 0 {
				delete(b, id)
			}
		}
	}
	if !reflect.DeepEqual(a, b) {
		w.failf("state and log differ:\n%+v\n%+v", a, b)
	}
}

type simProjection struct {
	generation int32
	leader     string
	members    []string
	offsets    map[string]map[int32]offset
}

// project is what of a shard must survive a crash.
func project(s *Shard, unsure bool) map[string]simProjection {
	all := map[string]simProjection{}
	for id, g := range s.groups {
		p := simProjection{generation: -1, offsets: g.offsets}
		if g.persisted && (g.state == Stable || (g.state == Empty && !unsure)) {
			p.generation, p.leader = g.generation, g.leader
			for _, m := range g.members {
				p.members = append(p.members, fmt.Sprintf("%s %q %d %d %s", m.id, m.assignment, m.sessionTimeoutMs, m.rebalanceTimeoutMs, m.metadata(g.protocol)))
			}
		}
		if p.generation >= 0 || len(g.offsets) > 0 {
			all[id] = p
		}
	}
	return all
}

// checkInvariants checks what holds between any two steps.
func (s *Shard) checkInvariants(w *simWorld) {
	for _, g := range s.groups {
		if len(g.members) != len(g.byID) {
			w.failf("%d members, %d by id", len(g.members), len(g.byID))
		}
		// Those who have not joined again make room for others, as in Kafka.
		if len(g.members) > 2*w.cfg.GroupMembersMax || g.awaitingJoin() > w.cfg.GroupMembersMax {
			w.failf("%d members, %d of them joining", len(g.members), g.awaitingJoin())
		}
		if (g.state == Empty) != (len(g.members) == 0) && g.state != PreparingRebalance {
			w.failf("state %s with %d members", g.state, len(g.members))
		}
		if len(g.members) > 0 && g.byID[g.leader] == nil {
			w.failf("the leader %q is no member", g.leader)
		}
		for _, m := range g.members {
			if m.join != nil && g.state != PreparingRebalance {
				w.failf("a JoinGroup waits in state %s", g.state)
			}
			if m.sync != nil && g.state != CompletingRebalance {
				w.failf("a SyncGroup waits in state %s", g.state)
			}
			if s.timers.byKey[timerKey{timerMember, g.id, m.id}] == nil && m.join == nil && m.sync == nil {
				w.failf("member %s has no session", m.id)
			}
		}
		if g.state == PreparingRebalance && s.timers.byKey[timerKey{timerJoin, g.id, ""}] == nil {
			w.failf("a rebalance without an end")
		}
		if len(s.timers.byKey) > 3+2*len(g.members)+len(g.pending)+w.cfg.GroupMembersMax {
			w.failf("%d timers", len(s.timers.byKey))
		}
	}
}

func (c *simClient) hangUp() { c.life++ }

// die is kill -9: nothing is said, nothing is remembered but the instance.
func (c *simClient) die() {
	c.hangUp()
	c.state, c.id, c.owns = simGone, "", nil
}

func (c *simClient) act() {
	r := c.w.random
	switch {
	case c.state == simGone:
		if r.IntN(4) == 0 {
			c.state = simIdle
		}
		return
	case r.IntN(150) == 0:
		c.die()
		return
	}
	switch c.state {
	case simIdle:
		c.join()
	case simWaits:
		if r.IntN(100) == 0 {
			c.hangUp()
			c.state = simIdle
		}
	case simHasJoined:
		c.sync()
	case simHasAssignment:
		c.fetch()
	case simOwns:
		c.work()
	case simGone:
	}
}

func (c *simClient) join() {
	req := kmsg.NewPtrJoinGroupRequest()
	req.Version, req.Group, req.MemberID, req.InstanceID = c.version, simGroup, c.id, c.instance
	req.SessionTimeoutMillis, req.RebalanceTimeoutMillis, req.ProtocolType = 10_000, 30_000, "consumer"
	req.Protocols = []kmsg.JoinGroupRequestProtocol{{Name: "range", Metadata: []byte{byte(c.w.random.IntN(2))}}}
	c.state = simWaits
	c.w.ask(c, req, 0, 0)
}

func (c *simClient) joined(r *kmsg.JoinGroupResponse) {
	c.state = simIdle
	switch r.ErrorCode {
	case 0:
		c.id, c.gen, c.state = r.MemberID, r.Generation, simHasJoined
		c.leader, c.others = r.LeaderID == r.MemberID && !r.SkipAssignment, r.Members
		if r.SkipAssignment {
			c.w.stats.Skipped++
		}
	case kerr.MemberIDRequired.Code:
		c.id = r.MemberID
	case kerr.RebalanceInProgress.Code:
		c.w.t.Fatalf("seed %d: a rebalance kept %s from joining, which it is for", c.w.seed, c.name)
	default:
		c.failed(r.ErrorCode)
	}
}

func (c *simClient) sync() {
	req := kmsg.NewPtrSyncGroupRequest()
	req.Version, req.Group, req.Generation, req.MemberID, req.InstanceID = 5, simGroup, c.gen, c.id, c.instance
	if c.leader {
		shares := make([][]string, len(c.others))
		for p := range simPartitions {
			shares[p%len(shares)] = append(shares[p%len(shares)], fmt.Sprint(p))
		}
		for i, o := range c.others {
			req.GroupAssignment = append(req.GroupAssignment, kmsg.SyncGroupRequestGroupAssignment{
				MemberID: o.MemberID, MemberAssignment: []byte(strings.Join(shares[i], ",")),
			})
		}
	}
	c.state = simWaits
	c.w.ask(c, req, 0, 0)
}

func (c *simClient) synced(r *kmsg.SyncGroupResponse) {
	if r.ErrorCode != 0 {
		c.state = simIdle
		c.failed(r.ErrorCode)
		return
	}
	c.owns, c.at, c.state = nil, map[int]int64{}, simHasAssignment
	name := c.name
	if c.instance != nil {
		name = *c.instance
	}
	owners := c.w.owners[c.gen]
	if owners == nil {
		owners = map[int]string{}
		c.w.owners[c.gen] = owners
	}
	for _, s := range strings.FieldsFunc(string(r.MemberAssignment), func(r rune) bool { return r == ',' }) {
		p := int(s[0] - '0')
		if owner, ok := owners[p]; ok && owner != name {
			c.w.failf("generation %d: partition %d belongs to %s and %s", c.gen, p, owner, name)
		}
		owners[p] = name
		c.owns = append(c.owns, p)
	}
}

func (c *simClient) fetch() {
	req := kmsg.NewPtrOffsetFetchRequest()
	req.Version, req.Group = 7, simGroup
	c.state = simWaits
	c.w.ask(c, req, 0, 0)
}

func (c *simClient) fetched(r *kmsg.OffsetFetchResponse, ask simAsk) {
	c.state = simOwns
	var got [simPartitions]int64
	for p := range got {
		got[p] = -1
	}
	for _, t := range r.Topics {
		for _, p := range t.Partitions {
			got[p.Partition] = p.Offset
		}
	}
	for p, offset := range got {
		if offset < ask.told[p] {
			c.w.failf("partition %d: offset %d was told before, now %d", p, ask.told[p], offset)
		}
		c.w.told[p] = max(c.w.told[p], offset)
	}
	for _, p := range c.owns {
		c.at[p] = got[p]
	}
}

func (c *simClient) work() {
	r := c.w.random
	if c.w.nowMs-c.beatMs > 3000 {
		c.beatMs = c.w.nowMs
		req := kmsg.NewPtrHeartbeatRequest()
		req.Group, req.Generation, req.MemberID, req.InstanceID = simGroup, c.gen, c.id, c.instance
		c.w.ask(c, req, 0, 0)
		return
	}
	switch {
	case r.IntN(60) == 0:
		req := kmsg.NewPtrLeaveGroupRequest()
		req.Version, req.Group = 5, simGroup
		req.Members = []kmsg.LeaveGroupRequestMember{{MemberID: c.id, InstanceID: c.instance}}
		c.w.ask(c, req, 0, 0)
		c.die()
	case r.IntN(60) == 0:
		c.state = simIdle // something changed: join again
	case len(c.owns) > 0:
		c.commit(c.owns[r.IntN(len(c.owns))])
	}
}

func (c *simClient) commit(p int) {
	c.at[p]++
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Version, req.Group, req.Generation, req.MemberID, req.InstanceID = 8, simGroup, c.gen, c.id, c.instance
	req.Topics = []kmsg.OffsetCommitRequestTopic{{
		Topic: "t", Partitions: []kmsg.OffsetCommitRequestTopicPartition{{Partition: int32(p), Offset: c.at[p], LeaderEpoch: -1}},
	}}
	c.w.ask(c, req, p, c.at[p])
}

// failed does what clients do about an error code.
func (c *simClient) failed(code int16) {
	switch code {
	case 0, kerr.GroupMaxSizeReached.Code:
		return
	case kerr.FencedInstanceID.Code:
		c.w.stats.Fenced++
		c.die()
	case kerr.UnknownMemberID.Code:
		c.id, c.state = "", simIdle
	case kerr.RebalanceInProgress.Code, kerr.IllegalGeneration.Code:
		if c.state == simOwns && c.stubborn && c.w.random.IntN(60) > 0 {
			return
		}
		fallthrough
	case kerr.CoordinatorNotAvailable.Code:
		if c.state != simWaits && c.state != simGone {
			c.state = simIdle
		}
	default:
		c.w.failf("client %s got %s", c.name, codeName(code))
	}
}

func TestSimulationIsDeterministic(t *testing.T) {
	run := func() []Record {
		w := newSimWorld(t, 4711)
		w.run(1000)
		return w.log
	}
	a, b := run(), run()
	if len(a) == 0 || !slices.EqualFunc(a, b, func(x, y Record) bool { return string(x.Key)+string(x.Value) == string(y.Key)+string(y.Value) }) {
		t.Fatal("the same seed gave two logs")
	}
}
