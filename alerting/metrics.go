package alerting

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are the counters of all stages in this process.
type metrics struct {
	events     *prometheus.CounterVec
	matches    *prometheus.CounterVec
	outcomes   *prometheus.CounterVec
	raised     *prometheus.CounterVec
	unreadable *prometheus.CounterVec
	dropped    *prometheus.CounterVec
	waiting    *prometheus.GaugeVec
	remembered *prometheus.GaugeVec
	deliveries *prometheus.CounterVec
	lag        *prometheus.GaugeVec
}

func newMetrics(r prometheus.Registerer) (*metrics, error) {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	gauge := func(name, help string, labels ...string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
	}
	m := &metrics{
		events:     counter("millrace_alerting_events_total", "Events that alert rules were tried on.", "pipeline"),
		matches:    counter("millrace_alerting_matches_total", "Events that a rule's condition accepted.", "pipeline", "rule"),
		outcomes:   counter("millrace_alerting_window_matches_total", "Matches by what the windows made of them.", "outcome"),
		raised:     counter("millrace_alerts_raised_total", "Alerts written to the alerts topic.", "pipeline", "rule"),
		unreadable: counter("millrace_alerting_unreadable_records_total", "Records of Millrace's own topics that are not readable.", "topic"),
		dropped:    counter("millrace_alerting_window_dropped_total", "What windows forgot because of their limits.", "kind"),
		waiting:    gauge("millrace_alerting_window_events", "Events that wait for others of their window.", "partition"),
		remembered: gauge("millrace_alerting_window_alerts", "Raised alerts that are remembered.", "partition"),
		deliveries: counter("millrace_alerting_deliveries_total", "Attempts to send an alert.", "notifier", "result"),
		lag:        gauge("millrace_alerting_lag_records", "Records that a stage has not read yet.", "group", "topic", "partition"),
	}
	if r == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{
		m.events, m.matches, m.outcomes, m.raised, m.unreadable, m.dropped, m.waiting, m.remembered, m.deliveries, m.lag,
	} {
		if err := r.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// lagOf returns what takes the lag of a group's partitions.
func (m *metrics) lagOf(group string) func(topic string, partition int32, records int64) {
	return func(topic string, partition int32, records int64) {
		p := strconv.Itoa(int(partition))
		if records < 0 {
			m.lag.DeleteLabelValues(group, topic, p)
			return
		}
		m.lag.WithLabelValues(group, topic, p).Set(float64(records))
	}
}
