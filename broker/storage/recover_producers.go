package storage

import (
	"errors"
	"math"
	"path/filepath"

	"github.com/millrace/millrace/broker/batch"
	"github.com/millrace/millrace/internal/vfs"
)

// replay follows the producers in the same pass over the batches that checks
// them. It begins with the newest snapshot, which as a rule was written together with
// the recovery point.
type replay struct {
	// from is the offset of the snapshot; the batches from there on count.
	from int64
	// began says that the pass has begun, whole that it sees all batches that count.
	began, whole bool
	nowMs        int64
	// aborted are the transactions that were found to be aborted: as many
	// as there were markers beyond the recovery point.
	aborted []replayedAbort
}

type replayedAbort struct {
	seg *segment
	txn abortedTxn
}

// beginReplay loads the newest snapshot that is usable, wherever the log will turn out to end.
func (r *recovery) beginReplay() (err error) {
	r.replay.nowMs = r.l.store.nowMs()
	r.replay.from, err = r.loadSnapshot(math.MaxInt64)
	return err
}

// start is called before the batches of each segment that is read: the first one has
// an offset of at least next, and is the log's first if first is set.
func (p *replay) start(next int64, first bool) {
	if !p.began {
		p.began, p.whole = true, first || next <= p.from
	}
}

// snapshotAt keeps the producers at the beginning of a segment, as the roll did whose
// snapshot was not written any more: a truncation to an offset within the
// segment must not forget those whose batches were deleted.
func (r *recovery) snapshotAt(base int64) {
	if r.replay.began && r.replay.whole && base > r.replay.from {
		r.l.pendingSnapshots = append(r.l.pendingSnapshots, pendingSnapshot{base, r.l.producers.snapshot()})
	}
}

func (r *recovery) follow(b *batch.Batch, seg *segment) {
	p := &r.replay
	if !p.whole || b.BaseOffset < p.from {
		return
	}
	if ended, did, _ := r.l.producers.apply(b, p.nowMs); did && !ended.commit {
		p.aborted = append(p.aborted, replayedAbort{seg, ended.aborted()})
	}
}

// finishProducers completes the producers of a log that was read: from the
// replay that went along, or by another one where that did not see everything or began
// with a snapshot from beyond the end of the log.
func (r *recovery) finishProducers(end int64) error {
	p := &r.replay
	if !p.whole || p.from > end {
		r.l.producers, r.l.pendingSnapshots = newProducers(), nil
		return r.restoreProducers(end)
	}
	if err := r.takeAllAborted(p.from); err != nil {
		return err
	}
	for _, a := range p.aborted {
		a.seg.restoreAborted(a.txn)
	}
	r.l.stable.reset()
	r.l.stable.began(r.l.producers.ongoing.firstOffset())
	return nil
}

// restoreProducers loads the newest usable snapshot and replays the batches
// after it: idempotence, ongoing transactions and aborted ones.
func (r *recovery) restoreProducers(end int64) error {
	r.replay.nowMs = r.l.store.nowMs()
	from, err := r.loadSnapshot(end)
	if err != nil {
		return err
	}
	if err := r.takeAllAborted(from); err != nil {
		return err
	}
	return r.l.replayProducers(r.list, max(from, r.list[0].base), r.replay.nowMs)
}

// takeAllAborted takes the entries of the transaction indexes that were on disk
// when the snapshot at from was written.
func (r *recovery) takeAllAborted(from int64) error {
	// Entries before a snapshot, as before the recovery point, were on disk when
	// it was written. What comes after is found again.
	trusted := max(from, r.saved.point)
	for _, seg := range r.list {
		if err := r.takeAborted(seg, trusted); err != nil {
			return err
		}
	}
	return nil
}

// loadSnapshot restores the newest usable snapshot up to end and returns its
// offset, 0 without one. Those that are of no use are removed.
func (r *recovery) loadSnapshot(end int64) (int64, error) {
	l := r.l
	for len(r.snapshots) > 0 {
		offset := r.snapshots[len(r.snapshots)-1]
		name := filepath.Join(l.dir, offsetName(offset, suffixSnapshot))
		if offset <= end {
			content, err := vfs.ReadFile(l.store.fs, name)
			if err == nil {
				err = l.producers.restore(content, r.replay.nowMs)
			}
			if err == nil {
				return offset, nil
			}
			l.store.log.Warn("producer snapshot is not usable, an older one is taken", "file", name, "error", err)
		}
		if err := removeIfThere(l.store.fs, name); err != nil {
			return 0, err
		}
		r.snapshots = r.snapshots[:len(r.snapshots)-1]
	}
	return 0, nil
}

// takeAborted takes the entries of the transaction index of a segment that is
// written whose markers lie before trusted, and cuts the file there.
func (r *recovery) takeAborted(seg *segment, trusted int64) error {
	x, found := seg.index.Load(), seg.abortedTxns.Load()
	if x == nil || x.aborted.len() > 0 || found == 0 {
		return nil
	}
	txns, err := seg.readAborted()
	if err != nil && !errors.As(err, new(*CorruptionError)) {
		return err
	}
	damaged := err != nil
	if damaged {
		r.l.store.log.Warn("transaction index is rebuilt", "topic", r.l.id.Topic, "partition", r.l.id.Partition, "error", err)
		if txns, err = r.l.rebuildAborted(seg); err != nil {
			return err
		}
	}
	keep := abortedBefore(txns, trusted)
	for _, t := range txns[:keep] {
		x.aborted.add(t)
	}
	seg.abortedTxns.Store(int64(keep))
	seg.persistedAborted = keep
	switch {
	case damaged:
		return vfs.WriteFile(seg.fs, seg.path(suffixTxnIndex), appendAbortedTxns(nil, txns[:keep]))
	case int64(keep) < found:
		return seg.extendFile(suffixTxnIndex, nil, int64(keep)*abortedTxnSize)
	}
	return nil
}

// checkAborted holds the transaction indexes of closed segments against Kafka's rules after
// a start that was not clean. Those of a clean one are checked when they are first read.
func (r *recovery) checkAborted() error {
	if r.saved.clean {
		return nil
	}
	for _, seg := range r.list {
		if seg.index.Load() != nil || seg.abortedTxns.Load() == 0 {
			continue
		}
		if _, err := r.l.loadAborted(seg); err != nil {
			return err
		}
	}
	return nil
}

// replayProducers updates the producers by the batches from offset from on,
// and with them the transaction indexes in memory and what is unstable.
func (l *Log) replayProducers(list []*segment, from, nowMs int64) error {
	hw := l.hw.Load()
	l.stable.reset()
	for i := max(segmentAt(list, from), 0); i < len(list) && from < l.end.Load(); i++ {
		seg := list[i]
		err := l.scanSegment(seg, max(from, seg.base), func(b batch.Batch, _ int64) error {
			if b.BaseOffset < from {
				return nil
			}
			ended, did, _ := l.producers.apply(&b, nowMs)
			if did && !ended.commit {
				seg.restoreAborted(ended.aborted())
			}
			if did && ended.last >= hw {
				l.stable.ended(ended, noOffset)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	l.stable.began(l.producers.ongoing.firstOffset())
	return nil
}

// restoreAborted adds an entry that is not there yet. The entries of closed segments are complete.
func (s *segment) restoreAborted(t abortedTxn) {
	x := s.index.Load()
	if x == nil {
		return
	}
	if txns := x.aborted.view(); len(txns) == 0 || txns[len(txns)-1].last < t.last {
		s.addAborted(t)
	}
}
