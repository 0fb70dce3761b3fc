package core

import (
	"encoding/binary"
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Versions of the record schemas that are written: what Apache Kafka 4.1
// writes under transaction.version 1 and later. Under 0 it writes values of version 0,
// without the tagged fields.
const (
	keyVersion   = 0
	valueVersion = 1
)

// Record is one record of __transaction_state; a nil Value is a tombstone.
type Record struct {
	Key, Value []byte
	id         string
	after      *transaction // nil removes the id
}

// recordOf returns the record of a transaction under the transaction version of the cluster.
func (s *Shard) recordOf(id string, t transaction) Record {
	return recordAt(min(s.version, valueVersion), id, t)
}

func recordAt(version int16, id string, t transaction) Record {
	v := kmsg.NewTxnMetadataValue()
	v.Version = version
	v.ProducerID, v.ProducerEpoch, v.TimeoutMillis = t.producerID, t.epoch, t.timeoutMs
	v.State, v.LastUpdateTimestamp, v.StartTimestamp = kmsg.TransactionState(t.state), t.updatedMs, t.startMs
	v.NextProducerID, v.ClientTransactionVersion = t.nextProducerID, t.version
	if t.previousProducerID != t.producerID {
		v.PreviousProducerID = t.previousProducerID // it tells a repeated EndTxn from a wrong one
	}
	if t.state != Empty { // null for Empty, as in Kafka
		v.Topics = topicsOf(t.partitions)
	}
	return Record{Key: keyOf(id), Value: v.AppendTo(nil), id: id, after: &t}
}

func keyOf(id string) []byte {
	k := kmsg.TxnMetadataKey{Version: keyVersion, TransactionalID: id}
	return k.AppendTo(nil)
}

func tombstone(id string) Record { return Record{Key: keyOf(id), id: id} }

// topicsOf groups sorted partitions by topic.
func topicsOf(partitions []Partition) []kmsg.TxnMetadataValueTopic {
	topics := []kmsg.TxnMetadataValueTopic{}
	for _, p := range partitions {
		if n := len(topics); n == 0 || topics[n-1].Topic != p.Topic {
			t := kmsg.NewTxnMetadataValueTopic()
			t.Topic = p.Topic
			topics = append(topics, t)
		}
		last := &topics[len(topics)-1]
		last.Partitions = append(last.Partitions, p.Partition)
	}
	return topics
}

// decode reads a record of the log. A key of a version that is not known gives ok false.
func decode(key, value []byte) (r Record, ok bool, err error) {
	if len(key) < 2 {
		return r, false, fmt.Errorf("a key of __transaction_state has %d bytes: its version takes two", len(key))
	}
	if binary.BigEndian.Uint16(key) != keyVersion {
		return r, false, nil
	}
	var k kmsg.TxnMetadataKey
	if err := k.ReadFrom(key); err != nil {
		return r, false, fmt.Errorf("decode TransactionLogKey: %w", err)
	}
	r.id = k.TransactionalID
	if value == nil {
		return r, true, nil
	}
	t, err := decodeValue(value)
	if err != nil {
		return r, false, fmt.Errorf("decode TransactionLogValue of %q: %w", r.id, err)
	}
	r.after = &t
	return r, true, nil
}
