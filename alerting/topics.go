package alerting

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/IBM/sarama"

	"github.com/millrace/millrace/configs"
	"github.com/millrace/millrace/internal/kafka"
	"github.com/millrace/millrace/internal/record"
)

// TopicDeliveries holds one record for each alert and notifier that is done,
// keyed by both.
const TopicDeliveries = "millrace.alert-deliveries"

// topicSet chooses topics by name and by pattern.
type topicSet struct {
	names    map[string]bool
	patterns []*regexp.Regexp
}

func fixedTopics(names ...string) topicSet {
	s := topicSet{names: map[string]bool{}}
	for _, n := range names {
		s.names[n] = true
	}
	return s
}

// newTopicSet reads the topics of a pipeline: one that begins with ^ is a pattern.
func newTopicSet(topics []string) (topicSet, error) {
	s := fixedTopics()
	for _, t := range topics {
		if !strings.HasPrefix(t, "^") {
			s.names[t] = true
			continue
		}
		p, err := regexp.Compile(t)
		if err != nil {
			return topicSet{}, fmt.Errorf("topic pattern %q: %w", t, err)
		}
		s.patterns = append(s.patterns, p)
	}
	return s, nil
}

// holds reports whether the topic is chosen. No pattern chooses Millrace's own
// topics or internal ones.
func (s topicSet) holds(topic string) bool {
	if s.names[topic] {
		return true
	}
	if strings.HasPrefix(topic, "millrace.") || strings.HasPrefix(topic, "__") {
		return false
	}
	for _, p := range s.patterns {
		if p.MatchString(topic) {
			return true
		}
	}
	return false
}

// list returns the chosen topics that exist, with their number of partitions.
func (s topicSet) list(client sarama.Client) (map[string]int, error) {
	if err := client.RefreshMetadata(); err != nil {
		return nil, err
	}
	all, err := client.Topics()
	if err != nil {
		return nil, err
	}
	found := map[string]int{}
	for _, topic := range all {
		if !s.holds(topic) {
			continue
		}
		partitions, err := client.Partitions(topic)
		if errors.Is(err, sarama.ErrUnknownTopicOrPartition) {
			continue
		}
		if err != nil {
			return nil, err
		}
		found[topic] = len(partitions)
	}
	return found, nil
}

// await returns the chosen topics as soon as there is one.
func (s topicSet) await(ctx context.Context, client sarama.Client) (map[string]int, error) {
	for {
		found, err := s.list(client)
		if err != nil || len(found) > 0 {
			return found, err
		}
		if !pause(ctx, topicPollInterval) {
			return nil, ctx.Err()
		}
	}
}

// changed returns when the chosen topics are not the given ones any more, or
// when ctx ends.
func (s topicSet) changed(ctx context.Context, client sarama.Client, have map[string]int) {
	for pause(ctx, topicPollInterval) {
		if found, err := s.list(client); err == nil && !maps.Equal(found, have) {
			return
		}
	}
}

// createTopics makes the topics of alerting where they are missing, and tries
// until it succeeds or ctx ends.
func createTopics(ctx context.Context, k configs.Kafka, a configs.Alerting, matchesRetention time.Duration, logger *slog.Logger) error {
	return retry(ctx, logger, "create the topics of alerting", func() error {
		conf, err := kafka.ClientConfig(k)
		if err != nil {
			return err
		}
		admin, err := sarama.NewClusterAdmin(k.Brokers, conf)
		if err != nil {
			return err
		}
		err = createMissing(admin, k, topicConfigs(a, matchesRetention))
		return errors.Join(err, admin.Close())
	})
}

// topicConfigs returns the topics of alerting with their settings. Matches
// carry the broker's time of append, which is the clock of the windows.
func topicConfigs(a configs.Alerting, matchesRetention time.Duration) map[string]map[string]string {
	retention := func(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }
	return map[string]map[string]string{
		record.TopicAlertMatches: {
			"cleanup.policy": "delete", "retention.ms": retention(max(matchesRetention, matchesRetentionMin)),
			"message.timestamp.type": "LogAppendTime",
		},
		record.TopicAlerts: {"cleanup.policy": "delete", "retention.ms": retention(a.Retention.D())},
		TopicDeliveries:    {"cleanup.policy": "delete", "retention.ms": retention(a.Retention.D())},
	}
}

func createMissing(admin sarama.ClusterAdmin, k configs.Kafka, topics map[string]map[string]string) error {
	existing, err := admin.ListTopics()
	if err != nil {
		return fmt.Errorf("list topics: %w", err)
	}
	for name, settings := range topics {
		if _, ok := existing[name]; ok {
			continue
		}
		detail := &sarama.TopicDetail{NumPartitions: k.Partitions, ReplicationFactor: k.ReplicationFactor, ConfigEntries: map[string]*string{}}
		if detail.NumPartitions == 0 {
			detail.NumPartitions = -1
		}
		if detail.ReplicationFactor == 0 {
			detail.ReplicationFactor = -1
		}
		for key, value := range settings {
			detail.ConfigEntries[key] = &value
		}
		if err := admin.CreateTopic(name, detail, false); err != nil && !errors.Is(err, sarama.ErrTopicAlreadyExists) {
			return fmt.Errorf("create topic %s: %w", name, err)
		}
	}
	return nil
}
