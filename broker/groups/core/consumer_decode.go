package core

import (
	"fmt"
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kbin"

	"github.com/millrace/millrace/broker/recordvalue"
)

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// decodeConsumer reads a record of a consumer group. kind is the key's.
func decodeConsumer(kind int16, key, value []byte) (change, error) {
	k := kbin.Reader{Src: key[2:]}
	c := change{group: k.String()}
	switch kind {
	case consumerMemberKey, consumerTargetMemberKey, consumerCurrentKey, consumerRegexKey:
		c.name = k.String()
	}
	if err := k.Complete(); err != nil {
		return change{}, fmt.Errorf("decode the key of a record of kind %d: %w", kind, err)
	}
	if value == nil {
		c.kind, c.generation = goneKind(kind), -1
		return c, nil
	}
	v := newValueReader(value)
	if version := v.Int16(); v.Ok() && version != consumerValueVersion {
		return change{}, fmt.Errorf("decode a record of kind %d of group %q: version %d is not known", kind, c.group, version)
	}
	v.into(kind, &c)
	if err := v.Err(); err != nil {
		return change{}, fmt.Errorf("decode a record of kind %d of group %q: %w", kind, c.group, err)
	}
	return c, nil
}

func goneKind(kind int16) changeKind {
	switch kind {
	case consumerGroupKey:
		return changeConsumerGone
	case consumerPartitionsKey:
		return changePartitionMetadata
	case consumerMemberKey:
		return changeMemberGone
	case consumerTargetKey:
		return changeTargetEpoch
	case consumerTargetMemberKey:
		return changeTargetGone
	case consumerCurrentKey:
		return changeCurrentGone
	}
	return changeRegexGone
}

// valueReader reads the values of records, flexible ones.
type valueReader struct{ recordvalue.Reader }

func newValueReader(b []byte) valueReader { return valueReader{recordvalue.New(b, true)} }

// length reads the length of an array, which cannot be more than the bytes that follow.
func (v *valueReader) length() int { return v.Length(1) }

func (v *valueReader) into(kind int16, c *change) {
	switch kind {
	case consumerGroupKey:
		c.kind, c.generation, c.version = changeEpoch, v.Int32(), -1
		v.Tags(func(tag uint32, b []byte) {
			if tag == metadataHashTag {
				t := kbin.Reader{Src: b}
				c.hash = t.Int64()
				if t.Complete() != nil {
					v.Fail()
				}
			}
		})
	case consumerPartitionsKey:
		c.kind, c.hasPartitionMetadata = changePartitionMetadata, true
		v.Src = nil // what it says is in the image, and in the hash of the next epoch
	case consumerMemberKey:
		c.kind, c.member = changeMember, v.member(c.name)
	case consumerTargetKey:
		c.kind, c.generation = changeTargetEpoch, v.Int32()
		v.Tags(nil)
	case consumerTargetMemberKey:
		c.kind, c.assignment = changeTarget, v.assignment()
		v.Tags(nil)
	case consumerCurrentKey:
		m := newConsumerMember(c.name)
		m.epoch, m.previousEpoch, m.state = v.Int32(), v.Int32(), memberState(v.Int8())
		m.assigned, m.revoking = v.assignment(), v.assignment()
		c.kind, c.member = changeCurrent, m
		v.Tags(nil)
	case consumerRegexKey:
		c.kind, c.regex = changeRegex, &resolvedRegex{topics: v.strings()}
		c.regex.version, c.regex.timestamp = v.Int64(), v.Int64()
		v.Tags(nil)
	}
}

func (v *valueReader) member(id string) *consumerMember {
	m := newConsumerMember(id)
	m.instance, m.rack = v.CompactNullableString(), v.CompactNullableString()
	m.client = Client{ID: v.CompactString(), Host: v.CompactString()}
	m.topics = v.strings()
	if regex := v.CompactNullableString(); regex != nil {
		m.regex = *regex
	}
	m.rebalanceTimeoutMs, m.assignor = v.Int32(), v.CompactNullableString()
	v.Tags(func(tag uint32, b []byte) {
		if tag == classicMemberMetadataTag {
			in := newValueReader(b)
			m.classic = in.classic()
			if in.Err() != nil || (m.classic != nil && len(m.classic.protocols) == 0) {
				v.Fail()
			}
		}
	})
	return m
}

func (v *valueReader) classic() *classicMember {
	if v.Int8() != structPresent {
		return nil
	}
	c := &classicMember{sessionTimeoutMs: v.Int32()}
	for range v.length() {
		p := protocol{name: v.CompactString(), metadata: append([]byte{}, v.CompactBytes()...)}
		v.Tags(nil)
		c.protocols = append(c.protocols, p)
	}
	v.Tags(nil)
	return c
}

func (v *valueReader) assignment() assignment {
	a := assignment{}
	for range v.length() {
		id := v.Uuid()
		var ps []int32
		for range v.length() {
			ps = append(ps, v.Int32())
		}
		v.Tags(nil)
		if len(ps) > 0 {
			a[id] = sortedUnique(append(a[id], ps...))
		}
	}
	return a
}

func (v *valueReader) strings() []string {
	out := []string{}
	for range v.length() {
		out = append(out, v.CompactString())
	}
	return sortedUnique(out)
}
