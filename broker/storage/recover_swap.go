package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/millrace/millrace/broker/batch"
	"github.com/millrace/millrace/internal/vfs"
)

// A replacement of segments (see swap) leaves these states behind, from the
// first on; Kafka's are the same (LogLoader), and so is what becomes of them:
//
//	.cleaned files                  the new segment is not complete: they go,
//	                                and with them .swap files from their base on
//	.swap files, old segments       the new segment is complete: the old
//	                                segments that it covers go, it takes their place
//	.swap files, segments .deleted  it takes their place
//
// Everything is done so that a crash in the middle finds one of these again.

// swapFiles are the names in a log's directory that a replacement uses.
type swapFiles struct {
	cleaned, swaps, others []string
}

// finishSwaps completes or undoes what a crash has interrupted. changed says that the
// directory is no longer as entries say.
func (r *recovery) finishSwaps(entries []fs.DirEntry) (changed bool, err error) {
	files := listSwaps(entries)
	if len(files.cleaned)+len(files.swaps) == 0 {
		return false, nil
	}
	valid, err := r.dropIncomplete(files)
	if err != nil || len(valid) == 0 {
		return true, err
	}
	return true, r.completeSwaps(files, valid)
}

// completeSwaps puts the .swap files in their places.
func (r *recovery) completeSwaps(files swapFiles, valid []string) error {
	from, to, err := r.swapRange(valid)
	if err != nil {
		return err
	}
	r.l.store.log.Info("interrupted replacement of segments is completed", "topic", r.l.id.Topic, "partition", r.l.id.Partition, "files", strings.Join(valid, " "))
	replaced := files.others[:0:0]
	for _, name := range files.others {
		if base, ok := baseOf(name); ok && base >= from && base < to {
			replaced = append(replaced, name)
		}
	}
	if err := r.removeAll(replaced); err != nil {
		return err
	}
	// The log goes first: once it is in its place, nothing of its base is
	// removed any more.
	slices.SortStableFunc(valid, func(a, b string) int { return strings.Compare(logFirst(a), logFirst(b)) })
	for _, name := range valid {
		if err := r.l.store.fs.Rename(filepath.Join(r.l.dir, name), filepath.Join(r.l.dir, strings.TrimSuffix(name, suffixSwap))); err != nil {
			return err
		}
	}
	return r.l.store.fs.SyncDir(r.l.dir)
}

func logFirst(name string) string {
	if strings.HasSuffix(name, suffixLog+suffixSwap) {
		return "0"
	}
	return "1"
}

func listSwaps(entries []fs.DirEntry) (files swapFiles) {
	for _, e := range entries {
		switch name := e.Name(); {
		case strings.HasSuffix(name, suffixCleaned):
			files.cleaned = append(files.cleaned, name)
		case strings.HasSuffix(name, suffixSwap):
			files.swaps = append(files.swaps, name)
		default:
			files.others = append(files.others, name)
		}
	}
	return files
}

// baseOf returns the base offset of a segment's file, whatever its extra suffix.
func baseOf(name string) (int64, bool) {
	for _, suffix := range segmentSuffixes() {
		digits, rest, _ := strings.Cut(name, ".")
		if len(digits) == 20 && strings.HasPrefix("."+rest, suffix) {
			base, err := strconv.ParseInt(digits, 10, 64)
			return base, err == nil && base >= 0
		}
	}
	return 0, false
}

// dropIncomplete removes the .cleaned files, but before them the .swap files
// that they make invalid, and returns the .swap files that are left.
func (r *recovery) dropIncomplete(files swapFiles) ([]string, error) {
	least := int64(-1)
	for _, name := range files.cleaned {
		if base, ok := baseOf(name); ok && (least < 0 || base < least) {
			least = base
		}
	}
	var invalid, valid []string
	for _, name := range files.swaps {
		if base, ok := baseOf(name); !ok || least >= 0 && base >= least {
			invalid = append(invalid, name)
		} else {
			valid = append(valid, name)
		}
	}
	return valid, errors.Join(r.removeAll(invalid), r.removeAll(files.cleaned))
}

// removeAll removes files, durably.
func (r *recovery) removeAll(names []string) error {
	for _, name := range names {
		if err := r.l.store.fs.Remove(filepath.Join(r.l.dir, name)); err != nil {
			return err
		}
	}
	if len(names) == 0 {
		return nil
	}
	return r.l.store.fs.SyncDir(r.l.dir)
}

// swapRange returns which offsets the segments in .swap files cover: base of
// the first to the end of the last. It is empty when the logs are in their places already.
func (r *recovery) swapRange(swaps []string) (from, to int64, err error) {
	from, to = -1, -1
	for _, name := range swaps {
		base, ok := parseOffsetName(name, suffixLog+suffixSwap)
		if !ok {
			continue
		}
		end, err := checkSwap(r.l.store.fs, filepath.Join(r.l.dir, name), base)
		if err != nil {
			return 0, 0, err
		}
		if from < 0 || base < from {
			from = base
		}
		to = max(to, end)
	}
	return from, to, nil
}

// checkSwap reads a segment that is to take the place of others and returns
// the offset after its last batch. Damage is a [*CorruptionError]: what it was to
// replace may still be there and must not be removed.
func checkSwap(fsys vfs.FS, name string, base int64) (next int64, err error) {
	f, err := fsys.Open(name)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	next, position := base, int64(0)
	err = scanFile(f, 0, info.Size(), func(b batch.Batch, at int64) error {
		if position = at; b.BaseOffset < next {
			return fmt.Errorf("%w: base offset %d, expected %d or more", batch.ErrCorrupt, b.BaseOffset, next)
		}
		next, position = b.LastOffset()+1, at+int64(len(b.Raw))
		return b.CheckCRC()
	})
	if isDamage(err) {
		return 0, &CorruptionError{File: name, Position: position, Offset: next, Reason: err.Error()}
	}
	return next, err
}
