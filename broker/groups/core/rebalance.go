package core

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
)

// rebalanceOrComplete begins a rebalance, or ends the join phase of the one that runs if all are there.
func (s *Shard) rebalanceOrComplete(g *group, reason string) {
	if g.canRebalance() {
		s.prepareRebalance(g, reason)
		return
	}
	s.completeIfJoined(g)
}

func (s *Shard) prepareRebalance(g *group, reason string) {
	s.tell(Event{Kind: EventRebalance, Group: g.id, Generation: g.generation, Members: len(g.members), Reason: reason})
	if g.state == CompletingRebalance {
		s.clearAssignments(g, kerr.RebalanceInProgress.Code)
	}
	s.synced(g)
	initial := g.state == Empty
	g.transition(PreparingRebalance, s.nowMs)
	if !initial {
		g.rebalanceDeadlineMs = s.nowMs + g.rebalanceTimeoutMs()
		s.timers.set(timerKey{timerJoin, g.id, ""}, g.rebalanceDeadlineMs)
		s.completeIfJoined(g)
		return
	}
	g.newMemberAdded = false
	g.initialDelayMs = int64(s.cfg.InitialRebalanceDelayMs)
	g.initialRemainingMs = max(g.rebalanceTimeoutMs()-g.initialDelayMs, 0)
	s.timers.set(timerKey{timerJoin, g.id, ""}, s.nowMs+g.initialDelayMs)
}

// completeIfJoined ends the join phase when nobody is missing. An initial
// rebalance always waits for its delay: its members are not known yet.
func (s *Shard) completeIfJoined(g *group) {
	if g.state == PreparingRebalance && g.previous != Empty && g.allJoined() {
		s.completeJoin(g)
	}
}

// joinDeadline is called when the wait of the join phase is over.
func (s *Shard) joinDeadline(g *group) {
	if g.state != PreparingRebalance {
		return
	}
	if g.previous == Empty && g.newMemberAdded && g.initialRemainingMs > 0 {
		// Somebody came: others may be on their way.
		g.newMemberAdded = false
		delay := min(int64(s.cfg.InitialRebalanceDelayMs), g.initialRemainingMs)
		g.initialRemainingMs = max(g.initialRemainingMs-g.initialDelayMs, 0)
		g.initialDelayMs = delay
		s.timers.set(timerKey{timerJoin, g.id, ""}, s.nowMs+delay)
		return
	}
	s.completeJoin(g)
}

// completeJoin begins the next generation with those who have joined.
func (s *Shard) completeJoin(g *group) {
	for _, m := range slices.Clone(g.members) {
		if m.join == nil && m.instance == nil {
			s.timers.cancel(timerKey{timerMember, g.id, m.id})
			g.remove(m)
		}
	}
	if len(g.members) > 0 && !g.electLeader() {
		// Only static members are left, and none has come back yet; their
		// sessions end the wait.
		s.timers.set(timerKey{timerJoin, g.id, ""}, s.nowMs+g.rebalanceTimeoutMs())
		return
	}
	s.timers.cancel(timerKey{timerJoin, g.id, ""})
	g.generation++
	clear(g.unsynced)
	g.protocol = g.selectProtocol()
	s.tell(Event{Kind: EventGeneration, Group: g.id, Generation: g.generation, Members: len(g.members)})
	if len(g.members) == 0 {
		g.leader = ""
		g.transition(Empty, s.nowMs)
		s.writeGroup(g)
		return
	}
	g.transition(CompletingRebalance, s.nowMs)
	for _, m := range g.members {
		m.assignment = nil
		g.unsynced[m.id] = struct{}{}
		m.isNew = false
		s.touch(g, m)
		if m.join != nil {
			s.reply(m.join.token, g.joined(m, m.join.version))
			m.join = nil
		}
	}
	s.timers.set(timerKey{timerSync, g.id, ""}, s.nowMs+g.rebalanceTimeoutMs())
}

// syncDeadline removes the members that have joined but never asked for their assignment.
func (s *Shard) syncDeadline(g *group) {
	if (g.state != CompletingRebalance && g.state != Stable) || len(g.unsynced) == 0 {
		return
	}
	for _, m := range slices.Clone(g.members) {
		if _, missing := g.unsynced[m.id]; missing {
			s.dropMember(g, m)
		}
	}
	s.prepareRebalance(g, "members did not ask for their assignment")
}

// synced ends the wait for SyncGroup.
func (s *Shard) synced(g *group) {
	clear(g.unsynced)
	s.timers.cancel(timerKey{timerSync, g.id, ""})
}

// clearAssignments answers all who wait for their assignment with the error. Who waits
// to join goes on waiting: it will be in the next generation.
func (s *Shard) clearAssignments(g *group, code int16) {
	for _, m := range g.members {
		m.assignment = nil
		if m.sync != nil {
			s.touch(g, m)
		}
		s.failSync(m, code)
	}
}

// touch starts the member's session again.
func (s *Shard) touch(g *group, m *member) {
	s.timers.set(timerKey{timerMember, g.id, m.id}, s.nowMs+int64(m.sessionTimeoutMs))
}

// expireMember is called when a session ends, or the life of a pending id.
func (s *Shard) expireMember(g *group, id string) {
	if _, pending := g.pending[id]; pending {
		delete(g.pending, id)
		s.completeIfJoined(g)
		s.forgetIfIdle(g)
		return
	}
	m := g.byID[id]
	if m == nil {
		return
	}
	// A member whose request is parked here is alive, unless it is new: then
	// the timer is the one that bounds its first JoinGroup.
	if !m.isNew && (m.join != nil || m.sync != nil) {
		return
	}
	s.tell(Event{Kind: EventMemberExpired, Group: g.id, Generation: g.generation, Members: len(g.members), Member: m.id})
	s.dropMember(g, m)
	s.afterRemoval(g, "a member's session ended")
}

// dropMember takes a member out; its parked requests are answered with
// UNKNOWN_MEMBER_ID, so that a living client joins anew.
func (s *Shard) dropMember(g *group, m *member) {
	s.failParked(m, kerr.UnknownMemberID.Code)
	s.timers.cancel(timerKey{timerMember, g.id, m.id})
	g.remove(m)
}

// afterRemoval rebalances after members were removed.
func (s *Shard) afterRemoval(g *group, reason string) {
	switch g.state {
	case Stable, CompletingRebalance:
		s.prepareRebalance(g, reason)
	case PreparingRebalance:
		s.completeIfJoined(g)
	case Empty, Dead:
	}
}
