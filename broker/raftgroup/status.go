package raftgroup

import (
	"sync/atomic"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/tracker"
)

// Status is what a member knows of its group.
type Status struct {
	// ID of this member, and of the leader that it knows, 0 for none.
	ID, Leader uint64
	Term       uint64
	// Last is the last entry of the log, Commit the last that is known to be
	// committed, Applied the last that the state machine has.
	Last, Commit, Applied uint64
	// Members are those with a vote, then those without.
	Members []Member
}

// Member of a group.
type Member struct {
	ID    uint64
	Voter bool
	// Match is the last entry that the member is known to have on disk. Only a leader
	// knows that of others; 0 is not known.
	Match uint64
}

type statusBox = atomic.Pointer[Status]

// Status returns what this member knew after its last call. It does not wait for a disk.
func (g *Group) Status() Status { return *g.status.Load() }

func (g *Group) publishStatus() {
	basic := g.node.BasicStatus()
	s := &Status{ID: g.cfg.ID, Leader: basic.Lead, Term: basic.GetTerm(), Last: g.log.Last(), Commit: basic.GetCommit(), Applied: g.applied}
	var learners []Member
	match := map[uint64]uint64{g.cfg.ID: s.Last}
	if basic.RaftState == raft.StateLeader {
		g.node.WithProgress(func(id uint64, _ raft.ProgressType, p tracker.Progress) { match[id] = p.Match })
	}
	for _, id := range g.members.GetVoters() {
		s.Members = append(s.Members, Member{ID: id, Voter: true, Match: match[id]})
	}
	for _, id := range g.members.GetLearners() {
		learners = append(learners, Member{ID: id, Match: match[id]})
	}
	s.Members = append(s.Members, learners...)
	g.status.Store(s)
}

// noteRole writes a line when this member begins or ceases to lead.
func (g *Group) noteRole() {
	basic := g.node.BasicStatus()
	now := role{leads: basic.RaftState == raft.StateLeader, term: basic.GetTerm()}
	if was := g.role; was.leads != now.leads && !g.alone() {
		g.cfg.Logger.Info("lead of the raft group", "leads", now.leads, "term", now.term)
	}
	g.role = now
}
