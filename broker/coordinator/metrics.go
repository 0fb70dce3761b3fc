package coordinator

import "github.com/prometheus/client_golang/prometheus"

// Metrics are those that every coordinator has.
type Metrics struct {
	states                                  *prometheus.GaugeVec
	appends, records, appendErrors, refused prometheus.Counter
}

// NewMetrics registers the metrics of a coordinator whose names start with prefix.
// states is its gauge with the label "state". r may be nil.
func NewMetrics(r prometheus.Registerer, prefix, topic string, states prometheus.GaugeOpts) *Metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: prefix + name, Help: help})
	}
	m := &Metrics{
		states:       prometheus.NewGaugeVec(states, []string{"state"}),
		appends:      counter("appends_total", "Appends to "+topic+"."),
		records:      counter("records_total", "Records appended to "+topic+"."),
		appendErrors: counter("append_errors_total", "Appends to "+topic+" that failed."),
		refused:      counter("requests_refused_total", "Requests refused because too many wait for a shard."),
	}
	if r != nil {
		r.MustRegister(m.states, m.appends, m.records, m.appendErrors, m.refused)
	}
	return m
}

// count brings the shard's part of the gauge up to date, not at every turn.
func (sh *Shard[Op]) count() {
	nowMs := sh.options.Clock.NowMs()
	if nowMs-sh.countedAtMs < countsIntervalMs {
		return
	}
	sh.countedAtMs = nowMs
	sh.setCounts(sh.machine.Counts())
}

// setCounts replaces the shard's part of the gauge; nil takes it out.
func (sh *Shard[Op]) setCounts(counts map[string]int) {
	gauge := sh.options.Metrics.states
	for state, n := range sh.counted {
		gauge.WithLabelValues(state).Sub(float64(n))
	}
	for state, n := range counts {
		gauge.WithLabelValues(state).Add(float64(n))
	}
	sh.counted = counts
}
