package core

import (
	"reflect"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestValuesOfBothVersionsAreRead compares with the values that kmsg writes.
func TestValuesOfBothVersionsAreRead(t *testing.T) {
	for version := int16(0); version <= valueVersion; version++ {
		for _, topics := range [][]kmsg.TxnMetadataValueTopic{
			nil,
			{},
			{{Topic: "a", Partitions: []int32{0, 7}}, {Topic: "", Partitions: nil}, {Topic: "b", Partitions: []int32{3}}},
		} {
			v := kmsg.NewTxnMetadataValue()
			v.Version, v.ProducerID, v.ProducerEpoch, v.TimeoutMillis = version, 1<<40, 12, 60_000
			v.State, v.Topics = kmsg.TransactionState(Ongoing), topics
			v.LastUpdateTimestamp, v.StartTimestamp = 5, 4
			want := newTransaction(v.ProducerID, v.TimeoutMillis)
			want.epoch, want.state, want.updatedMs, want.startMs = 12, Ongoing, 5, 4
			if version > 0 {
				v.PreviousProducerID, v.NextProducerID, v.ClientTransactionVersion = 1<<41, 1<<42, 2
				v.UnknownTags.Set(77, []byte("of a later version"))
				want.previousProducerID, want.nextProducerID, want.version = 1<<41, 1<<42, 2
			}
			if len(topics) > 0 {
				want.partitions = []Partition{{"a", 0}, {"a", 7}, {"b", 3}}
			}
			got, err := decodeValue(v.AppendTo(nil))
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("version %d: %+v, %v; want %+v", version, got, err, want)
			}
			for n := range v.AppendTo(nil) {
				if _, err := decodeValue(v.AppendTo(nil)[:n]); err == nil {
					t.Errorf("version %d: %d bytes of a value are taken for one", version, n)
				}
			}
		}
	}
}
