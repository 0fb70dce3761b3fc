package raftlog

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"syscall"
	"time"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"

	"github.com/millrace/millrace/internal/vfs"
)

// Errors of a log.
var (
	// ErrNoSpace: the disk is full; nothing has changed and the log goes on.
	ErrNoSpace = errors.New("no space left for the raft log")
	// ErrFailed: an earlier write failed, so nothing more is written until the
	// log is opened again.
	ErrFailed = errors.New("raft log has failed")
)

// Config of a Log.
type Config struct {
	// Dir holds the files.
	Dir string
	// FS is the file system; nil is the operating system's.
	FS vfs.FS
	// Logger gets a line when a torn tail is cut.
	Logger *slog.Logger
	// AppendSeconds is told how long each durable append took; may be nil.
	AppendSeconds func(seconds float64)
}

func (c *Config) setDefaults() {
	if c.FS == nil {
		c.FS = vfs.OS()
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.AppendSeconds == nil {
		c.AppendSeconds = func(float64) {}
	}
}

// Log is the durable log of a Raft group. Everything in it but the commit index is on disk.
type Log struct {
	cfg  Config
	file vfs.File
	end  int64 // bytes of the file that hold intact frames

	base          Base
	snapshotBytes int64 // size of the snapshot's file
	hard          hardState
	// members as of the last applied entry, for a node that is made anew.
	members *raftpb.ConfState
	// entries begin with index base.Index+1. They and their slices are handed out, so
	// what is there is never changed, only appended to.
	entries   []*raftpb.Entry
	positions []int64 // of the frames that hold the entries
	err       error   // why nothing more is written
}

var _ raft.Storage = (*Log)(nil)

// Save makes the hard state and entries durable. The hard state may be nil when it has not
// changed. Entries take the place of those from the first one's index on. They
// and their data must not be changed afterwards. A new commit index alone is not written.
//
// Errors: ErrNoSpace, after which the log is as it was; ErrFailed.
func (l *Log) Save(hard *raftpb.HardState, entries []*raftpb.Entry) error {
	if l.err != nil {
		return l.err
	}
	next := l.hard
	if hard != nil {
		next = hardState{hard.GetTerm(), hard.GetVote(), hard.GetCommit()}
	}
	if len(entries) == 0 && next.term == l.hard.term && next.vote == l.hard.vote {
		l.hard = next
		return nil
	}
	frame, err := encodeFrame(next, entries)
	if err != nil {
		return l.fail(err)
	}
	position := l.end
	if err := l.append(frame); err != nil {
		return err
	}
	l.hard = next
	l.add(entries, position)
	return nil
}

// append makes a frame durable. On a full disk the file stays as it was; any other
// failure is the end of writing, because nobody knows what of the frame is on disk.
func (l *Log) append(frame []byte) error {
	start := time.Now()
	_, err := l.file.WriteAt(frame, l.end)
	if isNoSpace(err) {
		if err = errors.Join(err, l.file.Truncate(l.end)); isOnlyNoSpace(err) {
			return fmt.Errorf("%w: %w", ErrNoSpace, err)
		}
	}
	if err == nil {
		err = l.file.Sync()
	}
	if err != nil {
		return l.fail(err)
	}
	l.end += int64(len(frame))
	l.cfg.AppendSeconds(time.Since(start).Seconds())
	return nil
}

func (l *Log) fail(err error) error {
	l.err = fmt.Errorf("%w: %w", ErrFailed, err)
	return l.err
}

// add puts entries that are on disk into memory.
func (l *Log) add(entries []*raftpb.Entry, position int64) {
	if len(entries) == 0 {
		return
	}
	keep := entries[0].GetIndex() - l.base.Index - 1
	if keep < uint64(len(l.entries)) {
		l.entries = l.entries[:keep:keep]
		l.positions = l.positions[:keep]
	}
	l.entries = append(l.entries, entries...)
	for range entries {
		l.positions = append(l.positions, position)
	}
}

// Err says why nothing more is written, nil when the log is sound.
func (l *Log) Err() error { return l.err }

// Base is where the log begins.
func (l *Log) Base() Base { return l.base }

// Last is the index of the last entry, which is durable.
func (l *Log) Last() uint64 { return l.base.Index + uint64(len(l.entries)) }

// SizeBytes is the length of the log's file.
func (l *Log) SizeBytes() int64 { return l.end }

// SnapshotBytes is the size of the snapshot's file.
func (l *Log) SnapshotBytes() int64 { return l.snapshotBytes }

// SetMembers says who is in the group as of the last applied entry: what
// InitialState returns from now on.
func (l *Log) SetMembers(members *raftpb.ConfState) { l.members = members }

// Corruption says that an intact entry makes no sense to the one who applies it.
func (l *Log) Corruption(index uint64, reason error) *CorruptionError {
	if index <= l.base.Index || index > l.Last() {
		return &CorruptionError{File: l.path(l.base.Index, snapshotSuffix), Reason: reason.Error()}
	}
	return &CorruptionError{File: l.file.Name(), Position: l.positions[index-l.base.Index-1], Reason: reason.Error()}
}

// Close releases the file. Everything that was promised is durable already.
func (l *Log) Close() error {
	if errors.Is(l.err, fs.ErrClosed) {
		return nil
	}
	l.err = fs.ErrClosed
	return l.file.Close()
}

func (l *Log) path(index uint64, suffix string) string {
	return filepath.Join(l.cfg.Dir, fileName(index, suffix))
}

// isNoSpace says whether a write failed for want of space or quota.
func isNoSpace(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// isOnlyNoSpace says that no other error is joined to it.
func isOnlyNoSpace(err error) bool {
	joined, ok := err.(interface{ Unwrap() []error })
	return isNoSpace(err) && (!ok || len(joined.Unwrap()) == 1)
}
