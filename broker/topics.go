package broker

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/millrace/millrace/broker/metadata"
	"github.com/millrace/millrace/broker/storage"
)

const (
	offsetsTopic     = "__consumer_offsets"
	transactionTopic = "__transaction_state"

	topicNameBytesMax = 249
	// partitionsPerRequestMax is Kafka's bound on what one request may create.
	partitionsPerRequestMax = 10_000
)

// topicSpec is a topic to be made.
type topicSpec struct {
	name       string
	partitions int32
	configs    map[string]string
	internal   bool
}

// reconcile makes the logs fit the metadata after a start: it removes logs of
// topics that are no more, and opens or makes the others.
func (n *Node) reconcile() error {
	image := n.meta.Image()
	var strays []storage.TopicPartition
	for _, l := range n.store.Logs() {
		t := image.Topic(l.ID().Topic)
		if t != nil && int(l.ID().Partition) < len(t.Partitions) && t.ID == l.TopicID() {
			continue
		}
		if l.TopicID() == (metadata.TopicID{}) {
			// Its partition.metadata is missing: whose it was is not known.
			n.log.Error("log of an unknown topic id left alone", "topic", l.ID().Topic, "partition", l.ID().Partition)
			continue
		}
		n.log.Info("log without a topic removed", "topic", l.ID().Topic, "partition", l.ID().Partition)
		strays = append(strays, l.ID())
	}
	if err := n.store.DeleteLogs(strays); err != nil {
		return fmt.Errorf("remove logs: %w", err)
	}
	for id, end := range n.store.Missing() {
		if t := image.Topic(id.Topic); t != nil && int(id.Partition) < len(t.Partitions) {
			n.log.Error("the directory of a partition is gone, with its records: it begins empty. To have them back stop the node, put the directory there again from a copy, and start",
				"topic", id.Topic, "partition", id.Partition, "directory", filepath.Join(n.logDir(), id.String()), "records_below_offset", end)
		}
	}
	for _, name := range image.TopicNames() {
		s, err := n.openTopic(image, image.Topic(name))
		if err != nil {
			n.log.Error("partitions could not be opened", "topic", name, "error", err)
		}
		n.topics.put(s)
	}
	return nil
}

// openTopic opens or makes the logs of a topic. Partitions that fail are left
// offline; the errors are returned together.
func (n *Node) openTopic(image *metadata.Image, t *metadata.Topic) (*topicState, error) {
	cfg := n.logConfig(image, t)
	specs := make([]storage.LogSpec, len(t.Partitions))
	for i, p := range t.Partitions {
		specs[i] = storage.LogSpec{ID: storage.TopicPartition{Topic: t.Name, Partition: int32(i)}, TopicID: t.ID, LeaderEpoch: p.LeaderEpoch}
	}
	logs, err := n.store.CreateLogs(specs, cfg)
	return &topicState{name: t.Name, id: t.ID, internal: t.Internal, logs: logs}, err
}

// createTopic makes a topic; a *kerr.Error or *apiError says why it does not.
func (n *Node) createTopic(spec topicSpec) (*metadata.Topic, error) {
	n.topicMu.Lock()
	defer n.topicMu.Unlock()
	id := newID()
	image, err := n.meta.Update(func(image *metadata.Image) ([]metadata.Record, error) {
		if err := n.checkNewTopic(image, spec); err != nil {
			return nil, err
		}
		return []metadata.Record{&metadata.TopicRecord{
			ID: id, Name: spec.name, Partitions: n.newPartitions(spec.partitions), Configs: spec.configs, Internal: spec.internal,
		}}, nil
	})
	if err != nil {
		return nil, err
	}
	t := image.Topic(spec.name)
	s, err := n.openTopic(image, t)
	if err != nil {
		n.log.Error("topic not created", "topic", spec.name, "error", err)
		return nil, errors.Join(err, n.dropTopic(s))
	}
	n.topics.put(s)
	n.log.Info("topic created", "topic", spec.name, "partitions", spec.partitions, "topic_id", t.ID.String())
	return t, nil
}

func (n *Node) newPartitions(count int32) []metadata.Partition {
	partitions := make([]metadata.Partition, count)
	for i := range partitions {
		partitions[i] = n.newPartition()
	}
	return partitions
}

func (n *Node) newPartition() metadata.Partition {
	return metadata.Partition{Leader: n.cfg.NodeID, Replicas: []int32{n.cfg.NodeID}, ISR: []int32{n.cfg.NodeID}}
}

// checkNewTopic says why a topic cannot be made.
func (n *Node) checkNewTopic(image *metadata.Image, spec topicSpec) error {
	if err := checkTopicName(spec.name); err != nil {
		return err
	}
	if image.Topic(spec.name) != nil {
		return refuse(kerr.TopicAlreadyExists, fmt.Sprintf("Topic '%s' already exists.", spec.name))
	}
	if other := collidingTopic(image, spec.name); other != "" {
		return refuse(kerr.InvalidTopicException, fmt.Sprintf("Topic '%s' collides with existing topic: %s", spec.name, other))
	}
	return nil
}

// collidingTopic returns a topic whose metrics would have the same name: '.' and
// '_' are one there.
func collidingTopic(image *metadata.Image, name string) string {
	if !strings.ContainsAny(name, "._") {
		return ""
	}
	flat := strings.ReplaceAll(name, ".", "_")
	for _, other := range image.TopicNames() {
		if len(other) == len(name) && strings.ReplaceAll(other, ".", "_") == flat {
			return other
		}
	}
	return ""
}

// checkTopicName follows Kafka's rules and words.
func checkTopicName(name string) error {
	const prefix = "Topic name is invalid: "
	switch {
	case name == "":
		return refuse(kerr.InvalidTopicException, prefix+"the empty string is not allowed")
	case name == "." || name == "..":
		return refuse(kerr.InvalidTopicException, prefix+"'"+name+"' is not allowed")
	case len(name) > topicNameBytesMax:
		return refuse(kerr.InvalidTopicException, fmt.Sprintf("%sthe length of '%s' is longer than the max allowed length %d", prefix, name, topicNameBytesMax))
	}
	for _, c := range []byte(name) {
		if !isAlphanumeric(c) && c != '.' && c != '_' && c != '-' {
			return refuse(kerr.InvalidTopicException, fmt.Sprintf("%s'%s' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'", prefix, name))
		}
	}
	return nil
}

func isAlphanumeric(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

// deleteTopic removes a topic: first its record, so that a crash in the middle
// leaves logs that the next start removes.
func (n *Node) deleteTopic(t *metadata.Topic) error {
	n.topicMu.Lock()
	defer n.topicMu.Unlock()
	s := n.topics.byID(t.ID)
	if s == nil {
		return kerr.UnknownTopicOrPartition
	}
	if s.internal {
		return refuse(kerr.InvalidRequest, fmt.Sprintf("Topic '%s' is internal: the broker needs it.", s.name))
	}
	if err := n.dropTopic(s); err != nil {
		return err
	}
	n.groupsTopicDeleted(s)
	n.log.Info("topic deleted", "topic", s.name, "topic_id", s.id.String())
	return nil
}

// dropTopic commits the removal of a topic and deletes its logs.
func (n *Node) dropTopic(s *topicState) error {
	_, err := n.meta.Update(func(image *metadata.Image) ([]metadata.Record, error) {
		if image.TopicByID(s.id) == nil {
			return nil, kerr.UnknownTopicOrPartition
		}
		return []metadata.Record{&metadata.TopicRemovedRecord{TopicID: s.id}}, nil
	})
	if err != nil {
		return err
	}
	n.topics.remove(s)
	ids := make([]storage.TopicPartition, 0, len(s.logs))
	for i, l := range s.logs {
		if l != nil {
			ids = append(ids, storage.TopicPartition{Topic: s.name, Partition: int32(i)})
		}
	}
	if err := n.store.DeleteLogs(ids); err != nil {
		// The topic is gone; its files go at the next start.
		n.log.Error("log of a deleted topic not removed", "topic", s.name, "error", err)
	}
	return nil
}

// addPartitions raises the number of a topic's partitions to count.
func (n *Node) addPartitions(name string, count int32) error {
	n.topicMu.Lock()
	defer n.topicMu.Unlock()
	image, err := n.meta.Update(func(image *metadata.Image) ([]metadata.Record, error) {
		t := image.Topic(name)
		if t == nil {
			return nil, kerr.UnknownTopicOrPartition
		}
		if int(count) <= len(t.Partitions) {
			return nil, refuse(kerr.InvalidPartitions, fmt.Sprintf("The topic %s currently has %d partition(s); %d would not be an increase.", name, len(t.Partitions), count))
		}
		return []metadata.Record{&metadata.PartitionsRecord{TopicID: t.ID, Added: n.newPartitions(count - int32(len(t.Partitions)))}}, nil
	})
	if err != nil {
		return err
	}
	s, err := n.openTopic(image, image.Topic(name))
	n.topics.put(s)
	if err != nil {
		n.log.Error("partitions could not be opened", "topic", name, "error", err)
	}
	return err
}

// reconfigure gives the logs of all topics for which pick returns true their
// configuration anew.
func (n *Node) reconfigure(image *metadata.Image, pick func(*metadata.Topic) bool) error {
	var errs []error
	for _, name := range image.TopicNames() {
		t, s := image.Topic(name), n.topics.byName(name)
		if s == nil || !pick(t) {
			continue
		}
		cfg := n.logConfig(image, t)
		for _, l := range slices.DeleteFunc(slices.Clone(s.logs), func(l *storage.Log) bool { return l == nil }) {
			errs = append(errs, l.SetConfig(cfg))
		}
	}
	return errors.Join(errs...)
}
