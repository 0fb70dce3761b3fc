package storage

import "context"

// Origin says who appends.
type Origin int8

const (
	// OriginClient is a producer: control batches are refused, sequences are checked.
	OriginClient Origin = iota
	// OriginCoordinator is a coordinator inside this broker: control batches are allowed.
	OriginCoordinator
	// OriginReplica is a follower's copy: offsets and leader epochs of the
	// batches are kept as they are, sequences are recorded, not checked.
	OriginReplica
)

// AppendOptions go with the batches of one append.
type AppendOptions struct {
	// LeaderEpoch is written into the batches; it must be the log's.
	LeaderEpoch int32
	// Origin is OriginClient by default.
	Origin Origin
}

// AppendResult says where batches went.
type AppendResult struct {
	// BaseOffset is the offset of the first record; LastOffset of the last.
	BaseOffset, LastOffset int64
	// LogAppendTimeMs is the time written into the batches, -1 under CreateTime.
	LogAppendTimeMs int64
	// LogStartOffset of the log.
	LogStartOffset int64
	// Duplicate is true when the producer has sent this batch before: offsets
	// are those of then, nothing was written. The caller still waits for
	// LastOffset to be flushed.
	Duplicate bool
}

// Isolation says which records a reader sees.
type Isolation int8

const (
	// ReadUncommitted reads up to the high watermark.
	ReadUncommitted Isolation = iota
	// ReadCommitted reads up to the last stable offset. Without transactions
	// that is the high watermark.
	ReadCommitted
)

// ReadOptions go with a read.
type ReadOptions struct {
	// Isolation is ReadUncommitted by default.
	Isolation Isolation
	// MinOneBatch returns the first batch even if it is larger than the
	// limit (KIP-74).
	MinOneBatch bool
	// MaxOffset bounds the read to batches that begin before it; 0 has no bound
	// but the high watermark.
	MaxOffset int64
}

// ReadResult holds whole batches.
type ReadResult struct {
	// Data are whole batches as they are stored; the first contains the wanted
	// offset and may begin before it. It is empty at the high watermark. It
	// must not be written to and is valid until Release.
	Data []byte
	// NextOffset is the offset after the last batch in Data; the wanted offset
	// when Data is empty.
	NextOffset int64
	// HighWatermark, LastStableOffset and LogStartOffset at the time of the read.
	HighWatermark, LastStableOffset, LogStartOffset int64

	release func()
}

// Release gives the memory of Data back. It must be called at most once; a
// result that is never released is left to the garbage collector.
func (r *ReadResult) Release() {}

// Waiter is told when the readable part of a log changes.
type Waiter interface {
	// Notify is called after the high watermark has advanced, and when the log
	// goes offline or is deleted. It must not block and not call the log.
	Notify()
}

// Signal is a Waiter that can be selected on.
type Signal chan struct{}

// NewSignal returns a Signal that holds one pending notification.
func NewSignal() Signal { return make(Signal, 1) }

// Notify implements [Waiter].
func (s Signal) Notify() {
	select {
	case s <- struct{}{}:
	default:
	}
}

// Log is the log of one partition.
type Log struct{}

// ID returns the log's topic and partition.
func (l *Log) ID() TopicPartition { panic("skeleton") }

// TopicID returns the topic's id.
func (l *Log) TopicID() [16]byte { panic("skeleton") }

// Config returns the log's configuration.
func (l *Log) Config() LogConfig { panic("skeleton") }

// SetConfig swaps the configuration.
func (l *Log) SetConfig(LogConfig) error { panic("skeleton") }

// LeaderEpoch returns the epoch that appends must carry.
func (l *Log) LeaderEpoch() int32 { panic("skeleton") }

// SetLeaderEpoch raises the leader epoch; a lower one is refused with ErrFenced.
func (l *Log) SetLeaderEpoch(epoch int32) error { panic("skeleton") }

// Append validates the record batches in batches, assigns offsets and writes
// them with one write. On return they are readable by nobody and not durable:
// use WaitFlushed or OnFlushed with LastOffset. batches is modified in place
// (base offset, leader epoch, under LogAppendTime the timestamp and checksum)
// and not kept.
func (l *Log) Append(batches []byte, o AppendOptions) (AppendResult, error) { panic("skeleton") }

// WaitFlushed returns when the record at offset is durable (flushed end >
// offset), with nil; when the log goes offline, is deleted or closed first,
// with that error; or when ctx ends. Under DurabilityOS it returns at once.
func (l *Log) WaitFlushed(ctx context.Context, offset int64) error { panic("skeleton") }

// OnFlushed calls fn once when WaitFlushed would return, possibly before
// OnFlushed returns, otherwise on the flusher's goroutine: fn must not block.
func (l *Log) OnFlushed(offset int64, fn func(error)) { panic("skeleton") }

// Read returns whole batches from the one that contains startOffset, at most
// maxBytes of them. ErrOffsetOutOfRange before the log start and after the log end.
func (l *Log) Read(startOffset int64, maxBytes int, o ReadOptions) (ReadResult, error) {
	panic("skeleton")
}

// LogStart returns the first readable offset.
func (l *Log) LogStart() int64 { panic("skeleton") }

// LogEnd returns the offset that the next record gets.
func (l *Log) LogEnd() int64 { panic("skeleton") }

// FlushedEnd returns the offset below which everything is on disk.
func (l *Log) FlushedEnd() int64 { panic("skeleton") }

// HighWatermark returns the offset below which records may be read.
func (l *Log) HighWatermark() int64 { panic("skeleton") }

// LastStableOffset returns the offset below which no transaction is undecided.
func (l *Log) LastStableOffset() int64 { panic("skeleton") }

// OffsetForTimestamp returns the first record at or after timestampMs, below
// the high watermark; offset -1 and timestamp -1 when there is none.
func (l *Log) OffsetForTimestamp(timestampMs int64) (offset, timestamp int64, leaderEpoch int32, err error) {
	panic("skeleton")
}

// MaxTimestamp returns the record with the largest timestamp below the high
// watermark; -1, -1 when there is none.
func (l *Log) MaxTimestamp() (offset, timestamp int64, leaderEpoch int32, err error) {
	panic("skeleton")
}

// EpochEndOffset returns the largest epoch of the log that is at most epoch,
// and the offset after its last record (KIP-101, KIP-279); -1, -1 when there is none.
func (l *Log) EpochEndOffset(epoch int32) (foundEpoch int32, endOffset int64) { panic("skeleton") }

// EpochAt returns the leader epoch of the record at offset, -1 when unknown.
func (l *Log) EpochAt(offset int64) int32 { panic("skeleton") }

// DeleteRecords moves the log start to beforeOffset (-1: the high watermark), durably, and
// returns the new log start. ErrOffsetOutOfRange beyond the high watermark.
func (l *Log) DeleteRecords(beforeOffset int64) (int64, error) { panic("skeleton") }

// AddWaiter registers w until RemoveWaiter. Register first, then read: a
// change in between is then not missed.
func (l *Log) AddWaiter(w Waiter) { panic("skeleton") }

// RemoveWaiter undoes AddWaiter.
func (l *Log) RemoveWaiter(w Waiter) { panic("skeleton") }

// SizeBytes returns the bytes of all segments.
func (l *Log) SizeBytes() int64 { panic("skeleton") }

// Err returns nil, or why the log is offline (wraps ErrOffline), deleted or closed.
func (l *Log) Err() error { panic("skeleton") }
