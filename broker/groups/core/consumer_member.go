package core

import (
	"bytes"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// memberState says how far a member is with its assignment, by Kafka's numbers.
type memberState int8

const (
	// memberStable has what the target of its epoch gives it.
	memberStable memberState = 1
	// memberUnrevoked has been told to give partitions up, and has not said that it did.
	memberUnrevoked memberState = 2
	// memberUnreleased waits for partitions that others still own.
	memberUnreleased memberState = 3
)

const (
	// epochJoin asks to join, epochLeave to leave; epochLeaveStatic says that the
	// instance goes and will be back.
	epochJoin        = 0
	epochLeave       = -1
	epochLeaveStatic = -2
)

// consumerMember is a member of a consumer group (KIP-848). It is never
// changed: what changes is a copy.
type consumerMember struct {
	id             string
	instance, rack *string
	client         Client
	// topics are the names subscribed to, in order and without repetition.
	topics []string
	// regex is the expression subscribed to; empty without one.
	regex              string
	rebalanceTimeoutMs int32
	// assignor is the server-side assignor that the member prefers, nil for none.
	assignor *string
	// classic is set for a member that speaks the classic protocol.
	classic *classicMember

	epoch, previousEpoch int32
	state                memberState
	// assigned is what the member may use, revoking what it was told to give up;
	// it owns both.
	assigned, revoking assignment
}

// classicMember is what a consumer group knows of a member that speaks the
// classic protocol (JoinGroup).
type classicMember struct {
	sessionTimeoutMs int32
	protocols        []protocol
}

func newConsumerMember(id string) *consumerMember {
	return &consumerMember{
		id: id, rebalanceTimeoutMs: -1, state: memberStable, topics: []string{},
		assigned: assignment{}, revoking: assignment{},
	}
}

func (m *consumerMember) copy() *consumerMember {
	c := *m
	return &c
}

// reconciled says whether the member has all that the target of this epoch gives it.
func (m *consumerMember) reconciled(targetEpoch int32) bool {
	return m.state == memberStable && m.epoch == targetEpoch
}

// sameMetadata says whether two describe themselves alike, epoch and assignment apart.
func (m *consumerMember) sameMetadata(o *consumerMember) bool {
	return m.id == o.id && equalPtr(m.instance, o.instance) && equalPtr(m.rack, o.rack) && m.client == o.client &&
		m.regex == o.regex && m.rebalanceTimeoutMs == o.rebalanceTimeoutMs && equalPtr(m.assignor, o.assignor) &&
		slices.Equal(m.topics, o.topics) && m.classic.equal(o.classic)
}

// sameAssignment says whether two are at the same point of their reconciliation.
func (m *consumerMember) sameAssignment(o *consumerMember) bool {
	return m.epoch == o.epoch && m.previousEpoch == o.previousEpoch && m.state == o.state &&
		m.assigned.equal(o.assigned) && m.revoking.equal(o.revoking)
}

func (c *classicMember) equal(o *classicMember) bool {
	if c == nil || o == nil {
		return c == o
	}
	return c.sessionTimeoutMs == o.sessionTimeoutMs && slices.EqualFunc(c.protocols, o.protocols, func(a, b protocol) bool {
		return a.name == b.name && bytes.Equal(a.metadata, b.metadata)
	})
}

// metadata is that of the protocol named first. Invariant: a classic member has one.
func (c *classicMember) metadata() (name string, data []byte) {
	return c.protocols[0].name, c.protocols[0].metadata
}

func classicMemberOf(sessionTimeoutMs int32, protocols []kmsg.JoinGroupRequestProtocol) *classicMember {
	c := &classicMember{sessionTimeoutMs: sessionTimeoutMs}
	for _, p := range protocols {
		if !slices.ContainsFunc(c.protocols, func(o protocol) bool { return o.name == p.Name }) {
			c.protocols = append(c.protocols, protocol{p.Name, append([]byte{}, p.Metadata...)})
		}
	}
	return c
}

func equalPtr[T comparable](a, b *T) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}
