package core

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kbin"
)

// errForm is what a value that does not have the form of its schema gives.
var errForm = errors.New("the value does not have the form of its schema")

// Tags of TransactionLogValue.
const (
	tagPreviousProducerID = 0
	tagNextProducerID     = 1
	tagClientVersion      = 2
)

// decodeValue reads a TransactionLogValue. It is not kmsg's decoder, which
// believes a count of four thousand million tagged fields and looks for each of
// them: what it does here is bounded by the length of the value.
func decodeValue(value []byte) (transaction, error) {
	if len(value) < 2 {
		return transaction{}, fmt.Errorf("%d bytes: the version takes two", len(value))
	}
	version := binary.BigEndian.Uint16(value)
	if version > valueVersion {
		return transaction{}, fmt.Errorf("version %d is newer than %d", version, valueVersion)
	}
	v := valueReader{Reader: kbin.Reader{Src: value[2:]}, flexible: version >= 1}
	producerID, epoch, timeoutMs := v.Int64(), v.Int16(), v.Int32()
	t := newTransaction(producerID, timeoutMs)
	t.epoch, t.state = epoch, State(v.Int8())
	t.partitions = v.partitions()
	t.updatedMs, t.startMs = v.Int64(), v.Int64()
	v.tags(func(tag uint32, b *kbin.Reader) {
		switch tag {
		case tagPreviousProducerID:
			t.previousProducerID = b.Int64()
		case tagNextProducerID:
			t.nextProducerID = b.Int64()
		case tagClientVersion:
			t.version = b.Int16()
		}
	})
	if err := v.Complete(); err != nil || v.bad {
		return transaction{}, errors.Join(errForm, err)
	}
	if t.state < Empty || t.state > CompleteAbort {
		return t, fmt.Errorf("state %d (%s) is never written", int8(t.state), t.state)
	}
	if t.producerID < 0 || t.epoch < 0 {
		return t, fmt.Errorf("producer id %d, epoch %d", t.producerID, t.epoch)
	}
	slices.SortFunc(t.partitions, comparePartitions)
	t.partitions = slices.Compact(t.partitions)
	return t, nil
}

// valueReader reads the fields of a value in either form.
type valueReader struct {
	kbin.Reader
	flexible bool // compact lengths and tagged fields (KIP-482)
	bad      bool
}

// length reads the length of an array; its elements take elementBytes at least.
func (v *valueReader) length(elementBytes int) int {
	n := 0
	if v.flexible {
		n = int(v.CompactArrayLen())
	} else {
		n = int(v.ArrayLen())
	}
	if n > len(v.Src)/elementBytes {
		v.bad = true
		return 0
	}
	return max(n, 0)
}

func (v *valueReader) partitions() []Partition {
	var all []Partition
	for range v.length(2) {
		var topic string
		if v.flexible {
			topic = v.CompactString()
		} else {
			topic = v.String()
		}
		for range v.length(4) {
			all = append(all, Partition{topic, v.Int32()})
		}
		v.tags(nil)
		if v.bad || !v.Ok() {
			return nil
		}
	}
	return all
}

// tags reads tagged fields, and gives each to on, which may be nil.
func (v *valueReader) tags(on func(tag uint32, b *kbin.Reader)) {
	if !v.flexible {
		return
	}
	count := v.Uvarint()
	if uint64(count) > uint64(len(v.Src))/2 {
		v.bad = true
		return
	}
	for range count {
		tag, size := v.Uvarint(), v.Uvarint()
		if uint64(size) > uint64(len(v.Src)) {
			v.bad = true
			return
		}
		field := kbin.Reader{Src: v.Span(int(size))}
		if on == nil {
			continue
		}
		if on(tag, &field); !field.Ok() {
			v.bad = true
			return
		}
	}
}
