package raftlog

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/millrace/millrace/internal/vfs"
)

// Open reads the log in cfg.Dir, and returns it with the data of its snapshot. It fails with an error that
// satisfies errors.Is with fs.ErrNotExist when there is none, and with a [*CorruptionError] when
// files are missing or damaged in another way than a crash leaves them.
func Open(cfg Config) (*Log, []byte, error) {
	cfg.setDefaults()
	l := &Log{cfg: cfg}
	data, err := l.recover()
	if err != nil {
		return nil, nil, fmt.Errorf("open raft log: %w", err)
	}
	return l, data, nil
}

func (l *Log) recover() (data []byte, err error) {
	snapshots, logs, err := l.list()
	if err != nil {
		return nil, err
	}
	if len(snapshots) == 0 {
		return nil, l.checkUnused(logs)
	}
	index := snapshots[len(snapshots)-1]
	name := l.path(index, snapshotSuffix)
	content, err := vfs.ReadFile(l.cfg.FS, name)
	if err != nil {
		return nil, err
	}
	l.base, data, err = decodeSnapshot(content)
	if err == nil && l.base.Index != index {
		err = fmt.Errorf("it ends with entry %d", l.base.Index)
	}
	if err != nil {
		return nil, &CorruptionError{File: name, Reason: err.Error()}
	}
	l.members, l.snapshotBytes = l.base.Members, int64(len(content))
	if !slices.Contains(logs, index) {
		return nil, &CorruptionError{File: l.path(index, logSuffix), Reason: "it is missing, its snapshot is there"}
	}
	if err := l.openLog(); err != nil {
		return nil, err
	}
	if err := l.removeOthers(); err != nil {
		return nil, errors.Join(err, l.file.Close())
	}
	return data, nil
}

// checkUnused returns fs.ErrNotExist when there are no logs, or one that Create has left
// without coming to its end: it has no entries.
func (l *Log) checkUnused(logs []uint64) error {
	for _, index := range logs {
		name := l.path(index, logSuffix)
		content, err := vfs.ReadFile(l.cfg.FS, name)
		if err != nil {
			return err
		}
		if payload, n := openFrame(logMagic, content); n == 0 || n != len(content) || len(payload) != hardStateBytes {
			return &CorruptionError{File: name, Reason: "the snapshot before it is missing"}
		}
	}
	return fs.ErrNotExist
}

// list returns the indexes in the names of snapshots and logs, in order.
func (l *Log) list() (snapshots, logs []uint64, err error) {
	entries, err := l.cfg.FS.ReadDir(l.cfg.Dir)
	if err != nil {
		return nil, nil, err
	}
	for _, e := range entries {
		if i, ok := parseFileName(e.Name(), snapshotSuffix); ok {
			snapshots = append(snapshots, i)
		}
		if i, ok := parseFileName(e.Name(), logSuffix); ok {
			logs = append(logs, i)
		}
	}
	slices.Sort(snapshots)
	slices.Sort(logs)
	return snapshots, logs, nil
}

// openLog reads the frames and cuts a torn one at the end.
func (l *Log) openLog() error {
	name := l.path(l.base.Index, logSuffix)
	content, err := vfs.ReadFile(l.cfg.FS, name)
	if err != nil {
		return err
	}
	if err := l.replay(name, content); err != nil {
		return err
	}
	f, err := l.cfg.FS.OpenReadWrite(name)
	if err != nil {
		return err
	}
	if torn := int64(len(content)) - l.end; torn > 0 {
		l.cfg.Logger.Warn("torn end of the raft log cut", "file", name, "position", l.end, "bytes", torn)
		if err = f.Truncate(l.end); err == nil {
			err = f.Sync()
		}
		if err != nil {
			return errors.Join(err, f.Close())
		}
	}
	l.file = f
	return nil
}

func (l *Log) replay(name string, content []byte) error {
	for int(l.end) < len(content) {
		rest := content[l.end:]
		payload, n := openFrame(logMagic, rest)
		if n == 0 && intactAfter(rest) {
			return &CorruptionError{File: name, Position: l.end, Reason: "intact frames follow a damaged one"}
		}
		if n == 0 {
			break
		}
		hard, entries, err := decodePayload(payload)
		if err == nil {
			err = l.check(hard, entries)
		}
		if err != nil {
			return &CorruptionError{File: name, Position: l.end, Reason: err.Error()}
		}
		l.hard = hard
		l.add(entries, l.end)
		l.end += int64(n)
	}
	if l.end == 0 { // it was durable before the file got its name
		return &CorruptionError{File: name, Reason: "the first frame is damaged"}
	}
	return nil
}

// check refuses a frame that cannot follow the ones before it.
func (l *Log) check(hard hardState, entries []*raftpb.Entry) error {
	if hard.term < l.hard.term || hard.commit < max(l.hard.commit, l.base.Index) {
		return fmt.Errorf("term %d, commit index %d follow term %d, commit index %d", hard.term, hard.commit, l.hard.term, l.hard.commit)
	}
	last := l.Last()
	if len(entries) > 0 {
		first := entries[0].GetIndex()
		if first <= max(l.hard.commit, l.base.Index) || first > last+1 {
			return fmt.Errorf("entry %d follows entry %d, of which %d are committed", first, last, l.hard.commit)
		}
		term, err := l.Term(first - 1)
		if err != nil {
			return err
		}
		for i, e := range entries {
			if e.GetIndex() != first+uint64(i) || e.GetTerm() < term || e.GetTerm() > hard.term {
				return fmt.Errorf("entry %d of term %d follows entry %d of term %d in term %d", e.GetIndex(), e.GetTerm(), first+uint64(i)-1, term, hard.term)
			}
			term = e.GetTerm()
		}
		last = entries[len(entries)-1].GetIndex()
	}
	if hard.commit > last {
		return fmt.Errorf("entry %d is committed, the log ends with %d", hard.commit, last)
	}
	return nil
}
