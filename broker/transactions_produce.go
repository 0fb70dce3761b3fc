package broker

import (
	"errors"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/millrace/millrace/broker/batch"
	"github.com/millrace/millrace/broker/storage"
	"github.com/millrace/millrace/broker/transactions/core"
)

// Batches of transactions (KIP-890): before the append that begins a
// transaction in a partition's log, the coordinator must have that partition in
// the transaction, or nobody would ever end it there. Where the log has the
// transaction already, nothing is asked.
//
// The connection's reader waits for the coordinator, so that what the client
// sends next is appended next; the coordinator always answers, after a flush
// of __transaction_state at most, and when it closes. Other connections, and
// all appends that begin nothing, go on.

// appendInTransaction appends the parts of a request with a transactional id.
func (t *produceTask) appendInTransaction(id string) {
	by := txnProducer{id: -1, transactID: id}
	for _, part := range t.parts[:t.count] {
		part.result = failedAppend()
		if part.err != nil { // the client may not write it
			continue
		}
		var log *storage.Log
		if log, part.err = t.logFor(part, part.state, part.records); part.err != nil || !isTransactional(part.records) {
			continue
		}
		h, err := batch.ParseHeader(part.records)
		if err != nil {
			part.err = err
			continue
		}
		if by.id < 0 {
			by.id, by.epoch = h.ProducerID, h.ProducerEpoch
		} else if by.id != h.ProducerID || by.epoch != h.ProducerEpoch {
			t.refuseAll(refuse(kerr.InvalidProducerIDMapping, "Transactional records contained more than one producer ID"))
			return
		}
		var ongoing bool
		if part.guard, ongoing = log.BeginVerification(h.ProducerID, h.ProducerEpoch, h.BaseSequence); !ongoing {
			part.joining, part.sequence = log, h.BaseSequence
			t.joining = append(t.joining, part)
		}
	}
	for round := 0; len(t.joining) > 0 && round < joinRoundsMax; round++ {
		t.awaitJoined(by)
	}
	for _, part := range t.parts[:t.count] {
		if part.err == nil {
			part.result, part.err = t.appendJoined(part)
		}
	}
}

// joinRoundsMax bounds how often the coordinator is asked for one append: again
// when the marker of the last transaction came while it was asked, which
// makes the answer worthless. That happens once; an append that was
// unlucky for so long is refused by the log.
const joinRoundsMax = 3

func (t *produceTask) refuseAll(err error) {
	for _, part := range t.parts[:t.count] {
		part.result, part.err = failedAppend(), err
	}
}

func (t *produceTask) appendJoined(part *producePart) (storage.AppendResult, error) {
	log, ok := part.state.log(part.partition)
	if !ok || log == nil {
		return failedAppend(), storage.ErrOffline
	}
	o := storage.AppendOptions{LeaderEpoch: log.LeaderEpoch(), Guard: part.guard}
	if produceDialect(t.version) == dialectAdds {
		o.TransactionVersion = txnVersion2
	}
	result, err := part.append(log, part.records, o)
	if errors.Is(err, storage.ErrInvalidProducerEpoch) && isTransactional(part.records) {
		result = failedAppend() // in Kafka it is the coordinator that says so, not the log
	}
	return result, err
}

// awaitJoined asks the coordinator about the partitions where the transaction
// begins, and gives those that may not the error. Those that must be asked about again stay.
func (t *produceTask) awaitJoined(by txnProducer) {
	partitions := make([]core.Partition, len(t.joining))
	for i, part := range t.joining {
		partitions[i] = core.Partition{Topic: part.state.name, Partition: part.partition}
	}
	answered := make(chan []*apiError, 1)
	t.node.joinTransaction(by, produceDialect(t.version), partitions, func(errs []*apiError) { answered <- errs })
	again := t.joining[:0]
	for i, err := range <-answered {
		part := t.joining[i]
		if err != nil {
			part.err = err
			continue
		}
		before := part.guard
		var ongoing bool
		if part.guard, ongoing = part.joining.BeginVerification(by.id, by.epoch, part.sequence); !ongoing && part.guard != before {
			again = append(again, part)
		}
	}
	t.joining = again
}

func produceDialect(version int16) txnDialect {
	switch {
	case version >= 12:
		return dialectAdds
	case version == 11:
		return dialectAbortable
	}
	return dialectOld
}
