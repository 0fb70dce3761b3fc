package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path/filepath"
	"strings"

	"github.com/millrace/millrace/broker/batch"
	"github.com/millrace/millrace/internal/vfs"
)

// ProblemKind says what a problem of a log on disk means for it.
type ProblemKind string

// The kinds of problems.
const (
	// ProblemBatch: a record batch is damaged; the log ends there, or its
	// partition is offline.
	ProblemBatch ProblemKind = "batch"
	// ProblemMissing: records that were on disk are not there.
	ProblemMissing ProblemKind = "missing"
	// ProblemDerived: a file that is made again from the batches when it is gone.
	ProblemDerived ProblemKind = "derived"
	// ProblemMetadata: partition.metadata does not say the topic's id.
	ProblemMetadata ProblemKind = "metadata"
)

// Problem is one thing that is wrong with a log on disk.
type Problem struct {
	Kind ProblemKind `json:"kind"`
	File string      `json:"file"`
	// Position in bytes and Offset of the first record that it concerns; -1
	// where there is none.
	Position int64 `json:"position"`
	Offset   int64 `json:"offset"`
	// IntactAt is the position of the next intact batch in the file, -1 when
	// there is none: then a damaged batch can be a torn tail.
	IntactAt int64  `json:"intact_at"`
	Reason   string `json:"reason"`
}

// LogCheck is what CheckLog has found.
type LogCheck struct {
	// Dir is the partition's directory.
	Dir string `json:"dir"`
	// Start is the base of the first segment, End the offset after the last
	// intact record before the first damage.
	Start    int64 `json:"start"`
	End      int64 `json:"end"`
	Segments int   `json:"segments"`
	Batches  int64 `json:"batches"`
	Bytes    int64 `json:"bytes"`
	// RecoveryPoint is what the checkpoint beside the directory says, -1 when it
	// says nothing.
	RecoveryPoint int64     `json:"recovery_point"`
	Problems      []Problem `json:"problems"`
}

// checker reads one log without changing it.
type checker struct {
	fs   vfs.FS
	out  *LogCheck
	list []*segment
	// damaged is set after the first damaged batch: End stays there.
	damaged bool
	epoch   int32
	last    checkedBatch
}

// CheckLog reads all of a partition's directory: every batch with its
// checksum, the indexes and the small files. It changes nothing and may run
// beside a broker, of which it then sees a moment. A nil file system is the operating system's.
func CheckLog(fsys vfs.FS, dir string) (*LogCheck, error) {
	if fsys == nil {
		fsys = vfs.OS()
	}
	c := &checker{fs: fsys, epoch: -1, out: &LogCheck{Dir: dir, RecoveryPoint: -1, Problems: []Problem{}}}
	if err := c.load(); err != nil {
		return nil, fmt.Errorf("check %s: %w", dir, err)
	}
	if err := c.recoveryPoint(); err != nil {
		return nil, fmt.Errorf("check %s: %w", dir, err)
	}
	for i, seg := range c.list {
		limit := int64(math.MaxInt64)
		if i+1 < len(c.list) {
			limit = c.list[i+1].base
		}
		if err := c.segment(seg, limit); err != nil {
			return nil, fmt.Errorf("check %s: %w", seg.path(suffixLog), err)
		}
	}
	if err := c.smallFiles(); err != nil {
		return nil, fmt.Errorf("check %s: %w", dir, err)
	}
	if end, point := c.out.End, c.out.RecoveryPoint; !c.damaged && end < point {
		seg := c.list[len(c.list)-1]
		c.problem(ProblemMissing, seg.path(suffixLog), seg.size.Load(), end, -1, fmt.Sprintf("the log ends here, but offsets below %d were on disk", point))
	}
	return c.out, nil
}

func (c *checker) problem(kind ProblemKind, name string, position, offset, intactAt int64, reason string) {
	c.out.Problems = append(c.out.Problems, Problem{Kind: kind, File: name, Position: position, Offset: offset, IntactAt: intactAt, Reason: reason})
}

func (c *checker) load() error {
	entries, err := c.fs.ReadDir(c.out.Dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		base, ok := parseOffsetName(e.Name(), suffixLog)
		if !ok {
			continue
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		seg := newSegment(c.fs, c.out.Dir, base)
		seg.size.Store(info.Size())
		c.list = append(c.list, seg)
		c.out.Bytes += info.Size()
	}
	if len(c.list) == 0 {
		return errors.New("there is no segment: it is not the directory of a partition")
	}
	c.out.Segments, c.out.Start, c.out.End = len(c.list), c.list[0].base, c.list[0].base
	return nil
}

// segment checks the batches and then the indexes of one segment, which ends
// at or before the offset limit.
func (c *checker) segment(seg *segment, limit int64) (err error) {
	f, err := c.fs.Open(seg.path(suffixLog))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	indexed, indexProblem := c.indexEntries(seg)
	next, position := seg.base, int64(0)
	scanErr := scanFile(f, 0, seg.size.Load(), func(b batch.Batch, at int64) error {
		if err := c.batch(&b, seg.base, next); err != nil {
			return err
		}
		if relative, ok := indexed[at]; ok {
			delete(indexed, at)
			if seg.base+int64(relative) != b.LastOffset() && indexProblem == "" {
				indexProblem = fmt.Sprintf("it says that the batch at byte %d ends at offset %d, it ends at %d", at, seg.base+int64(relative), b.LastOffset())
			}
		}
		c.last = checkedBatch{seg: seg, position: at, offset: next, leapt: b.BaseOffset > next, raised: b.LeaderEpoch > c.epoch && c.epoch >= 0}
		c.epoch = b.LeaderEpoch
		next, position = b.LastOffset()+1, at+int64(len(b.Raw))
		c.out.Batches++
		return nil
	})
	if scanErr == nil && next > limit {
		scanErr = fmt.Errorf("%w: the segment ends at offset %d, the next one begins at %d", errLeapt, next, limit)
	}
	damagedSeg := seg
	if c.last.leapt && errors.Is(scanErr, errLeapt) || c.last.raised && errors.Is(scanErr, errRaised) {
		damagedSeg, position, next = c.last.seg, c.last.position, c.last.offset
	}
	if !c.damaged {
		c.out.End = next
	}
	switch {
	case isDamage(scanErr):
		c.damaged = true
		return c.damage(damagedSeg, position, next, scanErr)
	case scanErr != nil:
		return scanErr
	case indexProblem == "" && len(indexed) > 0:
		indexProblem = fmt.Sprintf("%d entries lead to where no batch begins", len(indexed))
	}
	if indexProblem != "" {
		c.problem(ProblemDerived, seg.path(suffixIndex), -1, -1, -1, indexProblem)
	}
	return c.timeIndex(seg)
}

// damage reports a damaged batch, with what follows it.
func (c *checker) damage(seg *segment, position, offset int64, reason error) (err error) {
	f, err := c.fs.Open(seg.path(suffixLog))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	intactAt, err := findBatch(f, position+1, seg.size.Load(), offset)
	if err != nil {
		return err
	}
	c.problem(ProblemBatch, seg.path(suffixLog), position, offset, intactAt, reason.Error())
	return nil
}

// Base offset and leader epoch are not under the checksum. Where they go back
// after the batch before has left offsets out or raised the epoch, that one is damaged.
var (
	errLeapt  = fmt.Errorf("%w: offsets go back", batch.ErrCorrupt)
	errRaised = fmt.Errorf("%w: leader epochs go back", batch.ErrCorrupt)
)

// checkedBatch is a batch that fits what came before it.
type checkedBatch struct {
	seg              *segment
	position, offset int64 // offset is where it was expected to begin
	leapt, raised    bool
}

func (c *checker) batch(b *batch.Batch, base, next int64) error {
	switch {
	case b.BaseOffset < next:
		return fmt.Errorf("%w: base offset %d, expected %d or more", errLeapt, b.BaseOffset, next)
	case b.BaseOffset > next && next < c.out.RecoveryPoint && b.BaseOffset > c.out.RecoveryPoint:
		return fmt.Errorf("%w: base offset %d, expected %d, and a batch at the recovery point %d", batch.ErrCorrupt, b.BaseOffset, next, c.out.RecoveryPoint)
	case b.BaseOffset > next && next >= c.out.RecoveryPoint && c.out.RecoveryPoint >= 0:
		return fmt.Errorf("%w: base offset %d, expected %d", batch.ErrCorrupt, b.BaseOffset, next)
	case b.LeaderEpoch < c.epoch:
		return fmt.Errorf("%w: %d after %d", errRaised, b.LeaderEpoch, c.epoch)
	case b.LastOffset()-base > math.MaxInt32:
		return fmt.Errorf("%w: offset %d is too far from the segment's base %d", batch.ErrCorrupt, b.LastOffset(), base)
	}
	return b.CheckCRC()
}

// indexEntries returns where the index says that batches begin, and what is
// wrong with it. A segment may have none: it is made again.
func (c *checker) indexEntries(seg *segment) (at map[int64]uint32, problem string) {
	content, err := vfs.ReadFile(c.fs, seg.path(suffixIndex))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ""
	}
	var entries []offsetEntry
	if err == nil {
		entries, err = decodeOffsetEntries(content, seg.size.Load())
	}
	at = make(map[int64]uint32, len(entries))
	for _, e := range entries {
		at[int64(e.position)] = e.relative
	}
	if err != nil {
		return at, err.Error()
	}
	return at, ""
}

func (c *checker) timeIndex(seg *segment) error {
	content, err := vfs.ReadFile(c.fs, seg.path(suffixTimeIndex))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if _, err := decodeTimeEntries(content); err != nil {
		c.problem(ProblemDerived, seg.path(suffixTimeIndex), -1, -1, -1, err.Error())
	}
	return nil
}

// smallFiles checks snapshots, leader epochs and partition.metadata.
func (c *checker) smallFiles() error {
	entries, err := c.fs.ReadDir(c.out.Dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		name := filepath.Join(c.out.Dir, e.Name())
		kind := ProblemDerived
		var parse func([]byte) error
		switch {
		case strings.HasSuffix(e.Name(), suffixSnapshot):
			parse = func(b []byte) error { _, err := decodeSnapshot(b); return err }
		case e.Name() == fileEpochs:
			parse = func(b []byte) error { _, err := parseEpochs(b); return err }
		case e.Name() == filePartitionMetadata:
			kind = ProblemMetadata
			parse = func(b []byte) error { _, err := parsePartitionMetadata(b); return err }
		default:
			continue
		}
		content, err := vfs.ReadFile(c.fs, name)
		if err != nil {
			return err
		}
		if err := parse(content); err != nil {
			c.problem(kind, name, -1, -1, -1, err.Error())
		}
	}
	return nil
}

// recoveryPoint reads what was promised to be on disk.
func (c *checker) recoveryPoint() error {
	dir := filepath.Clean(c.out.Dir)
	id, err := ParseTopicPartition(filepath.Base(dir))
	if err != nil {
		return nil //nolint:nilerr // a copy somewhere else has no checkpoint beside it
	}
	points, _, err := readOffsets(c.fs, filepath.Join(filepath.Dir(dir), fileRecoveryPoints))
	if err != nil {
		return err
	}
	if point, ok := points[id]; ok {
		c.out.RecoveryPoint = point
	}
	return nil
}
