package core

import (
	"github.com/twmb/franz-go/pkg/kerr"
)

// endTransaction decides a transaction. The answer comes when the decision is
// durable; the markers follow it.
func (s *Shard) endTransaction(in Input, req *EndTransaction) Result {
	t := s.transactions[req.ID]
	switch {
	case req.ID == "":
		return Failed(kerr.InvalidRequest.Code)
	case t == nil:
		return Failed(kerr.InvalidProducerIDMapping.Code)
	case req.Epoch > epochLast: // the last epoch is only for fencing
		return Failed(kerr.ProducerFenced.Code)
	case req.Version < versionEpochBump:
		return s.endVersion1(req, t)
	}
	return s.endVersion2(in, req, t)
}

// endVersion1 ends a transaction of a client whose epoch stays. A repetition
// looks like a first request, so the state alone decides what is one.
func (s *Shard) endVersion1(req *EndTransaction, t *transaction) Result {
	switch {
	case t.producerID != req.ProducerID:
		return Failed(kerr.InvalidProducerIDMapping.Code)
	case t.epoch != req.Epoch:
		return Failed(kerr.ProducerFenced.Code)
	case t.state == Ongoing:
		s.decide(req.ID, t.prepared(req.Commit, 0, noProducerID, s.nowMs))
		return done()
	case t.state == Empty || t.decidedAgainst(req.Commit):
		return Failed(kerr.InvalidTxnState.Code)
	case t.state.prepared():
		return Failed(kerr.ConcurrentTransactions.Code)
	}
	return done() // a repetition
}

// decidedAgainst says that the transaction has the other decision.
func (t *transaction) decidedAgainst(commit bool) bool {
	if commit {
		return t.state == PrepareAbort || t.state == CompleteAbort
	}
	return t.state == PrepareCommit || t.state == CompleteCommit
}

// endVersion2 ends a transaction of a client whose epoch goes up with it: the
// epoch tells a repetition from the next EndTxn. An abort without a
// transaction is allowed (the client cannot know whether its first batch arrived).
//
//	                 abort              commit
//	                 repeated  current  repeated  current
//	Empty            fenced    abort    fenced    invalid
//	CompleteAbort    done      abort    invalid   invalid
//	CompleteCommit   invalid   abort    done      invalid
func (s *Shard) endVersion2(in Input, req *EndTransaction, t *transaction) Result {
	rotated := t.previousProducerID == req.ProducerID && t.producerID != req.ProducerID && req.Epoch == epochLast && t.epoch == 0
	repeated := rotated || t.producerID == req.ProducerID && int32(t.epoch) == int32(req.Epoch)+1
	current := t.producerID == req.ProducerID && t.epoch == req.Epoch
	if t.producerID != req.ProducerID && !rotated {
		return Failed(kerr.InvalidProducerIDMapping.Code)
	}
	switch t.state {
	case Ongoing, Empty:
		if !current {
			return Failed(kerr.ProducerFenced.Code)
		}
	case PrepareCommit, PrepareAbort:
		// The current epoch is that of the next transaction, whose owner may end
		// it before the markers of this one are written: it shall ask again.
		if current {
			return Failed(kerr.ConcurrentTransactions.Code)
		}
		if !repeated {
			return Failed(kerr.ProducerFenced.Code)
		}
		if t.decidedAgainst(req.Commit) {
			return Failed(kerr.InvalidTxnState.Code)
		}
		return Failed(kerr.ConcurrentTransactions.Code)
	case CompleteCommit, CompleteAbort:
		if !repeated && !current {
			return Failed(kerr.ProducerFenced.Code)
		}
		if repeated && t.decidedAgainst(req.Commit) {
			return Failed(kerr.InvalidTxnState.Code)
		}
		if repeated {
			return Result{ProducerID: t.producerID, Epoch: t.epoch}
		}
	case Dead, PrepareEpochFence:
		panic("a transaction rests in state " + t.state.String())
	}
	if t.state != Ongoing && req.Commit {
		return Failed(kerr.InvalidTxnState.Code)
	}
	return s.decideVersion2(in, req, *t)
}

func (s *Shard) decideVersion2(in Input, req *EndTransaction, t transaction) Result {
	next := int64(noProducerID)
	if t.exhausted() {
		var err error
		if next, err = in.NewProducerID(); err != nil {
			return notAvailable()
		}
		s.tell(Event{Kind: EventRotated, ID: req.ID, ProducerID: next})
	}
	decided := t.prepared(req.Commit, req.Version, next, s.nowMs)
	s.decide(req.ID, decided)
	producerID, epoch := decided.successor()
	return Result{ProducerID: producerID, Epoch: epoch}
}

// markersWritten completes a transaction. It is harmless for one that is not
// waiting for it any more.
func (s *Shard) markersWritten(req *MarkersWritten) Result {
	t := s.transactions[req.ID]
	if t != nil && t.state.prepared() && t.producerID == req.ProducerID && t.epoch == req.Epoch {
		s.write(s.recordOf(req.ID, t.completed(s.nowMs)))
	}
	return done()
}
