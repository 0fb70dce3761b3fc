package broker

import (
	"regexp"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/acl"
	"github.com/millrace/millrace/broker/transactions/core"
	"github.com/millrace/millrace/broker/wire"
)

// ListTransactions: v0-2
//
// Behaviour:
// * All transactional ids that pass every filter of the request. States that
//   do not exist are named in the answer and match nothing.
// * While a partition of __transaction_state is being loaded the answer is
//   COORDINATOR_LOAD_IN_PROGRESS: a part is never given for the whole.
// * Ids that the client may not describe are left out.
//
// KIPs:
// * KIP-664: the API
// * KIP-994: duration (v1)
// * KIP-1152: a regular expression, RE2, that the whole id must match (v2)

func (n *Node) listTransactions(r *wire.Request, req *kmsg.ListTransactionsRequest) {
	resp := newResponse[*kmsg.ListTransactionsResponse](req)
	resp.UnknownStateFilters = []string{}
	resp.TransactionStates = []kmsg.ListTransactionsResponseTransactionState{}
	filter := transactionFilter{nowMs: time.Now().UnixMilli(), durationMs: req.DurationFilterMillis, producers: req.ProducerIDFilters}
	unknown := make(map[string]bool)
	for _, name := range req.StateFilters {
		at := slices.IndexFunc(core.States(), func(s core.State) bool { return s.String() == name })
		if at < 0 {
			if !unknown[name] {
				unknown[name], resp.UnknownStateFilters = true, append(resp.UnknownStateFilters, name)
			}
			continue
		}
		filter.states = append(filter.states, core.States()[at])
	}
	if p := req.TransactionalIDPattern; p != nil && *p != "" {
		pattern, err := regexp.Compile(`^(?:` + *p + `)$`)
		if err != nil {
			resp.ErrorCode = kerr.InvalidRegularExpression.Code
			r.Reply(resp)
			return
		}
		filter.pattern = pattern
	}
	if len(req.StateFilters) > 0 && len(filter.states) == 0 {
		r.Reply(resp)
		return
	}
	n.transactions.List(filter.match, func(result core.Result) {
		if resp.ErrorCode = result.Code; result.Code == 0 {
			for _, d := range result.Transactions {
				if !n.mayDo(r, acl.Describe, acl.TransactionalID(d.ID)) {
					continue
				}
				one := kmsg.NewListTransactionsResponseTransactionState()
				one.TransactionalID, one.ProducerID, one.TransactionState = d.ID, d.ProducerID, d.State.String()
				resp.TransactionStates = append(resp.TransactionStates, one)
			}
		}
		r.Reply(resp)
	})
}

// transactionFilter is what a ListTransactions asks for; what is empty lets all pass.
type transactionFilter struct {
	states     []core.State
	producers  []int64
	pattern    *regexp.Regexp
	durationMs int64 // only transactions that run for longer; negative for all
	nowMs      int64
}

// match may be called by several goroutines.
func (f *transactionFilter) match(d core.Description) bool {
	switch {
	case len(f.producers) > 0 && !slices.Contains(f.producers, d.ProducerID),
		len(f.states) > 0 && !slices.Contains(f.states, d.State),
		f.durationMs >= 0 && f.nowMs-d.StartMs <= f.durationMs,
		f.pattern != nil && !f.pattern.MatchString(d.ID):
		return false
	}
	return true
}
