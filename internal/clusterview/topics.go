package clusterview

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/IBM/sarama"
)

// Topic is one topic with its partitions in order.
type Topic struct {
	Name       string      `json:"name"`
	Internal   bool        `json:"internal"`
	Partitions []Partition `json:"partitions"`
}

// Partition is one partition. Start and End are the offset of the first record
// and the one after the last; -1 when no leader answers. SizeBytes is that of
// the leader's log; -1 when the cluster does not tell it.
type Partition struct {
	ID          int32   `json:"partition"`
	Leader      int32   `json:"leader"`
	LeaderEpoch int32   `json:"leader_epoch"`
	Replicas    []int32 `json:"replicas"`
	ISR         []int32 `json:"isr"`
	Start       int64   `json:"start"`
	End         int64   `json:"end"`
	SizeBytes   int64   `json:"size_bytes"`
}

// Records is the number of offsets that the topic holds; partitions that do
// not answer are left out.
func (t Topic) Records() int64 {
	var n int64
	for _, p := range t.Partitions {
		n += max(p.End, 0) - max(p.Start, 0)
	}
	return n
}

// SizeBytes is the size of all partitions' logs, each counted once; -1 when the
// cluster does not tell it.
func (t Topic) SizeBytes() int64 {
	var n int64
	for _, p := range t.Partitions {
		if p.SizeBytes < 0 {
			return -1
		}
		n += p.SizeBytes
	}
	return n
}

// ReplicationFactor is the largest number of replicas of any partition.
func (t Topic) ReplicationFactor() int {
	n := 0
	for _, p := range t.Partitions {
		n = max(n, len(p.Replicas))
	}
	return n
}

// Names returns the names of all topics, sorted.
func (v *View) Names() ([]string, error) {
	meta, err := v.admin.DescribeTopics(nil)
	if err != nil {
		return nil, Explain(err, v.brokers)
	}
	names := make([]string, 0, len(meta))
	for _, m := range meta {
		names = append(names, m.Name)
	}
	slices.Sort(names)
	return names, nil
}

// Topics returns the named topics, or all without a name, sorted by name, with
// offsets and sizes. A name that does not exist is an error that wraps [ErrNoTopic].
func (v *View) Topics(names ...string) ([]Topic, error) {
	topics, err := v.layout(names)
	if err != nil {
		return nil, err
	}
	if err := v.addOffsets(topics); err != nil {
		return nil, err
	}
	return topics, v.addSizes(topics)
}

// layout asks for the metadata only.
func (v *View) layout(names []string) ([]Topic, error) {
	meta, err := v.admin.DescribeTopics(names)
	if err != nil {
		return nil, Explain(err, v.brokers)
	}
	topics := make([]Topic, 0, len(meta))
	for _, m := range meta {
		switch {
		case errors.Is(m.Err, sarama.ErrUnknownTopicOrPartition):
			return nil, fmt.Errorf("topic %q %w", m.Name, ErrNoTopic)
		case !errors.Is(m.Err, sarama.ErrNoError):
			return nil, fmt.Errorf("topic %q: %w", m.Name, m.Err)
		}
		t := Topic{Name: m.Name, Internal: m.IsInternal, Partitions: make([]Partition, 0, len(m.Partitions))}
		for _, p := range m.Partitions {
			t.Partitions = append(t.Partitions, Partition{
				ID: p.ID, Leader: p.Leader, LeaderEpoch: p.LeaderEpoch,
				Replicas: orEmpty(p.Replicas), ISR: orEmpty(p.Isr), Start: -1, End: -1, SizeBytes: -1,
			})
		}
		slices.SortFunc(t.Partitions, func(a, b Partition) int { return cmp.Compare(a.ID, b.ID) })
		topics = append(topics, t)
	}
	slices.SortFunc(topics, func(a, b Topic) int { return cmp.Compare(a.Name, b.Name) })
	return topics, nil
}

func orEmpty(s []int32) []int32 {
	if s == nil {
		return []int32{}
	}
	return s
}

// addOffsets fills Start and End of every partition that has a leader.
func (v *View) addOffsets(topics []Topic) error {
	starts, err := v.offsets(topics, sarama.OffsetOldest, sarama.ReadUncommitted)
	if err != nil {
		return err
	}
	ends, err := v.offsets(topics, sarama.OffsetNewest, sarama.ReadUncommitted)
	if err != nil {
		return err
	}
	for i := range topics {
		for j := range topics[i].Partitions {
			p := &topics[i].Partitions[j]
			p.Start, p.End = offsetOf(starts, topics[i].Name, p.ID), offsetOf(ends, topics[i].Name, p.ID)
		}
	}
	return nil
}

// offsetsAnswer is sarama's answer to ListOffsets.
type offsetsAnswer = map[string]map[int32]*sarama.OffsetResult

// offsets asks every partition that has a leader for its offset at the time,
// which is in milliseconds or one of sarama's two special values.
func (v *View) offsets(topics []Topic, timeMs int64, level sarama.IsolationLevel) (offsetsAnswer, error) {
	ask := make(map[string]map[int32]int64, len(topics))
	for _, t := range topics {
		for _, p := range t.Partitions {
			if p.Leader < 0 {
				continue
			}
			if ask[t.Name] == nil {
				ask[t.Name] = make(map[int32]int64, len(t.Partitions))
			}
			ask[t.Name][p.ID] = timeMs
		}
	}
	if len(ask) == 0 {
		return offsetsAnswer{}, nil
	}
	got, err := v.admin.ListOffsets(ask, &sarama.ListOffsetsOptions{IsolationLevel: level})
	if err != nil {
		return nil, Explain(err, v.brokers)
	}
	return got, nil
}

func offsetOf(got offsetsAnswer, topic string, partition int32) int64 {
	r := got[topic][partition]
	if r == nil || (r.Err != nil && !errors.Is(r.Err, sarama.ErrNoError)) {
		return -1
	}
	return r.Offset
}

// addSizes fills SizeBytes from the leaders' log directories. A cluster that
// does not answer DescribeLogDirs leaves them at -1.
func (v *View) addSizes(topics []Topic) error {
	ids := map[int32]bool{}
	for _, t := range topics {
		for _, p := range t.Partitions {
			if p.Leader >= 0 {
				ids[p.Leader] = true
			}
		}
	}
	if len(ids) == 0 {
		return nil
	}
	dirs, err := v.admin.DescribeLogDirs(slices.Sorted(maps.Keys(ids)))
	if err != nil && len(dirs) == 0 {
		return nil // a cluster or a user without this right shows everything but sizes
	}
	sizes := sizesOf(dirs)
	for i := range topics {
		for j := range topics[i].Partitions {
			p := &topics[i].Partitions[j]
			if n, ok := sizes[replica{topics[i].Name, p.ID, p.Leader}]; ok {
				p.SizeBytes = n
			}
		}
	}
	return nil
}

type replica struct {
	topic             string
	partition, broker int32
}

func sizesOf(dirs map[int32][]sarama.DescribeLogDirsResponseDirMetadata) map[replica]int64 {
	sizes := map[replica]int64{}
	for broker, list := range dirs {
		for _, d := range list {
			for _, t := range d.Topics {
				for _, p := range t.Partitions {
					if !p.IsTemporary {
						sizes[replica{t.Topic, p.PartitionID, broker}] += p.Size
					}
				}
			}
		}
	}
	return sizes
}
