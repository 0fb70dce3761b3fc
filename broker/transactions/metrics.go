package transactions

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/millrace/millrace/broker/coordinator"
)

type metrics struct {
	*coordinator.Metrics
	completed, markerErrors, timedOut prometheus.Counter
}

func newMetrics(r prometheus.Registerer) *metrics {
	const prefix = "millrace_broker_transaction_"
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: prefix + name, Help: help})
	}
	m := &metrics{
		Metrics: coordinator.NewMetrics(r, prefix, Topic, prometheus.GaugeOpts{
			Name: "millrace_broker_transactional_ids", Help: "Transactional ids by the state of their transaction.",
		}),
		completed:    counter("completed_total", "Transactions that were committed or aborted, with all their markers."),
		markerErrors: counter("marker_errors_total", "Transaction markers that could not be written and were tried again."),
		timedOut:     counter("timeouts_total", "Transactions that were aborted because of their timeout."),
	}
	if r != nil {
		r.MustRegister(m.completed, m.markerErrors, m.timedOut)
	}
	return m
}

// Counts returns the number of transactional ids by the state of their transaction.
func (sh *shard) Counts() map[string]int {
	counts := map[string]int{}
	for state, n := range sh.state.StateCounts() {
		counts[state.String()] = n
	}
	return counts
}
