package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"time"

	"github.com/millrace/millrace/broker/batch"
	"github.com/millrace/millrace/internal/vfs"
)

// cleanBufferBytes is written at once.
const cleanBufferBytes = 512 << 10

// groupSegments puts neighbouring segments together that fit one segment, by
// their size, the sizes of their indexes and the range of their offsets. ends[i] is
// the offset after the last of segs[i].
func groupSegments(segs []*segment, ends []int64, cfg *LogConfig) ([][]*segment, error) {
	var groups [][]*segment
	var size, index, times int64
	for i, seg := range segs {
		segIndex, err := sizeOfFile(seg, suffixIndex)
		if err != nil {
			return nil, err
		}
		segTimes, err := sizeOfFile(seg, suffixTimeIndex)
		if err != nil {
			return nil, err
		}
		n := len(groups)
		if n > 0 && size+seg.size.Load() <= cfg.SegmentBytes && index+segIndex <= cfg.SegmentIndexBytes &&
			times+segTimes <= cfg.SegmentIndexBytes && ends[i]-1-groups[n-1][0].base <= math.MaxInt32 {
			groups[n-1] = append(groups[n-1], seg)
		} else {
			groups = append(groups, []*segment{seg})
			size, index, times = 0, 0, 0
		}
		size, index, times = size+seg.size.Load(), index+segIndex, times+segTimes
	}
	return groups, nil
}

func sizeOfFile(seg *segment, suffix string) (int64, error) {
	info, err := seg.fs.Stat(seg.path(suffix))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// cleanWriter writes the segment that takes the place of a group of others, in
// files that end in .cleaned.
type cleanWriter struct {
	seg      *segment
	file     vfs.File
	interval int64
	buf      []byte
	// size counts what is written and what is in buf.
	size           int64
	index          *segmentIndex
	top, topOffset int64
	aborted        []abortedTxn
}

// newCleanWriter creates the log file. The log's directory may be renamed at
// any moment, and be made anew for another topic of the same name: so names are
// used under checkpointMu only.
func (l *Log) newCleanWriter(base int64) (*cleanWriter, error) {
	l.checkpointMu.Lock()
	defer l.checkpointMu.Unlock()
	if err := l.Err(); err != nil {
		return nil, err
	}
	w := &cleanWriter{index: newSegmentIndex(), seg: newSegment(l.store.fs, l.dir, base), interval: l.cfg.Load().IndexIntervalBytes, top: batch.NoTimestamp, topOffset: -1}
	extra := suffixCleaned
	w.seg.renamed.Store(&extra)
	var err error
	w.file, err = l.store.handles.open(func() (vfs.File, error) { return l.store.fs.Create(w.seg.path(suffixLog)) })
	return w, err
}

// added takes note of the batch at the end of buf, which was not there when buf
// had before bytes.
func (w *cleanWriter) added(before int) error {
	if len(w.buf) == before {
		return nil
	}
	h, err := batch.ParseHeader(w.buf[before:])
	if err != nil {
		panic("storage: a batch that was written again does not parse: " + err.Error())
	}
	n := int64(len(w.buf) - before)
	if w.size+n > math.MaxInt32 {
		return fmt.Errorf("%w: compacted segment %d grows beyond %d bytes", errCleanTooLarge, w.seg.base, math.MaxInt32)
	}
	if t := effectiveMaxTimestamp(&h); t > w.top {
		w.top, w.topOffset = t, h.LastOffset()
	}
	w.index.add(w.seg.base, h.LastOffset(), w.size, n, w.interval, w.top, w.topOffset)
	w.size += n
	if len(w.buf) < cleanBufferBytes {
		return nil
	}
	return w.flush()
}

func (w *cleanWriter) flush() error {
	if _, err := w.file.WriteAt(w.buf, w.size-int64(len(w.buf))); err != nil {
		return fmt.Errorf("write %s: %w", w.seg.path(suffixLog), err)
	}
	w.buf = w.buf[:0]
	return nil
}

// finish forces the log file to disk and completes the segment in memory: with
// the age of those it replaces, which retention goes by.
func (w *cleanWriter) finish(old []*segment) error {
	err := w.flush()
	if err == nil {
		err = w.file.Sync()
	}
	if err = errors.Join(err, w.file.Close()); err != nil {
		return err
	}
	w.file = nil
	w.index.addTime(w.seg.base, w.top, w.topOffset)
	w.seg.size.Store(w.size)
	w.seg.synced.Store(w.size)
	w.seg.abortedTxns.Store(int64(len(w.aborted)))
	w.seg.abortedChecked.Store(true)
	t := &w.seg.times
	t.known, t.max, t.maxOffset, t.createdMs = true, w.top, w.topOffset, old[0].times.created()
	for _, seg := range old {
		t.lastAppendMs = max(t.lastAppendMs, seg.times.lastAppend())
	}
	return w.seg.fs.SetModTime(w.seg.path(suffixLog), time.UnixMilli(t.lastAppendMs))
}

// writeIndexes writes the index files beside the log file.
func (w *cleanWriter) writeIndexes() error {
	err := errors.Join(
		w.writeFile(suffixIndex, appendOffsetEntries(nil, w.index.offsets.view())),
		w.writeFile(suffixTimeIndex, appendTimeEntries(nil, w.index.times.view())))
	if err != nil || len(w.aborted) == 0 {
		return err
	}
	return w.writeFile(suffixTxnIndex, appendAbortedTxns(nil, w.aborted))
}

func (w *cleanWriter) writeFile(suffix string, content []byte) error {
	f, err := w.seg.fs.Create(w.seg.path(suffix))
	if err != nil {
		return err
	}
	if len(content) > 0 {
		_, err = f.WriteAt(content, 0)
	}
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// abandon removes what was written of a segment that takes nobody's place.
func (l *Log) abandon(w *cleanWriter) error {
	l.checkpointMu.Lock()
	defer l.checkpointMu.Unlock()
	return l.abandonLocked(w)
}

func (l *Log) abandonLocked(w *cleanWriter) error {
	var err error
	if w.file != nil {
		err = w.file.Close()
		w.file = nil
	}
	if l.Err() != nil {
		return err // the directory is somewhere else, or nobody's to change
	}
	return errors.Join(err, w.seg.discard(&l.store.handles))
}
