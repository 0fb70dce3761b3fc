package broker

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/storage"
	"github.com/millrace/millrace/broker/transactions"
	"github.com/millrace/millrace/broker/transactions/core"
	"github.com/millrace/millrace/broker/wire"
)

// This file is the seam between the node and the transaction coordinator: the
// node gives it the partitions of __transaction_state and the requests of its
// APIs, and writes markers for it.

// transactionAPIs are the APIs of transactions.
func (n *Node) transactionAPIs() []wire.API {
	return []wire.API{
		{Key: int16(kmsg.InitProducerID), Min: 0, Max: 5, Serve: serveLater(n.initProducerID)},
		{Key: int16(kmsg.AddPartitionsToTxn), Min: 0, Max: 5, Serve: serveLater(n.addPartitionsToTxn)},
		{Key: int16(kmsg.AddOffsetsToTxn), Min: 0, Max: 4, Serve: serveLater(n.addOffsetsToTxn)},
		{Key: int16(kmsg.EndTxn), Min: 0, Max: 5, Serve: serveLater(n.endTxn)},
		{Key: int16(kmsg.WriteTxnMarkers), Min: 1, Max: 1, Serve: serveLater(n.writeTxnMarkers)},
		{Key: int16(kmsg.TxnOffsetCommit), Min: 0, Max: 5, Serve: serveLater(n.txnOffsetCommit)},
		{Key: int16(kmsg.DescribeTransactions), Min: 0, Max: 0, Serve: serveLater(n.describeTransactions)},
		{Key: int16(kmsg.ListTransactions), Min: 0, Max: 2, Serve: serveLater(n.listTransactions)},
	}
}

// serveLater makes a wire handler of a function that decodes with kmsg and
// answers by calling r.Reply once, at once or later. What it keeps of the
// request must not alias the request's body: strings do not.
func serveLater[Req kmsg.Request](handle func(*wire.Request, Req)) func(*wire.Request) {
	return func(r *wire.Request) {
		req, err := r.Decode()
		if err != nil {
			r.Fail(err)
			return
		}
		handle(r, req.(Req))
	}
}

// openTransactions makes the coordinator and lets it load the transactions that
// there are.
func (n *Node) openTransactions(reg prometheus.Registerer) error {
	n.transactions = transactions.New(transactions.ConfigOf(n.cfg), transactions.Options{
		Logger: n.log, Registerer: reg, WriteMarker: n.writeMarker,
		NewProducerID:      func() (int64, error) { return n.ids.take(n.meta) },
		TransactionVersion: n.transactionVersion,
	})
	n.loadTransactions()
	return n.registerOpenTransactions(reg)
}

// loadTransactions gives the coordinator the logs of __transaction_state, if it exists.
func (n *Node) loadTransactions() {
	s := n.topics.byName(transactionTopic)
	if s == nil {
		return
	}
	n.transactions.SetPartitions(int32(len(s.logs)))
	for p, l := range s.logs {
		if l != nil {
			n.transactions.Load(int32(p), l)
		}
	}
}

// ensureTransactionTopic makes __transaction_state if it does not exist.
func (n *Node) ensureTransactionTopic() error {
	if n.topics.byName(transactionTopic) != nil {
		return nil
	}
	_, err := n.createTopic(topicSpec{
		name: transactionTopic, partitions: n.cfg.TransactionsPartitions, internal: true,
		configs: map[string]string{
			"cleanup.policy": "compact", "segment.bytes": "104857600", "compression.type": "uncompressed",
			"unclean.leader.election.enable": "false", "min.insync.replicas": "1",
		},
	})
	if err != nil && !errors.Is(err, kerr.TopicAlreadyExists) {
		return err
	}
	n.loadTransactions()
	return nil
}

// writeMarker appends a transaction's marker to a partition; done is told when
// it is durable. A partition that is no more has nothing left to decide.
func (n *Node) writeMarker(p core.Partition, m storage.Marker, done func(error)) {
	n.appendMarker(p, m, func(err error) {
		switch {
		case errors.Is(err, kerr.UnknownTopicOrPartition), errors.Is(err, storage.ErrDeleted):
			err = nil
		case errors.Is(err, storage.ErrInvalidProducerEpoch):
			// A later epoch of the producer has written since: what this
			// transaction had there was decided before.
			n.log.Warn("transaction marker is older than its producer", "topic", p.Topic, "partition", p.Partition,
				"producer_id", m.ProducerID, "producer_epoch", m.ProducerEpoch)
			err = nil
		}
		done(err)
	})
}

// appendMarker appends a marker where the partition's records are: offsets of
// groups are their coordinator's.
func (n *Node) appendMarker(p core.Partition, m storage.Marker, done func(error)) {
	log, ok := n.topics.byName(p.Topic).log(p.Partition)
	switch {
	case !ok:
		done(kerr.UnknownTopicOrPartition)
		return
	case log == nil:
		done(storage.ErrOffline)
		return
	case p.Topic == offsetsTopic:
		n.groups.EndTransaction(p.Partition, m, done)
		return
	}
	result, err := log.AppendMarker(m)
	if err != nil {
		done(err)
		return
	}
	log.OnFlushed(result.LastOffset, done)
}

// txnDialect is what a client knows of transactions, by the version of the API
// that it uses (TransactionSupportedOperation of Kafka).
type txnDialect int8

const (
	// dialectOld knows neither TRANSACTION_ABORTABLE nor transaction version 2.
	dialectOld txnDialect = iota
	// dialectAbortable knows TRANSACTION_ABORTABLE (KIP-890 part 1).
	dialectAbortable
	// dialectAdds leaves it to the broker to put partitions into the
	// transaction: transaction version 2 (KIP-890 part 2).
	dialectAdds
)

// producer is who writes in a transaction.
type txnProducer struct {
	id         int64
	epoch      int16
	transactID string
}

// joinTransaction asks the coordinator whether partitions are in the producer's
// transaction, or puts them into it, as the dialect has it. reply gets the
// code for each partition, in their order, as that client is to see it.
func (n *Node) joinTransaction(by txnProducer, dialect txnDialect, partitions []core.Partition, reply func(codes []*apiError)) {
	var request core.Request = &core.VerifyPartitions{ID: by.transactID, ProducerID: by.id, Epoch: by.epoch, Partitions: partitions}
	if dialect == dialectAdds {
		request = &core.AddPartitions{ID: by.transactID, ProducerID: by.id, Epoch: by.epoch, Partitions: partitions, Version: 2}
	}
	n.transactions.Do(by.transactID, request, func(r core.Result) {
		errs := make([]*apiError, len(partitions))
		for i := range errs {
			code := r.Code
			if code == 0 && r.Codes != nil {
				code = r.Codes[i]
			}
			errs[i] = joinError(code, dialect)
		}
		reply(errs)
	})
}

// joinError makes of the coordinator's code what the client that writes is to
// see. Errors that go away by themselves become NOT_ENOUGH_REPLICAS, after
// which every producer tries again without asking for metadata.
func joinError(code int16, dialect txnDialect) *apiError {
	if code == 0 {
		return nil
	}
	known := kerr.TypedErrorForCode(code)
	switch known {
	case kerr.ProducerFenced:
		known = kerr.InvalidProducerEpoch
	case kerr.TransactionAbortable:
		if dialect == dialectOld {
			known = kerr.InvalidTxnState
		}
	case kerr.ConcurrentTransactions:
		if dialect == dialectAdds {
			break
		}
		return notVerified(known)
	case kerr.CoordinatorLoadInProgress, kerr.CoordinatorNotAvailable, kerr.NotCoordinator:
		return notVerified(known)
	}
	return refuse(known, known.Description)
}

func notVerified(because *kerr.Error) *apiError {
	return refuse(kerr.NotEnoughReplicas, "Unable to verify the partition has been added to the transaction. Underlying error: "+because.Message)
}

// fencedCode is PRODUCER_FENCED for clients that know it, INVALID_PRODUCER_EPOCH for others.
func fencedCode(code int16, knows bool) int16 {
	if code == kerr.ProducerFenced.Code && !knows {
		return kerr.InvalidProducerEpoch.Code
	}
	return code
}
