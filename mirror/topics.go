package mirror

import (
	"errors"
	"fmt"
	"slices"

	"github.com/IBM/sarama"
)

// notCarried are topic settings that are the target's own affair. Records keep
// their timestamps, so the kind of timestamp is not carried either.
func notCarried() []string {
	return []string{
		"follower.replication.throttled.replicas", "leader.replication.throttled.replicas",
		"message.timestamp.difference.max.ms", "message.timestamp.before.max.ms", "message.timestamp.after.max.ms",
		"message.timestamp.type", "unclean.leader.election.enable", "min.insync.replicas",
		"remote.storage.enable", "local.retention.ms", "local.retention.bytes",
	}
}

// ensureTopics makes every topic exist on the target with at least as many
// partitions as on the source.
func (s *copyStage) ensureTopics(source sarama.Client, topics []string) error {
	from, err := sarama.NewClusterAdminFromClient(source)
	if err != nil {
		return err
	}
	to, err := sarama.NewClusterAdminFromClient(s.target)
	if err != nil {
		return err
	}
	if err := checkLoop(to, s.sourceID, topics); err != nil {
		return err
	}
	existing, err := to.ListTopics()
	if err != nil {
		return fmt.Errorf("list the target's topics: %w", err)
	}
	for _, topic := range topics {
		partitions, err := source.Partitions(topic)
		if err != nil {
			return fmt.Errorf("count the partitions of %s: %w", topic, err)
		}
		have, ok := existing[topic]
		switch {
		case !ok:
			err = s.createTopic(from, to, topic, int32(len(partitions)))
		case have.NumPartitions < int32(len(partitions)):
			err = s.growTopic(to, topic, int32(len(partitions)))
		}
		if err != nil {
			return err
		}
	}
	return s.target.RefreshMetadata(topics...)
}

func (s *copyStage) createTopic(from, to sarama.ClusterAdmin, topic string, partitions int32) error {
	settings, err := settingsOf(from, topic)
	if err != nil {
		return err
	}
	detail := &sarama.TopicDetail{NumPartitions: partitions, ReplicationFactor: s.targetConfig.ReplicationFactor, ConfigEntries: settings}
	if detail.ReplicationFactor == 0 {
		detail.ReplicationFactor = -1
	}
	err = to.CreateTopic(topic, detail, false)
	if errors.Is(err, sarama.ErrInvalidConfig) {
		s.logger.Warn("the target does not take the settings of a topic and gives it its defaults", "topic", topic, "error", err)
		detail.ConfigEntries = nil
		err = to.CreateTopic(topic, detail, false)
	}
	if errors.Is(err, sarama.ErrTopicAlreadyExists) {
		return nil // another process of this mirror was first
	}
	if err != nil {
		return fmt.Errorf("create topic %s on the target: %w", topic, err)
	}
	s.logger.Info("created a topic on the target", "topic", topic, "partitions", partitions)
	return nil
}

func (s *copyStage) growTopic(to sarama.ClusterAdmin, topic string, partitions int32) error {
	err := to.CreatePartitions(topic, partitions, nil, false)
	if errors.Is(err, sarama.ErrInvalidPartitions) {
		return nil // another process of this mirror was first
	}
	if err != nil {
		return fmt.Errorf("grow topic %s on the target: %w", topic, err)
	}
	s.logger.Info("grew a topic on the target", "topic", topic, "partitions", partitions)
	return nil
}

// settingsOf returns the settings that were made for the topic itself.
func settingsOf(admin sarama.ClusterAdmin, topic string) (map[string]*string, error) {
	resources := []*sarama.ConfigResource{{Type: sarama.TopicResource, Name: topic}}
	results, err := admin.DescribeConfigs(resources, sarama.DescribeConfigsOptions{})
	if err != nil {
		return nil, fmt.Errorf("read the settings of topic %s: %w", topic, err)
	}
	settings := map[string]*string{}
	for _, r := range results {
		if !errors.Is(r.ErrorCode, sarama.ErrNoError) {
			return nil, fmt.Errorf("read the settings of topic %s: %w: %s", topic, r.ErrorCode, r.ErrorMsg)
		}
		for _, e := range r.Configs {
			if e.Source == sarama.SourceTopic && !e.ReadOnly && !e.Sensitive && !slices.Contains(notCarried(), e.Name) {
				settings[e.Name] = &e.Value
			}
		}
	}
	return settings, nil
}
