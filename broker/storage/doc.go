// Package storage keeps the partitions of one broker on disk, in Apache
// Kafka's on-disk format: directories topic-partition with segments
// (%020d.log, .index, .timeindex, .snapshot), leader-epoch-checkpoint and
// partition.metadata, and beside them the checkpoints
// recovery-point-offset-checkpoint, log-start-offset-checkpoint,
// replication-offset-checkpoint and the marker .kafka_cleanshutdown.
//
// # Use
//
// [Open] recovers all logs under a directory and locks it. [Store.CreateLog]
// opens or creates the log of one partition. [Log.Append] validates and writes record
// batches and returns their offsets before they are durable; [Log.WaitFlushed]
// or [Log.OnFlushed] tell when they are. [Log.Read] returns whole batches below the
// high watermark. [Store.Close] flushes everything and leaves the marker that
// lets the next Open skip recovery.
//
// # Three numbers
//
// The log end is the offset that the next record gets. The flushed end is the
// offset below which everything has been forced to disk. The high watermark is
// the offset below which records may be read. On one node it follows the
// flushed end (DurabilityFsync) or the log end (DurabilityOS).
//
// # Concurrency
//
// All methods of Store and Log may be called from any goroutine. A log's
// appends are serialised by its lock; readers never take that lock: they work
// from immutable state behind atomics. One flusher goroutine per store forces
// all dirty logs to disk together (group commit).
//
// # Failure model
//
// What WaitFlushed has returned for survives the loss of power. A write that
// failed leaves the log as it was. A failed fdatasync takes the log offline for good,
// because the kernel may have dropped the pages: it is never repeated. A torn
// tail is cut when the store opens; damage with valid batches after it is never
// cut but takes the log offline with a [*CorruptionError].
//
// The design is in docs/design/storage.md. Source of the formats: Apache Kafka
// 4.1 (LogSegment, ProducerStateManager, CheckpointFile, LeaderEpochCheckpointFile).
package storage
