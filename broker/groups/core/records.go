package core

import (
	"encoding/binary"
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Versions of the record schemas that are written: what Apache Kafka 4.1
// writes. An offset with a time of its own to expire needs version 1, the
// last that has the field; one with a topic id needs version 4.
const (
	offsetKeyVersion          = 1
	groupKeyVersion           = 2
	groupValueVersion         = 3
	offsetValueVersion        = 3
	offsetValueVersionExpire  = 1
	offsetValueVersionTopicID = 4
)

// Record is one record of __consumer_offsets; a nil Value is a tombstone.
type Record struct {
	Key, Value []byte
	change     change
}

type changeKind uint8

const (
	changeNone changeKind = iota
	changeOffset
	changeOffsetGone
	changeGroup
	changeGroupGone
	// changeDowngrade is a changeGroup that ends a consumer group.
	changeDowngrade
	// The rest is of consumer groups.
	changeEpoch
	changeConsumerGone
	changePartitionMetadata
	changeMember
	changeMemberGone
	changeTargetEpoch
	changeTarget
	changeTargetGone
	changeCurrent
	changeCurrentGone
	changeRegex
	changeRegexGone
)

// change is what a record does to a shard.
type change struct {
	kind      changeKind
	group     string
	topic     string
	partition int32
	offset    offset
	value     *kmsg.GroupMetadataValue
	// generation is the one that a group record was written for, or an epoch.
	generation int32
	// classic is the group that a downgrade makes, and rebalance whether it
	// begins with a rebalance.
	classic   *group
	rebalance bool

	// name is that of the member or the expression that a record is about.
	name                 string
	member               *consumerMember
	assignment           assignment
	regex                *resolvedRegex
	hash, version        int64
	hasPartitionMetadata bool
}

func offsetKey(group, topic string, partition int32) []byte {
	k := kmsg.OffsetCommitKey{Version: offsetKeyVersion, Group: group, Topic: topic, Partition: partition}
	return k.AppendTo(nil)
}

func offsetRecord(group, topic string, partition int32, o offset) Record {
	v := kmsg.NewOffsetCommitValue()
	v.Version, v.Offset, v.LeaderEpoch, v.Metadata = offsetValueVersion, o.offset, o.leaderEpoch, o.metadata
	v.CommitTimestamp, v.ExpireTimestamp, v.TopicID = o.commitMs, o.expireMs, o.topicID
	switch {
	case o.expireMs >= 0:
		v.Version = offsetValueVersionExpire
	case o.topicID != [16]byte{}:
		v.Version = offsetValueVersionTopicID
	}
	return Record{
		Key: offsetKey(group, topic, partition), Value: v.AppendTo(nil),
		change: change{kind: changeOffset, group: group, topic: topic, partition: partition, offset: o},
	}
}

func offsetTombstone(group, topic string, partition int32) Record {
	return Record{
		Key:    offsetKey(group, topic, partition),
		change: change{kind: changeOffsetGone, group: group, topic: topic, partition: partition},
	}
}

func groupKey(group string) []byte {
	k := kmsg.GroupMetadataKey{Version: groupKeyVersion, Group: group}
	return k.AppendTo(nil)
}

// groupRecord writes down the group's generation with its members and assignments.
func groupRecord(g *group) Record {
	v := kmsg.NewGroupMetadataValue()
	v.Version, v.ProtocolType, v.Generation = groupValueVersion, g.protocolType, g.generation
	v.CurrentStateTimestamp = g.stateSinceMs
	if g.protocol != "" {
		v.Protocol = new(g.protocol)
	}
	if g.leader != "" {
		v.Leader = new(g.leader)
	}
	for _, m := range g.members {
		to := kmsg.NewGroupMetadataValueMember()
		to.MemberID, to.InstanceID, to.ClientID, to.ClientHost = m.id, m.instance, m.client.ID, m.client.Host
		to.RebalanceTimeoutMillis, to.SessionTimeoutMillis = m.rebalanceTimeoutMs, m.sessionTimeoutMs
		to.Subscription, to.Assignment = m.metadata(g.protocol), m.assignment
		v.Members = append(v.Members, to)
	}
	return Record{
		Key: groupKey(g.id), Value: v.AppendTo(nil),
		change: change{kind: changeGroup, group: g.id, generation: g.generation},
	}
}

func groupTombstone(group string) Record {
	return Record{Key: groupKey(group), change: change{kind: changeGroupGone, group: group}}
}

// decode reads a record of the log. Keys of kinds that are not known, written by
// other group protocols (share and streams groups) or by newer versions, give changeNone.
func decode(key, value []byte) (change, error) {
	if len(key) < 2 {
		return change{}, fmt.Errorf("a key of __consumer_offsets has %d bytes: its version takes two", len(key))
	}
	switch kind := int16(binary.BigEndian.Uint16(key)); kind {
	case 0, offsetKeyVersion:
		return decodeOffset(key, value)
	case groupKeyVersion:
		return decodeGroup(key, value)
	case consumerGroupKey, consumerPartitionsKey, consumerMemberKey, consumerTargetKey,
		consumerTargetMemberKey, consumerCurrentKey, consumerRegexKey:
		return decodeConsumer(kind, key, value)
	}
	return change{}, nil
}

func decodeOffset(key, value []byte) (change, error) {
	var k kmsg.OffsetCommitKey
	if err := k.ReadFrom(key); err != nil {
		return change{}, fmt.Errorf("decode OffsetCommitKey: %w", err)
	}
	c := change{kind: changeOffsetGone, group: k.Group, topic: k.Topic, partition: k.Partition}
	if value == nil {
		return c, nil
	}
	v := kmsg.NewOffsetCommitValue()
	if err := v.ReadFrom(value); err != nil {
		return change{}, fmt.Errorf("decode OffsetCommitValue of group %q, topic %q, partition %d: %w", k.Group, k.Topic, k.Partition, err)
	}
	c.kind = changeOffset
	c.offset = offset{
		offset: v.Offset, leaderEpoch: -1, metadata: v.Metadata, commitMs: v.CommitTimestamp, expireMs: -1, topicID: v.TopicID,
	}
	if v.Version >= 3 {
		c.offset.leaderEpoch = v.LeaderEpoch
	}
	if v.Version == offsetValueVersionExpire {
		c.offset.expireMs = v.ExpireTimestamp
	}
	return c, nil
}

func decodeGroup(key, value []byte) (change, error) {
	var k kmsg.GroupMetadataKey
	if err := k.ReadFrom(key); err != nil {
		return change{}, fmt.Errorf("decode GroupMetadataKey: %w", err)
	}
	c := change{kind: changeGroupGone, group: k.Group}
	if value == nil {
		return c, nil
	}
	v := kmsg.NewGroupMetadataValue()
	if err := v.ReadFrom(value); err != nil {
		return change{}, fmt.Errorf("decode GroupMetadataValue of group %q: %w", k.Group, err)
	}
	c.kind, c.value, c.generation = changeGroup, &v, v.Generation
	return c, nil
}
