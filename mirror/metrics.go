package mirror

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	records, bytes, retries *prometheus.CounterVec
	lag                     *prometheus.GaugeVec
}

func newMetrics(r prometheus.Registerer) (*metrics, error) {
	counter := func(name, help string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{"topic"})
	}
	m := &metrics{
		records: counter("millrace_mirror_records_total", "Records that the target has acknowledged."),
		bytes:   counter("millrace_mirror_bytes_total", "Bytes of those records, uncompressed."),
		retries: counter("millrace_mirror_retries_total", "Batches that were sent again."),
		lag: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "millrace_mirror_lag_records", Help: "Records of a source partition that were not read yet.",
		}, []string{"topic", "partition"}),
	}
	if r == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.records, m.bytes, m.retries, m.lag} {
		if err := r.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// setLag takes the lag of one partition; below 0 when it is given away.
func (m *metrics) setLag(topic string, partition int32, records int64) {
	p := strconv.Itoa(int(partition))
	if records < 0 {
		m.lag.DeleteLabelValues(topic, p)
		return
	}
	m.lag.WithLabelValues(topic, p).Set(float64(records))
}
