package metadata

import (
	"fmt"
	"testing"

	"github.com/millrace/millrace/internal/vfs"
)

func benchStore(b *testing.B, dir string) *Store {
	b.Helper()
	s, err := Open(Config{Dir: dir, FS: vfs.OS()})
	if err != nil {
		b.Fatal(err)
	}
	return s
}

// BenchmarkUpdate is one small decision on a real disk, beside 100 topics.
func BenchmarkUpdate(b *testing.B) {
	s := benchStore(b, b.TempDir())
	defer s.Close()
	records := []Record{&ClusterRecord{ClusterID: "c"}}
	for n := range 100 {
		records = append(records, topic(n))
	}
	update(b, s, records...)
	n := int64(0)
	for b.Loop() {
		n++
		update(b, s, &ProducerIDsRecord{Next: n})
	}
}

// BenchmarkTopicOfThousandPartitions is what CreateTopics commits.
func BenchmarkTopicOfThousandPartitions(b *testing.B) {
	s := benchStore(b, b.TempDir())
	defer s.Close()
	n := 0
	for b.Loop() {
		n++
		t := topic(n)
		t.Partitions = make([]Partition, 1000)
		for p := range t.Partitions {
			t.Partitions[p] = Partition{Leader: 1, Replicas: []int32{1}, ISR: []int32{1}}
		}
		update(b, s, t)
		update(b, s, &TopicRemovedRecord{TopicID: t.ID})
	}
}

// BenchmarkOpen is the start with 1,000 commits in the log.
func BenchmarkOpen(b *testing.B) {
	dir := b.TempDir()
	s := benchStore(b, dir)
	for n := range 1000 {
		update(b, s, topic(n))
	}
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		s := benchStore(b, dir)
		if len(s.Image().TopicNames()) != 1000 {
			b.Fatal(fmt.Errorf("%d topics", len(s.Image().TopicNames())))
		}
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

func update(b *testing.B, s *Store, records ...Record) {
	b.Helper()
	if _, err := s.Update(func(*Image) ([]Record, error) { return records, nil }); err != nil {
		b.Fatal(err)
	}
}
