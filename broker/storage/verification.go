package storage

import (
	"cmp"
	"maps"
	"slices"
)

// VerificationGuard stands for a question that was put to the transaction
// coordinator: is this partition part of the producer's transaction (KIP-890)? It
// loses its validity when the producer's transaction begins or a marker is written,
// so that an answer that comes late cannot open a transaction which nobody
// would end. The zero value is never valid.
type VerificationGuard struct{ id uint64 }

// verification is one question that has not led to an append yet.
type verification struct {
	guard VerificationGuard
	epoch int16
	// lowestSequence is the lowest that was asked for under epoch. A batch
	// behind it must not be written first: it would block the one before.
	lowestSequence int32
	beganMs        int64
}

// verifications are the open questions of one log by producer id, at most
// producersMax. It is protected by the log's lock and does not survive a restart: who
// asked then asks again.
type verifications struct {
	byID map[int64]*verification
	last uint64
}

func (v *verifications) begin(producerID int64, epoch int16, sequence int32, nowMs int64) VerificationGuard {
	entry := v.byID[producerID]
	if entry == nil {
		v.bound()
		v.last++
		entry = &verification{guard: VerificationGuard{v.last}, epoch: epoch, lowestSequence: sequence, beganMs: nowMs}
		if v.byID == nil {
			v.byID = map[int64]*verification{}
		}
		v.byID[producerID] = entry
	}
	switch {
	case epoch > entry.epoch:
		entry.epoch, entry.lowestSequence = epoch, sequence
	case epoch == entry.epoch:
		entry.lowestSequence = min(entry.lowestSequence, sequence)
	}
	return entry.guard
}

// valid says whether g is the producer's guard of now.
func (v *verifications) valid(producerID int64, g VerificationGuard) bool {
	entry := v.byID[producerID]
	return entry != nil && entry.guard == g
}

func (v *verifications) end(producerID int64) { delete(v.byID, producerID) }

// bound makes room for one more; the guards of the oldest lose their validity.
func (v *verifications) bound() {
	if len(v.byID) < producersMax {
		return
	}
	ids := slices.SortedFunc(maps.Keys(v.byID), func(a, b int64) int {
		return cmp.Compare(v.byID[a].guard.id, v.byID[b].guard.id)
	})
	for _, id := range ids[:producersMax/10] {
		delete(v.byID, id)
	}
}

func (v *verifications) expire(nowMs, expirationMs int64) {
	maps.DeleteFunc(v.byID, func(_ int64, entry *verification) bool { return nowMs-entry.beganMs >= expirationMs })
}

// BeginVerification says whether an append of a transactional batch needs an
// answer of the transaction coordinator first. If ongoing is true it does not: the
// producer's transaction is known to this log, or its epoch is an old one, which Append refuses.
// Otherwise the append that follows the coordinator's yes carries g in
// [AppendOptions.Guard]; all who ask before it get the same g.
func (l *Log) BeginVerification(producerID int64, epoch int16, sequence int32) (g VerificationGuard, ongoing bool) {
	nowMs := l.store.nowMs()
	l.mu.Lock()
	defer l.mu.Unlock()
	if p := l.producers.byID[producerID]; p != nil && (epoch < p.epoch || epoch == p.epoch && p.txnFirstOffset >= 0) {
		return VerificationGuard{}, true
	}
	return l.producers.verifications.begin(producerID, epoch, sequence, nowMs), false
}
