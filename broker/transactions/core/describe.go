package core

import (
	"github.com/twmb/franz-go/pkg/kerr"
)

func (s *Shard) describe(req *Describe) Result {
	t := s.transactions[req.ID]
	switch {
	case req.ID == "":
		return Failed(kerr.InvalidRequest.Code)
	case t == nil:
		return Failed(kerr.TransactionalIDNotFound.Code)
	}
	r := done()
	r.Transactions = []Description{t.description(req.ID)}
	return r
}

func (s *Shard) list(req *List) Result {
	r := done()
	for _, id := range s.ids() {
		if d := s.transactions[id].description(id); req.Match == nil || req.Match(d) {
			r.Transactions = append(r.Transactions, d)
		}
	}
	return r
}

func (t *transaction) description(id string) Description {
	return Description{
		ID: id, State: t.state, TimeoutMs: t.timeoutMs, StartMs: t.startMs,
		ProducerID: t.producerID, Epoch: t.epoch, Partitions: t.partitions,
	}
}
