package core

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kbin"
)

// Keys of the records of consumer groups (KIP-848): a record's key begins with
// its kind. Values are of version 0, flexible.
const (
	consumerGroupKey              = 3
	consumerPartitionsKey         = 4
	consumerMemberKey             = 5
	consumerTargetKey             = 6
	consumerTargetMemberKey       = 7
	consumerCurrentKey            = 8
	consumerRegexKey              = 16
	consumerValueVersion          = 0
	metadataHashTag               = 0
	classicMemberMetadataTag      = 0
	consumerKeyBytesUsual         = 64
	structPresent            int8 = 1
)

// consumerKey is the key of a record; names are the group and what the kind adds.
func consumerKey(kind int16, names ...string) []byte {
	b := kbin.AppendInt16(make([]byte, 0, consumerKeyBytesUsual), kind)
	for _, name := range names {
		b = kbin.AppendString(b, name)
	}
	return b
}

func newValue() []byte { return kbin.AppendInt16(nil, consumerValueVersion) }

// noTags ends a flexible structure.
func noTags(b []byte) []byte { return kbin.AppendUvarint(b, 0) }

func appendTag(b []byte, tag uint32, data []byte) []byte {
	b = kbin.AppendUvarint(b, 1) // tags that follow
	b = kbin.AppendUvarint(b, tag)
	b = kbin.AppendUvarint(b, uint32(len(data)))
	return append(b, data...)
}

// epochRecord writes down a group's epoch with the hash of its topics; version is
// the image's that the hash was computed from.
func epochRecord(group string, epoch int32, hash, version int64) Record {
	v := kbin.AppendInt32(newValue(), epoch)
	if hash != 0 {
		v = appendTag(v, metadataHashTag, kbin.AppendInt64(nil, hash))
	} else {
		v = noTags(v)
	}
	return Record{Key: consumerKey(consumerGroupKey, group), Value: v, change: change{
		kind: changeEpoch, group: group, generation: epoch, hash: hash, version: version,
	}}
}

func partitionMetadataTombstone(group string) Record {
	return Record{Key: consumerKey(consumerPartitionsKey, group), change: change{kind: changePartitionMetadata, group: group}}
}

// memberRecord writes down how a member describes itself.
func memberRecord(group string, m *consumerMember) Record {
	v := kbin.AppendCompactNullableString(newValue(), m.instance)
	v = kbin.AppendCompactNullableString(v, m.rack)
	v = kbin.AppendCompactString(v, m.client.ID)
	v = kbin.AppendCompactString(v, m.client.Host)
	v = appendStrings(v, m.topics)
	v = kbin.AppendCompactNullableString(v, &m.regex)
	v = kbin.AppendInt32(v, m.rebalanceTimeoutMs)
	v = kbin.AppendCompactNullableString(v, m.assignor)
	if m.classic != nil {
		v = appendTag(v, classicMemberMetadataTag, classicMemberMetadata(m.classic))
	} else {
		v = noTags(v)
	}
	return Record{Key: consumerKey(consumerMemberKey, group, m.id), Value: v, change: change{
		kind: changeMember, group: group, name: m.id, member: m,
	}}
}

// classicMemberMetadata is the nullable structure of a tagged field, present.
func classicMemberMetadata(c *classicMember) []byte {
	b := kbin.AppendInt8(nil, structPresent)
	b = kbin.AppendInt32(b, c.sessionTimeoutMs)
	b = kbin.AppendCompactArrayLen(b, len(c.protocols))
	for _, p := range c.protocols {
		b = kbin.AppendCompactString(b, p.name)
		b = noTags(kbin.AppendCompactBytes(b, p.metadata))
	}
	return noTags(b)
}

func appendStrings(b []byte, s []string) []byte {
	b = kbin.AppendCompactArrayLen(b, len(s))
	for _, one := range s {
		b = kbin.AppendCompactString(b, one)
	}
	return b
}

func memberTombstone(group, member string) Record {
	return Record{Key: consumerKey(consumerMemberKey, group, member), change: change{kind: changeMemberGone, group: group, name: member}}
}

// targetEpochRecord writes down which epoch the target was computed for.
func targetEpochRecord(group string, epoch int32) Record {
	return Record{Key: consumerKey(consumerTargetKey, group), Value: noTags(kbin.AppendInt32(newValue(), epoch)), change: change{
		kind: changeTargetEpoch, group: group, generation: epoch,
	}}
}

func targetEpochTombstone(group string) Record {
	return Record{Key: consumerKey(consumerTargetKey, group), change: change{kind: changeTargetEpoch, group: group, generation: -1}}
}

func targetRecord(group, member string, target assignment) Record {
	return Record{
		Key: consumerKey(consumerTargetMemberKey, group, member), Value: noTags(appendAssignment(newValue(), target)),
		change: change{kind: changeTarget, group: group, name: member, assignment: target},
	}
}

func targetTombstone(group, member string) Record {
	return Record{Key: consumerKey(consumerTargetMemberKey, group, member), change: change{kind: changeTargetGone, group: group, name: member}}
}

// currentRecord writes down a member's epoch and what it owns.
func currentRecord(group string, m *consumerMember) Record {
	v := kbin.AppendInt32(newValue(), m.epoch)
	v = kbin.AppendInt32(v, m.previousEpoch)
	v = kbin.AppendInt8(v, int8(m.state))
	v = appendAssignment(v, m.assigned)
	v = appendAssignment(v, m.revoking)
	return Record{Key: consumerKey(consumerCurrentKey, group, m.id), Value: noTags(v), change: change{
		kind: changeCurrent, group: group, name: m.id, member: m,
	}}
}

func currentTombstone(group, member string) Record {
	return Record{Key: consumerKey(consumerCurrentKey, group, member), change: change{kind: changeCurrentGone, group: group, name: member}}
}

func appendAssignment(b []byte, a assignment) []byte {
	b = kbin.AppendCompactArrayLen(b, len(a))
	for _, id := range a.topics() {
		b = kbin.AppendUuid(b, id)
		b = kbin.AppendCompactArrayLen(b, len(a[id]))
		for _, p := range a[id] {
			b = kbin.AppendInt32(b, p)
		}
		b = noTags(b)
	}
	return b
}

// regexRecord writes down what an expression matched.
func regexRecord(group, regex string, r *resolvedRegex) Record {
	v := appendStrings(newValue(), r.topics)
	v = kbin.AppendInt64(v, r.version)
	v = noTags(kbin.AppendInt64(v, r.timestamp))
	return Record{Key: consumerKey(consumerRegexKey, group, regex), Value: v, change: change{
		kind: changeRegex, group: group, name: regex, regex: r,
	}}
}

func regexTombstone(group, regex string) Record {
	return Record{Key: consumerKey(consumerRegexKey, group, regex), change: change{kind: changeRegexGone, group: group, name: regex}}
}

func epochTombstone(group string) Record {
	return Record{Key: consumerKey(consumerGroupKey, group), change: change{kind: changeConsumerGone, group: group}}
}

// memberTombstones removes one member; the order is Kafka's.
func memberTombstones(group, member string) []Record {
	return []Record{currentTombstone(group, member), targetTombstone(group, member), memberTombstone(group, member)}
}

// consumerTombstones removes everything that makes a group a consumer group.
func consumerTombstones(group string, c *consumerGroup) []Record {
	var currents, targets, members, rest []Record
	for _, m := range c.sorted() {
		currents = append(currents, currentTombstone(group, m.id))
		targets = append(targets, targetTombstone(group, m.id))
		members = append(members, memberTombstone(group, m.id))
	}
	targets = append(targets, targetEpochTombstone(group))
	for _, regex := range sortedKeys(c.regexes) {
		rest = append(rest, regexTombstone(group, regex))
	}
	if c.hasPartitionMetadata {
		rest = append(rest, partitionMetadataTombstone(group))
	}
	return slices.Concat(currents, targets, members, rest, []Record{epochTombstone(group)})
}
