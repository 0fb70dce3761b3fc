package groups

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/millrace/millrace/broker/groups/core"
)

type metrics struct {
	groups                                              *prometheus.GaugeVec
	appends, records, appendErrors, rebalances, refused prometheus.Counter
}

func newMetrics(r prometheus.Registerer) *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "millrace_broker_group_" + name, Help: help})
	}
	m := &metrics{
		groups: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "millrace_broker_groups", Help: "Groups by state.",
		}, []string{"state"}),
		appends:      counter("appends_total", "Appends to __consumer_offsets."),
		records:      counter("records_total", "Records appended to __consumer_offsets."),
		appendErrors: counter("append_errors_total", "Appends to __consumer_offsets that failed."),
		rebalances:   counter("rebalances_total", "Rebalances that began."),
		refused:      counter("requests_refused_total", "Requests refused because too many wait for a shard."),
	}
	if r != nil {
		r.MustRegister(m.groups, m.appends, m.records, m.appendErrors, m.rebalances, m.refused)
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
	sh.setCounts(sh.state.GroupCounts())
}

func (sh *shard) setCounts(counts map[core.State]int) {
	gauge := sh.coordinator.metrics.groups
	for state, n := range sh.counted {
		gauge.WithLabelValues(string(state)).Sub(float64(n))
	}
	for state, n := range counts {
		gauge.WithLabelValues(string(state)).Add(float64(n))
	}
	sh.counted = counts
}

// forget takes the groups of a shard that ends out of the gauges.
func (m *metrics) forget(sh *shard) { sh.setCounts(nil) }
