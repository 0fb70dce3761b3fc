package storage

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/millrace/millrace/internal/vfs"
)

// suffixCut ends the names of the copies that a repair makes. Neither we nor
// Apache Kafka take such files for parts of a log.
const suffixCut = ".cut"

// RepairStep is one change of a repair.
type RepairStep struct {
	// What is "cut", "remove" or "lower"; see Reason.
	What string `json:"what"`
	File string `json:"file"`
	// Position is where a file is cut, -1 otherwise; Bytes are what goes.
	Position int64 `json:"position"`
	Bytes    int64 `json:"bytes"`
	// Copy is where what goes is kept; empty for what can be made again.
	Copy   string `json:"copy,omitempty"`
	Reason string `json:"reason"`

	do func() error
}

// Repair is what has to be done so that a log opens again.
type Repair struct {
	Check *LogCheck    `json:"check"`
	Steps []RepairStep `json:"steps"`
	// LostFrom is the first offset that is not readable afterwards, -1 when
	// nothing is lost.
	LostFrom int64 `json:"lost_from"`

	fs vfs.FS
}

// RepairLog checks a partition's directory and says what a repair changes: the
// log is cut at its first damage, later segments go with it, because offsets
// must not have a hole that clients were not told of; the checkpoints beside the
// directory are lowered to the new end; derived files that are damaged are
// removed and made again when the log opens.
//
// Nothing is changed unless write is set. Then the broker must not run: its
// lock is taken meanwhile (ErrLocked). Each change is durable before the next
// that depends on it, and repairing again goes on where a crash has stopped it.
func RepairLog(fsys vfs.FS, dir string, write bool) (_ *Repair, err error) {
	if fsys == nil {
		fsys = vfs.OS()
	}
	if write {
		lock, err := lockOffline(fsys, dir)
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, lock.Close()) }()
	}
	check, err := CheckLog(fsys, dir)
	if err != nil {
		return nil, err
	}
	r := &Repair{Check: check, LostFrom: -1, fs: fsys, Steps: []RepairStep{}}
	if err := r.plan(); err != nil || !write {
		return r, err
	}
	return r, r.apply()
}

// lockOffline takes the lock of the data directory that a partition is in.
func lockOffline(fsys vfs.FS, dir string) (io.Closer, error) {
	name := filepath.Join(filepath.Dir(filepath.Clean(dir)), fileLock)
	there, err := exists(fsys, name)
	if err != nil || !there {
		return io.NopCloser(nil), err
	}
	lock, err := fsys.Lock(name)
	if errors.Is(err, vfs.ErrLocked) {
		return nil, fmt.Errorf("%w: stop the broker first", ErrLocked)
	}
	return lock, err
}

func (r *Repair) plan() error {
	for _, p := range r.Check.Problems {
		switch p.Kind {
		case ProblemMetadata:
			return fmt.Errorf("%s: %s: only whoever knows the topic's id can write it anew", p.File, p.Reason)
		case ProblemBatch, ProblemMissing:
			if r.LostFrom < 0 {
				if err := r.planCut(p); err != nil {
					return err
				}
			}
		case ProblemDerived:
			r.remove(p.File, "", 0, "it does not fit and is made again from the batches: "+p.Reason)
		}
	}
	return nil
}

func (r *Repair) planCut(p Problem) error {
	r.LostFrom = p.Offset
	// First: a crash in the middle must not find less than the checkpoint promises.
	start, err := r.planCheckpoints(p.Offset)
	if err != nil {
		return err
	}
	base, _ := parseOffsetName(filepath.Base(p.File), suffixLog)
	if start > p.Offset {
		base = -1 // what is left was deleted: the log begins anew at its start
	}
	entries, err := r.fs.ReadDir(r.Check.Dir)
	if err != nil {
		return err
	}
	for _, e := range slices.Backward(entries) { // newest first: no hole in between
		for _, suffix := range []string{suffixLog, suffixIndex, suffixTimeIndex, suffixTxnIndex, suffixSnapshot} {
			at, ok := parseOffsetName(e.Name(), suffix)
			name := filepath.Join(r.Check.Dir, e.Name())
			switch {
			case !ok:
			case suffix == suffixLog && at > base:
				info, err := e.Info()
				if err != nil {
					return err
				}
				r.remove(name, name+suffixCut, info.Size(), "it lies behind the damage")
			case suffix == suffixSnapshot && at > p.Offset, suffix != suffixLog && suffix != suffixSnapshot && at >= base:
				r.remove(name, "", 0, "it belongs to what is cut and is made again")
			}
		}
	}
	info, err := r.fs.Stat(p.File)
	if err != nil || base < 0 {
		return err
	}
	if n := info.Size() - p.Position; n > 0 {
		keep := p.File + ".from-" + strconv.FormatInt(p.Position, 10) + suffixCut
		r.Steps = append(r.Steps, RepairStep{
			What: "cut", File: p.File, Position: p.Position, Bytes: n, Copy: keep, Reason: p.Reason,
			do: func() error { return cutFile(r.fs, p.File, keep, p.Position, info.Size()) },
		})
	}
	return nil
}

// planCheckpoints lowers what the checkpoints beside the directory say of
// this log to end, but not below the log start, which it returns.
func (r *Repair) planCheckpoints(end int64) (start int64, err error) {
	dir := filepath.Clean(r.Check.Dir)
	id, err := ParseTopicPartition(filepath.Base(dir))
	if err != nil {
		return 0, nil //nolint:nilerr // a copy somewhere else has no checkpoint beside it
	}
	starts, _, err := readOffsets(r.fs, filepath.Join(filepath.Dir(dir), fileLogStarts))
	if err != nil {
		return 0, err
	}
	start = starts[id]
	end = max(end, start)
	for _, file := range []string{fileRecoveryPoints, fileHighWatermarks} {
		name := filepath.Join(filepath.Dir(dir), file)
		offsets, _, err := readOffsets(r.fs, name)
		if err != nil {
			return 0, err
		}
		was, ok := offsets[id]
		if !ok || was <= end {
			continue
		}
		r.Steps = append(r.Steps, RepairStep{
			What: "lower", File: name, Position: -1, Reason: fmt.Sprintf("%s: from %d to %d", id, was, end),
			do: func() error {
				offsets[id] = end
				return vfs.WriteFile(r.fs, name, formatOffsets(offsets))
			},
		})
	}
	return start, nil
}

func (r *Repair) remove(name, keep string, bytes int64, reason string) {
	do := func() error { return removeIfThere(r.fs, name) }
	if keep != "" {
		do = func() error { return r.fs.Rename(name, keep) }
	}
	r.Steps = append(r.Steps, RepairStep{What: "remove", File: name, Position: -1, Bytes: bytes, Copy: keep, Reason: reason, do: do})
}

func (r *Repair) apply() error {
	for _, step := range r.Steps {
		if err := step.do(); err != nil {
			return fmt.Errorf("%s %s: %w", step.What, step.File, err)
		}
	}
	return r.fs.SyncDir(r.Check.Dir)
}

// cutFile copies what lies behind position to keep, durably, and then cuts it off.
func cutFile(fsys vfs.FS, name, keep string, position, size int64) (err error) {
	f, err := fsys.OpenReadWrite(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	out, err := fsys.Create(keep)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.NewOffsetWriter(out, 0), io.NewSectionReader(f, position, size-position))
	if err == nil {
		err = out.Sync()
	}
	if err = errors.Join(err, out.Close()); err != nil {
		return err
	}
	if err := fsys.SyncDir(filepath.Dir(name)); err != nil {
		return err
	}
	return errors.Join(f.Truncate(position), f.Sync())
}
