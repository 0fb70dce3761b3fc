package storage

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/millrace/millrace/broker/batch"
)

// producerBatch is one remembered batch of an idempotent producer.
type producerBatch struct {
	firstSequence, lastSequence int32
	firstOffset, lastOffset     int64
	timestampMs                 int64 // the batch's largest
}

// producer is what is remembered of one producer id.
type producer struct {
	epoch int16
	n     int8
	// batches are the last n, oldest first, all of epoch.
	batches [producerBatchesMax]producerBatch
	// seenMs is when the broker last took a batch, by its own clock: the
	// timestamps of records do not decide what is forgotten.
	seenMs int64
	// lastTimestampMs is the largest timestamp of the last batch or marker.
	lastTimestampMs  int64
	coordinatorEpoch int32
	txnFirstOffset   int64
}

func (p *producer) last() (producerBatch, bool) {
	if p.n == 0 {
		return producerBatch{}, false
	}
	return p.batches[p.n-1], true
}

func (p *producer) push(b producerBatch) {
	if p.n == producerBatchesMax {
		copy(p.batches[:], p.batches[1:])
		p.n--
	}
	p.batches[p.n] = b
	p.n++
}

// producers is the idempotence and transaction state of one log (KIP-98,
// KIP-360). It is protected by the log's lock. It can be rebuilt from a snapshot and the
// batches after it, but for the verifications.
//
// Invariant: ongoing has exactly the producers with a txnFirstOffset.
type producers struct {
	byID          map[int64]*producer
	ongoing       ongoingTxns
	verifications verifications
}

func newProducers() *producers { return &producers{byID: map[int64]*producer{}} }

// check decides on a batch that a client or coordinator appends: a repetition
// of one of the last five of its producer (then it returns that one), the right
// next one, or an error. Sequences are a client's only.
func (s *producers) check(h *batch.Header, o *AppendOptions, logEnd int64) (*producerBatch, error) {
	p := s.byID[h.ProducerID]
	if p != nil && h.ProducerEpoch < p.epoch {
		return nil, fmt.Errorf("%w: producer id %d, epoch %d, newest is %d", ErrInvalidProducerEpoch, h.ProducerID, h.ProducerEpoch, p.epoch)
	}
	if o.Origin == OriginClient && p != nil && h.ProducerEpoch == p.epoch {
		for i := range p.batches[:p.n] {
			if b := &p.batches[i]; b.firstSequence == h.BaseSequence && b.lastSequence == h.LastSequence() {
				return b, nil
			}
		}
	}
	if err := s.checkTransaction(p, h, o); err != nil {
		return nil, err
	}
	if o.Origin != OriginClient {
		return nil, nil
	}
	return nil, s.checkSequence(p, h, o, logEnd)
}

// checkTransaction wants a transactional batch to be of a transaction that the
// coordinator knows (KIP-890), and others to be outside of transactions.
func (s *producers) checkTransaction(p *producer, h *batch.Header, o *AppendOptions) error {
	ongoing := p != nil && p.txnFirstOffset >= 0
	known := ongoing && p.epoch == h.ProducerEpoch || s.verifications.valid(h.ProducerID, o.Guard)
	switch {
	case h.IsTransactional() && !known:
		return fmt.Errorf("%w: producer id %d, epoch %d has no ongoing transaction here and was not verified", ErrInvalidTxnState, h.ProducerID, h.ProducerEpoch)
	case !h.IsTransactional() && ongoing:
		return fmt.Errorf("%w: a batch outside of the transaction of producer id %d, which is ongoing since offset %d", ErrInvalidTxnState, h.ProducerID, p.txnFirstOffset)
	case p == nil && len(s.byID) >= producersMax && len(s.ongoing) >= producersMax:
		return fmt.Errorf("%w: %d", ErrTooManyTransactions, len(s.ongoing))
	}
	return nil
}

func (s *producers) checkSequence(p *producer, h *batch.Header, o *AppendOptions, logEnd int64) error {
	refused := func(expected int64) error {
		return fmt.Errorf("%w: producer id %d, epoch %d: %d, expected %d", ErrOutOfOrderSequence, h.ProducerID, h.ProducerEpoch, h.BaseSequence, expected)
	}
	if h.BaseSequence != 0 && o.TransactionVersion >= 2 && h.IsTransactional() && (p == nil || p.n == 0) {
		return refused(0) // each transaction has an epoch of its own and begins at 0
	}
	if v := s.verifications.byID[h.ProducerID]; v != nil && h.BaseSequence > v.lowestSequence && h.ProducerEpoch == v.epoch {
		return refused(int64(v.lowestSequence))
	}
	if p == nil {
		// A producer id that was forgotten goes on with any sequence, but a
		// log that was never written cannot have forgotten anything.
		if logEnd == 0 && h.BaseSequence != 0 {
			return fmt.Errorf("%w: producer id %d begins at %d in a log that was never written", ErrOutOfOrderSequence, h.ProducerID, h.BaseSequence)
		}
		return nil
	}
	last, ok := p.last()
	switch {
	case h.ProducerEpoch == p.epoch && ok:
		if !follows(last.lastSequence, h.BaseSequence) {
			return refused(int64(batch.AddSequence(last.lastSequence, 1)))
		}
	case h.BaseSequence != 0:
		return refused(0) // a new epoch, or one of which only a marker is known
	}
	return nil
}

// checkMarker fences markers of older producer epochs and coordinators.
func (s *producers) checkMarker(m *Marker, version int16) error {
	p := s.byID[m.ProducerID]
	if p == nil {
		return nil
	}
	// Under version 2 the coordinator has raised the epoch for the end. A marker that
	// came already ended the transaction before, and comes again, does no harm.
	late := version >= 2 && m.ProducerEpoch == p.epoch && p.txnFirstOffset >= 0
	switch {
	case m.ProducerEpoch < p.epoch || late:
		return fmt.Errorf("%w: marker for producer id %d, epoch %d, newest is %d", ErrInvalidProducerEpoch, m.ProducerID, m.ProducerEpoch, p.epoch)
	case m.CoordinatorEpoch < p.coordinatorEpoch:
		return fmt.Errorf("%w: marker for producer id %d of coordinator epoch %d, newest is %d", ErrCoordinatorFenced, m.ProducerID, m.CoordinatorEpoch, p.coordinatorEpoch)
	}
	return nil
}

func follows(last, next int32) bool {
	return next == last+1 || next == 0 && last == math.MaxInt32
}

// apply follows a batch that was written, under its final offsets. It returns
// the transaction that it has ended; began is true when it has begun one.
func (s *producers) apply(b *batch.Batch, nowMs int64) (ended completedTxn, did, began bool) {
	if !b.HasProducerID() {
		return completedTxn{}, false, false
	}
	if !b.IsControl() {
		return completedTxn{}, false, s.update(&b.Header, nowMs)
	}
	m, ok, err := parseMarker(b)
	switch {
	case err == nil && b.Count == 0:
		// Compaction has kept the header, because nothing else says which epoch the producer was at last.
		s.seen(&b.Header, nowMs)
		return completedTxn{}, false, false
	case err != nil || !ok:
		// Of a kind that ends no transaction. What is not a marker was refused before it was
		// written; one that is damaged on disk leaves its transaction undecided, which shows
		// nothing that it should not.
		return completedTxn{}, false, false
	}
	ended, did = s.complete(&b.Header, &m, nowMs)
	return ended, did, false
}

// update remembers a batch of records. It returns whether a transaction has begun.
func (s *producers) update(h *batch.Header, nowMs int64) (began bool) {
	if !h.HasProducerID() {
		return false
	}
	p := s.seen(h, nowMs)
	if h.IsTransactional() {
		s.verifications.end(h.ProducerID)
		if p.txnFirstOffset < 0 {
			began, p.txnFirstOffset = true, h.BaseOffset
			s.ongoing.begin(ongoingTxn{h.BaseOffset, h.ProducerID})
		}
	}
	if h.BaseSequence >= 0 {
		p.push(producerBatch{h.BaseSequence, h.LastSequence(), h.BaseOffset, h.LastOffset(), p.lastTimestampMs})
	}
	return began
}

// seen returns the producer of a batch, made if need be, with the batch's epoch and time.
func (s *producers) seen(h *batch.Header, nowMs int64) *producer {
	p := s.byID[h.ProducerID]
	if p == nil {
		s.bound()
		p = &producer{epoch: h.ProducerEpoch, txnFirstOffset: -1, coordinatorEpoch: -1}
		s.byID[h.ProducerID] = p
	}
	if h.ProducerEpoch != p.epoch {
		p.epoch, p.n = h.ProducerEpoch, 0
	}
	p.seenMs, p.lastTimestampMs = max(p.seenMs, nowMs), effectiveMaxTimestamp(h)
	return p
}

// complete ends the producer's transaction, if it has one. A marker keeps the
// producer alive (KAFKA-9144) and makes answers of the coordinator that are on their way void.
func (s *producers) complete(h *batch.Header, m *Marker, nowMs int64) (ended completedTxn, did bool) {
	p := s.seen(h, nowMs)
	p.coordinatorEpoch = m.CoordinatorEpoch
	s.verifications.end(h.ProducerID)
	if p.txnFirstOffset < 0 {
		return completedTxn{}, false
	}
	ended = completedTxn{producerID: h.ProducerID, first: p.txnFirstOffset, last: h.LastOffset(), commit: m.Commit}
	s.ongoing.end(p.txnFirstOffset)
	p.txnFirstOffset = -1
	ended.lastStable = min(s.ongoing.firstOffset(), ended.last+1)
	return ended, true
}

// bound makes room for one more producer id. Those with an ongoing transaction stay.
func (s *producers) bound() {
	if len(s.byID) < producersMax {
		return
	}
	ids := make([]int64, 0, len(s.byID)-len(s.ongoing))
	for id, p := range s.byID {
		if p.txnFirstOffset < 0 {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, func(a, b int64) int { return cmp.Compare(s.byID[a].seenMs, s.byID[b].seenMs) })
	for _, id := range ids[:min(len(ids), producersMax/10)] {
		delete(s.byID, id)
	}
}

// expire forgets producers that were silent for expirationMs and have no
// ongoing transaction, and returns how many.
func (s *producers) expire(nowMs, expirationMs int64) int {
	n := len(s.byID)
	maps.DeleteFunc(s.byID, func(_ int64, p *producer) bool { return p.txnFirstOffset < 0 && nowMs-p.seenMs >= expirationMs })
	s.verifications.expire(nowMs, expirationMs)
	return n - len(s.byID)
}

// ProducerState is what a log remembers of one idempotent producer (KIP-664).
type ProducerState struct {
	ProducerID int64
	Epoch      int16
	// LastSequence is the last sequence under Epoch, -1 while there is none.
	LastSequence int32
	// LastTimestampMs is the largest timestamp of the last batch.
	LastTimestampMs int64
	// CoordinatorEpoch of the last marker, -1 before the first.
	CoordinatorEpoch int32
	// TxnFirstOffset is where the ongoing transaction began, -1 without one.
	TxnFirstOffset int64
}

// ActiveProducers returns the producers that the log remembers, in the order
// of their ids: at most 50,000. The slice is the caller's.
func (l *Log) ActiveProducers() []ProducerState {
	l.mu.Lock()
	out := l.producers.states()
	l.mu.Unlock()
	slices.SortFunc(out, func(a, b ProducerState) int { return cmp.Compare(a.ProducerID, b.ProducerID) })
	return out
}

// states returns all producers, in no order.
func (s *producers) states() []ProducerState {
	out := make([]ProducerState, 0, len(s.byID))
	for id, p := range s.byID {
		state := ProducerState{
			ProducerID: id, Epoch: p.epoch, LastSequence: -1, LastTimestampMs: p.lastTimestampMs,
			CoordinatorEpoch: p.coordinatorEpoch, TxnFirstOffset: p.txnFirstOffset,
		}
		if last, ok := p.last(); ok {
			state.LastSequence = last.lastSequence
		}
		out = append(out, state)
	}
	return out
}

// snapshot returns the content of a snapshot file.
func (s *producers) snapshot() []byte {
	var entries []snapshotEntry
	for _, id := range slices.Sorted(maps.Keys(s.byID)) {
		p := s.byID[id]
		e := snapshotEntry{producerID: id, epoch: p.epoch, timestamp: p.lastTimestampMs, coordinatorEpoch: p.coordinatorEpoch, txnFirstOffset: p.txnFirstOffset}
		if p.n == 0 {
			e.lastSequence, e.lastOffset = -1, -1
			entries = append(entries, e)
		}
		for i, b := range p.batches[:p.n] {
			e.lastSequence, e.lastOffset, e.offsetDelta = b.lastSequence, b.lastOffset, int32(b.lastOffset-b.firstOffset)
			if e.timestamp = b.timestampMs; i == int(p.n)-1 {
				e.timestamp = p.lastTimestampMs
			}
			entries = append(entries, e)
		}
	}
	return encodeSnapshot(entries)
}

// restore replaces the state by that of a snapshot file, ours or Kafka's. All
// producers count as seen now: while the broker was down none of them could write.
func (s *producers) restore(content []byte, nowMs int64) error {
	entries, err := decodeSnapshot(content)
	if err != nil {
		return err
	}
	s.byID = make(map[int64]*producer, min(len(entries), producersMax))
	s.ongoing = nil
	for i := range entries {
		e := &entries[i]
		p := s.byID[e.producerID]
		if p == nil {
			s.bound()
			p = &producer{txnFirstOffset: -1}
			s.byID[e.producerID] = p
		} else if p.epoch != e.epoch {
			p.n = 0
		}
		p.epoch, p.seenMs, p.lastTimestampMs = e.epoch, nowMs, e.timestamp
		p.coordinatorEpoch = e.coordinatorEpoch
		s.restoreTxn(e.producerID, p, e.txnFirstOffset)
		if b, ok := e.batch(); ok {
			p.push(b)
		}
	}
	return nil
}

// restoreTxn sets where the ongoing transaction of a producer began, -1 for none.
func (s *producers) restoreTxn(id int64, p *producer, first int64) {
	first = max(first, -1)
	if p.txnFirstOffset == first {
		return
	}
	if p.txnFirstOffset >= 0 {
		s.ongoing.end(p.txnFirstOffset)
	}
	if p.txnFirstOffset = first; first >= 0 {
		s.ongoing.begin(ongoingTxn{first, id})
	}
}
