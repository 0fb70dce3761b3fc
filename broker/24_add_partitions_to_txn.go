package broker

import (
	"sync"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/acl"
	"github.com/millrace/millrace/broker/storage"
	"github.com/millrace/millrace/broker/transactions/core"
	"github.com/millrace/millrace/broker/wire"
)

// AddPartitionsToTxn: v0-5
//
// Behaviour:
// * Clients use versions 0 to 3; a partition that does not exist, or is internal,
//   fails the whole request, the others with OPERATION_NOT_ATTEMPTED.
// * Brokers use 4 and later, for several transactions at once, and may only
//   want to know whether partitions are in one (VerifyOnly).
// * For who may write with the transactional id and to the topic; from version 4
//   on for brokers (CLUSTER_ACTION).
// * A request that comes while the last transaction is not complete waits for
//   that, at most 100 ms, before it gets CONCURRENT_TRANSACTIONS.
//
// KIPs:
// * KIP-98: the API
// * KIP-588: PRODUCER_FENCED (v2)
// * KIP-890: several transactions, verification (v4), TRANSACTION_ABORTABLE (v5)

func (n *Node) addPartitionsToTxn(r *wire.Request, req *kmsg.AddPartitionsToTxnRequest) {
	if req.Version >= 4 {
		n.addBatchToTxn(r, req)
		return
	}
	req.Topics = mergedTopics(req.Topics, func(t *kmsg.AddPartitionsToTxnRequestTopic) (string, *[]int32) { return t.Topic, &t.Partitions })
	partitions, codes, refused := n.checkTxnTopics(r, req)
	reply := func(code int16) {
		resp := newResponse[*kmsg.AddPartitionsToTxnResponse](req)
		resp.Topics = make([]kmsg.AddPartitionsToTxnResponseTopic, 0, len(req.Topics))
		at := 0
		for _, t := range req.Topics {
			topic := kmsg.NewAddPartitionsToTxnResponseTopic()
			topic.Topic, topic.Partitions = t.Topic, make([]kmsg.AddPartitionsToTxnResponseTopicPartition, 0, len(t.Partitions))
			for _, p := range t.Partitions {
				one := kmsg.NewAddPartitionsToTxnResponseTopicPartition()
				one.Partition, one.ErrorCode = p, fencedCode(code, req.Version >= 2)
				if refused {
					one.ErrorCode = codes[at]
				}
				topic.Partitions = append(topic.Partitions, one)
				at++
			}
			resp.Topics = append(resp.Topics, topic)
		}
		r.Reply(resp)
	}
	if refused {
		reply(0)
		return
	}
	n.transactions.Do(req.TransactionalID, &core.AddPartitions{
		ID: req.TransactionalID, ProducerID: req.ProducerID, Epoch: req.ProducerEpoch, Partitions: partitions,
	}, func(result core.Result) { reply(result.Code) })
}

// checkTxnTopics returns the partitions that a client wants in its transaction,
// and whether the request is refused, with a code for each.
func (n *Node) checkTxnTopics(r *wire.Request, req *kmsg.AddPartitionsToTxnRequest) (partitions []core.Partition, codes []int16, refused bool) {
	mayTransact, mayWrite := n.mayTransact(r, req.TransactionalID), n.eachTopicOnce(r, acl.Write)
	for _, t := range req.Topics {
		state := n.topics.byName(t.Topic)
		for _, p := range t.Partitions {
			code := int16(0)
			_, exists := state.log(p)
			switch {
			case !mayTransact:
				code = kerr.TransactionalIDAuthorizationFailed.Code
			case isInternalTopic(t.Topic) || !mayWrite(t.Topic):
				code = kerr.TopicAuthorizationFailed.Code
			case !exists:
				code = kerr.UnknownTopicOrPartition.Code
			}
			partitions, codes = append(partitions, core.Partition{Topic: t.Topic, Partition: p}), append(codes, code)
			refused = refused || code != 0
		}
	}
	for i := range codes {
		if refused && codes[i] == 0 {
			codes[i] = kerr.OperationNotAttempted.Code
		}
	}
	return partitions, codes, refused
}

// addBatchToTxn answers another broker.
func (n *Node) addBatchToTxn(r *wire.Request, req *kmsg.AddPartitionsToTxnRequest) {
	resp := newResponse[*kmsg.AddPartitionsToTxnResponse](req)
	resp.Transactions = []kmsg.AddPartitionsToTxnResponseTransaction{}
	if err := n.authorizeCluster(r, acl.ClusterAction); err != nil {
		resp.ErrorCode = codeOf(err)
		r.Reply(resp)
		return
	}
	resp.Transactions = make([]kmsg.AddPartitionsToTxnResponseTransaction, len(req.Transactions))
	if len(req.Transactions) == 0 {
		r.Reply(resp)
		return
	}
	var mu sync.Mutex
	missing := len(req.Transactions)
	answer := func(i int, t kmsg.AddPartitionsToTxnResponseTransaction) {
		mu.Lock()
		resp.Transactions[i] = t
		missing--
		last := missing == 0
		mu.Unlock()
		if last {
			r.Reply(resp)
		}
	}
	for i, t := range req.Transactions {
		t.Topics = mergedTopics(t.Topics, func(t *kmsg.AddPartitionsToTxnRequestTransactionTopic) (string, *[]int32) {
			return t.Topic, &t.Partitions
		})
		if codes := n.missingPartitions(&t); codes != nil {
			answer(i, batchedResult(&t, core.Result{Codes: codes}))
			continue
		}
		n.transactions.Do(t.TransactionalID, batchedRequest(&t), func(result core.Result) {
			answer(i, batchedResult(&t, result))
		})
	}
}

// missingPartitions returns a code for each of a transaction's partitions if some do not
// exist, nil otherwise: one that does not exist fails the whole transaction.
func (n *Node) missingPartitions(t *kmsg.AddPartitionsToTxnRequestTransaction) []int16 {
	var codes []int16
	missing := false
	for _, topic := range t.Topics {
		state := n.topics.byName(topic.Topic)
		for _, p := range topic.Partitions {
			code := kerr.OperationNotAttempted.Code
			if _, exists := state.log(p); !exists {
				missing, code = true, kerr.UnknownTopicOrPartition.Code
			}
			codes = append(codes, code)
		}
	}
	if !missing {
		return nil
	}
	return codes
}

// mergedTopics returns each topic and partition of a request once, as Kafka sees them; of gives
// the parts of an element.
func mergedTopics[T any](topics []T, of func(*T) (string, *[]int32)) []T {
	places := make(map[string]int, len(topics))
	seen := make(map[storage.TopicPartition]bool)
	merged := make([]T, 0, len(topics))
	for _, t := range topics {
		name, partitions := of(&t)
		wanted := *partitions
		place, again := places[name]
		if !again {
			place, places[name] = len(merged), len(merged)
			*partitions = nil
			merged = append(merged, t)
		}
		_, into := of(&merged[place])
		for _, p := range wanted {
			if tp := (storage.TopicPartition{Topic: name, Partition: p}); !seen[tp] {
				seen[tp], *into = true, append(*into, p)
			}
		}
	}
	return merged
}

func batchedRequest(t *kmsg.AddPartitionsToTxnRequestTransaction) core.Request {
	var partitions []core.Partition
	for _, topic := range t.Topics {
		for _, p := range topic.Partitions {
			partitions = append(partitions, core.Partition{Topic: topic.Topic, Partition: p})
		}
	}
	if t.VerifyOnly {
		return &core.VerifyPartitions{ID: t.TransactionalID, ProducerID: t.ProducerID, Epoch: t.ProducerEpoch, Partitions: partitions}
	}
	return &core.AddPartitions{
		ID: t.TransactionalID, ProducerID: t.ProducerID, Epoch: t.ProducerEpoch, Partitions: partitions, Version: txnVersion2,
	}
}

// txnVersion2 is the transaction version of KIP-890 part 2.
const txnVersion2 = 2

func batchedResult(t *kmsg.AddPartitionsToTxnRequestTransaction, result core.Result) kmsg.AddPartitionsToTxnResponseTransaction {
	out := kmsg.NewAddPartitionsToTxnResponseTransaction()
	out.TransactionalID, out.Topics = t.TransactionalID, make([]kmsg.AddPartitionsToTxnResponseTransactionTopic, 0, len(t.Topics))
	at := 0
	for _, from := range t.Topics {
		topic := kmsg.NewAddPartitionsToTxnResponseTransactionTopic()
		topic.Topic = from.Topic
		topic.Partitions = make([]kmsg.AddPartitionsToTxnResponseTransactionTopicPartition, 0, len(from.Partitions))
		for _, p := range from.Partitions {
			one := kmsg.NewAddPartitionsToTxnResponseTransactionTopicPartition()
			one.Partition, one.ErrorCode = p, result.Code
			if result.Code == 0 && result.Codes != nil {
				one.ErrorCode = result.Codes[at]
			}
			topic.Partitions = append(topic.Partitions, one)
			at++
		}
		out.Topics = append(out.Topics, topic)
	}
	return out
}
