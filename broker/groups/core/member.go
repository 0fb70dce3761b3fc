package core

import (
	"bytes"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"
)

type protocol struct {
	name     string
	metadata []byte
}

// parked is a request that waits for the group.
type parked struct {
	token   Token
	version int16
}

type member struct {
	id                 string
	instance           *string
	client             Client
	rebalanceTimeoutMs int32
	sessionTimeoutMs   int32
	protocolType       string
	protocols          []protocol
	assignment         []byte
	// isNew is set until the member has been told its id by a JoinGroup
	// response: it cannot send heartbeats before.
	isNew bool
	// join and sync are the requests that wait; nil when none does.
	join, sync *parked
}

func newMember(id string, in Input, req *kmsg.JoinGroupRequest) *member {
	m := &member{id: id, instance: req.InstanceID, client: in.Client, protocolType: req.ProtocolType}
	m.update(req)
	return m
}

// update takes over what a JoinGroup says.
func (m *member) update(req *kmsg.JoinGroupRequest) {
	m.sessionTimeoutMs = req.SessionTimeoutMillis
	m.rebalanceTimeoutMs = rebalanceTimeoutOf(req)
	m.protocols = make([]protocol, 0, len(req.Protocols))
	for _, p := range req.Protocols {
		if m.indexOf(p.Name) < 0 {
			m.protocols = append(m.protocols, protocol{p.Name, bytes.Clone(p.Metadata)})
		}
	}
}

// rebalanceTimeoutOf is the rebalance timeout of a JoinGroup; the first version has none.
func rebalanceTimeoutOf(req *kmsg.JoinGroupRequest) int32 {
	if req.Version == 0 || req.RebalanceTimeoutMillis < 0 {
		return req.SessionTimeoutMillis
	}
	return req.RebalanceTimeoutMillis
}

func (m *member) indexOf(name string) int {
	return slices.IndexFunc(m.protocols, func(p protocol) bool { return p.name == name })
}

func (m *member) protocolNames() []string {
	names := make([]string, len(m.protocols))
	for i, p := range m.protocols {
		names[i] = p.name
	}
	return names
}

// metadata returns what the member sent for the protocol, never nil.
func (m *member) metadata(name string) []byte {
	if i := m.indexOf(name); i >= 0 && m.protocols[i].metadata != nil {
		return m.protocols[i].metadata
	}
	return []byte{}
}

// matches says whether a JoinGroup repeats what is known of the member.
func (m *member) matches(protocols []kmsg.JoinGroupRequestProtocol) bool {
	return slices.EqualFunc(m.protocols, protocols, func(a protocol, b kmsg.JoinGroupRequestProtocol) bool {
		return a.name == b.Name && bytes.Equal(a.metadata, b.Metadata)
	})
}
