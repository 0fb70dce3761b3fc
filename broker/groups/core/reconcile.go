package core

// reconcile moves a member towards its target by one step, and returns it
// as it is where it cannot. owned is what the member says it has, nil when it does
// not say; owner is who has a partition. A partition is given to a member only when
// nobody owns it, and a member that has to give partitions up stays in its
// epoch until it has.
//
// Source: KIP-848, "Reconciliation of the group".
func reconcile(m *consumerMember, targetEpoch int32, target, owned assignment, owner map[topicPartition]string) *consumerMember {
	switch m.state {
	case memberStable:
		if m.epoch == targetEpoch {
			return m
		}
		return nextAssignment(m, m.epoch, targetEpoch, target, owned, owner)
	case memberUnrevoked:
		if owned == nil || owned.overlaps(m.revoking) {
			return m
		}
		return nextAssignment(m, m.epoch+1, targetEpoch, target, owned, owner)
	case memberUnreleased:
		return nextAssignment(m, m.epoch, targetEpoch, target, owned, owner)
	}
	return m
}

// nextAssignment computes the member's next state; epoch is where it stands.
func nextAssignment(m *consumerMember, epoch, targetEpoch int32, target, owned assignment, owner map[topicPartition]string) *consumerMember {
	kept := m.assigned.filter(target.has)
	revoking := m.assigned.filter(func(tp topicPartition) bool { return !target.has(tp) })
	unreleased := false
	given := target.filter(func(tp topicPartition) bool {
		if kept.has(tp) {
			return false
		}
		if _, taken := owner[tp]; taken {
			unreleased = true
			return false
		}
		return true
	})

	next := m.copy()
	next.previousEpoch = m.epoch
	if len(revoking) > 0 && (owned == nil || owned.overlaps(revoking)) {
		next.state, next.epoch, next.assigned, next.revoking = memberUnrevoked, epoch, kept, revoking
		return next
	}
	next.state, next.epoch, next.revoking = memberStable, targetEpoch, assignment{}
	next.assigned = kept.union(given)
	if unreleased {
		next.state = memberUnreleased
	}
	if next.sameAssignment(m) || (next.epoch == m.epoch && next.state == m.state && next.assigned.equal(m.assigned) && next.revoking.equal(m.revoking)) {
		return m
	}
	return next
}
