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

// producers is the idempotence state of one log (KIP-98, KIP-360). It is
// protected by the log's lock. It can be rebuilt from a snapshot and the
// batches after it.
type producers struct {
	byID map[int64]*producer
}

func newProducers() *producers { return &producers{byID: map[int64]*producer{}} }

// check decides on a client's batch: a repetition of one of the last five of
// its producer (then it returns that one), the right next one, or an error.
func (s *producers) check(h *batch.Header, logEnd int64) (*producerBatch, error) {
	p := s.byID[h.ProducerID]
	if p == nil {
		// A producer id that was forgotten goes on with any sequence, but a
		// log that was never written cannot have forgotten anything.
		if logEnd == 0 && h.BaseSequence != 0 {
			return nil, fmt.Errorf("%w: producer id %d begins at %d in a log that was never written", ErrOutOfOrderSequence, h.ProducerID, h.BaseSequence)
		}
		return nil, nil
	}
	switch {
	case h.ProducerEpoch < p.epoch:
		return nil, fmt.Errorf("%w: producer id %d, epoch %d, newest is %d", ErrInvalidProducerEpoch, h.ProducerID, h.ProducerEpoch, p.epoch)
	case h.ProducerEpoch > p.epoch:
		if h.BaseSequence != 0 {
			return nil, fmt.Errorf("%w: producer id %d begins epoch %d at %d", ErrOutOfOrderSequence, h.ProducerID, h.ProducerEpoch, h.BaseSequence)
		}
		return nil, nil
	}
	for i := range p.batches[:p.n] {
		if b := &p.batches[i]; b.firstSequence == h.BaseSequence && b.lastSequence == h.LastSequence() {
			return b, nil
		}
	}
	if last, ok := p.last(); ok && !follows(last.lastSequence, h.BaseSequence) {
		return nil, fmt.Errorf("%w: producer id %d, epoch %d: %d after %d", ErrOutOfOrderSequence, h.ProducerID, h.ProducerEpoch, h.BaseSequence, last.lastSequence)
	}
	return nil, nil
}

func follows(last, next int32) bool {
	return next == last+1 || next == 0 && last == math.MaxInt32
}

// update remembers a batch that was written, under its final offsets.
func (s *producers) update(h *batch.Header, nowMs int64) {
	if !h.HasProducerID() {
		return
	}
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
	if h.IsControl() || h.BaseSequence < 0 {
		return // a marker has no sequence but keeps the producer alive
	}
	p.push(producerBatch{h.BaseSequence, h.LastSequence(), h.BaseOffset, h.LastOffset(), p.lastTimestampMs})
}

// bound makes room for one more producer id.
func (s *producers) bound() {
	if len(s.byID) < producersMax {
		return
	}
	ids := slices.SortedFunc(maps.Keys(s.byID), func(a, b int64) int {
		return cmp.Compare(s.byID[a].seenMs, s.byID[b].seenMs)
	})
	for _, id := range ids[:producersMax/10] {
		delete(s.byID, id)
	}
}

// expire forgets producers that were silent for expirationMs and returns how many.
func (s *producers) expire(nowMs, expirationMs int64) int {
	n := len(s.byID)
	maps.DeleteFunc(s.byID, func(_ int64, p *producer) bool { return nowMs-p.seenMs >= expirationMs })
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
	// CoordinatorEpoch and TxnFirstOffset are -1 without a transaction.
	CoordinatorEpoch int32
	TxnFirstOffset   int64
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
	for i := range entries {
		e := &entries[i]
		p := s.byID[e.producerID]
		if p == nil {
			s.bound()
			p = &producer{}
			s.byID[e.producerID] = p
		} else if p.epoch != e.epoch {
			p.n = 0
		}
		p.epoch, p.seenMs, p.lastTimestampMs = e.epoch, nowMs, e.timestamp
		p.coordinatorEpoch, p.txnFirstOffset = e.coordinatorEpoch, e.txnFirstOffset
		if b, ok := e.batch(); ok {
			p.push(b)
		}
	}
	return nil
}
