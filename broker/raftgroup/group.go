package raftgroup

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"sync"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"

	"github.com/millrace/millrace/broker/raftlog"
)

// Timing of a group, in calls of Tick.
const (
	electionTicks  = 10
	heartbeatTicks = 1
)

// Limits of what is on its way to one follower.
const (
	messageBytesMax  = 1 << 20 // of entries, but for a single larger one
	inflightMessages = 64
)

// Entry is a committed proposal.
type Entry struct {
	Index, Term uint64
	// Data must not be changed.
	Data []byte
}

// StateMachine is what the entries of a group are applied to. Its methods are called
// under the group's lock and must not call the group.
type StateMachine interface {
	// Apply is called with all committed proposals, once each and in their order. An
	// error says that an entry makes no sense; it ends the group.
	Apply(entries []Entry) error
	// Snapshot returns the state after the last Apply.
	Snapshot() ([]byte, error)
	// Restore replaces the state with what Snapshot returned when the entry of
	// that index had been applied; data is empty for a new group.
	Restore(index uint64, data []byte) error
}

// Transport carries messages to other members.
type Transport interface {
	// Send must not block and must not call the group. It may lose messages, duplicate
	// and reorder them. Messages share memory with the group: they are to be
	// encoded before Send returns or only be read. Whoever sends a MsgSnap calls ReportSnapshot later.
	Send(messages []*raftpb.Message)
}

// Config of a Group.
type Config struct {
	// ID of this member; not 0.
	ID uint64
	// Log is closed by the group. Data is that of its snapshot.
	Log  *raftlog.Log
	Data []byte
	// StateMachine gets the snapshot first, then the entries.
	StateMachine StateMachine
	// Transport may be nil as long as there is only one member.
	Transport Transport
	// SnapshotBytes is how long the log may grow before a snapshot takes its place, at
	// least; it may also grow to the size of the last snapshot.
	SnapshotBytes int64
	// Logger gets a line when this member wins or loses the lead, and when a disk is full; nil discards.
	Logger *slog.Logger
}

// Group is one member of a Raft group. Its methods may be called from any goroutine.
type Group struct {
	cfg Config

	mu   sync.Mutex
	log  *raftlog.Log
	node *raft.RawNode
	// members as of the last applied entry.
	members *raftpb.ConfState
	// applied is the last entry that the state machine has, or passed over.
	applied, appliedTerm uint64
	role                 role
	proposals            []proposal // not done yet, in the order of their indexes
	snapshotDue          bool       // a follower needs one
	snapshotAfter        int64      // length of the log before a snapshot is tried again; 0 when none has failed
	err                  error      // why nothing more is done
	status               statusBox
}

// role is what a log line tells when it changes.
type role struct {
	leads bool
	term  uint64
}

// Open restores the state machine, makes a member of it and, if it is the only voter,
// its leader: then everything in the log is committed and applied on return. It
// takes the log over, also when it fails.
func Open(cfg Config) (*Group, error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	base := cfg.Log.Base()
	g := &Group{cfg: cfg, log: cfg.Log, members: base.Members, applied: base.Index, appliedTerm: base.Term}
	g.cfg.Data = nil
	if err := g.open(cfg.Data); err != nil {
		return nil, errors.Join(fmt.Errorf("open raft group: %w", err), cfg.Log.Close())
	}
	return g, nil
}

func (g *Group) open(data []byte) error {
	if err := g.cfg.StateMachine.Restore(g.applied, data); err != nil {
		return g.log.Corruption(g.applied, err)
	}
	if err := g.newNode(); err != nil {
		return err
	}
	if err := g.process(); err != nil {
		return err
	}
	return g.campaignAlone()
}

// newNode makes Raft's part anew from what is durable and applied.
func (g *Group) newNode() error {
	g.log.SetMembers(g.members)
	node, err := raft.NewRawNode(&raft.Config{
		ID: g.cfg.ID, Storage: storage{g.log, g}, Applied: g.applied,
		ElectionTick: electionTicks, HeartbeatTick: heartbeatTicks, CheckQuorum: true, PreVote: true, StepDownOnRemoval: true,
		MaxSizePerMsg: messageBytesMax, MaxInflightMsgs: inflightMessages, MaxCommittedSizePerReady: math.MaxUint64,
		// A decision is made where its entry is proposed, by what is applied there.
		DisableProposalForwarding: true,
		Logger:                    raftLogger{g.cfg.Logger},
	})
	if err != nil {
		return fmt.Errorf("make raft node: %w", err)
	}
	g.node = node
	return nil
}

// alone says whether this member can commit without others.
func (g *Group) alone() bool {
	return slices.Equal(g.members.GetVoters(), []uint64{g.cfg.ID}) && len(g.members.GetVotersOutgoing()) == 0
}

// campaignAlone takes the lead if no other member has a vote.
func (g *Group) campaignAlone() error {
	if !g.alone() || g.leads() {
		return nil
	}
	if err := g.node.Campaign(); err != nil {
		return fmt.Errorf("campaign: %w", err)
	}
	return g.process()
}

// leads says whether this member is the leader and has applied all that was
// committed before it was elected.
func (g *Group) leads() bool {
	s := g.node.BasicStatus()
	return s.RaftState == raft.StateLeader && g.appliedTerm == s.GetTerm()
}

// Step hands over a message of another member. An error is for a log line: the member
// goes on as if the message were lost, unless the error is raftlog.ErrFailed or fs.ErrClosed.
func (g *Group) Step(m *raftpb.Message) error {
	return g.do(func() error { return g.node.Step(m) })
}

// Tick moves the group's clock; a group with several members needs it at regular
// intervals, of which an election takes 10 to 20. Errors are those of Step.
func (g *Group) Tick() error {
	return g.do(func() error { g.node.Tick(); return nil })
}

// ReportUnreachable says that a message to a member was lost.
func (g *Group) ReportUnreachable(id uint64) error {
	return g.do(func() error { g.node.ReportUnreachable(id); return nil })
}

// ReportSnapshot says whether a MsgSnap has arrived.
func (g *Group) ReportSnapshot(id uint64, arrived bool) error {
	status := raft.SnapshotFinish
	if !arrived {
		status = raft.SnapshotFailure
	}
	return g.do(func() error { g.node.ReportSnapshot(id, status); return nil })
}

func (g *Group) do(call func() error) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.err != nil {
		return g.err
	}
	return errors.Join(call(), g.process())
}

// Close ends the member. Proposals that are not done get ErrUncertain.
func (g *Group) Close() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.log == nil {
		return nil
	}
	log := g.log
	g.log = nil
	if g.err == nil {
		g.err = ErrClosed
	}
	g.giveUp(func(uint64) error { return ErrUncertain })
	return log.Close()
}
