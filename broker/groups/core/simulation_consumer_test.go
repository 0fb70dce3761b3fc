package core

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestConsumerSimulation runs members of both protocols that join, change what
// they read, go, die and come back in one group, while topics come, grow and
// go, answers are lost, appends fail and the shard is killed. At each
// step no partition is used by two members, and the log gives the state that is
// in memory; in the end, left in peace, each partition that is read has one reader.
func TestConsumerSimulation(t *testing.T) {
	seeds := 150
	if testing.Short() {
		seeds = 20
	}
	if f := flag.Lookup("test.run"); strings.HasPrefix(f.Value.String(), "TestConsumerSimulation$") {
		seeds = 3000
	}
	var total consumerStats
	for seed := range seeds {
		w := newConsumerWorld(t, uint64(seed))
		w.run(1500)
		w.settle()
		total.add(w.stats)
	}
	t.Logf("%d seeds: %+v", seeds, total)
	v := reflect.ValueOf(total)
	for i := range v.NumField() {
		if v.Field(i).Int() == 0 {
			t.Errorf("the simulation never had %s", v.Type().Field(i).Name)
		}
	}
}

type consumerStats struct {
	Epochs, Assigned, Revoked, Upgrades, Downgrades, Fenced, Lost, Crashes, AppendFailures, Expired, Returned, Regexes int
}

func (s *consumerStats) add(o consumerStats) {
	a, b := reflect.ValueOf(s).Elem(), reflect.ValueOf(o)
	for i := range a.NumField() {
		a.Field(i).SetInt(a.Field(i).Int() + b.Field(i).Int())
	}
}

type consumerWorld struct {
	t       *testing.T
	seed    uint64
	random  *rand.Rand
	cfg     Config
	shard   *Shard
	nowMs   int64
	log     []Record
	topics  map[string]Topic
	version int64
	lives   uint64
	token   Token
	clients []*consumerClient
	// answered has the answers of the step that runs.
	answered map[Token]kmsg.Response
	stats    consumerStats
	calm     bool
}

func (w *consumerWorld) Version() int64                  { return w.version }
func (w *consumerWorld) Topic(name string) (Topic, bool) { return fakeImage(w.topics).Topic(name) }
func (w *consumerWorld) TopicName(id [16]byte) (string, bool) {
	return fakeImage(w.topics).TopicName(id)
}

func (w *consumerWorld) TopicNames() []string                  { return fakeImage(w.topics).TopicNames() }
func (w *consumerWorld) GroupConfigs(string) map[string]string { return nil }

// consumerClient is one process. What it uses, it uses until it has said that it does not.
type consumerClient struct {
	w        *consumerWorld
	name, id string
	instance *string
	classic  bool
	live     bool
	epoch    int32
	uses     assignment
	// wants is what it was assigned last; it gives up the rest before it says so.
	wants assignment
	// full says that the next heartbeat says everything: the last one had no answer.
	full   bool
	joined bool // classic: has a generation, and asks for its assignment next
	synced bool
	topics []string
	regex  string
	beatMs int64
	away   bool
}

func newConsumerWorld(t *testing.T, seed uint64) *consumerWorld {
	w := &consumerWorld{
		t: t, seed: seed, random: rand.New(rand.NewPCG(seed, 3)), cfg: DefaultConfig(), nowMs: 1 << 40,
		topics: map[string]Topic{}, answered: map[Token]kmsg.Response{},
	}
	w.cfg.InitialRebalanceDelayMs = 0
	w.addTopic("a")
	w.addTopic("b")
	for i := range 6 {
		w.clients = append(w.clients, &consumerClient{w: w, name: fmt.Sprintf("c%d", i)})
	}
	w.shard = w.replayed()
	return w
}

func (w *consumerWorld) failf(format string, args ...any) {
	w.t.Helper()
	w.t.Fatalf("seed %d: %s", w.seed, fmt.Sprintf(format, args...))
}

func (w *consumerWorld) addTopic(name string) {
	w.version++
	w.topics[name] = Topic{ID: [16]byte{name[0], byte(w.version), byte(w.version >> 8)}, Partitions: int32(1 + w.random.IntN(5))}
}

func (w *consumerWorld) replayed() *Shard {
	w.lives++
	s := New(w.cfg, rand.New(rand.NewPCG(w.seed, w.lives)), w)
	for _, r := range w.log {
		if err := s.Replay(r.Key, r.Value); err != nil {
			w.failf("replay: %v", err)
		}
	}
	s.Loaded(w.nowMs)
	return s
}

func (w *consumerWorld) run(steps int) {
	for range steps {
		switch n := w.random.IntN(1000); {
		case n < 5:
			w.stats.Crashes++
			for _, r := range w.shard.Drop(kerr.NotCoordinator.Code) {
				w.answered[r.Token] = r.Response
			}
			w.shard = w.replayed()
		case n < 15:
			w.change()
		case n < 40:
			w.checkReplay()
		case n < 250:
			w.pass(int64(w.random.IntN(3000)))
		case n < 252:
			w.pass(50_000)
		default:
			w.clients[w.random.IntN(len(w.clients))].act()
		}
		w.check()
	}
}

// change makes, grows or deletes a topic.
func (w *consumerWorld) change() {
	name := string(rune('a' + w.random.IntN(4)))
	t, ok := w.topics[name]
	switch {
	case !ok:
		w.addTopic(name)
	case w.random.IntN(4) == 0:
		w.version++
		delete(w.topics, name)
	case t.Partitions < 8:
		w.version++
		t.Partitions++
		w.topics[name] = t
	}
}

func (w *consumerWorld) pass(ms int64) {
	until := w.nowMs + ms
	for {
		deadline, ok := w.shard.NextDeadline()
		if !ok || deadline > until {
			break
		}
		w.nowMs = max(w.nowMs, deadline)
		w.do(w.shard.Tick(w.nowMs))
	}
	w.nowMs = until
	for _, c := range w.clients { // a process whose session may have ended has stopped
		if c.live && w.nowMs-c.beatMs > 25_000 {
			c.die()
		}
	}
}

func (w *consumerWorld) do(out Output) {
	for _, e := range out.Events {
		switch e.Kind {
		case EventUpgraded:
			w.stats.Upgrades++
		case EventDowngraded:
			w.stats.Downgrades++
		case EventMemberExpired:
			w.stats.Expired++
		case EventRebalance, EventGeneration, EventOffsetsExpired:
		}
	}
	if len(out.Records) > 0 && !w.calm && w.random.IntN(40) == 0 {
		w.stats.AppendFailures++
		for _, r := range out.Replies {
			w.answered[r.Token] = WithError(r.Response, kerr.CoordinatorNotAvailable.Code)
		}
		w.do(w.shard.AppendFailed(w.nowMs, out.Records))
		return
	}
	for _, r := range out.Records {
		if r.change.kind == changeEpoch {
			w.stats.Epochs++
		}
		if r.change.kind == changeRegex {
			w.stats.Regexes++
		}
	}
	w.log = append(w.log, out.Records...)
	w.shard.Appended(out.Records)
	for _, r := range out.Replies {
		w.answered[r.Token] = r.Response
	}
}

// ask sends a request; nil when the answer is lost, or waits.
func (w *consumerWorld) ask(c *consumerClient, req kmsg.Request) kmsg.Response {
	w.token++
	token := w.token
	c.beatMs = w.nowMs
	w.do(w.shard.Step(Input{NowMs: w.nowMs, Token: token, Client: Client{ID: c.name, Host: "/h"}, Request: req}))
	if _, waits := req.(*kmsg.JoinGroupRequest); waits && w.answered[token] == nil {
		w.pass(0)
	}
	resp := w.answered[token]
	delete(w.answered, token)
	if !w.calm && w.random.IntN(25) == 0 {
		w.stats.Lost++
		return nil
	}
	return resp
}

func (c *consumerClient) die() {
	c.live, c.uses, c.wants, c.joined, c.synced = false, assignment{}, assignment{}, false, false
}

func (c *consumerClient) start() {
	r := c.w.random
	if !c.away {
		c.classic, c.instance = r.IntN(6) < 1+int(c.w.seed%5), nil
		if r.IntN(3) == 0 {
			c.instance = new(c.name)
		}
	} else {
		c.w.stats.Returned++
	}
	c.w.lives++
	c.id = fmt.Sprintf("%s-%d", c.name, c.w.lives)
	if c.classic {
		c.id = ""
	}
	c.live, c.epoch, c.uses, c.wants, c.full, c.joined, c.synced, c.away = true, 0, assignment{}, assignment{}, false, false, false, false
	c.beatMs = c.w.nowMs
	c.subscribe()
}

func (c *consumerClient) subscribe() {
	c.topics, c.regex = []string{}, ""
	for _, name := range []string{"a", "b", "c", "d"} {
		if c.w.random.IntN(2) == 0 {
			c.topics = append(c.topics, name)
		}
	}
	if !c.classic && c.w.random.IntN(4) == 0 {
		c.regex = []string{"[ab]", ".*", "c"}[c.w.random.IntN(3)]
	}
	c.full = true
}

func (c *consumerClient) act() {
	r := c.w.random
	switch n := r.IntN(100); {
	case !c.live:
		if r.IntN(3) == 0 {
			c.start()
		}
	case n < 2:
		c.die()
	case n < 5:
		c.leave()
	case n < 8 && !c.classic:
		c.subscribe()
	case c.classic:
		c.classicTurn()
	default:
		c.beat()
	}
}

func (c *consumerClient) leave() {
	if c.classic {
		c.uses = assignment{}
		req := kmsg.NewPtrLeaveGroupRequest()
		req.Version, req.Group = 5, "g"
		req.Members = []kmsg.LeaveGroupRequestMember{{MemberID: c.id, InstanceID: c.instance}}
		if c.id != "" {
			c.w.ask(c, req)
		}
		c.die()
		return
	}
	epoch := int32(epochLeave)
	if c.instance != nil {
		epoch = epochLeaveStatic
	}
	c.uses = assignment{}
	req := c.request()
	req.MemberEpoch = epoch
	if c.epoch > 0 {
		c.w.ask(c, req)
		c.away = epoch == epochLeaveStatic
	}
	away := c.away
	c.die()
	c.away = away
}

func (c *consumerClient) request() *kmsg.ConsumerGroupHeartbeatRequest {
	req := kmsg.NewPtrConsumerGroupHeartbeatRequest()
	req.Version, req.Group, req.MemberID, req.InstanceID, req.MemberEpoch, req.RebalanceTimeoutMillis = 1, "g", c.id, c.instance, c.epoch, -1
	return req
}

// beat gives up what the member should not have, or takes what it should, and says so.
func (c *consumerClient) beat() {
	if c.w.random.IntN(3) > 0 {
		before := c.uses.count()
		c.uses = c.uses.filter(c.wants.has)
		c.w.stats.Revoked += before - c.uses.count()
	}
	req := c.request()
	if c.epoch == 0 || c.full {
		req.RebalanceTimeoutMillis, req.SubscribedTopicNames, req.SubscribedTopicRegex = 60_000, c.topics, &c.regex
	}
	req.Topics = []kmsg.ConsumerGroupHeartbeatRequestTopic{}
	for _, id := range c.uses.topics() {
		req.Topics = append(req.Topics, kmsg.ConsumerGroupHeartbeatRequestTopic{TopicID: id, Partitions: c.uses[id]})
	}
	resp, ok := c.w.ask(c, req).(*kmsg.ConsumerGroupHeartbeatResponse)
	if !ok {
		c.full = true
		return
	}
	switch resp.ErrorCode {
	case 0:
		c.full = false
		c.epoch = resp.MemberEpoch
		if resp.Assignment != nil {
			c.wants = assignment{}
			for _, t := range resp.Assignment.Topics {
				c.wants[t.TopicID] = t.Partitions
			}
		}
		// What it was given is free: it may use it at once, beside what it still gives up.
		c.w.stats.Assigned += c.wants.count()
		c.uses = c.uses.union(c.wants)
	case kerr.CoordinatorNotAvailable.Code, kerr.NotCoordinator.Code:
		c.full = true
	case kerr.UnreleasedInstanceID.Code:
		c.beatMs = c.w.nowMs
	default: // fenced, unknown, or the group is of the other protocol
		c.w.stats.Fenced++
		c.epoch, c.uses, c.wants, c.full = 0, assignment{}, assignment{}, true
	}
}

// classicTurn joins, asks for the assignment, or sends a heartbeat, as cooperative clients do.
func (c *consumerClient) classicTurn() {
	switch {
	case !c.joined:
		c.classicJoin()
	case !c.synced:
		c.classicSync()
	default:
		req := kmsg.NewPtrHeartbeatRequest()
		req.Version, req.Group, req.MemberID, req.InstanceID, req.Generation = 4, "g", c.id, c.instance, c.epoch
		if resp, ok := c.w.ask(c, req).(*kmsg.HeartbeatResponse); ok {
			c.classicFailed(resp.ErrorCode)
		}
	}
}

func (c *consumerClient) classicFailed(code int16) {
	switch code {
	case 0, kerr.CoordinatorNotAvailable.Code, kerr.NotCoordinator.Code:
	case kerr.RebalanceInProgress.Code:
		c.joined, c.synced = false, false
	default:
		c.w.stats.Fenced++
		c.id, c.joined, c.synced, c.uses, c.wants = "", false, false, assignment{}, assignment{}
	}
}

func (c *consumerClient) classicJoin() {
	meta := kmsg.NewConsumerMemberMetadata()
	meta.Version, meta.Topics = 1, c.topics
	c.uses = c.uses.filter(c.wants.has)
	for _, id := range c.uses.topics() {
		if name, ok := c.w.TopicName(id); ok {
			meta.OwnedPartitions = append(meta.OwnedPartitions, kmsg.ConsumerMemberMetadataOwnedPartition{Topic: name, Partitions: c.uses[id]})
		}
	}
	req := kmsg.NewPtrJoinGroupRequest()
	req.Version, req.Group, req.MemberID, req.InstanceID, req.ProtocolType = 9, "g", c.id, c.instance, "consumer"
	req.SessionTimeoutMillis, req.RebalanceTimeoutMillis = 26_000, 60_000
	req.Protocols = []kmsg.JoinGroupRequestProtocol{{Name: "cooperative-sticky", Metadata: meta.AppendTo(nil)}}
	resp, ok := c.w.ask(c, req).(*kmsg.JoinGroupResponse)
	if !ok {
		return
	}
	switch resp.ErrorCode {
	case 0:
		c.id, c.epoch, c.joined = resp.MemberID, resp.Generation, true
	case kerr.MemberIDRequired.Code:
		c.id = resp.MemberID
	default:
		c.classicFailed(resp.ErrorCode)
	}
}

func (c *consumerClient) classicSync() {
	req := kmsg.NewPtrSyncGroupRequest()
	req.Version, req.Group, req.MemberID, req.InstanceID, req.Generation = 5, "g", c.id, c.instance, c.epoch
	resp, ok := c.w.ask(c, req).(*kmsg.SyncGroupResponse)
	if !ok {
		return
	}
	if resp.ErrorCode != 0 {
		c.classicFailed(resp.ErrorCode)
		return
	}
	c.synced = true
	c.wants = assignment{}
	if a, err := c.w.shard.assignmentIn(resp.MemberAssignment); err == nil && len(resp.MemberAssignment) > 0 {
		c.wants = a
	}
	lost := len(c.uses.filter(func(tp topicPartition) bool { return !c.wants.has(tp) })) > 0
	c.uses = c.uses.filter(c.wants.has).union(c.wants)
	if lost {
		c.joined, c.synced = false, false // it has given up some, and says so
	}
}

// check: no partition has two users, as long as the group is one of the consumer
// protocol; in the classic one the clients see to it, and these have no assignor.
func (w *consumerWorld) check() {
	g := w.shard.groups["g"]
	if g == nil || g.consumer == nil {
		return
	}
	user := map[topicPartition]string{}
	for _, c := range w.clients {
		for tp := range c.uses.all() {
			if user[tp] != "" {
				w.failf("%v is used by %s and %s\n%s", tp, user[tp], c.name, w.describe())
			}
			user[tp] = c.name
		}
	}
	owners := 0
	for id, m := range g.consumer.members {
		for tp := range m.assigned.union(m.revoking).all() {
			owners++
			if g.consumer.owner[tp] != id {
				w.failf("%v is %s's, but the owner is %q", tp, id, g.consumer.owner[tp])
			}
		}
	}
	if owners != len(g.consumer.owner) {
		w.failf("%d partitions have an owner, members own %d", len(g.consumer.owner), owners)
	}
}

func (w *consumerWorld) describe() string {
	var b strings.Builder
	for _, c := range w.clients {
		fmt.Fprintf(&b, "%s id %s classic %v live %v epoch %d uses %v wants %v\n", c.name, c.id, c.classic, c.live, c.epoch, c.uses, c.wants)
	}
	if g := w.shard.groups["g"]; g != nil && g.consumer != nil {
		for _, m := range g.consumer.sorted() {
			fmt.Fprintf(&b, "  %s epoch %d state %d has %v revokes %v wants %v\n", m.id, m.epoch, m.state, m.assigned, m.revoking, g.consumer.target[m.id])
		}
	}
	return b.String()
}

// checkReplay: the log gives the consumer group that is in memory.
func (w *consumerWorld) checkReplay() {
	g := w.shard.groups["g"]
	if g == nil || g.consumer == nil {
		return
	}
	again := w.replayed().groups["g"]
	if again == nil || again.consumer == nil {
		w.failf("the log has no consumer group")
	}
	a, b := *g.consumer, *again.consumer
	a.checkedVersion, a.resolvedVersion, a.resolvedMs = -1, -1, 0
	for id, m := range a.members {
		if o := b.members[id]; o == nil || !m.sameMetadata(o) || !m.sameAssignment(o) {
			w.failf("member %s: in memory %+v, in the log %+v", id, m, o)
		}
	}
	if len(a.members) != len(b.members) || a.epoch != b.epoch || a.hash != b.hash || a.targetEpoch != b.targetEpoch ||
		!maps.EqualFunc(a.target, b.target, assignment.equal) || !maps.Equal(a.owner, b.owner) || !maps.Equal(a.static, b.static) ||
		!reflect.DeepEqual(slices.Sorted(maps.Keys(a.regexes)), slices.Sorted(maps.Keys(b.regexes))) {
		w.failf("in memory %+v\nin the log %+v", a, b)
	}
}

// settle leaves the group in peace: it converges.
func (w *consumerWorld) settle() {
	w.calm = true
	for _, c := range w.clients {
		if c.live && c.classic {
			c.leave()
		}
	}
	w.clients[0].away = false
	if !w.clients[0].live {
		w.clients[0].start()
	}
	w.clients[0].classic = false
	if w.clients[0].id == "" {
		w.clients[0].id = "c0-last"
	}
	for range 300 {
		for _, c := range w.clients {
			if c.live && !c.classic {
				c.beat()
			}
		}
		w.pass(1000)
		w.check()
	}
	g := w.shard.groups["g"]
	if g == nil || g.consumer == nil || g.consumer.state() != Stable {
		w.failf("the group did not become stable\n%s", w.describe())
	}
	read := map[topicPartition]bool{}
	for _, name := range g.consumer.subscriptions() {
		if t, ok := w.topics[name]; ok {
			for p := range t.Partitions {
				read[topicPartition{t.ID, p}] = true
			}
		}
	}
	used := 0
	for _, c := range w.clients {
		for tp := range c.uses.all() {
			used++
			if !read[tp] {
				w.failf("%s uses %v, which nobody subscribes to", c.name, tp)
			}
		}
	}
	if used != len(read) {
		w.failf("%d partitions are subscribed to, %d are used\n%s", len(read), used, w.describe())
	}
	w.checkReplay()
}
