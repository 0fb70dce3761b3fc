package core

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kbin"

	"github.com/millrace/millrace/broker/recordvalue"
)

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
	flexible := version >= 1
	v := recordvalue.New(value[2:], flexible)
	producerID, epoch, timeoutMs := v.Int64(), v.Int16(), v.Int32()
	t := newTransaction(producerID, timeoutMs)
	t.epoch, t.state = epoch, State(v.Int8())
	t.partitions = readPartitions(&v, flexible)
	t.updatedMs, t.startMs = v.Int64(), v.Int64()
	v.Tags(func(tag uint32, b []byte) {
		field := kbin.Reader{Src: b}
		switch tag {
		case tagPreviousProducerID:
			t.previousProducerID = field.Int64()
		case tagNextProducerID:
			t.nextProducerID = field.Int64()
		case tagClientVersion:
			t.version = field.Int16()
		}
		if !field.Ok() {
			v.Fail()
		}
	})
	if err := v.Err(); err != nil {
		return transaction{}, err
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

// readPartitions reads topics with their partitions.
func readPartitions(v *recordvalue.Reader, flexible bool) []Partition {
	var all []Partition
	for range v.Length(2) {
		var topic string
		if flexible {
			topic = v.CompactString()
		} else {
			topic = v.String()
		}
		for range v.Length(4) {
			all = append(all, Partition{topic, v.Int32()})
		}
		v.Tags(nil)
		if v.Failed() {
			return nil
		}
	}
	return all
}
