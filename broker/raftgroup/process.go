package raftgroup

import (
	"errors"
	"fmt"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/millrace/millrace/broker/raftlog"
)

// process does what Raft wants done until it wants nothing more. It must be called
// after each call that may change Raft's state.
func (g *Group) process() error {
	err := g.ready()
	switch {
	case errors.Is(err, raftlog.ErrNoSpace) && g.log.Err() == nil:
		// What could not be written was not sent either: as if it had never been.
		g.cfg.Logger.Warn("no space for the raft log, what was to be written is dropped", "error", err)
		if restartErr := g.newNode(); restartErr != nil {
			err = g.fail(restartErr)
			break
		}
		g.giveUp(func(index uint64) error {
			if index > g.log.Last() {
				return err
			}
			return ErrUncertain
		})
	case err != nil:
		err = g.fail(err)
	}
	g.noteRole()
	g.publishStatus()
	return err
}

// fail ends the member.
func (g *Group) fail(err error) error {
	if g.err == nil {
		g.err = err
		if !errors.Is(err, raftlog.ErrFailed) {
			g.err = fmt.Errorf("%w: %w", raftlog.ErrFailed, err)
		}
		g.cfg.Logger.Error("raft group has failed", "error", g.err)
	}
	g.giveUp(func(uint64) error { return g.err })
	return g.err
}

func (g *Group) ready() error {
	for g.node.HasReady() {
		rd := g.node.Ready()
		if err := g.save(rd); err != nil {
			return err
		}
		if len(rd.Messages) > 0 && g.cfg.Transport != nil {
			g.cfg.Transport.Send(rd.Messages)
		}
		if err := g.apply(rd.CommittedEntries); err != nil {
			return err
		}
		g.node.Advance(rd)
		if !g.stillLeads() {
			// Also one that was cut off the log here may be committed by a member that has it.
			g.giveUp(func(uint64) error { return ErrUncertain })
		}
	}
	return g.compactIfDue()
}

// save makes durable what messages and applying rest upon.
func (g *Group) save(rd raft.Ready) error {
	if raft.IsEmptySnap(rd.Snapshot) {
		return g.log.Save(rd.HardState, rd.Entries)
	}
	if err := g.log.Install(rd.Snapshot, rd.HardState, rd.Entries); err != nil {
		return err
	}
	m := rd.Snapshot.GetMetadata()
	g.members, g.applied, g.appliedTerm = m.GetConfState(), m.GetIndex(), m.GetTerm()
	if err := g.cfg.StateMachine.Restore(g.applied, rd.Snapshot.GetData()); err != nil {
		return g.log.Corruption(g.applied, err)
	}
	return nil
}

// apply hands committed entries to the state machine and tells their proposers.
func (g *Group) apply(entries []*raftpb.Entry) error {
	if len(entries) == 0 {
		return nil
	}
	var batch []Entry
	for _, e := range entries {
		switch {
		case e.GetType() != raftpb.EntryNormal:
			if err := g.applyMembers(e); err != nil {
				return g.log.Corruption(e.GetIndex(), err)
			}
		case len(e.GetData()) > 0: // an empty one is the first of each leader
			batch = append(batch, Entry{e.GetIndex(), e.GetTerm(), e.GetData()})
		}
	}
	if len(batch) > 0 {
		if err := g.cfg.StateMachine.Apply(batch); err != nil {
			if at, ok := errors.AsType[*EntryError](err); ok {
				return g.log.Corruption(at.Index, at.Err)
			}
			return err
		}
	}
	last := entries[len(entries)-1]
	g.applied, g.appliedTerm = last.GetIndex(), last.GetTerm()
	for _, e := range entries {
		g.finish(e.GetIndex(), e.GetTerm())
	}
	return nil
}

// EntryError is what Apply returns for an entry that makes no sense.
type EntryError struct {
	Index uint64
	Err   error
}

// Error returns index and reason.
func (e *EntryError) Error() string { return fmt.Sprintf("raft entry %d: %v", e.Index, e.Err) }

// Unwrap returns the reason.
func (e *EntryError) Unwrap() error { return e.Err }

func (g *Group) applyMembers(e *raftpb.Entry) error {
	change, err := decodeChange(e)
	if err != nil {
		return err
	}
	if err := checkChange(g.members, change); err != nil {
		return err
	}
	g.members = g.node.ApplyConfChange(change)
	return nil
}

func decodeChange(e *raftpb.Entry) (raftpb.ConfChangeI, error) {
	if e.GetType() == raftpb.EntryConfChange {
		change := new(raftpb.ConfChange)
		return change, proto.Unmarshal(e.GetData(), change)
	}
	change := new(raftpb.ConfChangeV2)
	return change, proto.Unmarshal(e.GetData(), change)
}

// compactIfDue puts a snapshot in the place of a log that has grown, or of one that a follower
// cannot begin with. For want of space the log goes on growing and the snapshot is tried again later.
func (g *Group) compactIfDue() error {
	if !g.snapshotDue && g.log.SizeBytes() <= max(g.cfg.SnapshotBytes, g.log.SnapshotBytes(), g.snapshotAfter) {
		return nil
	}
	g.snapshotDue = false
	err := g.compact()
	if errors.Is(err, raftlog.ErrNoSpace) {
		if g.snapshotAfter == 0 {
			g.cfg.Logger.Warn("no space for a snapshot in the raft log, it is taken later", "error", err)
		}
		g.snapshotAfter = g.log.SizeBytes() + g.cfg.SnapshotBytes
		return nil
	}
	return err
}

// storage is the log as Raft sees it.
type storage struct {
	*raftlog.Log
	group *Group
}

// Snapshot implements [raft.Storage]. A follower takes no snapshot of a group that it is not in, so
// one of older members is not sent: a newer one is taken, and Raft asks again with the next heartbeat.
func (s storage) Snapshot() (*raftpb.Snapshot, error) {
	if s.group.members.Equivalent(s.Base().Members) != nil {
		s.group.snapshotDue = true
		return nil, raft.ErrSnapshotTemporarilyUnavailable
	}
	return s.Log.Snapshot()
}

func (g *Group) compact() error {
	data, err := g.cfg.StateMachine.Snapshot()
	if err != nil {
		return fmt.Errorf("take raft snapshot: %w", err)
	}
	if err := g.log.Compact(g.applied, g.members, data); err != nil {
		return err
	}
	g.snapshotAfter = 0
	return nil
}

// Compact puts a snapshot in the place of the entries that are applied.
func (g *Group) Compact() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.err != nil {
		return g.err
	}
	err := g.compact()
	if err != nil && !errors.Is(err, raftlog.ErrNoSpace) {
		return g.fail(err)
	}
	return err
}
