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

// tellsLeader says whether the client is told who leads the part's partition.
func (t *fetchTask) tellsLeader(p *fetchPart) bool {
	return t.version >= leaderToldVersion &&
		(errors.Is(p.err, kerr.NotLeaderForPartition) || errors.Is(p.err, kerr.FencedLeaderEpoch))
}

// leaderOf returns who leads a partition, and its epoch; -1 where that is not known.
func (t *fetchTask) leaderOf(topic *fetchTopic, partition int32) (leader, epoch int32) {
	state := t.topicOf(&sessionKey{id: topic.id, name: topic.name})
	if state == nil {
		return -1, -1
	}
	known := t.node.meta.Image().Topic(state.name)
	if known == nil || int(partition) >= len(known.Partitions) {
		return -1, -1
	}
	return known.Partitions[partition].Leader, known.Partitions[partition].LeaderEpoch
}

// appendPartTags adds the tagged fields of a part: where its log and the client's differ, or
// who leads it.
func (t *fetchTask) appendPartTags(b []byte, topic *fetchTopic, p *fetchPart, flexible bool) []byte {
	switch {
	case flexible && p.divergingEnd >= 0:
		b = append(b, 1, 0, 13) // one tagged field, number 0, of 13 bytes
		b = binary.BigEndian.AppendUint32(b, uint32(p.divergingEpoch))
		b = binary.BigEndian.AppendUint64(b, uint64(p.divergingEnd))
	case t.tellsLeader(p):
		leader, epoch := t.leaderOf(topic, p.partition)
		b = append(b, 1, 1, 9) // one tagged field, number 1, of 9 bytes
		b = binary.BigEndian.AppendUint32(b, uint32(leader))
		b = binary.BigEndian.AppendUint32(b, uint32(epoch))
	}
	return wire.AppendTags(b, flexible)
}

// appendEndpoints adds the tagged field of where the leaders are that the parts name. Followers,
// which know the brokers, are not told.
func (t *fetchTask) appendEndpoints(b []byte, topics []fetchTopic, flexible bool) []byte {
	leaders := t.leadersTold(topics)
	if len(leaders) == 0 {
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

// leadersTold are the leaders that the answer to a consumer names.
func (t *fetchTask) leadersTold(topics []fetchTopic) []int32 {
	if t.replica >= 0 {
		return nil
	}
	var leaders []int32
	next := 0
	for i := range topics {
		for j := range t.parts[next : next+topics[i].parts] {
			if p := &t.parts[next+j]; t.tellsLeader(p) {
				leader, _ := t.leaderOf(&topics[i], p.partition)
				leaders = append(leaders, leader)
			}
		}
		next += topics[i].parts
	}
	return leaders
}
