package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/millrace/millrace/broker/batch"
	"github.com/millrace/millrace/internal/vfs"
)

// saved is what the checkpoints of the data directory say of one log.
type saved struct {
	// clean says that the store was closed in order.
	clean bool
	// point is the recovery point, logStart the log start; 0 when unknown.
	point, logStart int64
	// cleaned is the offset below which the log was compacted.
	cleaned int64
}

// recovery opens the log of one directory.
//
// Everything below the recovery point was forced to disk together with its
// index entries, so it is not read, except for the few batches after the last
// index entry before the point. From there on every batch is checked. Where one is damaged:
//
//   - below the recovery point, or after a clean shutdown: acknowledged bytes are
//     lost, the log goes offline;
//   - with a later segment or a valid batch after it: under DurabilityFsync
//     the log goes offline too, because only the end of what was being written
//     can be torn; under DurabilityOS, where the kernel writes in any order, the rest is cut
//     as Kafka does;
//   - otherwise it is a torn tail and is cut.
type recovery struct {
	l     *Log
	saved saved
	// scanner is lent for the time of the recovery.
	scanner *scanner
	list    []*segment
	// files are the names in the directory, snapshots the offsets of the
	// producer snapshots among them, oldest first.
	files     map[string]bool
	snapshots []int64
	replay    replay
	// scanned is true when batches beyond the recovery point were found or cut.
	scanned bool
}

// recover opens the log. settled is false when what was found beyond the
// recovery point has to be forced to disk, by settle, before it is served.
func (l *Log) recover(in saved, scan *scanner) (settled bool, err error) {
	r := &recovery{l: l, saved: in, scanner: scan}
	l.recoveryPoint.Store(in.point)
	l.logStart.Store(in.logStart)
	if err = r.run(); err == nil {
		return !r.scanned || l.store.cfg.Durability == DurabilityOS, nil
	}
	l.segments.Store(nil)
	for _, seg := range r.list {
		err = errors.Join(err, l.store.closeSegment(seg))
	}
	return false, err
}

func (r *recovery) run() error {
	if err := r.load(); err != nil {
		return err
	}
	if err := r.loadEpochs(); err != nil {
		return err
	}
	end, err := r.scan()
	if err != nil {
		return err
	}
	if end, err = r.settleStart(end); err != nil {
		return err
	}
	return r.finish(end)
}

// load lists the directory, removes what a crash left half done, and makes the
// segments.
func (r *recovery) load() error {
	entries, err := r.listFiles()
	if err != nil {
		return err
	}
	r.files = make(map[string]bool, len(entries))
	aborted := map[int64]int64{}
	for _, e := range entries {
		name := e.Name()
		if strings.HasSuffix(name, suffixDeleted) || strings.HasSuffix(name, suffixTmp) {
			if err := r.l.store.fs.Remove(filepath.Join(r.l.dir, name)); err != nil {
				return err
			}
			continue
		}
		r.files[name] = true
		if offset, ok := parseOffsetName(name, suffixSnapshot); ok {
			r.snapshots = append(r.snapshots, offset)
		}
		if base, ok := parseOffsetName(name, suffixTxnIndex); ok {
			info, err := e.Info()
			if err != nil {
				return err
			}
			aborted[base] = (info.Size() + abortedTxnSize - 1) / abortedTxnSize
		}
		if base, ok := parseOffsetName(name, suffixLog); ok {
			info, err := e.Info()
			if err != nil {
				return err
			}
			seg := newSegment(r.l.store.fs, r.l.dir, base)
			seg.size.Store(info.Size())
			seg.synced.Store(info.Size())
			seg.times.lastAppendMs = info.ModTime().UnixMilli()
			r.list = append(r.list, seg)
		}
	}
	for _, seg := range r.list {
		seg.abortedTxns.Store(aborted[seg.base])
	}
	return r.removeOrphans()
}

// listFiles lists the directory, after what a replacement of segments has left is settled.
func (r *recovery) listFiles() ([]fs.DirEntry, error) {
	entries, err := r.l.store.fs.ReadDir(r.l.dir)
	if err != nil {
		return nil, err
	}
	changed, err := r.finishSwaps(entries)
	if err != nil || !changed {
		return entries, err
	}
	return r.l.store.fs.ReadDir(r.l.dir)
}

// removeOrphans removes index files whose log is gone, which a crash in the
// middle of a deletion leaves, and makes the first segment of an empty log.
func (r *recovery) removeOrphans() error {
	for name := range r.files {
		for _, suffix := range segmentSuffixes()[1:] {
			if base, ok := parseOffsetName(name, suffix); ok && !r.files[offsetName(base, suffixLog)] {
				if err := r.l.store.fs.Remove(filepath.Join(r.l.dir, name)); err != nil {
					return err
				}
			}
		}
	}
	if len(r.list) > 0 {
		return nil
	}
	if r.saved.point > r.saved.logStart {
		return &CorruptionError{File: r.l.dir, Offset: r.saved.logStart, Reason: fmt.Sprintf("there is no segment, but offsets below %d were on disk", r.saved.point)}
	}
	return r.begin(r.saved.logStart)
}

// begin makes an empty log that starts at base.
func (r *recovery) begin(base int64) error {
	seg := newSegment(r.l.store.fs, r.l.dir, base)
	if err := seg.create(&r.l.store.handles); err != nil {
		return err
	}
	r.list = []*segment{seg}
	r.l.dirChanged = true
	return nil
}

// loadEpochs reads the leader epochs; those from the recovery point on are
// found again by scan.
func (r *recovery) loadEpochs() error {
	content, err := vfs.ReadFile(r.l.store.fs, filepath.Join(r.l.dir, fileEpochs))
	var entries []epochEntry
	if err == nil {
		entries, err = parseEpochs(content)
	}
	if err == nil {
		r.l.epochs.entries.Store(&entries)
		r.l.epochs.truncateEnd(r.saved.point)
		return nil
	}
	if r.saved.point <= r.list[0].base {
		return nil // scan reads everything
	}
	r.l.store.log.Warn("leader epochs are rebuilt from the batches", "topic", r.l.id.Topic, "partition", r.l.id.Partition, "error", err)
	for _, seg := range r.list {
		if seg.base >= r.saved.point {
			break
		}
		err := scanPath(r.l.store.fs, seg, func(b batch.Batch, _ int64) error {
			if b.BaseOffset >= r.saved.point {
				return errFound
			}
			r.l.epochs.assign(b.LeaderEpoch, b.BaseOffset)
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// scanPath yields all batches of a segment that is not open. Damage ends it
// without an error: the caller has checked, or will.
func scanPath(fsys vfs.FS, seg *segment, yield func(batch.Batch, int64) error) (err error) {
	f, err := fsys.Open(seg.path(suffixLog))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	err = scanFile(f, 0, seg.size.Load(), yield)
	if errors.Is(err, errFound) || isDamage(err) {
		return nil
	}
	return err
}

// isDamage tells bytes that do not parse from a file that cannot be read.
func isDamage(err error) bool {
	return errors.Is(err, batch.ErrShort) || errors.Is(err, batch.ErrCorrupt) || errors.Is(err, batch.ErrOldFormat)
}

// scan checks the segments from the recovery point on and returns the log end.
func (r *recovery) scan() (end int64, err error) {
	if err := r.beginReplay(); err != nil {
		return 0, err
	}
	for i := 0; i < len(r.list); i++ {
		seg, last := r.list[i], i == len(r.list)-1
		if !last && r.complete(r.list[i+1].base) {
			end = r.list[i+1].base
			if err := r.trust(seg); err != nil {
				return 0, err
			}
			continue
		}
		r.snapshotAt(seg.base)
		next, damage, err := r.scanSegment(seg)
		if err != nil {
			return 0, err
		}
		if damage == nil && !last && next != r.list[i+1].base && r.list[i+1].base > r.saved.cleaned {
			damage = &CorruptionError{File: seg.path(suffixLog), Position: seg.size.Load(), Offset: next, Reason: fmt.Sprintf("the segment ends at offset %d, the next begins at %d", next, r.list[i+1].base)}
		}
		end = next
		if damage == nil {
			if !last {
				seg.seal()
				r.l.grew(1)
				r.l.checkpointSoon() // which writes the end of the index
			}
			continue
		}
		if err := r.cut(i, damage); err != nil {
			return 0, err
		}
	}
	if end < r.saved.point {
		seg := r.list[len(r.list)-1]
		return 0, &CorruptionError{File: seg.path(suffixLog), Position: seg.size.Load(), Offset: end, Reason: fmt.Sprintf("the log ends here, but offsets below %d were on disk", r.saved.point)}
	}
	return end, nil
}

// complete says whether a segment before one at nextBase was complete on disk when
// the recovery point was written. Where they are the same, the segment may have been the one
// that was written, and its time index lack the entry that the roll adds.
func (r *recovery) complete(nextBase int64) bool {
	return nextBase < r.saved.point || r.saved.clean && nextBase == r.saved.point
}

// trust takes a segment that lies below the recovery point as it is. Only
// index files that are missing are made again.
func (r *recovery) trust(seg *segment) error {
	for _, suffix := range []string{suffixIndex, suffixTimeIndex} {
		if r.files[offsetName(seg.base, suffix)] {
			continue
		}
		r.l.store.log.Warn("index is rebuilt", "topic", r.l.id.Topic, "partition", r.l.id.Partition, "file", seg.path(suffix))
		x, err := seg.rebuildIndex()
		if err != nil {
			return err
		}
		return errors.Join(
			vfs.ReplaceFile(r.l.store.fs, seg.path(suffixIndex), appendOffsetEntries(nil, x.offsets.view())),
			vfs.WriteFile(r.l.store.fs, seg.path(suffixTimeIndex), appendTimeEntries(nil, x.times.view())))
	}
	return nil
}

// finish puts the recovered segments into the log, forces to disk what the
// crash may have left in memory only, and restores the producers.
func (r *recovery) finish(end int64) error {
	l := r.l
	l.segments.Store(&r.list)
	l.end.Store(end)
	l.hw.Store(end)
	l.cleaned.Store(min(r.saved.cleaned, end))
	l.epochs.truncateStart(l.logStart.Load())
	if err := r.finishProducers(end); err != nil {
		return err
	}
	if err := r.checkAborted(); err != nil {
		return err
	}
	if r.scanned {
		for _, seg := range r.list {
			if seg.index.Load() == nil {
				continue // below the recovery point
			}
			seg.synced.Store(unsynced)
		}
		l.grew(1)
		l.checkpointSoon()
	}
	l.lastCheckpointMs.Store(l.store.nowMs())
	l.flushed.Store(end)
	if r.scanned && l.store.cfg.Durability == DurabilityOS {
		// Nothing was promised beyond the recovery point: the next checkpoint
		// forces to disk what the kernel has not written by then.
		l.flushed.Store(min(r.saved.point, end))
		l.dirChanged = true
	}
	return nil
}

// settleStart makes the log start fit the segments.
func (r *recovery) settleStart(end int64) (int64, error) {
	l, start := r.l, max(r.saved.logStart, r.list[0].base)
	l.logStart.Store(start)
	if start <= end {
		return end, nil
	}
	if l.store.cfg.Durability == DurabilityFsync {
		return 0, &CorruptionError{File: l.dir, Offset: end, Reason: fmt.Sprintf("the log ends at %d, before its start %d", end, start)}
	}
	// Everything that was left had been deleted: begin anew at the log start.
	if err := r.removeFrom(0); err != nil {
		return 0, err
	}
	r.scanned, r.replay.whole = true, false
	return start, r.begin(start)
}

// removeFrom removes the files of the segments from position i on. Snapshots of the producers beyond the end
// go when an older one is looked for.
func (r *recovery) removeFrom(i int) error {
	for _, seg := range r.list[i:] {
		if err := r.l.store.closeSegment(seg); err != nil {
			return err
		}
		for _, suffix := range segmentSuffixes() {
			if err := removeIfThere(r.l.store.fs, seg.path(suffix)); err != nil {
				return err
			}
		}
	}
	r.list = r.list[:i:i]
	return nil
}
