package configs

import "time"

const (
	day    = Duration(24 * time.Hour)
	second = Duration(time.Second)
	minute = Duration(time.Minute)
)

// Default returns the built-in configuration. Every value is safe on a host
// of any size: listeners on loopback, queues and memory bounded.
func Default() Config {
	return Config{
		DataDir:         "./millrace-data",
		Log:             Log{Level: "info", Format: "text"},
		HTTP:            HTTP{Listen: "127.0.0.1:9640"},
		Kafka:           defaultKafka(),
		Broker:          defaultBroker(),
		Agent:           defaultAgent(),
		DefaultPipeline: DefaultPipeline{Enabled: true, Topics: []string{"^logs(\\..*)?$"}},
		Alerting:        DefaultAlerting(),
		Search:          defaultSearch(),
		Mirror: Mirror{
			Source:          defaultKafka(),
			Target:          defaultKafka(),
			Group:           "millrace-mirror",
			RefreshInterval: 10 * second,
		},
	}
}

func defaultKafka() Kafka {
	return Kafka{ClientID: "millrace", ReplicationFactor: -1, Partitions: -1}
}

func defaultBroker() Broker {
	return Broker{
		Listen:                            "127.0.0.1:9092",
		NodeID:                            1,
		AutoCreateTopics:                  true,
		DefaultPartitions:                 4,
		Durability:                        "fsync",
		RetentionTime:                     7 * day,
		RetentionSize:                     -1,
		SegmentSize:                       256 << 20,
		SegmentTime:                       7 * day,
		RetentionCheckInterval:            5 * minute,
		MessageMax:                        1048588,
		RequestMax:                        100 << 20,
		RequestMemory:                     256 << 20,
		HandshakeTimeout:                  30 * second,
		ConnectionsMax:                    2000,
		IdleTimeout:                       10 * minute,
		ProducerIDExpiration:              day,
		OffsetsPartitions:                 16,
		GroupInitialRebalanceDelay:        Duration(100 * time.Millisecond),
		GroupSessionTimeoutMin:            6 * second,
		GroupSessionTimeoutMax:            30 * minute,
		GroupConsumerSessionTimeout:       45 * second,
		GroupConsumerSessionTimeoutMin:    45 * second,
		GroupConsumerSessionTimeoutMax:    60 * second,
		GroupConsumerHeartbeatInterval:    5 * second,
		GroupConsumerHeartbeatIntervalMin: 5 * second,
		GroupConsumerHeartbeatIntervalMax: 15 * second,
		GroupMigrationPolicy:              "bidirectional",
		GroupMembersMax:                   10_000,
		GroupsMax:                         50_000,
		OffsetsRetention:                  7 * day,
		OffsetMetadataMax:                 4 << 10,
		Cleaner:                           Cleaner{Threads: 1, Memory: 128 << 20, Backoff: 15 * second},
		TransactionsPartitions:            16,
		TransactionTimeoutMax:             15 * minute,
		TransactionalIDExpiration:         7 * day,
	}
}

func defaultAgent() Agent {
	return Agent{
		UnackedMax:     64 << 20,
		BatchMax:       900 << 10,
		Linger:         Duration(20 * time.Millisecond),
		Compression:    "lz4",
		RescanInterval: 10 * second,
		CloseInactive:  5 * minute,
		OpenFilesMax:   4096,
		BackoffMax:     10 * second,
	}
}

// DefaultInput returns the values that an input starts from.
func DefaultInput() Input {
	return Input{
		Topic:    "logs",
		Codec:    "raw",
		Encoding: "utf-8",
		StartAt:  "beginning",
		LineMax:  1_000_000,
		Multiline: Multiline{
			Match:      "after",
			LinesMax:   500,
			FlushAfter: 5 * second,
		},
	}
}

// DefaultElasticsearchOutput returns the values that an output starts from.
func DefaultElasticsearchOutput() ElasticsearchOutput {
	return ElasticsearchOutput{
		BulkSize:     5 << 20,
		BulkCount:    5000,
		BulkInterval: Duration(200 * time.Millisecond),
	}
}

// DefaultAlerting returns the bounds that alerting starts from.
func DefaultAlerting() Alerting {
	return Alerting{WaitingEventsMax: 200_000, RememberedAlertsMax: 200_000, Retention: 365 * day, DeliveriesMax: 16}
}

// DefaultWebhook returns the values that a webhook starts from.
func DefaultWebhook() WebhookNotifier {
	return WebhookNotifier{Timeout: 10 * second, RetryFor: 60 * minute}
}

func defaultSearch() Search {
	return Search{
		Listen:          "127.0.0.1:9200",
		RetentionTime:   30 * day,
		RefreshInterval: second,
		MemoryBuffer:    64 << 20,
		RequestMax:      100 << 20,
		SearchMemory:    256 << 20,
	}
}
