package core

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/twmb/franz-go/pkg/kbin"
)

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// errRecordForm is what a record that does not have the form of its schema gives.
var errRecordForm = errors.New("record does not have the form of its schema")

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
	v := valueReader{Reader: kbin.Reader{Src: value}}
	if version := v.Int16(); v.Ok() && version != consumerValueVersion {
		return change{}, fmt.Errorf("decode a record of kind %d of group %q: version %d is not known", kind, c.group, version)
	}
	v.into(kind, &c)
	if err := v.Complete(); err != nil || v.bad {
		return change{}, fmt.Errorf("decode a record of kind %d of group %q: %w", kind, c.group, errors.Join(errRecordForm, err))
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
type valueReader struct {
	kbin.Reader
	bad bool
}

func (v *valueReader) into(kind int16, c *change) {
	switch kind {
	case consumerGroupKey:
		c.kind, c.generation, c.version = changeEpoch, v.Int32(), -1
		v.tags(func(tag uint32, b []byte) {
			if tag == metadataHashTag {
				t := kbin.Reader{Src: b}
				c.hash = t.Int64()
				v.bad = v.bad || t.Complete() != nil
			}
		})
	case consumerPartitionsKey:
		c.kind, c.hasPartitionMetadata = changePartitionMetadata, true
		v.Src = nil // what it says is in the image, and in the hash of the next epoch
	case consumerMemberKey:
		c.kind, c.member = changeMember, v.member(c.name)
	case consumerTargetKey:
		c.kind, c.generation = changeTargetEpoch, v.Int32()
		v.tags(nil)
	case consumerTargetMemberKey:
		c.kind, c.assignment = changeTarget, v.assignment()
		v.tags(nil)
	case consumerCurrentKey:
		m := newConsumerMember(c.name)
		m.epoch, m.previousEpoch, m.state = v.Int32(), v.Int32(), memberState(v.Int8())
		m.assigned, m.revoking = v.assignment(), v.assignment()
		c.kind, c.member = changeCurrent, m
		v.tags(nil)
	case consumerRegexKey:
		c.kind, c.regex = changeRegex, &resolvedRegex{topics: v.strings()}
		c.regex.version, c.regex.timestamp = v.Int64(), v.Int64()
		v.tags(nil)
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
	v.tags(func(tag uint32, b []byte) {
		if tag == classicMemberMetadataTag {
			in := valueReader{Reader: kbin.Reader{Src: b}}
			m.classic = in.classic()
			v.bad = v.bad || in.bad || in.Complete() != nil || (m.classic != nil && len(m.classic.protocols) == 0)
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
		v.tags(nil)
		c.protocols = append(c.protocols, p)
	}
	v.tags(nil)
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
		v.tags(nil)
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

// length reads the length of an array, which cannot be more than the bytes that follow.
func (v *valueReader) length() int {
	n := int(v.CompactArrayLen())
	if n > len(v.Src) {
		v.bad = true
		return 0
	}
	return max(n, 0)
}

// tags reads tagged fields, and gives each to on, which may be nil.
func (v *valueReader) tags(on func(tag uint32, b []byte)) {
	for range min(v.Uvarint(), math.MaxUint16) {
		if !v.Ok() {
			return
		}
		tag, size := v.Uvarint(), v.Uvarint()
		if uint64(size) > uint64(len(v.Src)) {
			v.bad = true
			return
		}
		if b := v.Span(int(size)); on != nil {
			on(tag, b)
		}
	}
}
