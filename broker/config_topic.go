package broker

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/millrace/millrace/broker/batch"
	"github.com/millrace/millrace/broker/metadata"
	"github.com/millrace/millrace/broker/storage"
)

// topicConfigs are the topic configs of Apache Kafka 4.1, in the order of their names.
func topicConfigs() []configDef {
	const (
		tiered   = "There is no tiered storage."
		flushed  = "With durability fsync every acknowledged record is."
		throttle = "Replication is not throttled."
	)
	return []configDef{
		list("cleanup.policy", "delete", "compact", "delete").from("log.cleanup.policy").says("What is done with old segments: delete, compact, both, or nothing where it is empty."),
		integer("compression.gzip.level", "-1", -1, 9).from("compression.gzip.level").says("The level of gzip where compression.type is gzip; -1 is the default one."),
		integer("compression.lz4.level", "9", 1, 17).from("compression.lz4.level").says("The level of lz4 where compression.type is lz4."),
		text("compression.type", "producer", "uncompressed", "zstd", "lz4", "snappy", "gzip", "producer").from("compression.type").says("The codec that batches are stored with; producer keeps the one they come with."),
		integer("compression.zstd.level", "3", -131072, 22).from("compression.zstd.level").says("The level of zstd where compression.type is zstd."),
		long("delete.retention.ms", "86400000", 0, math.MaxInt64).from("log.cleaner.delete.retention.ms").says("How long tombstones and transaction markers of compacted topics stay after they were first compacted."),
		long("file.delete.delay.ms", "60000", 0, math.MaxInt64).from("log.segment.delete.delay.ms").says("How long the files of deleted segments stay on disk."),
		long("flush.messages", maxInt64Text, 1, math.MaxInt64).from("log.flush.interval.messages").says("With durability os: records after which a log is forced to disk. " + flushed),
		long("flush.ms", maxInt64Text, 0, math.MaxInt64).from("log.flush.interval.ms").says("With durability os: the time after which a log is forced to disk, looked at every 5 s. " + flushed),
		list("follower.replication.throttled.replicas", "").does(effectNone).says(throttle),
		integer("index.interval.bytes", "4096", 0, math.MaxInt32).from("log.index.interval.bytes").says("Bytes between two entries of the offset index."),
		integer("internal.segment.bytes", "", 1024, math.MaxInt32).whereSet().says("For tests: takes the place of segment.bytes, also with less than that allows."),
		list("leader.replication.throttled.replicas", "").does(effectNone).says(throttle),
		long("local.retention.bytes", "-2", -2, math.MaxInt64).from("log.local.retention.bytes").does(effectFixed).says(tiered),
		long("local.retention.ms", "-2", -2, math.MaxInt64).from("log.local.retention.ms").does(effectFixed).says(tiered),
		long("max.compaction.lag.ms", maxInt64Text, 1, math.MaxInt64).from("log.cleaner.max.compaction.lag.ms").says("The age at which a record is compacted, however few there are."),
		integer("max.message.bytes", "1048588", 0, math.MaxInt32).from("message.max.bytes").says("The largest record batch that is accepted, after compression."),
		long("message.timestamp.after.max.ms", "3600000", 0, math.MaxInt64).from("log.message.timestamp.after.max.ms").says("How far a record's timestamp may be after the broker's time."),
		long("message.timestamp.before.max.ms", maxInt64Text, 0, math.MaxInt64).from("log.message.timestamp.before.max.ms").says("How far a record's timestamp may be before the broker's time."),
		text("message.timestamp.type", "CreateTime", "CreateTime", "LogAppendTime").from("log.message.timestamp.type").says("Whose time records carry: the producer's or the broker's."),
		{name: "min.cleanable.dirty.ratio", kind: doubleType, def: "0.5", max: 1, broker: "log.cleaner.min.cleanable.ratio", doc: "The share of a log that was not compacted yet from which on it is."},
		long("min.compaction.lag.ms", "0", 0, math.MaxInt64).from("log.cleaner.min.compaction.lag.ms").says("How long a record is safe from compaction."),
		integer("min.insync.replicas", "1", 1, math.MaxInt32).from("min.insync.replicas").says("Replicas that must be in sync for a write with acks=all to be taken, at most as many as there are."),
		boolean("preallocate", "false").from("log.preallocate").does(effectFixed).says("Segments grow as they are written."),
		boolean("remote.log.copy.disable", "false").does(effectFixed).says(tiered),
		boolean("remote.log.delete.on.disable", "false").does(effectFixed).says(tiered),
		boolean("remote.storage.enable", "false").does(effectFixed).says(tiered),
		long("retention.bytes", "-1", -1, math.MaxInt64).from("log.retention.bytes").says("The size of each partition beyond which its oldest segments are deleted; -1 has no limit."),
		long("retention.ms", "604800000", -1, math.MaxInt64).from("log.retention.ms").says("The age beyond which segments are deleted; -1 has no limit."),
		integer("segment.bytes", "1073741824", 1048576, math.MaxInt32).from("log.segment.bytes").says("The size at which a new segment is begun."),
		integer("segment.index.bytes", "10485760", 24, math.MaxInt32).from("log.index.size.max.bytes").says("The largest index of a segment."),
		long("segment.jitter.ms", "0", 0, math.MaxInt64).from("log.roll.jitter.ms").says("How much earlier, at random, a segment may be rolled than at its full age."),
		long("segment.ms", "604800000", 1, math.MaxInt64).from("log.roll.ms").says("The age at which a new segment is begun."),
		boolean("unclean.leader.election.enable", "false").from("unclean.leader.election.enable").does(effectNone).says("A partition has one replica, which is always in sync."),
	}
}

// configTables are the descriptions by name.
type configTables struct {
	topic, broker, group []configDef
}

func newConfigTables() *configTables {
	return &configTables{topic: topicConfigs(), broker: brokerConfigs(), group: groupConfigs()}
}

func findConfig(defs []configDef, name string) *configDef {
	at, ok := slices.BinarySearchFunc(defs, name, func(d configDef, name string) int { return strings.Compare(d.name, name) })
	if !ok {
		return nil
	}
	return &defs[at]
}

// checkTopicConfigs says what is wrong with a topic's configs; the error has
// the code INVALID_CONFIG.
func (n *Node) checkTopicConfigs(values map[string]string) error {
	for name, value := range values {
		d := findConfig(n.configs.topic, name)
		if d == nil {
			return refuse(kerr.InvalidConfig, "Unknown topic config name: "+name)
		}
		if err := d.check(value, n.cfg); err != nil {
			return refuse(kerr.InvalidConfig, err.Error())
		}
	}
	return nil
}

// topicValue is the value of a topic config in effect.
func (n *Node) topicValue(image *metadata.Image, t *metadata.Topic, name string) string {
	if v, ok := t.Configs[name]; ok {
		return v
	}
	d := findConfig(n.configs.topic, name)
	if b := findConfig(n.configs.broker, d.broker); b != nil {
		return n.brokerValue(image, b)
	}
	return d.startValue(n.cfg)
}

// ratio is a topic config that is a number from 0 to 1.
func (n *Node) ratio(image *metadata.Image, t *metadata.Topic, name string) float64 {
	v, err := strconv.ParseFloat(strings.TrimSpace(n.topicValue(image, t, name)), 64)
	if err != nil {
		panic(fmt.Sprintf("config %s was not checked: %v", name, err))
	}
	return v
}

// producerIDExpirationMs is producer.id.expiration.ms, which has been checked when it was set.
func (n *Node) producerIDExpirationMs(image *metadata.Image) int64 {
	v, err := strconv.ParseInt(strings.TrimSpace(n.brokerValue(image, findConfig(n.configs.broker, "producer.id.expiration.ms"))), 10, 64)
	if err != nil {
		panic(fmt.Sprintf("broker config was not checked: %v", err))
	}
	return v
}

// logConfig is what the configs of a topic mean for its logs. Values have been
// checked when they were set.
func (n *Node) logConfig(image *metadata.Image, t *metadata.Topic) storage.LogConfig {
	number := func(name string) int64 {
		v, err := strconv.ParseInt(strings.TrimSpace(n.topicValue(image, t, name)), 10, 64)
		if err != nil {
			panic(fmt.Sprintf("config %s was not checked: %v", name, err))
		}
		return v
	}
	cfg := storage.LogConfig{
		SegmentBytes:           number("segment.bytes"),
		SegmentMs:              number("segment.ms"),
		SegmentIndexBytes:      number("segment.index.bytes"),
		IndexIntervalBytes:     number("index.interval.bytes"),
		RetentionMs:            number("retention.ms"),
		RetentionBytes:         number("retention.bytes"),
		MaxMessageBytes:        number("max.message.bytes"),
		ProducerIDExpirationMs: n.producerIDExpirationMs(image),
		TimestampBeforeMaxMs:   number("message.timestamp.before.max.ms"),
		TimestampAfterMaxMs:    number("message.timestamp.after.max.ms"),
		FileDeleteDelayMs:      number("file.delete.delay.ms"),
		MinCleanableDirtyRatio: n.ratio(image, t, "min.cleanable.dirty.ratio"),
		MinCompactionLagMs:     number("min.compaction.lag.ms"),
		MaxCompactionLagMs:     number("max.compaction.lag.ms"),
		DeleteRetentionMs:      number("delete.retention.ms"),
		SegmentJitterMs:        number("segment.jitter.ms"),
		FlushMessages:          number("flush.messages"),
		FlushMs:                number("flush.ms"),
	}
	if t.Configs["internal.segment.bytes"] != "" {
		cfg.SegmentBytes = number("internal.segment.bytes")
	}
	cfg.Compression = compressionOf(n.topicValue(image, t, "compression.type"), number)
	if n.topicValue(image, t, "message.timestamp.type") == "LogAppendTime" {
		cfg.TimestampType = storage.LogAppendTime
	}
	for _, policy := range splitList(n.topicValue(image, t, "cleanup.policy")) {
		if policy == "compact" {
			cfg.CleanupPolicy |= storage.CleanupCompact
		} else {
			cfg.CleanupPolicy |= storage.CleanupDelete
		}
	}
	return cfg
}

// compressionOf is what compression.type and the levels mean for a log.
func compressionOf(kind string, number func(string) int64) storage.Compression {
	c := storage.Compression{Convert: true}
	switch kind {
	case "gzip":
		c.Codec, c.Level = batch.Gzip, int(number("compression.gzip.level"))
	case "snappy":
		c.Codec = batch.Snappy
	case "lz4":
		c.Codec, c.Level = batch.LZ4, int(number("compression.lz4.level"))
	case "zstd":
		c.Codec, c.Level = batch.Zstd, int(number("compression.zstd.level"))
	case "uncompressed":
		c.Codec = batch.None
	default: // producer
		c.Convert = false
	}
	return c
}
