package kafkadir

import (
	"bytes"
	oldrand "math/rand"
	"math/rand/v2"
	"os"
	"reflect"
	"testing"
	"testing/quick"

	"github.com/millrace/millrace/broker/batch"
	"github.com/millrace/millrace/internal/vfs"
)

// allRecords returns an empty record of every type.
func allRecords() []Record {
	var all []Record
	for key := range int16(100) {
		if r := newRecord(key); r != nil {
			all = append(all, r)
		}
	}
	return all
}

// TestRecordsComeBackAsTheyWereWritten covers every type in every version; a
// version that lacks a field brings back its default.
func TestRecordsComeBackAsTheyWereWritten(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, empty := range allRecords() {
		_, highest := empty.kind()
		for range 200 {
			value, ok := quick.Value(reflect.TypeOf(empty).Elem(), quickSource(random))
			if !ok {
				t.Fatalf("%T has no random value", empty)
			}
			pointer := reflect.New(value.Type())
			pointer.Elem().Set(value)
			r := pointer.Interface().(Record)
			for version := range highest + 1 {
				first, err := EncodeRecord(r, version)
				if err != nil {
					t.Fatalf("%T v%d: %v", r, version, err)
				}
				again, err := DecodeRecord(first)
				if err != nil {
					t.Fatalf("%T v%d %x: %v", r, version, first, err)
				}
				second, err := EncodeRecord(again, version)
				if err != nil || !bytes.Equal(first, second) {
					t.Fatalf("%T v%d: %v\n%x\n%x", r, version, err, first, second)
				}
				if version == highest && !equalRecords(r, again) {
					t.Fatalf("%T v%d: %+v came back as %+v", r, version, r, again)
				}
			}
		}
	}
}

// quickSource adapts a generator to testing/quick, which takes the older kind.
func quickSource(random *rand.Rand) *oldrand.Rand {
	return oldrand.New(oldrand.NewSource(random.Int64()))
}

// equalRecords takes nil and empty slices for the same.
func equalRecords(a, b Record) bool {
	one, err := EncodeRecord(a, versionOf(a))
	two, err2 := EncodeRecord(b, versionOf(b))
	return err == nil && err2 == nil && bytes.Equal(one, two)
}

func versionOf(r Record) int16 {
	_, highest := r.kind()
	return highest
}

// TestRecordsAreKafkasOwnBytes decodes what a real Apache Kafka 4.1.1 wrote and
// encodes it again to the same bytes.
func TestRecordsAreKafkasOwnBytes(t *testing.T) {
	seen := map[reflect.Type]bool{}
	for _, name := range []string{"testdata/metadata/00000000000000000000.log", "testdata/bootstrap.checkpoint"} {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for b, err := range batch.All(data) {
			if err != nil {
				t.Fatal(err)
			}
			if b.IsControl() {
				continue
			}
			for r, err := range b.Records() {
				if err != nil {
					t.Fatal(err)
				}
				record, err := DecodeRecord(r.Value)
				if err != nil {
					t.Fatalf("%s offset %d: %v", name, r.Offset, err)
				}
				seen[reflect.TypeOf(record)] = true
				again, err := EncodeRecord(record, int16(r.Value[2]))
				if err != nil || !bytes.Equal(again, r.Value) {
					t.Errorf("%s offset %d: %T\n%x\n%x %v", name, r.Offset, record, r.Value, again, err)
				}
			}
		}
	}
	if len(seen) < 12 {
		t.Errorf("only %d types were seen: %v", len(seen), seen)
	}
}

func TestReadMetadataOfARealKafka(t *testing.T) {
	m, err := ReadMetadata(vfs.OS(), "testdata/metadata")
	if err != nil {
		t.Fatal(err)
	}
	topics := m.SortedTopics()
	if len(topics) != 2 || topics[0].Name != "__consumer_offsets" || topics[1].Name != "a" || len(topics[0].Partitions) != 4 || len(topics[1].Partitions) != 3 {
		t.Fatalf("topics %+v", topics)
	}
	if id := topics[1].ID.String(); id != "OrNqLDhPQ9C-8QrjeTMoyQ" {
		t.Errorf("topic id %s", id)
	}
	p := topics[1].Partitions[2]
	if p.LeaderEpoch != 1 || p.Leader != -1 || !p.InSync(1) || p.InSync(2) || p.Directory(1).String() != "tw3Xz6c1qJwToZIDcVB3uw" {
		t.Errorf("partition %+v", p)
	}
	if got := m.Configs[ConfigKey{ResourceTopic, "a"}]; !reflect.DeepEqual(got, map[string]string{"segment.bytes": "1048576", "retention.ms": "-1"}) {
		t.Errorf("configs %v", got)
	}
	if m.Offset != 58 || m.Epoch != 1 || m.NextProducerID != 1000 || m.Features["metadata.version"] != 27 || m.Features["transaction.version"] != 2 {
		t.Errorf("offset %d, epoch %d, producer ids %d, features %v", m.Offset, m.Epoch, m.NextProducerID, m.Features)
	}
	if q := m.Quotas(); len(q) != 1 || q[0].EntityString() != "client-id 'c1'" || q[0].Value != 1024 {
		t.Errorf("quotas %+v", q)
	}
	if c := m.ScramCredentials(); len(c) != 1 || c[0].Name != "alice" || c[0].Mechanism != 1 || c[0].Iterations != 4096 || len(c[0].StoredKey) != 32 {
		t.Errorf("credentials %+v", c)
	}
}

func TestUnknownRecordsAreRefused(t *testing.T) {
	for what, value := range map[string][]byte{
		"type 99": {1, 99, 0}, "frame version 2": {2, 20, 0, 0}, "NoOpRecord version 1": {1, 20, 1, 0},
		"empty": {}, "bytes behind it": {1, 20, 0, 0, 0}, "cut off": {1, 2, 0, 5, 'a'},
	} {
		if r, err := DecodeRecord(value); err == nil {
			t.Errorf("%s: decoded as %+v", what, r)
		}
	}
}

func TestTransactionsCountWholeOrNotAtAll(t *testing.T) {
	add := func(i *Image, name string, id byte) {
		if err := i.Apply(&TopicRecord{Name: name, TopicID: UUID{id}}); err != nil {
			t.Fatal(err)
		}
	}
	end := func(i *Image, r Record) {
		if err := i.Apply(r); err != nil {
			t.Fatal(err)
		}
	}
	i := NewImage()
	end(i, &BeginTransactionRecord{})
	add(i, "aborted", 1)
	end(i, &AbortTransactionRecord{})
	end(i, &BeginTransactionRecord{})
	add(i, "committed", 2)
	if len(i.Topics) != 0 {
		t.Error("a record of an open transaction counts")
	}
	end(i, &EndTransactionRecord{})
	end(i, &BeginTransactionRecord{})
	add(i, "open", 3)
	if len(i.Topics) != 1 || i.TopicNamed("committed") == nil {
		t.Errorf("topics %v", i.SortedTopics())
	}
}

func FuzzDecodeRecord(f *testing.F) {
	random := rand.New(rand.NewPCG(3, 4))
	for _, empty := range allRecords() {
		value, _ := quick.Value(reflect.TypeOf(empty).Elem(), quickSource(random))
		pointer := reflect.New(value.Type())
		pointer.Elem().Set(value)
		for version := range versionOf(empty) + 1 {
			b, err := EncodeRecord(pointer.Interface().(Record), version)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		r, err := DecodeRecord(value)
		if err != nil {
			return
		}
		if _, err := EncodeRecord(r, versionOf(r)); err != nil {
			t.Fatalf("%+v cannot be written again: %v", r, err)
		}
		i := NewImage()
		_ = i.Apply(&TopicRecord{Name: "t", TopicID: UUID{1}}) // whether it fits is not the question
		_ = i.Apply(r)
	})
}
