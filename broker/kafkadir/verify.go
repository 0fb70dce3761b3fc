package kafkadir

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/millrace/millrace/broker/batch"
	"github.com/millrace/millrace/internal/vfs"
)

// ErrOldFormat is returned for a partition with messages from before Kafka 0.11.
var ErrOldFormat = errors.New("it holds messages of format 0 or 1, from before Apache Kafka 0.11, which cannot be served")

// verify finds the end of the log. What Kafka had forced to disk is trusted,
// apart from the first bytes of every segment; from the recovery point on, which is
// the log's end after an orderly stop, every batch is checked as Kafka's own
// recovery does (UnifiedLog, LogSegment.recover): the first one that is
// damaged ends the log.
func (r *Replica) verify(fsys vfs.FS) error {
	at := r.logs()
	if len(at) == 0 {
		if r.LogEnd = r.LogStart; r.LogEnd < r.recoveryPoint {
			return &CorruptionError{File: r.Path, Position: -1, Reason: fmt.Sprintf("there is no segment, but Kafka had forced offsets below %d to disk", r.recoveryPoint)}
		}
		return nil
	}
	first, _ := r.Files[at[0]].Segment()
	r.LogStart = max(r.LogStart, first)
	for n, i := range at {
		f := &r.Files[i]
		if err := checkMagic(fsys, filepath.Join(r.Path, f.Name)); err != nil {
			return err
		}
		base, _ := f.Segment()
		last := n == len(at)-1
		if !last {
			if next, _ := r.Files[at[n+1]].Segment(); next <= r.recoveryPoint {
				continue
			}
		}
		if last && r.clean {
			if err := r.verifyEnd(fsys, i, base); err != nil {
				return err
			}
			break
		}
		cut, err := r.verifySegment(fsys, i, base)
		if err != nil {
			return err
		}
		if cut {
			break
		}
	}
	r.markFixed()
	if r.LogStart > r.LogEnd {
		return &CorruptionError{File: r.Path, Reason: fmt.Sprintf("the log starts at offset %d, but ends at %d", r.LogStart, r.LogEnd)}
	}
	return nil
}

// checkMagic looks at the version of the first batch.
func checkMagic(fsys vfs.FS, name string) (err error) {
	f, err := fsys.Open(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil || info.Size() < batch.HeaderSize {
		return err
	}
	head := make([]byte, batch.HeaderSize)
	if _, err := f.ReadAt(head, 0); err != nil {
		return err
	}
	if _, err := batch.ParseHeader(head); errors.Is(err, batch.ErrOldFormat) {
		return fmt.Errorf("%s: %w", name, ErrOldFormat)
	}
	return nil
}

// verifySegment checks the batches of the log file at position i of Files and
// says whether the log ends in its middle.
func (r *Replica) verifySegment(fsys vfs.FS, i int, base int64) (cut bool, err error) {
	name := filepath.Join(r.Path, r.Files[i].Name)
	f, err := fsys.Open(name)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	r.LogEnd = base
	position, damage, err := scanLog(f, 0, func(b batch.Batch, _ int64) error {
		r.LogEnd = b.LastOffset() + 1
		return nil
	})
	if err != nil || damage == nil {
		return false, err
	}
	if errors.Is(damage, batch.ErrOldFormat) {
		return false, fmt.Errorf("%s: %w", name, ErrOldFormat)
	}
	if r.LogEnd < r.recoveryPoint {
		return false, &CorruptionError{File: name, Position: position, Reason: damage.Error() + fmt.Sprintf("; Kafka had forced offsets below %d to disk", r.recoveryPoint)}
	}
	intact, err := intactAfter(f, position+1, r.LogEnd)
	if err != nil {
		return false, err
	}
	r.cut(i, Cut{File: name, Position: position, Offset: r.LogEnd, Reason: damage.Error(), Intact: intact})
	return true, r.cutAborted(fsys)
}

// verifyEnd looks whether the last segment of a log that was closed in order goes on to the
// recovery point. Its batches are trusted up to the last one that the index knows.
func (r *Replica) verifyEnd(fsys vfs.FS, i int, base int64) (err error) {
	r.LogEnd = max(r.recoveryPoint, base)
	name := filepath.Join(r.Path, r.Files[i].Name)
	from, err := lastIndexed(fsys, strings.TrimSuffix(name, suffixLog)+".index")
	if err != nil {
		return err
	}
	f, err := fsys.Open(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	end := base
	known := func(b batch.Batch, _ int64) error {
		end = b.LastOffset() + 1
		return nil
	}
	position, damage, err := scanLog(f, from, known)
	if err == nil && end < r.recoveryPoint && from > 0 { // the index may lie
		position, damage, err = scanLog(f, 0, known)
	}
	if err != nil || end >= r.recoveryPoint {
		return err
	}
	why := ""
	if damage != nil {
		why = " (" + damage.Error() + ")"
	}
	r.short = fmt.Sprintf("%s ends at offset %d, byte %d%s, but Kafka had forced offsets below %d to disk", name, end, position, why, r.recoveryPoint)
	if r.LogEnd = end; damage == nil {
		return nil
	}
	r.cut(i, Cut{File: name, Position: position, Offset: end, Reason: damage.Error()})
	return r.cutAborted(fsys)
}

// lastIndexed returns the position of the last batch that an offset index knows; 0 where it knows none.
func lastIndexed(fsys vfs.FS, name string) (at int64, err error) {
	const entrySize, positionAt = 8, 4
	f, err := fsys.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil || info.Size() < entrySize {
		return 0, err
	}
	var entry [entrySize]byte
	if _, err := f.ReadAt(entry[:], (info.Size()/entrySize-1)*entrySize); err != nil {
		return 0, err
	}
	return int64(binary.BigEndian.Uint32(entry[positionAt:])), nil
}

// cutAborted leaves out the aborted transactions (.txnindex) that ended beyond
// the log's end. Entries are in the order of their last offsets.
func (r *Replica) cutAborted(fsys vfs.FS) error {
	const entrySize, lastOffsetAt = 34, 18
	for i := range r.Files {
		f := &r.Files[i]
		if !strings.HasSuffix(f.As, suffixTxnIndex) {
			continue
		}
		content, err := vfs.ReadFile(fsys, filepath.Join(r.Path, f.Name))
		if err != nil {
			return err
		}
		f.Bytes = 0
		for b := content; len(b) >= entrySize; b = b[entrySize:] {
			if int64(binary.BigEndian.Uint64(b[lastOffsetAt:])) >= r.LogEnd {
				break
			}
			f.Bytes += entrySize
		}
	}
	return nil
}

// cut leaves out what follows a position in the log file at position i: the
// rest of it, later segments, and what was written about either.
func (r *Replica) cut(i int, c Cut) {
	c.Bytes = r.Files[i].Bytes - c.Position
	r.Files[i].Bytes = c.Position
	base, _ := r.Files[i].Segment()
	var kept []File
	for _, f := range r.Files {
		segment, ok := f.Segment()
		snapshot, isSnapshot := parseOffsetName(f.As, ".snapshot")
		switch {
		case ok && segment > base:
			if f.isLog() {
				c.Bytes += f.Bytes
				c.Intact = c.Intact || f.Bytes > 0
			}
		case ok && segment == base && !f.isLog() && !strings.HasSuffix(f.As, suffixTxnIndex):
			// Made again from the batches.
		case isSnapshot && snapshot > c.Offset:
		default:
			kept = append(kept, f)
		}
	}
	r.Files, r.Cut = kept, &c
}

// markFixed marks the log files that no broker writes to again: those of all
// segments but the last. Index files of segments that were not closed in order are
// left out, as they may lie: they are made again.
func (r *Replica) markFixed() {
	at := r.logs()
	last, _ := r.Files[at[len(at)-1]].Segment()
	var kept []File
	for _, f := range r.Files {
		base, ok := f.Segment()
		if ok && !f.isLog() && !r.clean && base >= r.unclosed(at) && !strings.HasSuffix(f.As, suffixTxnIndex) {
			continue
		}
		f.Fixed = ok && f.isLog() && base != last
		kept = append(kept, f)
	}
	r.Files = kept
}

// unclosed is the base offset of the segment that holds the recovery point.
func (r *Replica) unclosed(at []int) int64 {
	base := int64(0)
	for _, i := range at {
		if b, _ := r.Files[i].Segment(); b <= r.recoveryPoint {
			base = b
		}
	}
	return base
}

// segmentEnd returns the offset after the last batch of a log file.
func segmentEnd(fsys vfs.FS, name string, base int64) (end int64, damage, err error) {
	f, err := fsys.Open(name)
	if err != nil {
		return 0, nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	end = base
	_, damage, err = scanLog(f, 0, func(b batch.Batch, _ int64) error {
		end = b.LastOffset() + 1
		return nil
	})
	return end, damage, err
}
