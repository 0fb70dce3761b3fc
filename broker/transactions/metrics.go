package transactions

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/millrace/millrace/broker/transactions/core"
)

type metrics struct {
	transactions                               *prometheus.GaugeVec
	appends, records, appendErrors             prometheus.Counter
	completed, markerErrors, timedOut, refused prometheus.Counter
}

func newMetrics(r prometheus.Registerer) *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "millrace_broker_transaction_" + name, Help: help})
	}
	m := &metrics{
		transactions: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "millrace_broker_transactional_ids", Help: "Transactional ids by the state of their transaction.",
		}, []string{"state"}),
		appends:      counter("appends_total", "Appends to __transaction_state."),
		records:      counter("records_total", "Records appended to __transaction_state."),
		appendErrors: counter("append_errors_total", "Appends to __transaction_state that failed."),
		completed:    counter("completed_total", "Transactions that were committed or aborted, with all their markers."),
		markerErrors: counter("marker_errors_total", "Transaction markers that could not be written and were tried again."),
		timedOut:     counter("timeouts_total", "Transactions that were aborted because of their timeout."),
		refused:      counter("requests_refused_total", "Requests refused because too many wait for a shard."),
	}
	if r != nil {
		r.MustRegister(m.transactions, m.appends, m.records, m.appendErrors, m.completed, m.markerErrors, m.timedOut, m.refused)
	}
	return m
}

// count brings the shard's part of the gauges up to date, not at every turn.
func (sh *shard) count() {
	nowMs := sh.coordinator.nowMs()
	if nowMs-sh.countedAtMs < countsIntervalMs {
		return
	}
	sh.countedAtMs = nowMs
	sh.setCounts(sh.state.StateCounts())
}

// setCounts replaces the shard's part of the gauges; nil takes it out.
func (sh *shard) setCounts(counts map[core.State]int) {
	gauge := sh.coordinator.metrics.transactions
	for state, n := range sh.counted {
		gauge.WithLabelValues(state.String()).Sub(float64(n))
	}
	for state, n := range counts {
		gauge.WithLabelValues(state.String()).Add(float64(n))
	}
	sh.counted = counts
}
