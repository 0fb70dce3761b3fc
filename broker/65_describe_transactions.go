package broker

import (
	"sync"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/acl"
	"github.com/millrace/millrace/broker/transactions/core"
	"github.com/millrace/millrace/broker/wire"
)

// DescribeTransactions: v0
//
// Behaviour:
// * The state of each transactional id, with the partitions of its transaction
//   until it is complete. An id that is not known is TRANSACTIONAL_ID_NOT_FOUND.
// * For who may describe the transactional id; topics that the client may not
//   describe are left out.
//
// KIPs:
// * KIP-664: the API

func (n *Node) describeTransactions(r *wire.Request, req *kmsg.DescribeTransactionsRequest) {
	resp := newResponse[*kmsg.DescribeTransactionsResponse](req)
	resp.TransactionStates = make([]kmsg.DescribeTransactionsResponseTransactionState, len(req.TransactionalIDs))
	if len(req.TransactionalIDs) == 0 {
		r.Reply(resp)
		return
	}
	var mu sync.Mutex
	missing := len(req.TransactionalIDs)
	mayDescribe := n.eachTopicOnce(r, acl.Describe)
	for i, id := range req.TransactionalIDs {
		described := func(result core.Result) {
			mu.Lock()
			resp.TransactionStates[i] = describedTransaction(id, result, mayDescribe)
			missing--
			last := missing == 0
			mu.Unlock()
			if last {
				r.Reply(resp)
			}
		}
		if !n.authorize(r, acl.Describe, acl.TransactionalID(id)) {
			described(core.Failed(kerr.TransactionalIDAuthorizationFailed.Code))
			continue
		}
		n.transactions.Do(id, &core.Describe{ID: id}, described)
	}
}

// describedTransaction leaves out the topics that mayDescribe does not let pass.
func describedTransaction(id string, result core.Result, mayDescribe func(topic string) bool) kmsg.DescribeTransactionsResponseTransactionState {
	out := kmsg.NewDescribeTransactionsResponseTransactionState()
	out.TransactionalID, out.ErrorCode = id, result.Code
	out.Topics = []kmsg.DescribeTransactionsResponseTransactionStateTopic{}
	if len(result.Transactions) == 0 {
		return out
	}
	d := result.Transactions[0]
	out.State, out.TimeoutMillis, out.StartTimestamp = d.State.String(), d.TimeoutMs, d.StartMs
	out.ProducerID, out.ProducerEpoch = d.ProducerID, d.Epoch
	for _, p := range d.Partitions {
		if !mayDescribe(p.Topic) {
			continue
		}
		if at := len(out.Topics); at == 0 || out.Topics[at-1].Topic != p.Topic {
			topic := kmsg.NewDescribeTransactionsResponseTransactionStateTopic()
			topic.Topic = p.Topic
			out.Topics = append(out.Topics, topic)
		}
		last := &out.Topics[len(out.Topics)-1]
		last.Partitions = append(last.Partitions, p.Partition)
	}
	return out
}
