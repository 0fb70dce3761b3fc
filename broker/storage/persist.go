package storage

import (
	"fmt"
	"path/filepath"
	"slices"

	"github.com/millrace/millrace/internal/vfs"
)

// due says whether the log's recovery point is to be advanced.
func (l *Log) due(nowMs int64) bool {
	if l.rolled.Load() {
		return true
	}
	n, age := l.bytesSinceCheckpoint.Load(), checkpointAge.Milliseconds()
	if cfg := l.cfg.Load(); cfg.FlushMs > 0 && l.store.cfg.Durability == DurabilityOS {
		age = min(age, cfg.FlushMs) // a checkpoint forces the log to disk
	}
	return n >= checkpointBytes || n > 0 && nowMs-l.lastCheckpointMs.Load() >= age
}

// checkpoint makes everything durable that recovery would otherwise have to
// find out from the batches up to the present log end, then advances the recovery
// point: batches, indexes, leader epochs, producers.
//
// A failure is the caller's to log: the recovery point stays where it is, and
// what was half written is written again the next time.
func (l *Log) checkpoint() error {
	l.checkpointMu.Lock()
	defer l.checkpointMu.Unlock()
	return l.checkpointLocked(l.flush)
}

func (l *Log) checkpointLocked(flush func() error) error {
	l.rolled.Store(false)
	l.lastCheckpointMs.Store(l.store.nowMs())
	grown := l.bytesSinceCheckpoint.Swap(0)
	l.store.grown.bytes.Add(-grown)
	l.mu.Lock()
	end, list := l.end.Load(), l.list()
	if grown == 0 && end == l.recoveryPoint.Load() && len(l.pendingSnapshots) == 0 {
		l.mu.Unlock()
		return nil // everything is in place since the last time
	}
	snapshots := append(slices.Clone(l.pendingSnapshots), pendingSnapshot{end, l.producers.snapshot()})
	l.mu.Unlock()
	if err := l.persist(flush, list, snapshots); err != nil {
		l.grew(grown + 1)
		return err
	}
	l.mu.Lock()
	l.pendingSnapshots = slices.Clone(l.pendingSnapshots[len(snapshots)-1:])
	list[len(list)-1].trimIndex()
	l.mu.Unlock()
	l.recoveryPoint.Store(end)
	l.store.checkpoints.stale.Store(true)
	return l.removeStraySnapshots(end)
}

// persist writes the small files of a checkpoint, each complete before the next.
func (l *Log) persist(flush func() error, list []*segment, snapshots []pendingSnapshot) error {
	if err := flush(); err != nil {
		return err
	}
	if err := l.persistIndexes(list); err != nil {
		return err
	}
	if err := l.writeEpochs(); err != nil {
		return fmt.Errorf("write leader epochs: %w", err)
	}
	for _, s := range snapshots {
		if err := vfs.ReplaceFile(l.store.fs, filepath.Join(l.dir, offsetName(s.offset, suffixSnapshot)), s.content); err != nil {
			return fmt.Errorf("write producer snapshot: %w", err)
		}
	}
	return l.store.fs.SyncDir(l.dir)
}

// persistIndexes writes what the index files lack and lets go of the segments that are complete.
func (l *Log) persistIndexes(list []*segment) error {
	created := false
	for i, seg := range list {
		if seg.index.Load() == nil {
			continue
		}
		isNew, err := seg.persistIndex()
		if err != nil {
			return fmt.Errorf("write index of %s: %w", seg.path(suffixLog), err)
		}
		created = created || isNew
		if i == len(list)-1 {
			continue
		}
		seg.finish()
	}
	if !created {
		return nil
	}
	// Recovery takes a snapshot of the producers for a sign that the aborted transactions
	// before it are on disk.
	return l.store.fs.SyncDir(l.dir)
}

func (l *Log) writeEpochs() error {
	if !l.epochs.dirty.Swap(false) {
		return nil
	}
	err := vfs.ReplaceFile(l.store.fs, filepath.Join(l.dir, fileEpochs), formatEpochs(l.epochs.list()))
	if err != nil {
		l.epochs.dirty.Store(true)
	}
	return err
}

// snapshotOffsets lists the producer snapshots of the log, oldest first.
func (l *Log) snapshotOffsets() ([]int64, error) {
	entries, err := l.store.fs.ReadDir(l.dir)
	if err != nil {
		return nil, err
	}
	var out []int64
	for _, e := range entries {
		if offset, ok := parseOffsetName(e.Name(), suffixSnapshot); ok {
			out = append(out, offset)
		}
	}
	return out, nil
}

// removeStraySnapshots keeps the snapshots at the beginnings of segments and
// the newest one.
func (l *Log) removeStraySnapshots(newest int64) error {
	offsets, err := l.snapshotOffsets()
	if err != nil {
		return err
	}
	bases := map[int64]bool{newest: true}
	for _, seg := range l.list() {
		bases[seg.base] = true
	}
	for _, offset := range offsets {
		if bases[offset] || offset > newest {
			continue
		}
		if err := removeIfThere(l.store.fs, filepath.Join(l.dir, offsetName(offset, suffixSnapshot))); err != nil {
			return err
		}
	}
	return nil
}
