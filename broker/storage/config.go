package storage

import (
	"fmt"
	"log/slog"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/millrace/millrace/internal/buffers"
	"github.com/millrace/millrace/internal/vfs"
)

// Durability says when records count as durable.
type Durability int

const (
	// DurabilityFsync counts records as durable after fdatasync; the high watermark follows the flushed end.
	DurabilityFsync Durability = iota
	// DurabilityOS leaves it to the operating system, as Apache Kafka does by
	// default; the high watermark follows the log end.
	DurabilityOS
)

// Config is what a store needs. It is read once, by Open.
type Config struct {
	// Dir is the data directory; it is created when missing.
	Dir string
	// Locked says that the caller holds the lock of Dir.
	Locked bool
	// Durability is DurabilityFsync by default.
	Durability Durability
	// Logger is never nil for a product; nil discards.
	Logger *slog.Logger
	// Registerer of the metrics; nil counts without registering.
	Registerer prometheus.Registerer
	// FS is the file system; nil is the operating system's.
	FS vfs.FS
	// Clock gives the time; nil is time.Now.
	Clock func() time.Time
	// TailBytesMax bounds the memory that holds the newest batches of all logs
	// for readers at the end; 0 is 64 MiB, negative turns it off.
	TailBytesMax int64
	// Buffers lends the memory for reads from disk; nil is a pool of the store's
	// own. Whoever shares it calls its Trim.
	Buffers *buffers.Pool
	// OpenFilesMax bounds the descriptors of segment files, those that are
	// written and those that are only read; 0 is 1024.
	OpenFilesMax int
	// DiskReserveBytes of the disk are kept free of records of clients: below
	// it their appends get ErrNoSpace. 0 is 1 GiB, but at most a twentieth of the
	// disk; negative is no reserve.
	DiskReserveBytes int64
	// DiskSpace asks for the space of the disk that a directory is on; nil is
	// StatDisk where FS is the operating system's, or else no reserve.
	DiskSpace func(dir string) (DiskSpace, error)
	// RetentionCheckInterval is the time between two looks for segments to
	// delete and producer ids to forget; 0 is 5 minutes, negative is never.
	RetentionCheckInterval time.Duration
	// CheckpointInterval is the time between two writes of the checkpoints
	// (recovery points, high watermarks); 0 is 5 s, negative is only at Close.
	// Unless it is negative, a log whose segment was full does not wait for it.
	CheckpointInterval time.Duration
	// Cleaner is how logs are compacted; see [Store.SetCleaner].
	Cleaner CleanerConfig
}

// TimestampType says which timestamp a topic's records carry.
type TimestampType int8

const (
	// CreateTime keeps the producer's timestamps.
	CreateTime TimestampType = iota
	// LogAppendTime writes the broker's time into each batch.
	LogAppendTime
)

// CleanupPolicy is a set of CleanupDelete and CleanupCompact. With neither, only what lies below
// the log start is deleted.
type CleanupPolicy uint8

const (
	// CleanupDelete deletes whole segments by age and size.
	CleanupDelete CleanupPolicy = 1 << iota
	// CleanupCompact keeps the newest record of each key; retention does not
	// apply unless CleanupDelete is set too.
	CleanupCompact
)

// LogConfig is the configuration of one log. A value is immutable once given
// to a log; [Log.SetConfig] swaps it.
type LogConfig struct {
	// SegmentBytes is the size at which a segment is rolled (segment.bytes).
	SegmentBytes int64
	// SegmentMs is the age at which a segment is rolled (segment.ms).
	SegmentMs int64
	// SegmentIndexBytes is the largest index file (segment.index.bytes).
	SegmentIndexBytes int64
	// IndexIntervalBytes is the distance between index entries (index.interval.bytes).
	IndexIntervalBytes int64
	// RetentionMs is the age at which segments are deleted; -1 is never (retention.ms).
	RetentionMs int64
	// RetentionBytes is the size that is kept; -1 has no limit (retention.bytes).
	RetentionBytes int64
	// MaxMessageBytes is the largest batch that is accepted (max.message.bytes).
	MaxMessageBytes int64
	// ProducerIDExpirationMs is how long an idle producer id is remembered
	// (producer.id.expiration.ms).
	ProducerIDExpirationMs int64
	// TimestampType is message.timestamp.type.
	TimestampType TimestampType
	// TimestampBeforeMaxMs and TimestampAfterMaxMs bound how far a record's
	// timestamp may be from the broker's clock (message.timestamp.{before,after}.max.ms).
	TimestampBeforeMaxMs, TimestampAfterMaxMs int64
	// Compression is compression.type.
	Compression Compression
	// CleanupPolicy is cleanup.policy.
	CleanupPolicy CleanupPolicy
	// FileDeleteDelayMs is how long the files of a segment stay on disk after
	// it was deleted or replaced (file.delete.delay.ms).
	FileDeleteDelayMs int64
	// MinCleanableDirtyRatio is the share of bytes that were not compacted yet
	// from which on a log is compacted (min.cleanable.dirty.ratio).
	MinCleanableDirtyRatio float64
	// MinCompactionLagMs keeps younger records from compaction
	// (min.compaction.lag.ms), MaxCompactionLagMs is when a record is compacted
	// whatever the ratio (max.compaction.lag.ms).
	MinCompactionLagMs, MaxCompactionLagMs int64
	// DeleteRetentionMs is how long tombstones and transaction markers stay
	// after their first compaction (delete.retention.ms).
	DeleteRetentionMs int64
	// SegmentJitterMs is how much earlier than at SegmentMs a segment may be
	// rolled, so that those of many logs are not rolled together (segment.jitter.ms).
	SegmentJitterMs int64
	// FlushMessages and FlushMs are the records and the time after which a log
	// is forced to disk under DurabilityOS (flush.messages, flush.ms); 0 is never.
	FlushMessages, FlushMs int64
}

// DefaultLogConfig returns Apache Kafka 4.1's defaults, with segments of 256 MiB.
func DefaultLogConfig() LogConfig {
	const day = 24 * 60 * 60 * 1000
	return LogConfig{
		SegmentBytes:           256 << 20,
		SegmentMs:              7 * day,
		SegmentIndexBytes:      10 << 20,
		IndexIntervalBytes:     4096,
		RetentionMs:            7 * day,
		RetentionBytes:         -1,
		MaxMessageBytes:        1048588,
		ProducerIDExpirationMs: day,
		TimestampType:          CreateTime,
		TimestampBeforeMaxMs:   math.MaxInt64,
		TimestampAfterMaxMs:    60 * 60 * 1000,
		CleanupPolicy:          CleanupDelete,
		FileDeleteDelayMs:      60_000,
		MinCleanableDirtyRatio: 0.5,
		MaxCompactionLagMs:     math.MaxInt64,
		DeleteRetentionMs:      day,
	}
}

// Validate says which value is out of its range.
func (c LogConfig) Validate() error {
	switch {
	case c.SegmentBytes < 1024 || c.SegmentBytes > math.MaxInt32:
		return fmt.Errorf("segment.bytes is %d: it must be between 1024 and %d", c.SegmentBytes, math.MaxInt32)
	case c.SegmentMs < 1:
		return fmt.Errorf("segment.ms is %d: it must be at least 1", c.SegmentMs)
	case c.SegmentIndexBytes < 24:
		return fmt.Errorf("segment.index.bytes is %d: it must be at least 24", c.SegmentIndexBytes)
	case c.IndexIntervalBytes < 0:
		return fmt.Errorf("index.interval.bytes is %d: it must not be negative", c.IndexIntervalBytes)
	case c.RetentionMs < -1 || c.RetentionBytes < -1:
		return fmt.Errorf("retention.ms %d, retention.bytes %d: they must be -1 or more", c.RetentionMs, c.RetentionBytes)
	case c.MaxMessageBytes < 0 || c.MaxMessageBytes > math.MaxInt32:
		return fmt.Errorf("max.message.bytes is %d: it must be between 0 and %d", c.MaxMessageBytes, math.MaxInt32)
	case c.ProducerIDExpirationMs < 1:
		return fmt.Errorf("producer.id.expiration.ms is %d: it must be at least 1", c.ProducerIDExpirationMs)
	case c.TimestampBeforeMaxMs < 0 || c.TimestampAfterMaxMs < 0:
		return fmt.Errorf("message.timestamp.before.max.ms %d, message.timestamp.after.max.ms %d: they must not be negative", c.TimestampBeforeMaxMs, c.TimestampAfterMaxMs)
	case !(c.MinCleanableDirtyRatio >= 0 && c.MinCleanableDirtyRatio <= 1):
		return fmt.Errorf("min.cleanable.dirty.ratio is %g: it must be between 0 and 1", c.MinCleanableDirtyRatio)
	case c.MinCompactionLagMs < 0 || c.MaxCompactionLagMs < 1:
		return fmt.Errorf("min.compaction.lag.ms %d, max.compaction.lag.ms %d: they must be at least 0 and 1", c.MinCompactionLagMs, c.MaxCompactionLagMs)
	case c.DeleteRetentionMs < 0:
		return fmt.Errorf("delete.retention.ms is %d: it must not be negative", c.DeleteRetentionMs)
	case c.SegmentJitterMs < 0:
		return fmt.Errorf("segment.jitter.ms is %d: it must not be negative", c.SegmentJitterMs)
	case c.FlushMessages < 0 || c.FlushMs < 0:
		return fmt.Errorf("flush.messages %d, flush.ms %d: they must not be negative", c.FlushMessages, c.FlushMs)
	case c.FileDeleteDelayMs < 0:
		return fmt.Errorf("file.delete.delay.ms is %d: it must not be negative", c.FileDeleteDelayMs)
	case c.CleanupPolicy > CleanupDelete|CleanupCompact:
		return fmt.Errorf("cleanup.policy %d is not known", c.CleanupPolicy)
	}
	return nil
}

// TopicPartition names a log.
type TopicPartition struct {
	Topic     string
	Partition int32
}

// String formats the name of the log's directory: topic-partition.
func (tp TopicPartition) String() string {
	return tp.Topic + "-" + strconv.FormatInt(int64(tp.Partition), 10)
}

// ParseTopicPartition reads what String writes.
func ParseTopicPartition(s string) (TopicPartition, error) {
	i := strings.LastIndexByte(s, '-')
	if i <= 0 {
		return TopicPartition{}, fmt.Errorf("%q is not of the form topic-partition", s)
	}
	n, err := strconv.ParseInt(s[i+1:], 10, 32)
	tp := TopicPartition{Topic: s[:i], Partition: int32(n)}
	if err != nil || n < 0 || tp.String() != s {
		return TopicPartition{}, fmt.Errorf("%q does not end in a partition number", s)
	}
	return tp, tp.validate()
}

const topicNameMax = 249

func (tp TopicPartition) validate() error {
	if tp.Topic == "" || tp.Topic == "." || tp.Topic == ".." || len(tp.Topic) > topicNameMax || tp.Partition < 0 {
		return fmt.Errorf("%q is not a valid topic and partition", tp.String())
	}
	for _, c := range []byte(tp.Topic) {
		if !isTopicByte(c) {
			return fmt.Errorf("topic name %q holds %q: only letters, digits, '.', '_' and '-' are allowed", tp.Topic, c)
		}
	}
	return nil
}

func isTopicByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '_' || c == '-'
}
