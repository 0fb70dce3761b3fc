// Package raftgroup drives one member of a Raft group: go.etcd.io/raft decides, [raftlog.Log]
// keeps, a [StateMachine] applies and a [Transport] carries messages.
//
// # How it works
//
// A [Group] has no goroutine and no clock. Whoever calls it (Propose, Step, Tick, …) does the
// work that follows, under one lock: entries and votes are made durable, then messages are sent, then
// committed entries are applied. So with one voter a proposal is written, synced, committed and
// applied when Propose returns; and with more, a whole group runs on one thread of
// a test. A group with one voter leads from Open on. It needs neither ticks nor transport.
//
// # Decisions
//
// Who decides by what is applied asks Lead first, which gives a term only when everything that
// was ever committed is applied here, then decides, then proposes for that term. A leader that lost
// its term meanwhile gets [ErrNotLeader]. Decisions must be made one at a time: the next when the one
// before is done.
//
// # Failure model
//
// Messages leave, and entries are applied, only when what they rest upon is durable. When
// the disk is full, what Raft wanted to write is forgotten together with its messages: the node is made
// anew from the log, as after a crash ([raftlog.ErrNoSpace]; nothing was committed). A leader of many is a
// follower then, and the group elects one that has room; an only voter takes the lead again at
// the next proposal. Any other failure is the end of this member until it is
// opened again ([raftlog.ErrFailed]).
//
// The proof is the simulation in broker/metadata: three members with loss, duplication and
// reordering of messages, crashes that drop unsynced data, full disks, changes of members.
package raftgroup
