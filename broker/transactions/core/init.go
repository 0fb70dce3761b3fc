package core

import "github.com/twmb/franz-go/pkg/kerr"

// initProducerID gives the producer of a transactional id an epoch that
// nobody else has. While a transaction is undecided it is aborted, and the
// producer is asked to come again.
func (s *Shard) initProducerID(in Input, req *InitProducerID) Result {
	switch {
	case req.ID == "":
		return Failed(kerr.InvalidRequest.Code)
	case req.TimeoutMs <= 0 || req.TimeoutMs > s.cfg.TimeoutMaxMs:
		return Failed(kerr.InvalidTransactionTimeout.Code)
	}
	t := s.transactions[req.ID]
	switch {
	case t == nil:
		return s.firstProducer(in, req)
	case req.ProducerID != noProducerID && !t.continues(req):
		return Failed(kerr.ProducerFenced.Code)
	case t.state.prepared():
		return Failed(kerr.ConcurrentTransactions.Code)
	case t.state == Ongoing:
		s.tell(Event{Kind: EventFenced, ID: req.ID, ProducerID: t.producerID, Epoch: t.epoch})
		s.decide(req.ID, t.fenced(s.version, s.nowMs))
		return Failed(kerr.ConcurrentTransactions.Code)
	}
	return s.nextProducer(in, req, *t)
}

// continues says whether a producer that names its id may have it from here:
// it is the current one, or the one whose epochs ran out, and which did not get
// the answer with the new one.
func (t *transaction) continues(req *InitProducerID) bool {
	return req.ProducerID == t.producerID || req.ProducerID == t.previousProducerID && req.Epoch >= epochLast
}

func (s *Shard) firstProducer(in Input, req *InitProducerID) Result {
	if len(s.transactions) >= s.cfg.TransactionsMax {
		return notAvailable()
	}
	producerID, err := in.NewProducerID()
	if err != nil {
		return notAvailable()
	}
	t := newTransaction(producerID, req.TimeoutMs).emptied(req.TimeoutMs, s.nowMs)
	t.epoch = 0
	return s.initialized(req.ID, t)
}

func (s *Shard) nextProducer(in Input, req *InitProducerID, t transaction) Result {
	expected := req.ProducerID != noProducerID
	switch {
	case t.exhausted() && (!expected || req.Epoch == t.epoch):
		producerID, err := in.NewProducerID()
		if err != nil {
			return notAvailable()
		}
		next := t.emptied(req.TimeoutMs, s.nowMs)
		next.producerID, next.epoch, next.lastEpoch = producerID, 0, noEpoch
		if expected {
			next.lastEpoch = t.epoch
		}
		s.tell(Event{Kind: EventRotated, ID: req.ID, ProducerID: producerID})
		return s.initialized(req.ID, next)
	case !expected:
		t.lastEpoch, t.epoch = noEpoch, t.epoch+1
	case req.Epoch == t.epoch:
		t.lastEpoch, t.epoch = t.epoch, t.epoch+1
	case req.Epoch == t.lastEpoch:
		// A repeated request: the epoch was bumped, the answer was lost. No other
		// producer can have come between, as that sets lastEpoch to none.
	default:
		return Failed(kerr.ProducerFenced.Code)
	}
	return s.initialized(req.ID, t.emptied(req.TimeoutMs, s.nowMs))
}

func (s *Shard) initialized(id string, t transaction) Result {
	s.write(s.recordOf(id, t))
	return Result{ProducerID: t.producerID, Epoch: t.epoch}
}
