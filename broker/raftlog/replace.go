package raftlog

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/millrace/millrace/internal/vfs"
)

// Create begins a log behind a snapshot, in a directory that has none. What an earlier
// Create has left that did not come to its end is replaced.
func Create(cfg Config, base Base, data []byte) (*Log, error) {
	cfg.setDefaults()
	if err := vfs.MkdirAllDurable(cfg.FS, cfg.Dir); err != nil {
		return nil, err
	}
	l := &Log{cfg: cfg}
	if err := l.replace(base, data, hardState{term: base.Term, commit: base.Index}, nil); err != nil {
		return nil, fmt.Errorf("create raft log: %w", err)
	}
	return l, nil
}

// Compact puts a snapshot in the place of the entries up to index: data is the state
// as of that entry, members those of the group. The entry must have been applied.
// Errors: ErrNoSpace, after which the log is as it was; ErrFailed.
func (l *Log) Compact(index uint64, members *raftpb.ConfState, data []byte) error {
	if l.err != nil {
		return l.err
	}
	term, err := l.Term(index)
	if err != nil || index == l.base.Index {
		return err
	}
	hard := l.hard
	hard.commit = max(hard.commit, index)
	return l.replace(Base{Index: index, Term: term, Members: members}, data, hard, l.entries[index-l.base.Index:])
}

// Install puts a leader's snapshot in the place of everything, with the hard state (nil
// when it has not changed) and entries that came with it. Errors are those of Compact.
func (l *Log) Install(s *raftpb.Snapshot, hard *raftpb.HardState, entries []*raftpb.Entry) error {
	if l.err != nil {
		return l.err
	}
	m := s.GetMetadata()
	if m.GetIndex() <= l.base.Index {
		return fmt.Errorf("install raft snapshot: it ends with entry %d, there is one that ends with %d", m.GetIndex(), l.base.Index)
	}
	next := l.hard
	if hard != nil {
		next = hardState{hard.GetTerm(), hard.GetVote(), hard.GetCommit()}
	}
	next.commit = max(next.commit, m.GetIndex())
	return l.replace(Base{Index: m.GetIndex(), Term: m.GetTerm(), Members: m.GetConfState()}, s.GetData(), next, entries)
}

// replace makes a new pair of files. The snapshot's rename is the moment at which
// it counts; the log is there before.
func (l *Log) replace(base Base, data []byte, hard hardState, entries []*raftpb.Entry) error {
	snapshot, err := encodeSnapshot(base, data)
	if err != nil {
		return l.fail(err)
	}
	frame, err := encodeFrame(hard, entries)
	if err != nil {
		return l.fail(err)
	}
	file, err := l.writePair(base.Index, frame, snapshot)
	if err != nil {
		undone := l.undo(base.Index)
		if undone == nil && isNoSpace(err) {
			return fmt.Errorf("%w: %w", ErrNoSpace, err)
		}
		return l.fail(errors.Join(err, undone))
	}
	old := l.file
	l.file, l.end, l.snapshotBytes = file, int64(len(frame)), int64(len(snapshot))
	l.base, l.hard, l.members = base, hard, base.Members
	l.entries, l.positions = nil, nil
	l.add(entries, 0)
	if old != nil {
		err = old.Close()
	}
	if err = errors.Join(err, l.removeOthers()); err != nil {
		return l.fail(err)
	}
	return nil
}

func (l *Log) writePair(index uint64, frame, snapshot []byte) (vfs.File, error) {
	name := l.path(index, logSuffix)
	if err := vfs.WriteFile(l.cfg.FS, name, frame); err != nil {
		return nil, err
	}
	file, err := l.cfg.FS.OpenReadWrite(name)
	if err != nil {
		return nil, err
	}
	if err := vfs.WriteFile(l.cfg.FS, l.path(index, snapshotSuffix), snapshot); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// undo removes what a failed replace has left. It must be gone before the old log goes
// on: the next start would take the snapshot for the end of that log.
func (l *Log) undo(index uint64) error {
	for _, suffix := range []string{snapshotSuffix, logSuffix, snapshotSuffix + tempSuffix, logSuffix + tempSuffix} {
		err := l.cfg.FS.Remove(l.path(index, suffix))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return l.cfg.FS.SyncDir(l.cfg.Dir)
}

// removeOthers removes snapshots and logs other than those in use, and temporary files.
func (l *Log) removeOthers() error {
	entries, err := l.cfg.FS.ReadDir(l.cfg.Dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		snapshot, isSnapshot := parseFileName(e.Name(), snapshotSuffix)
		log, isLog := parseFileName(e.Name(), logSuffix)
		other := isSnapshot && snapshot != l.base.Index || isLog && log != l.base.Index
		temp := strings.HasPrefix(e.Name(), namePrefix) && strings.HasSuffix(e.Name(), tempSuffix)
		if !other && !temp {
			continue
		}
		err := l.cfg.FS.Remove(filepath.Join(l.cfg.Dir, e.Name()))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
