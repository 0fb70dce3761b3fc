package raftgroup

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/confchange"
	"go.etcd.io/raft/v3/raftpb"
	"go.etcd.io/raft/v3/tracker"
)

// Errors of proposals.
var (
	// ErrNotLeader: another member leads, or none; nothing was committed.
	ErrNotLeader = errors.New("this node does not lead the metadata")
	// ErrUncertain: the member lost the lead, or was closed, before the proposal was
	// committed; the next leader may commit it or drop it.
	ErrUncertain = errors.New("the lead of the metadata was lost meanwhile: the change may or may not be made")
	// ErrClosed: the group is closed.
	ErrClosed = errors.New("raft group is closed")
)

// proposal is an entry of this member's own term that is not committed yet.
type proposal struct {
	index, term uint64
	done        func(error)
}

// Lead returns the term in which this member leads, once everything that was committed
// before is applied. An only voter takes the lead if it has none. Otherwise it
// returns ErrNotLeader; errors of the log are those of Propose.
func (g *Group) Lead() (term uint64, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.err != nil {
		return 0, g.err
	}
	if err := g.campaignAlone(); err != nil {
		return 0, err
	}
	if !g.leads() {
		return 0, g.notLeader()
	}
	return g.node.BasicStatus().GetTerm(), nil
}

func (g *Group) notLeader() error {
	if leader := g.node.BasicStatus().Lead; leader != raft.None && leader != g.cfg.ID {
		return fmt.Errorf("%w, member %d does", ErrNotLeader, leader)
	}
	return ErrNotLeader
}

// Propose proposes data, which must not be changed afterwards, as the leader of term. An
// error says that nothing was proposed. Otherwise done is called once, under the group's
// lock and perhaps before Propose returns: with nil when the entry is committed, durable
// and applied; with ErrNotLeader or raftlog.ErrNoSpace when it never will be;
// with ErrUncertain, or raftlog.ErrFailed, when nobody here knows.
func (g *Group) Propose(term uint64, data []byte, done func(error)) error {
	return g.propose(term, done, func() error { return g.node.Propose(data) })
}

// ChangeMembers proposes other members, which get votes or lose them when the entry is applied. One change
// at a time: the next is ErrNotLeader until the one before is applied. Errors and done are those of Propose.
func (g *Group) ChangeMembers(term uint64, change *raftpb.ConfChangeV2, done func(error)) error {
	return g.propose(term, done, func() error {
		if g.changing() {
			return raft.ErrProposalDropped
		}
		if err := checkChange(g.members, change); err != nil {
			return err
		}
		return g.node.ProposeConfChange(change)
	})
}

// changing says whether a change of members is in the log and not applied yet.
func (g *Group) changing() bool {
	entries, err := g.log.Entries(g.applied+1, g.log.Last()+1, math.MaxUint64)
	return err != nil || slices.ContainsFunc(entries, func(e *raftpb.Entry) bool { return e.GetType() != raftpb.EntryNormal })
}

func (g *Group) propose(term uint64, done func(error), call func() error) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.err != nil {
		return g.err
	}
	if !g.leads() || g.node.BasicStatus().GetTerm() != term {
		return g.notLeader()
	}
	if err := call(); err != nil {
		if errors.Is(err, raft.ErrProposalDropped) {
			return fmt.Errorf("%w: %w", ErrNotLeader, err)
		}
		return err
	}
	// Everything before it is in the log, since each call ends with process.
	g.proposals = append(g.proposals, proposal{index: g.log.Last() + 1, term: term, done: done})
	// What went wrong is told to the proposal; for later calls it is kept.
	_ = g.process()
	return nil
}

// finish tells the proposer of an entry that is applied.
func (g *Group) finish(index, term uint64) {
	for len(g.proposals) > 0 && g.proposals[0].index <= index {
		p := g.proposals[0]
		g.proposals = g.proposals[1:]
		if p.index == index && p.term == term {
			p.done(nil)
		} else {
			p.done(ErrNotLeader) // another leader's entry is in its place
		}
	}
}

// giveUp ends all proposals with what of says of their indexes.
func (g *Group) giveUp(of func(index uint64) error) {
	for _, p := range g.proposals {
		p.done(of(p.index))
	}
	g.proposals = nil
}

// stillLeads says whether this member leads in the term of its proposals.
func (g *Group) stillLeads() bool {
	if len(g.proposals) == 0 {
		return true
	}
	s := g.node.BasicStatus()
	return s.RaftState == raft.StateLeader && s.GetTerm() == g.proposals[len(g.proposals)-1].term
}

// checkChange refuses what Raft would panic on.
func checkChange(members *raftpb.ConfState, change raftpb.ConfChangeI) error {
	t := tracker.MakeProgressTracker(1, 0)
	config, progress, err := confchange.Restore(confchange.Changer{Tracker: t}, members)
	if err != nil {
		return fmt.Errorf("members: %w", err)
	}
	t.Config, t.Progress = config, progress
	changer := confchange.Changer{Tracker: t}
	cc := change.AsV2()
	if cc.LeaveJoint() {
		_, _, err = changer.LeaveJoint()
	} else if autoLeave, joint := cc.EnterJoint(); joint {
		_, _, err = changer.EnterJoint(autoLeave, cc.GetChanges()...)
	} else {
		_, _, err = changer.Simple(cc.GetChanges()...)
	}
	if err != nil {
		return fmt.Errorf("change of members: %w", err)
	}
	return nil
}
