package broker

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/millrace/millrace/broker/transactions/core"
)

// transactionCollector reports the open transactions when it is asked.
type transactionCollector struct {
	node         *Node
	open, oldest *prometheus.Desc
}

func (n *Node) registerOpenTransactions(reg prometheus.Registerer) error {
	if reg == nil {
		return nil
	}
	return reg.Register(&transactionCollector{
		node:   n,
		open:   prometheus.NewDesc("millrace_broker_open_transactions", "Transactions that producers have begun and not ended, or whose markers are still to be written.", nil, nil),
		oldest: prometheus.NewDesc("millrace_broker_oldest_transaction_seconds", "Time since the oldest open transaction began, 0 without one.", nil, nil),
	})
}

// Describe implements [prometheus.Collector].
func (c *transactionCollector) Describe(out chan<- *prometheus.Desc) {
	out <- c.open
	out <- c.oldest
}

// Collect implements [prometheus.Collector]. While the coordinator loads nothing is told.
func (c *transactionCollector) Collect(out chan<- prometheus.Metric) {
	answer := make(chan core.Result, 1) // the coordinator does not wait for who has gone
	c.node.transactions.List(isOpen, func(r core.Result) { answer <- r })
	limit := time.NewTimer(groupLagWait)
	defer limit.Stop()
	select {
	case r := <-answer:
		if r.Code == 0 {
			c.tell(out, r.Transactions)
		}
	case <-limit.C:
	}
}

func (c *transactionCollector) tell(out chan<- prometheus.Metric, open []core.Description) {
	oldest := time.Duration(0)
	for _, d := range open {
		if d.StartMs >= 0 {
			oldest = max(oldest, time.Since(time.UnixMilli(d.StartMs)))
		}
	}
	out <- prometheus.MustNewConstMetric(c.open, prometheus.GaugeValue, float64(len(open)))
	out <- prometheus.MustNewConstMetric(c.oldest, prometheus.GaugeValue, oldest.Seconds())
}

// isOpen says whether something is still to be done for a transaction.
func isOpen(d core.Description) bool {
	return d.State == core.Ongoing || d.State == core.PrepareCommit || d.State == core.PrepareAbort
}
