package broker

import (
	"encoding/binary"
	"errors"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/millrace/millrace/broker/wire"
)

// leaderToldVersion is the first Fetch version whose answer names the leader to a client that
// came to another broker, or with an epoch that is over (KIP-951).
const leaderToldVersion = 16

// toldLeader is what a part says of its partition's leader; -1 where that is not known.
type toldLeader struct{ id, epoch int32 }

// leaderToTell returns who leads the part's partition, and whether the client is told.
func (t *fetchTask) leaderToTell(topic *fetchTopic, p *fetchPart) (leader toldLeader, told bool) {
	if t.version < leaderToldVersion || !errors.Is(p.err, kerr.NotLeaderForPartition) && !errors.Is(p.err, kerr.FencedLeaderEpoch) {
		return toldLeader{}, false
	}
	state := t.topicOf(&sessionKey{id: topic.id, name: topic.name})
	if state == nil {
		return toldLeader{-1, -1}, true
	}
	known := t.node.meta.Image().Topic(state.name)
	if known == nil || int(p.partition) >= len(known.Partitions) {
		return toldLeader{-1, -1}, true
	}
	at := known.Partitions[p.partition]
	return toldLeader{at.Leader, at.LeaderEpoch}, true
}

// appendPartTags adds the tagged fields of a part: where its log and the client's differ, or
// who leads it. It returns the leaders that the answer has named with that one.
func (t *fetchTask) appendPartTags(b []byte, topic *fetchTopic, p *fetchPart, leaders []int32, flexible bool) (tags []byte, named []int32) {
	leader, told := t.leaderToTell(topic, p)
	if told {
		leaders = append(leaders, leader.id)
	}
	switch {
	case flexible && p.divergingEnd >= 0:
		b = append(b, 1, 0, 13) // one tagged field, number 0, of 13 bytes
		b = binary.BigEndian.AppendUint32(b, uint32(p.divergingEpoch))
		b = binary.BigEndian.AppendUint64(b, uint64(p.divergingEnd))
	case told:
		b = append(b, 1, 1, 9) // one tagged field, number 1, of 9 bytes
		b = binary.BigEndian.AppendUint32(b, uint32(leader.id))
		b = binary.BigEndian.AppendUint32(b, uint32(leader.epoch))
	}
	return wire.AppendTags(b, flexible), leaders
}

// appendEndpoints adds the tagged field of where the leaders are that the parts have named. Followers,
// which know the brokers, are not told.
func (t *fetchTask) appendEndpoints(b []byte, leaders []int32, flexible bool) []byte {
	if len(leaders) == 0 || t.replica >= 0 {
		return wire.AppendTags(b, flexible)
	}
	var nodes []byte
	count := 0
	for _, broker := range t.node.meta.Image().Brokers() {
		at, ok := endpointFor(broker, t.request.Conn)
		if !ok || !slices.Contains(leaders, broker.NodeID) {
			continue
		}
		count++
		nodes = binary.BigEndian.AppendUint32(nodes, uint32(broker.NodeID))
		nodes = wire.AppendString(nodes, at.Host, flexible)
		nodes = binary.BigEndian.AppendUint32(nodes, uint32(at.Port))
		nodes = wire.AppendNullableString(nodes, rackOf(broker), flexible)
		nodes = wire.AppendTags(nodes, flexible)
	}
	field := append(wire.AppendArrayLen(nil, count, flexible), nodes...)
	b = append(b, 1, 0) // one tagged field, number 0
	b = binary.AppendUvarint(b, uint64(len(field)))
	return append(b, field...)
}
