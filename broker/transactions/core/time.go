package core

import (
	"cmp"
	"maps"
	"slices"
)

// Tick does what is due at nowMs: transactions that ran into their timeout are
// aborted, ids that were not used for long are forgotten, requests that waited
// for too long are answered.
func (s *Shard) Tick(nowMs int64) Output {
	s.begin(nowMs)
	s.expireWaiters()
	if s.nowMs >= s.timeoutMs {
		s.timeoutMs = s.nowMs + s.cfg.TimeoutIntervalMs
		s.abortTimedOut()
	}
	if s.nowMs >= s.expiryMs {
		s.expiryMs = s.nowMs + s.cfg.ExpiryIntervalMs
		s.expireIDs()
	}
	return s.end()
}

// NextDeadline returns when Tick has something to do.
func (s *Shard) NextDeadline() int64 {
	next := s.expiryMs
	if s.ongoing > 0 {
		next = min(next, s.timeoutMs)
	}
	for _, waiting := range s.waiters {
		for _, w := range waiting {
			next = min(next, w.deadlineMs)
		}
	}
	return next
}

// abortTimedOut fences the producers of transactions that take too long (KIP-588).
func (s *Shard) abortTimedOut() {
	if s.ongoing == 0 {
		return
	}
	for _, id := range s.ids() {
		t := s.transactions[id]
		if t.state != Ongoing || s.nowMs-t.startMs <= int64(t.timeoutMs) {
			continue
		}
		s.tell(Event{Kind: EventTimedOut, ID: id, ProducerID: t.producerID, Epoch: t.epoch})
		s.decide(id, t.fenced(s.version, s.nowMs))
	}
}

// expireIDs forgets ids without a transaction that were silent for long.
func (s *Shard) expireIDs() {
	for _, id := range s.ids() {
		if t := s.transactions[id]; t.state.idle() && s.nowMs-t.updatedMs >= s.cfg.ExpirationMs {
			s.tell(Event{Kind: EventExpired, ID: id, ProducerID: t.producerID, Epoch: t.epoch})
			s.write(tombstone(id))
		}
	}
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
