package core

import "github.com/twmb/franz-go/pkg/kerr"

// waiter is a request to join the next transaction of an id, whose last one is
// not complete yet. In Kafka the broker asks again every 20 ms instead.
type waiter struct {
	in         Input
	request    *AddPartitions
	deadlineMs int64
}

// addPartitions puts partitions into the transaction, which begins with the first.
func (s *Shard) addPartitions(in Input, req *AddPartitions) {
	t := s.transactions[req.ID]
	code := joinCode(req.ID, t, req.ProducerID, req.Epoch)
	switch {
	case code == kerr.ConcurrentTransactions.Code && len(s.waiters[req.ID]) < waitersMax:
		s.waiters[req.ID] = append(s.waiters[req.ID], waiter{in, req, s.nowMs + s.cfg.WaitMs})
		return
	case code != 0:
		s.reply(in.Token, Failed(code))
		return
	case t.state != Ongoing || !t.hasAll(req.Partitions):
		s.write(s.recordOf(req.ID, t.extended(req.Partitions, req.Version, s.nowMs)))
	}
	s.reply(in.Token, done())
}

// verifyPartitions says which partitions the transaction has.
func (s *Shard) verifyPartitions(req *VerifyPartitions) Result {
	t := s.transactions[req.ID]
	if code := joinCode(req.ID, t, req.ProducerID, req.Epoch); code != 0 {
		return Failed(code)
	}
	r := done()
	r.Codes = make([]int16, len(req.Partitions))
	for i, p := range req.Partitions {
		if !t.has(p) {
			r.Codes[i] = kerr.TransactionAbortable.Code
		}
	}
	return r
}

// joinCode says why a producer cannot take part in the transaction.
func joinCode(id string, t *transaction, producerID int64, epoch int16) int16 {
	if id == "" {
		return kerr.InvalidRequest.Code
	}
	if t == nil {
		return kerr.InvalidProducerIDMapping.Code
	}
	if t.state.prepared() && t.nextProducerID != noProducerID && producerID == t.nextProducerID && epoch == 0 {
		return kerr.ConcurrentTransactions.Code // it was told of the id that takes over
	}
	switch {
	case t.producerID != producerID:
		return kerr.InvalidProducerIDMapping.Code
	case t.epoch != epoch || epoch > epochLast: // the last epoch is only for fencing
		return kerr.ProducerFenced.Code
	case t.state.prepared():
		return kerr.ConcurrentTransactions.Code
	}
	return 0
}

// release lets the requests go on that waited for the transaction to complete.
// More than one record may follow from them: each sees the one before, because
// only the first of several writes at once and the others wait again.
func (s *Shard) release(id string) {
	t := s.transactions[id]
	if len(s.waiters[id]) == 0 || t != nil && t.state.prepared() {
		return
	}
	waiting := s.waiters[id]
	delete(s.waiters, id)
	for i, w := range waiting {
		before := len(s.out.Records)
		s.addPartitions(w.in, w.request)
		if len(s.out.Records) > before && i+1 < len(waiting) {
			s.waiters[id] = append(s.waiters[id], waiting[i+1:]...)
			return
		}
	}
}

// expireWaiters answers those who have waited for too long.
func (s *Shard) expireWaiters() {
	for _, id := range sortedKeys(s.waiters) {
		kept := s.waiters[id][:0]
		for _, w := range s.waiters[id] {
			if s.nowMs < w.deadlineMs {
				kept = append(kept, w)
				continue
			}
			s.reply(w.in.Token, Failed(kerr.ConcurrentTransactions.Code))
		}
		if s.waiters[id] = kept; len(kept) == 0 {
			delete(s.waiters, id)
		}
	}
}
