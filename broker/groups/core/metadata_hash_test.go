package core

import (
	"encoding/binary"
	"testing"

	"github.com/zeebo/xxh3"
)

// TestHashTopics compares with what the hash4j 0.22.0 of Apache Kafka 4.1.1 computes.
func TestHashTopics(t *testing.T) {
	id := func(hi, lo uint64) (id topicID) {
		binary.BigEndian.PutUint64(id[:8], hi)
		binary.BigEndian.PutUint64(id[8:], lo)
		return id
	}
	foo := Topic{ID: id(0x0102030405060708, 0x1112131415161718), Partitions: 1}
	bar := Topic{ID: id(1, 2), Partitions: 100}
	racks := Topic{ID: id(1, 2), Partitions: 3, Racks: [][]string{{"rack-a"}, {"rack-a"}, {"rack-a"}}}
	for _, c := range []struct {
		name string
		t    Topic
		want int64
	}{
		{"foo", foo, 8963112548072796245},
		{"bär-topic", bar, 3256349086404566548},
		{"foo", racks, -7926485465761190835},
	} {
		if got := int64(hashTopic(c.name, c.t)); got != c.want {
			t.Errorf("hash of %s with %d partitions: got %d, want %d", c.name, c.t.Partitions, got, c.want)
		}
	}
	image := fakeImage{"foo": foo, "bär-topic": bar}
	if got := hashTopics([]string{"bär-topic", "foo", "missing"}, image); got != 3057966246828315831 {
		t.Errorf("hash of a group: got %d", got)
	}
	if got := hashTopics([]string{"missing"}, image); got != 0 {
		t.Errorf("hash of no topics: got %d, want 0", got)
	}
	if xxh3.Hash(nil) == 0 {
		t.Error("the hash of nothing is not what no topics have")
	}
}

// fakeImage is an image of topics alone.
type fakeImage map[string]Topic

func (f fakeImage) Version() int64                        { return int64(len(f)) }
func (f fakeImage) Topic(name string) (Topic, bool)       { t, ok := f[name]; return t, ok }
func (f fakeImage) GroupConfigs(string) map[string]string { return nil }

func (f fakeImage) TopicName(id [16]byte) (string, bool) {
	for name, t := range f {
		if t.ID == id {
			return name, true
		}
	}
	return "", false
}

func (f fakeImage) TopicNames() []string {
	var names []string
	for name := range f {
		names = append(names, name)
	}
	return sortedUnique(names)
}
