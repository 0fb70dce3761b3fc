package storage

import (
	"errors"
	"fmt"
	"sort"
	"sync"
	"sync/atomic"
)

// Log is the log of one partition.
//
// Who owns what: mu protects everything that an append changes; flushMu makes
// sure that one goroutine at a time forces the log to disk; checkpointMu that
// one at a time writes its small files. They are taken in the order
// checkpointMu, flushMu, mu; none is held while another log's is taken.
//
// Invariant: LogStart <= HighWatermark <= LogEnd and FlushedEnd <= LogEnd;
// under DurabilityFsync HighWatermark <= FlushedEnd. None of them but a
// truncation ever goes back.
type Log struct {
	store   *Store
	id      TopicPartition
	topicID [16]byte
	dir     string

	cfg atomic.Pointer[LogConfig]
	// configured says that cfg is the topic's own, not the default: retention
	// deletes nothing before.
	configured atomic.Bool

	checkpointMu sync.Mutex
	flushMu      sync.Mutex
	mu           sync.Mutex

	// segments is an immutable list, ordered by base, replaced under mu. The
	// last one is written.
	segments                   atomic.Pointer[[]*segment]
	logStart, hw, flushed, end atomic.Int64
	recoveryPoint              atomic.Int64
	leaderEpoch                atomic.Int32
	epochs                     leaderEpochs
	tail                       tail
	producers                  *producers // protected by mu
	stable                     *stability
	pendingSnapshots           []pendingSnapshot
	closing                    bool        // no more appends; protected by mu
	dirChanged                 bool        // the directory must be synced; protected by mu
	dirty                      atomic.Bool // it waits to be flushed
	postponed                  atomic.Bool // it is among those that are flushed later
	bytesSinceCheckpoint       atomic.Int64
	lastCheckpointMs           atomic.Int64
	rolled                     atomic.Bool
	grown                      atomic.Bool // it waits in the store's grownLogs
	pendingLogStart            atomic.Int64
	// cleaned is the offset below which compaction has been (the cleaner
	// checkpoint): there may be gaps below it.
	cleaned atomic.Int64
	// tailFrom is the offset below which the tail is not read: what it holds
	// of older records is as it was before compaction.
	tailFrom    atomic.Int64
	swaps       atomic.Int64 // segments that compaction has replaced
	truncations int64        // protected by checkpointMu
	// trash holds segments whose files are still to be removed; protected by
	// checkpointMu.
	trash []trashed

	failure     atomic.Pointer[failure]
	damageTold  atomic.Int64 // when a read of damage was last logged, in ms; 0 is never
	uncleanable atomic.Pointer[uncleanable]
	waiters     waiters
	traffic     traffic
}

// failure is why a log cannot be used any more.
type failure struct{ err error }

// pendingSnapshot is a producer snapshot that was taken at a roll and is not
// written yet.
type pendingSnapshot struct {
	offset  int64
	content []byte
}

// ID returns the log's topic and partition.
func (l *Log) ID() TopicPartition { return l.id }

// TopicID returns the topic's id.
func (l *Log) TopicID() [16]byte { return l.topicID }

// Dir returns the log's directory.
func (l *Log) Dir() string { return l.dir }

// Config returns the log's configuration.
func (l *Log) Config() LogConfig { return *l.cfg.Load() }

// SetConfig swaps the configuration. It applies from the next append and the
// next look for segments to delete.
func (l *Log) SetConfig(cfg LogConfig) error {
	if err := cfg.Validate(); err != nil {
		return err
	}
	if old := l.cfg.Swap(&cfg); *old != cfg {
		l.uncleanable.Store(nil) // compaction may try again
	}
	l.configured.Store(true)
	return nil
}

// LeaderEpoch returns the epoch that appends must carry.
func (l *Log) LeaderEpoch() int32 { return l.leaderEpoch.Load() }

// SetLeaderEpoch raises the leader epoch; a lower one is refused with ErrFenced.
func (l *Log) SetLeaderEpoch(epoch int32) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if current := l.leaderEpoch.Load(); epoch < current {
		return fmt.Errorf("%w: %d, the log's is %d", ErrFenced, epoch, current)
	}
	l.leaderEpoch.Store(epoch)
	return nil
}

// LogStart returns the first readable offset.
func (l *Log) LogStart() int64 { return l.logStart.Load() }

// LogEnd returns the offset that the next record gets.
func (l *Log) LogEnd() int64 { return l.end.Load() }

// FlushedEnd returns the offset below which everything is on disk.
func (l *Log) FlushedEnd() int64 { return l.flushed.Load() }

// HighWatermark returns the offset below which records may be read.
func (l *Log) HighWatermark() int64 { return l.hw.Load() }

// RecoveryPoint returns the offset from which the log is read after a crash.
func (l *Log) RecoveryPoint() int64 { return l.recoveryPoint.Load() }

// SizeBytes returns the bytes of all segments.
func (l *Log) SizeBytes() int64 {
	var n int64
	for _, s := range l.list() {
		n += s.size.Load()
	}
	return n
}

// Err returns nil, or why the log is offline (wraps ErrOffline), deleted or closed.
func (l *Log) Err() error {
	if f := l.failure.Load(); f != nil {
		return f.err
	}
	return nil
}

// usable says that the log is online and neither deleted nor closed.
func (l *Log) usable() bool { return l.failure.Load() == nil }

// EpochEndOffset returns the largest epoch of the log that is at most epoch,
// and the offset after its last record (KIP-101, KIP-279). -1, -1 stands for
// an epoch newer than all of the log's; an epoch older than all is returned
// itself with the start of the oldest.
func (l *Log) EpochEndOffset(epoch int32) (foundEpoch int32, endOffset int64) {
	return l.epochs.endOffset(epoch, l.end.Load())
}

// EpochAt returns the leader epoch of the record at offset, -1 when unknown.
func (l *Log) EpochAt(offset int64) int32 { return l.epochs.at(offset) }

// list returns the segments at this moment, oldest first. It is empty only for
// a log that was offline when the store opened.
func (l *Log) list() []*segment {
	if p := l.segments.Load(); p != nil {
		return *p
	}
	return nil
}

// segmentAt returns the position of the segment that holds offset, -1 for one
// before the first.
func segmentAt(segments []*segment, offset int64) int {
	return sort.Search(len(segments), func(i int) bool { return segments[i].base > offset }) - 1
}

// endOf returns the offset after the last record of segment i.
func (l *Log) endOf(segments []*segment, i int) int64 {
	if i+1 < len(segments) {
		return segments[i+1].base
	}
	return l.end.Load()
}

// fail takes the log offline for good. The first failure stays.
func (l *Log) fail(err error) error {
	offline := fmt.Errorf("%w: %w", ErrOffline, err)
	if l.failure.CompareAndSwap(nil, &failure{offline}) {
		l.store.metrics.offlineLogs.Inc()
		l.store.log.Error("log taken offline", "topic", l.id.Topic, "partition", l.id.Partition, "error", err)
		l.waiters.failAll(offline)
	}
	return l.Err()
}

// delete is the end of a log whose directory is gone, also of one that was offline.
func (l *Log) delete() {
	if old := l.failure.Swap(&failure{ErrDeleted}); old != nil && errors.Is(old.err, ErrOffline) {
		l.store.metrics.offlineLogs.Dec()
	}
	l.waiters.failAll(ErrDeleted)
}

// end of life without damage: deleted or closed.
func (l *Log) retire(err error) {
	if l.failure.CompareAndSwap(nil, &failure{err}) {
		l.waiters.failAll(err)
	}
}
