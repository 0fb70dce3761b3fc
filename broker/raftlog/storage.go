package raftlog

import (
	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"

	"github.com/millrace/millrace/internal/vfs"
)

// InitialState implements [raft.Storage]: the hard state, and the members as of
// the last applied entry.
func (l *Log) InitialState() (*raftpb.HardState, *raftpb.ConfState, error) {
	return l.hard.proto(), raftpb.EnsureConfState(l.members), nil
}

// Entries implements [raft.Storage].
func (l *Log) Entries(lo, hi, maxSize uint64) ([]*raftpb.Entry, error) {
	if lo <= l.base.Index {
		return nil, raft.ErrCompacted
	}
	if hi > l.Last()+1 || lo > hi {
		return nil, raft.ErrUnavailable
	}
	from, to := lo-l.base.Index-1, hi-l.base.Index-1
	size := uint64(0)
	for i := from; i < to; i++ {
		size += entryHeaderBytes + uint64(len(l.entries[i].GetData()))
		if size > maxSize && i > from {
			to = i
		}
	}
	return l.entries[from:to:to], nil
}

// Term implements [raft.Storage].
func (l *Log) Term(index uint64) (uint64, error) {
	switch {
	case index < l.base.Index:
		return 0, raft.ErrCompacted
	case index == l.base.Index:
		return l.base.Term, nil
	case index > l.Last():
		return 0, raft.ErrUnavailable
	}
	return l.entries[index-l.base.Index-1].GetTerm(), nil
}

// FirstIndex implements [raft.Storage].
func (l *Log) FirstIndex() (uint64, error) { return l.base.Index + 1, nil }

// LastIndex implements [raft.Storage].
func (l *Log) LastIndex() (uint64, error) { return l.Last(), nil }

// Snapshot implements [raft.Storage] with what is on disk. A file that cannot be read
// is reported as not being there yet, since Raft panics on anything else.
func (l *Log) Snapshot() (*raftpb.Snapshot, error) {
	content, err := vfs.ReadFile(l.cfg.FS, l.path(l.base.Index, snapshotSuffix))
	var data []byte
	if err == nil {
		_, data, err = decodeSnapshot(content)
	}
	if err != nil {
		l.cfg.Logger.Error("raft snapshot cannot be read for a follower", "error", err)
		return nil, raft.ErrSnapshotTemporarilyUnavailable
	}
	return &raftpb.Snapshot{Data: data, Metadata: &raftpb.SnapshotMetadata{
		Index: new(l.base.Index), Term: new(l.base.Term), ConfState: raftpb.EnsureConfState(l.base.Members),
	}}, nil
}
