package kafkaproperties

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/millrace/millrace/configs"
)

// Key is one key of Kafka's that has a meaning here.
type Key struct {
	// Name is Kafka's, YAML the key under broker: in millrace.yaml.
	Name, YAML string
	// Differs says what is not as in Kafka; empty when nothing is.
	Differs string
	// set gives the value to the configuration.
	set func(b *configs.Broker, value string) error
}

// Keys returns the keys that have one counterpart each. Listeners, directories
// and roles are not among them: see listeners.go and layout.go.
func Keys() []Key {
	return []Key{
		{"node.id", "node_id", "", number(func(b *configs.Broker, n int32) { b.NodeID = n })},
		{"num.partitions", "default_partitions", "Kafka's default is 1", number(func(b *configs.Broker, n int32) { b.DefaultPartitions = n })},
		{"auto.create.topics.enable", "auto_create_topics", "", boolean(func(b *configs.Broker, v bool) { b.AutoCreateTopics = v })},
		{"log.retention.hours", "retention_time", "", millis(time.Hour, func(b *configs.Broker, d configs.Duration) { b.RetentionTime = d })},
		{"log.retention.minutes", "retention_time", "", millis(time.Minute, func(b *configs.Broker, d configs.Duration) { b.RetentionTime = d })},
		{"log.retention.ms", "retention_time", "", millis(time.Millisecond, func(b *configs.Broker, d configs.Duration) { b.RetentionTime = d })},
		{"log.retention.bytes", "retention_bytes", "", number(func(b *configs.Broker, n int64) { b.RetentionSize = n })},
		{"log.segment.bytes", "segment_size", "Kafka's default is 1 GiB", size(func(b *configs.Broker, s configs.Size) { b.SegmentSize = s })},
		{"log.roll.hours", "segment_time", "", millis(time.Hour, func(b *configs.Broker, d configs.Duration) { b.SegmentTime = d })},
		{"log.roll.ms", "segment_time", "", millis(time.Millisecond, func(b *configs.Broker, d configs.Duration) { b.SegmentTime = d })},
		{"log.retention.check.interval.ms", "retention_check_interval", "", millis(time.Millisecond, func(b *configs.Broker, d configs.Duration) { b.RetentionCheckInterval = d })},
		{"message.max.bytes", "message_max", "", size(func(b *configs.Broker, s configs.Size) { b.MessageMax = s })},
		{"socket.request.max.bytes", "request_max", "", size(func(b *configs.Broker, s configs.Size) { b.RequestMax = s })},
		{"queued.max.request.bytes", "request_memory", "it bounds requests and responses; Kafka has no limit by default, -1 leaves ours", func(b *configs.Broker, v string) error {
			if strings.TrimSpace(v) == "-1" {
				return nil
			}
			return size(func(b *configs.Broker, s configs.Size) { b.RequestMemory = s })(b, v)
		}},
		{"max.connections", "connections_max", "Kafka has no limit by default", number(func(b *configs.Broker, n int32) { b.ConnectionsMax = int(n) })},
		{"max.connections.per.ip", "connections_max_per_ip", "Kafka's 0 refuses everybody but the overrides, ours has no limit", func(b *configs.Broker, v string) error {
			if strings.TrimSpace(v) == "0" {
				return fmt.Errorf("0, which refuses everybody, cannot be had: write a number from 1 on")
			}
			return number(func(b *configs.Broker, n int32) { b.ConnectionsMaxPerIP = int(n) })(b, v)
		}},
		{"max.connections.per.ip.overrides", "connections_max_per_ip_overrides", "", func(b *configs.Broker, v string) error {
			b.ConnectionsMaxPerIPOverrides = splitNonEmpty(v, ",")
			return nil
		}},
		{"connections.max.idle.ms", "idle_timeout", "", millis(time.Millisecond, func(b *configs.Broker, d configs.Duration) { b.IdleTimeout = d })},
		{"producer.id.expiration.ms", "producer_id_expiration", "", millis(time.Millisecond, func(b *configs.Broker, d configs.Duration) { b.ProducerIDExpiration = d })},
		{"offsets.topic.num.partitions", "offsets_partitions", "Kafka's default is 50", number(func(b *configs.Broker, n int32) { b.OffsetsPartitions = n })},
		{"offsets.retention.minutes", "offsets_retention", "", millis(time.Minute, func(b *configs.Broker, d configs.Duration) { b.OffsetsRetention = d })},
		{"offset.metadata.max.bytes", "offset_metadata_max", "", size(func(b *configs.Broker, s configs.Size) { b.OffsetMetadataMax = s })},
		{"group.initial.rebalance.delay.ms", "group_initial_rebalance_delay", "Kafka's default is 3 s", millis(time.Millisecond, func(b *configs.Broker, d configs.Duration) { b.GroupInitialRebalanceDelay = d })},
		{"group.min.session.timeout.ms", "group_session_timeout_min", "", millis(time.Millisecond, func(b *configs.Broker, d configs.Duration) { b.GroupSessionTimeoutMin = d })},
		{"group.max.session.timeout.ms", "group_session_timeout_max", "", millis(time.Millisecond, func(b *configs.Broker, d configs.Duration) { b.GroupSessionTimeoutMax = d })},
		{"group.max.size", "group_members_max", "Kafka has no limit by default", number(func(b *configs.Broker, n int32) { b.GroupMembersMax = int(n) })},
		{"group.consumer.session.timeout.ms", "group_consumer_session_timeout", "", millis(time.Millisecond, func(b *configs.Broker, d configs.Duration) { b.GroupConsumerSessionTimeout = d })},
		{"group.consumer.min.session.timeout.ms", "group_consumer_session_timeout_min", "", millis(time.Millisecond, func(b *configs.Broker, d configs.Duration) { b.GroupConsumerSessionTimeoutMin = d })},
		{"group.consumer.max.session.timeout.ms", "group_consumer_session_timeout_max", "", millis(time.Millisecond, func(b *configs.Broker, d configs.Duration) { b.GroupConsumerSessionTimeoutMax = d })},
		{"group.consumer.heartbeat.interval.ms", "group_consumer_heartbeat_interval", "", millis(time.Millisecond, func(b *configs.Broker, d configs.Duration) { b.GroupConsumerHeartbeatInterval = d })},
		{"group.consumer.min.heartbeat.interval.ms", "group_consumer_heartbeat_interval_min", "", millis(time.Millisecond, func(b *configs.Broker, d configs.Duration) { b.GroupConsumerHeartbeatIntervalMin = d })},
		{"group.consumer.max.heartbeat.interval.ms", "group_consumer_heartbeat_interval_max", "", millis(time.Millisecond, func(b *configs.Broker, d configs.Duration) { b.GroupConsumerHeartbeatIntervalMax = d })},
		{"group.consumer.migration.policy", "group_migration_policy", "", func(b *configs.Broker, v string) error {
			v = strings.ToLower(strings.TrimSpace(v))
			if !strings.Contains(" bidirectional upgrade downgrade disabled ", " "+v+" ") {
				return fmt.Errorf("%q is not one of bidirectional, upgrade, downgrade, disabled", v)
			}
			b.GroupMigrationPolicy = v
			return nil
		}},
		{"transaction.state.log.num.partitions", "transactions_partitions", "", number(func(b *configs.Broker, n int32) { b.TransactionsPartitions = n })},
		{"transaction.max.timeout.ms", "transaction_timeout_max", "", millis(time.Millisecond, func(b *configs.Broker, d configs.Duration) { b.TransactionTimeoutMax = d })},
		{"transactional.id.expiration.ms", "transactional_id_expiration", "", millis(time.Millisecond, func(b *configs.Broker, d configs.Duration) { b.TransactionalIDExpiration = d })},
		{"log.cleaner.threads", "cleaner.threads", "", number(func(b *configs.Broker, n int32) { b.Cleaner.Threads = int(n) })},
		{"log.cleaner.dedupe.buffer.size", "cleaner.memory", "", size(func(b *configs.Broker, s configs.Size) { b.Cleaner.Memory = s })},
		{"log.cleaner.io.max.bytes.per.second", "cleaner.bytes_per_second_max", "0 has no limit", rate(func(b *configs.Broker, s configs.Size) { b.Cleaner.BytesPerSecondMax = s })},
		{"log.cleaner.backoff.ms", "cleaner.backoff", "", millis(time.Millisecond, func(b *configs.Broker, d configs.Duration) { b.Cleaner.Backoff = d })},
		{"authorizer.class.name", "authorizer.enabled", "any class of Kafka's own turns it on", authorizer},
		{"super.users", "authorizer.super_users", "", func(b *configs.Broker, v string) error {
			b.Authorizer.SuperUsers = splitNonEmpty(v, ";")
			return nil
		}},
		{"allow.everyone.if.no.acl.found", "authorizer.allow_everyone_if_no_acl", "", boolean(func(b *configs.Broker, v bool) { b.Authorizer.AllowEveryoneIfNoACL = v })},
	}
}

// TopicDefaults are the keys that give configs of topics their defaults and have
// no key of their own in millrace.yaml: they go to broker.configs.
func TopicDefaults() []string {
	return []string{
		"compression.gzip.level", "compression.lz4.level", "compression.type", "compression.zstd.level",
		"log.cleaner.delete.retention.ms", "log.cleaner.max.compaction.lag.ms", "log.cleaner.min.cleanable.ratio", "log.cleaner.min.compaction.lag.ms",
		"log.cleanup.policy", "log.flush.interval.messages", "log.flush.interval.ms", "log.index.interval.bytes", "log.index.size.max.bytes",
		"log.local.retention.bytes", "log.local.retention.ms", "log.message.timestamp.after.max.ms", "log.message.timestamp.before.max.ms",
		"log.message.timestamp.type", "log.preallocate", "log.roll.jitter.ms", "log.segment.delete.delay.ms", "min.insync.replicas",
		"unclean.leader.election.enable",
	}
}

func number[N int32 | int64](set func(*configs.Broker, N)) func(*configs.Broker, string) error {
	return func(b *configs.Broker, v string) error {
		n, err := strconv.ParseInt(strings.TrimSpace(v), 10, 64)
		if err != nil || int64(N(n)) != n {
			return fmt.Errorf("%q is not a whole number", v)
		}
		set(b, N(n))
		return nil
	}
}

func boolean(set func(*configs.Broker, bool)) func(*configs.Broker, string) error {
	return func(b *configs.Broker, v string) error {
		switch strings.ToLower(strings.TrimSpace(v)) {
		case "true":
			set(b, true)
		case "false":
			set(b, false)
		default:
			return fmt.Errorf("%q is neither true nor false", v)
		}
		return nil
	}
}

// millis takes a number of units; -1 is for ever.
func millis(unit time.Duration, set func(*configs.Broker, configs.Duration)) func(*configs.Broker, string) error {
	return number(func(b *configs.Broker, n int64) {
		if n < 0 {
			set(b, configs.Duration(n)*configs.Duration(time.Millisecond))
			return
		}
		set(b, configs.Duration(min(n, math.MaxInt64/int64(unit))*int64(unit)))
	})
}

func size(set func(*configs.Broker, configs.Size)) func(*configs.Broker, string) error {
	return number(func(b *configs.Broker, n int64) { set(b, configs.Size(n)) })
}

// rate takes a number of bytes per second, which Kafka has as a fraction; its
// default, the largest there is, stands for no limit.
func rate(set func(*configs.Broker, configs.Size)) func(*configs.Broker, string) error {
	return func(b *configs.Broker, v string) error {
		f, err := strconv.ParseFloat(strings.TrimSpace(v), 64)
		if err != nil || math.IsNaN(f) || f < 0 {
			return fmt.Errorf("%q is not a number of bytes", v)
		}
		if f >= math.MaxInt64 {
			f = 0
		}
		set(b, configs.Size(f))
		return nil
	}
}

func authorizer(b *configs.Broker, v string) error {
	switch strings.TrimSpace(v) {
	case "":
		b.Authorizer.Enabled = false
	case "org.apache.kafka.metadata.authorizer.StandardAuthorizer", "kafka.security.authorizer.AclAuthorizer":
		b.Authorizer.Enabled = true
	default:
		return fmt.Errorf("%q cannot be loaded: only org.apache.kafka.metadata.authorizer.StandardAuthorizer is known", v)
	}
	return nil
}

func splitNonEmpty(s, sep string) []string {
	var out []string
	for part := range strings.SplitSeq(s, sep) {
		if part = strings.TrimSpace(part); part != "" {
			out = append(out, part)
		}
	}
	return out
}
