package core

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// State of a group, by Kafka's names.
type State string

// States of a group.
const (
	// Empty has no members; it may have offsets.
	Empty State = "Empty"
	// PreparingRebalance waits for the members' JoinGroup.
	PreparingRebalance State = "PreparingRebalance"
	// CompletingRebalance waits for the leader's assignment.
	CompletingRebalance State = "CompletingRebalance"
	// Stable has an assignment.
	Stable State = "Stable"
	// Dead is how a group that is not there is described.
	Dead State = "Dead"
)

const consumerProtocolType = "consumer"

type group struct {
	id           string
	state        State
	previous     State
	stateSinceMs int64
	generation   int32
	protocolType string
	// protocol is the assignor chosen for this generation; empty between
	// generations of an empty group.
	protocol string
	leader   string

	// Invariant: members are in the order in which they came, and byID has the same ones.
	members []*member
	byID    map[string]*member
	// static maps a group instance id to the id of its member.
	static map[string]string
	// pending are member ids that were given out and have not joined yet.
	pending map[string]struct{}
	// votes counts the members that support a protocol.
	votes map[string]int
	// unsynced are members of this generation that have not sent SyncGroup.
	unsynced map[string]struct{}

	// newMemberAdded says that someone came while an initial rebalance waits.
	newMemberAdded bool
	// initialDelayMs and initialRemainingMs are the current wait of an initial
	// rebalance, and how much longer it may become.
	initialDelayMs, initialRemainingMs int64
	// rebalanceDeadlineMs is when the running rebalance goes on without those who have not joined.
	rebalanceDeadlineMs int64

	offsets map[string]map[int32]offset
	// persisted says that the log holds a GroupMetadata record of the group.
	persisted bool

	// consumer is set for a group of the new protocol (KIP-848). What is above,
	// except the offsets, is of the classic protocol alone.
	consumer *consumerGroup
	// consumerLeft says that the log has records of the consumer group, without
	// members, in whose place this classic group is.
	consumerLeft bool
}

// currentState is the state of a group of either protocol.
func (g *group) currentState() State {
	if g.consumer != nil {
		return g.consumer.state()
	}
	return g.state
}

// protocol type of a group of either protocol.
func (g *group) currentProtocolType() string {
	if g.consumer != nil {
		return consumerProtocolType
	}
	return g.protocolType
}

func newGroup(id string, nowMs int64) *group {
	return &group{
		id: id, state: Empty, previous: Empty, stateSinceMs: nowMs,
		byID: map[string]*member{}, static: map[string]string{}, pending: map[string]struct{}{},
		votes: map[string]int{}, unsynced: map[string]struct{}{}, offsets: map[string]map[int32]offset{},
	}
}

func (g *group) transition(to State, nowMs int64) {
	g.previous, g.state, g.stateSinceMs = g.state, to, nowMs
}

// canRebalance says whether a rebalance may begin in this state.
func (g *group) canRebalance() bool { return g.state != PreparingRebalance }

func (g *group) add(m *member) {
	if len(g.members) == 0 {
		g.protocolType = m.protocolType
	}
	if m.instance != nil {
		g.static[*m.instance] = m.id
	}
	if g.leader == "" {
		g.leader = m.id
	}
	delete(g.pending, m.id)
	g.members = append(g.members, m)
	g.byID[m.id] = m
	g.countVotes(m, 1)
}

// remove takes the member out. Its parked requests must have been answered.
func (g *group) remove(m *member) {
	i := slices.Index(g.members, m)
	g.members = slices.Delete(g.members, i, i+1)
	delete(g.byID, m.id)
	delete(g.unsynced, m.id)
	g.countVotes(m, -1)
	if m.instance != nil && g.static[*m.instance] == m.id {
		delete(g.static, *m.instance)
	}
	if g.leader == m.id {
		g.leader = ""
		if len(g.members) > 0 {
			g.leader = g.members[0].id
		}
	}
}

func (g *group) countVotes(m *member, by int) {
	for _, name := range m.protocolNames() {
		if g.votes[name] += by; g.votes[name] == 0 {
			delete(g.votes, name)
		}
	}
}

// supports says whether a member with these protocols can be in the group together with those who are.
func (g *group) supports(protocolType string, protocols []kmsg.JoinGroupRequestProtocol) bool {
	if len(g.members) == 0 {
		return protocolType != "" && len(protocols) > 0
	}
	return g.protocolType == protocolType && slices.ContainsFunc(protocols, func(p kmsg.JoinGroupRequestProtocol) bool {
		return g.votes[p.Name] == len(g.members)
	})
}

// selectProtocol returns the protocol that all support and most prefer; among
// equals the one that the oldest member prefers.
func (g *group) selectProtocol() string {
	if len(g.members) == 0 {
		return ""
	}
	votes := map[string]int{}
	for _, m := range g.members {
		for _, p := range m.protocols {
			if g.votes[p.name] == len(g.members) {
				votes[p.name]++
				break
			}
		}
	}
	best := ""
	for _, p := range g.members[0].protocols {
		if votes[p.name] > 0 && (best == "" || votes[p.name] > votes[best]) {
			best = p.name
		}
	}
	return best
}

// validate checks that the member is one of the group, and the instance its own (KIP-345).
func (g *group) validate(memberID string, instance *string) int16 {
	if instance != nil {
		current, ok := g.static[*instance]
		if !ok {
			return kerr.UnknownMemberID.Code
		}
		if current != memberID {
			return kerr.FencedInstanceID.Code
		}
	}
	if g.byID[memberID] == nil {
		return kerr.UnknownMemberID.Code
	}
	return 0
}

func (g *group) awaitingJoin() int {
	n := 0
	for _, m := range g.members {
		if m.join != nil {
			n++
		}
	}
	return n
}

func (g *group) allJoined() bool {
	return len(g.pending) == 0 && g.awaitingJoin() == len(g.members)
}

// rebalanceTimeoutMs is the longest that a member asked for.
func (g *group) rebalanceTimeoutMs() int64 {
	longest := int32(0)
	for _, m := range g.members {
		longest = max(longest, m.rebalanceTimeoutMs)
	}
	return int64(longest)
}

// electLeader makes sure that the leader is one who has joined.
func (g *group) electLeader() bool {
	if m := g.byID[g.leader]; m != nil && m.join != nil {
		return true
	}
	for _, m := range g.members {
		if m.join != nil {
			g.leader = m.id
			return true
		}
	}
	return false
}

// subscribed says whether a member reads the topic; a group whose
// subscriptions cannot be read counts as subscribed to every one.
func (g *group) subscribed(topic string) bool {
	if g.consumer != nil {
		return g.consumer.subscribed(topic)
	}
	if g.protocolType != consumerProtocolType {
		return false
	}
	for _, m := range g.members {
		meta := kmsg.NewConsumerMemberMetadata()
		if err := meta.ReadFrom(m.metadata(g.protocol)); err != nil || slices.Contains(meta.Topics, topic) {
			return true
		}
	}
	return false
}

func (g *group) offsetCount() int {
	n := 0
	for _, parts := range g.offsets {
		n += len(parts)
	}
	return n
}
