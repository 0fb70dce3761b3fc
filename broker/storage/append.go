package storage

import (
	"errors"
	"fmt"
	"math"

	"github.com/millrace/millrace/broker/batch"
)

// Origin says who appends.
type Origin int8

const (
	// OriginClient is a producer: control batches are refused, sequences are checked.
	OriginClient Origin = iota
	// OriginCoordinator is a coordinator inside this broker: control batches are
	// allowed, batches of producers may be without a sequence.
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
	// Guard is what [Log.BeginVerification] returned before the coordinator
	// confirmed that the partition belongs to the transaction. A batch of an ongoing
	// transaction needs none.
	Guard VerificationGuard
	// TransactionVersion is 2 for a producer whose epoch grows with each
	// transaction (KIP-890, part 2): its first batch has sequence 0. Of markers see Marker.
	TransactionVersion int16
	// Unawaited says that the appender will not wait until the batches are durable (acks=0 and 1): they
	// are forced to disk together with what follows, within 100 ms or 8 MiB of the log, at once if
	// somebody waits for them or for records to read.
	Unawaited bool
}

// AppendResult says where batches went.
type AppendResult struct {
	// BaseOffset is the offset of the first record; LastOffset of the last.
	BaseOffset, LastOffset int64
	// LogAppendTimeMs is the time written into the batches, -1 under CreateTime;
	// of a Duplicate it is the largest timestamp of the batch that is stored, as
	// in Kafka.
	LogAppendTimeMs int64
	// LogStartOffset of the log.
	LogStartOffset int64
	// Duplicate is true when the producer has sent this batch before: offsets
	// are those of then, nothing was written. The caller still waits for
	// LastOffset to be flushed.
	Duplicate bool
}

// Append validates the record batches in batches, assigns offsets and writes
// them with one write. On return they are readable by nobody and not durable:
// use WaitFlushed or OnFlushed with LastOffset. batches is modified in place
// (base offset, leader epoch, under LogAppendTime the timestamp and checksum)
// and not kept. All of them are written or none.
//
// Errors: ErrCorrupt, ErrTooLarge, ErrInvalidRecord, ErrInvalidTimestamp,
// ErrUnsupportedFormat, ErrUnsupportedCompression for what is in the bytes;
// ErrOutOfOrderSequence, ErrInvalidProducerEpoch, ErrInvalidTxnState, ErrTooManyTransactions,
// ErrCoordinatorFenced; ErrFenced, ErrUnknownLeaderEpoch; ErrNoSpace (the
// log stays online), ErrOffline, ErrDeleted, ErrClosed.
func (l *Log) Append(batches []byte, o AppendOptions) (AppendResult, error) {
	cfg, nowMs := l.cfg.Load(), l.store.nowMs()
	run, err := validate(batches, l.id, cfg, o.Origin, nowMs)
	if err != nil {
		return AppendResult{}, err
	}
	if o.Origin == OriginClient {
		if err := l.store.space.take(len(batches)); err != nil {
			return AppendResult{}, err
		}
		if batches, err = l.store.converter.convert(batches, cfg); err != nil {
			return AppendResult{}, err
		}
	}
	l.mu.Lock()
	res, err := l.appendLocked(batches, &run, o, cfg, nowMs)
	end := l.end.Load()
	l.mu.Unlock()
	if err != nil {
		return AppendResult{}, err
	}
	if !res.Duplicate {
		l.store.metrics.appended(len(batches), run.batches)
		l.traffic.appended.Add(int64(len(batches)))
		if l.store.cfg.Durability == DurabilityOS {
			l.advance(0, end)
			if err := l.flushDue(end, cfg); err != nil {
				return AppendResult{}, err
			}
		} else {
			l.flushSoon(o.Unawaited)
		}
	}
	return res, nil
}

func (l *Log) appendLocked(batches []byte, run *batchRun, o AppendOptions, cfg *LogConfig, nowMs int64) (AppendResult, error) {
	if err := l.admit(o); err != nil {
		return AppendResult{}, err
	}
	res := AppendResult{LogAppendTimeMs: run.appendTimeMs, LogStartOffset: l.logStart.Load()}
	if run.idempotent > 0 && o.Origin != OriginReplica {
		original, err := l.checkProducers(batches, &o)
		if err != nil {
			return AppendResult{}, err
		}
		if original != nil {
			l.store.metrics.duplicates.Inc()
			res.BaseOffset, res.LastOffset, res.Duplicate = original.firstOffset, original.lastOffset, true
			res.LogAppendTimeMs = original.timestampMs
			return res, nil
		}
	}
	base, next, err := l.assignOffsets(batches, o)
	if err != nil {
		return AppendResult{}, err
	}
	seg, err := l.segmentFor(int64(len(batches)), next-1, cfg, nowMs)
	if err != nil {
		return AppendResult{}, err
	}
	if err := l.write(seg, batches); err != nil {
		return AppendResult{}, err
	}
	l.apply(seg, batches, cfg, nowMs)
	l.tail.append(batches, base, nowMs)
	l.end.Store(next)
	res.BaseOffset, res.LastOffset = base, next-1
	return res, nil
}

// checkProducers checks the batches of producers and markers. What it returns
// is what a client's batch repeats; a client sends one at a time.
func (l *Log) checkProducers(batches []byte, o *AppendOptions) (original *producerBatch, err error) {
	for b, err := range batch.All(batches) {
		if err != nil {
			return nil, err
		}
		switch {
		case !b.HasProducerID():
		case b.IsControl():
			m, ok, err := parseMarker(&b)
			if err == nil && ok {
				err = l.producers.checkMarker(&m, o.TransactionVersion)
			}
			if err != nil {
				return nil, err
			}
		default:
			if original, err = l.producers.check(&b.Header, o, l.end.Load()); original != nil || err != nil {
				return original, err
			}
		}
	}
	return nil, nil
}

func (l *Log) admit(o AppendOptions) error {
	if err := l.Err(); err != nil {
		return err
	}
	current := l.leaderEpoch.Load()
	switch {
	case l.closing:
		return ErrClosed
	case o.Origin == OriginReplica:
		return nil
	case o.LeaderEpoch < current:
		return fmt.Errorf("%w: %d, the log's is %d", ErrFenced, o.LeaderEpoch, current)
	case o.LeaderEpoch > current:
		return fmt.Errorf("%w: %d, the log's is %d", ErrUnknownLeaderEpoch, o.LeaderEpoch, current)
	}
	return nil
}

// assignOffsets writes base offset and leader epoch into each header, or, for
// a replica, checks that the offsets go on from the log end. It returns the
// first offset and the one after the last.
func (l *Log) assignOffsets(batches []byte, o AppendOptions) (base, next int64, err error) {
	next = l.end.Load()
	base = next
	for rest := batches; len(rest) > 0; {
		b, err := batch.Parse(rest)
		if err != nil {
			return 0, 0, err
		}
		if o.Origin == OriginReplica {
			if b.BaseOffset < next {
				return 0, 0, fmt.Errorf("%w: a replicated batch begins at %d, the log ends at %d", ErrInvalidRecord, b.BaseOffset, next)
			}
			if len(rest) == len(batches) {
				base = b.BaseOffset
			}
			next = b.LastOffset() + 1
		} else {
			batch.SetOffset(b.Raw, next, o.LeaderEpoch)
			next += int64(b.Count)
		}
		if next < base {
			return 0, 0, fmt.Errorf("%w: offsets would pass the largest one", ErrInvalidRecord)
		}
		rest = rest[len(b.Raw):]
	}
	return base, next, nil
}

// segmentFor returns the segment to write size bytes to, after a roll if one is due.
func (l *Log) segmentFor(size, lastOffset int64, cfg *LogConfig, nowMs int64) (*segment, error) {
	list := l.list()
	seg := list[len(list)-1]
	used := seg.size.Load()
	switch {
	case used == 0 && lastOffset-seg.base <= math.MaxInt32:
		return seg, nil
	case used+size > cfg.SegmentBytes,
		lastOffset-seg.base > math.MaxInt32,
		nowMs-seg.times.created() > cfg.rollAfterMs(seg),
		seg.index.Load().full(cfg.SegmentIndexBytes):
		return l.roll()
	}
	return seg, nil
}

// roll begins a new segment at the log end. It is called with mu held.
//
// Under DurabilityFsync the old segment is complete on disk before the new one
// exists, so that only the last segment can have a torn tail.
func (l *Log) roll() (*segment, error) {
	list := l.list()
	old := list[len(list)-1]
	if l.store.cfg.Durability == DurabilityFsync {
		if err := old.sync(&l.store.handles); err != nil {
			return nil, l.syncFailed(old, err)
		}
	}
	end := l.end.Load()
	seg := newSegment(l.store.fs, l.dir, end)
	if err := seg.create(&l.store.handles); err != nil {
		return nil, l.writeFailed(fmt.Errorf("create segment: %w", err))
	}
	old.seal()
	l.pendingSnapshots = append(l.pendingSnapshots, pendingSnapshot{end, l.producers.snapshot()})
	next := make([]*segment, 0, len(list)+1)
	next = append(append(next, list...), seg)
	l.segments.Store(&next)
	l.dirChanged = true
	l.checkpointSoon()
	l.store.wakeMaintenance()
	return seg, nil
}

// write puts batches at the end of the segment. After a failure the file is
// as before, or the log is offline.
func (l *Log) write(seg *segment, batches []byte) error {
	h, err := seg.acquire(&l.store.handles)
	if err != nil {
		return l.writeFailed(fmt.Errorf("open %s: %w", seg.path(suffixLog), err))
	}
	size := seg.size.Load()
	h.dirty.Store(true)
	if _, err = h.file.WriteAt(batches, size); err != nil {
		err = fmt.Errorf("append to %s: %w", seg.path(suffixLog), err)
		if truncErr := errors.Join(h.file.Truncate(size), h.release()); truncErr != nil {
			return l.fail(errors.Join(err, truncErr))
		}
		return l.writeFailed(err)
	}
	if err := h.release(); err != nil {
		return l.fail(err)
	}
	return nil
}

// writeFailed decides what a failed write means: a full disk and a want of
// descriptors refuse the append, anything else takes the log offline.
func (l *Log) writeFailed(err error) error {
	switch {
	case isNoSpace(err):
		return fmt.Errorf("%w: %w", ErrNoSpace, err)
	case isNoFiles(err):
		return fmt.Errorf("%w: %w", ErrNoDescriptors, err)
	}
	return l.fail(err)
}

// syncFailed takes the log offline, unless the file could only not be opened.
func (l *Log) syncFailed(seg *segment, err error) error {
	if isNoFiles(err) {
		l.checkpointSoon() // which tries again
		return fmt.Errorf("%w: %w", ErrNoDescriptors, err)
	}
	return l.fail(fmt.Errorf("sync %s: %w", seg.path(suffixLog), err))
}

// apply brings everything that follows from the batches up to date: index,
// timestamps, leader epochs, producers. It cannot fail.
func (l *Log) apply(seg *segment, batches []byte, cfg *LogConfig, nowMs int64) {
	x, position := seg.index.Load(), seg.size.Load()
	for rest := batches; len(rest) > 0; {
		b, err := batch.Parse(rest)
		if err != nil {
			panic("storage: a validated batch does not parse: " + err.Error())
		}
		size := int64(len(b.Raw))
		seg.times.note(effectiveMaxTimestamp(&b.Header), b.LastOffset(), nowMs)
		top, topOffset := seg.times.get()
		x.add(seg.base, b.LastOffset(), position, size, cfg.IndexIntervalBytes, top, topOffset)
		l.epochs.assign(b.LeaderEpoch, b.BaseOffset)
		if b.HasProducerID() {
			l.applyProducer(&b, seg, nowMs)
		}
		position += size
		rest = rest[len(b.Raw):]
	}
	seg.size.Store(position)
	l.grew(int64(len(batches)))
}

// applyProducer brings the producers up to date, and what follows from the
// begin or end of a transaction. It comes before the batch is published.
func (l *Log) applyProducer(b *batch.Batch, seg *segment, nowMs int64) {
	ended, did, began := l.producers.apply(b, nowMs)
	switch {
	case began:
		l.stable.began(l.producers.ongoing.firstOffset())
	case did:
		if !ended.commit {
			seg.addAborted(ended.aborted())
		}
		l.stable.ended(ended, l.producers.ongoing.firstOffset())
	}
}
