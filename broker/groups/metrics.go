package groups

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/millrace/millrace/broker/coordinator"
)

type metrics struct {
	*coordinator.Metrics
	rebalances prometheus.Counter
}

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		Metrics: coordinator.NewMetrics(r, "millrace_broker_group_", Topic, prometheus.GaugeOpts{
			Name: "millrace_broker_groups", Help: "Groups by state.",
		}),
		rebalances: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "millrace_broker_group_rebalances_total", Help: "Rebalances that began.",
		}),
	}
	if r != nil {
		r.MustRegister(m.rebalances)
	}
	return m
}

// Counts returns the number of groups by state.
func (sh *shard) Counts() map[string]int {
	counts := map[string]int{}
	for state, n := range sh.state.GroupCounts() {
		counts[string(state)] = n
	}
	return counts
}
