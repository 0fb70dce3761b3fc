package alerting

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/IBM/sarama"

	"github.com/millrace/millrace/configs"
	"github.com/millrace/millrace/internal/consume"
	"github.com/millrace/millrace/internal/kafka"
	"github.com/millrace/millrace/internal/record"
)

// TopicDeliveries holds one record for each alert and notifier that is done,
// keyed by both.
const TopicDeliveries = "millrace.alert-deliveries"

// createTopics makes the topics of alerting where they are missing, and tries
// until it succeeds or ctx ends.
func createTopics(ctx context.Context, k configs.Kafka, a configs.Alerting, matchesRetention time.Duration, logger *slog.Logger) error {
	return consume.Retry(ctx, logger, "create the topics of alerting", func() error {
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
