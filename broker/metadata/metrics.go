package metadata

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/millrace/millrace/broker/raftgroup"
)

// storeMetrics are the metrics of the Raft group.
type storeMetrics struct {
	appendSeconds prometheus.Histogram
	registerer    prometheus.Registerer
	registered    []prometheus.Collector
}

func newStoreMetrics() *storeMetrics {
	return &storeMetrics{appendSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{
		Name:    "millrace_broker_metadata_append_seconds",
		Help:    "Time of a durable append to the log of the metadata.",
		Buckets: prometheus.ExponentialBuckets(0.000_1, 4, 9), // 0.1 ms to 6.5 s
	})}
}

func (m *storeMetrics) register(reg prometheus.Registerer, group *raftgroup.Group) error {
	if reg == nil {
		return nil
	}
	m.registerer = reg
	gauge := func(name, help string, value func(raftgroup.Status) uint64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "millrace_broker_metadata_" + name, Help: help}, func() float64 {
			return float64(value(group.Status()))
		})
	}
	for _, c := range []prometheus.Collector{
		m.appendSeconds,
		gauge("raft_term", "Term of the metadata's Raft group. It grows with each election, so also with each start of an only voter.", func(s raftgroup.Status) uint64 { return s.Term }),
		gauge("commit_index", "Last entry of the metadata log that is known to be committed.", func(s raftgroup.Status) uint64 { return s.Commit }),
		gauge("applied_index", "Last entry of the metadata log that is applied on this node.", func(s raftgroup.Status) uint64 { return s.Applied }),
	} {
		if err := reg.Register(c); err != nil {
			return err
		}
		m.registered = append(m.registered, c)
	}
	return nil
}

// unregister ends reporting, so that the registerer may be given to another store.
func (m *storeMetrics) unregister() {
	for _, c := range m.registered {
		m.registerer.Unregister(c)
	}
	m.registered = nil
}
