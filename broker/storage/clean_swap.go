package storage

import (
	"errors"
	"fmt"
	"slices"
)

// errSegmentsChanged ends a run of compaction: the segments that it works on
// were deleted or truncated meanwhile.
var errSegmentsChanged = errors.New("segments changed while they were compacted")

// errCleanTooLarge: records that stay take more room than before, and more than a segment has.
var errCleanTooLarge = errors.New("segment is too large to be compacted")

// swap puts the segment of w in the place of old, neighbours in the log. A crash at
// any moment leaves the one or the other: see finishSwaps. Appends and
// readers go on; a reader that has found an old segment finishes with it. Nothing is replaced once the log was
// truncated: what took the place of a record may be gone.
func (l *Log) swap(w *cleanWriter, old []*segment, truncations int64) error {
	l.checkpointMu.Lock()
	defer l.checkpointMu.Unlock()
	if err := l.Err(); err != nil {
		return errors.Join(err, l.abandonLocked(w))
	}
	if l.truncations != truncations || l.placeOf(old) < 0 {
		return errors.Join(errSegmentsChanged, l.abandonLocked(w))
	}
	err := w.writeIndexes()
	if err == nil {
		err = l.store.fs.SyncDir(l.dir)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write compacted segment: %w", err), l.abandonLocked(w))
	}
	if err := l.replaceFiles(w.seg, old); err != nil {
		return l.fail(fmt.Errorf("replace %d segments from %d by the compacted one: %w", len(old), old[0].base, err))
	}
	l.mu.Lock()
	list := l.list()
	at := l.placeOf(old)
	next := slices.Replace(slices.Clone(list), at, at+len(old), w.seg)
	raise(&l.tailFrom, list[at+len(old)].base)
	l.swaps.Add(1)
	l.segments.Store(&next)
	l.mu.Unlock()
	return l.emptyTrash(l.store.nowMs())
}

// placeOf returns where old are in the log's segments; -1 when not all of them
// are there side by side.
func (l *Log) placeOf(old []*segment) int {
	list := l.list()
	at := slices.Index(list, old[0])
	if at < 0 || at+len(old) >= len(list) || !slices.Equal(list[at:at+len(old)], old) {
		return -1
	}
	return at
}

// replaceFiles renames the files, each step durable before the next. After the
// first one the replacement stands, whatever happens.
func (l *Log) replaceFiles(fresh *segment, old []*segment) error {
	fsys := l.store.fs
	if err := fresh.move(suffixSwap); err != nil {
		return err
	}
	if err := fsys.SyncDir(l.dir); err != nil {
		return err
	}
	delayMs := l.cfg.Load().FileDeleteDelayMs
	for _, seg := range old {
		if err := l.throwAway(seg, delayMs); err != nil {
			return err
		}
	}
	if err := fsys.SyncDir(l.dir); err != nil {
		return err
	}
	if err := fresh.move(""); err != nil {
		return err
	}
	return fsys.SyncDir(l.dir)
}
