package storage

import (
	"github.com/prometheus/client_golang/prometheus"
)

// metrics counts what the store does.
type metrics struct {
	flushes, flushFailures, merges, mergeFailures, syncs, syncedBytes, deletedIndices prometheus.Counter
}

func newMetrics(registerer prometheus.Registerer, s *Store) *metrics {
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Name: "millrace_search_" + name, Help: help})
		if registerer != nil {
			registerer.MustRegister(c)
		}
		return c
	}
	if registerer != nil {
		registerer.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "millrace_search_buffered_bytes", Help: "Bytes of documents that are not in a segment yet.",
		}, func() float64 { return float64(s.buffered.Load()) }))
		registerer.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "millrace_search_log_bytes", Help: "Size of the write-ahead log.",
		}, func() float64 { return float64(s.wal.bytes()) }))
	}
	return &metrics{
		flushes:        counter("flushes_total", "Buffers written as segments."),
		flushFailures:  counter("flush_failures_total", "Buffers that could not be written and are tried again."),
		merges:         counter("merges_total", "Merges of segments."),
		mergeFailures:  counter("merge_failures_total", "Merges that failed and are tried again."),
		syncs:          counter("log_syncs_total", "Syncs of the write-ahead log."),
		syncedBytes:    counter("log_bytes_total", "Bytes written to the write-ahead log."),
		deletedIndices: counter("retention_deletions_total", "Indices and segments removed by retention."),
	}
}

func (m *metrics) flushed(meta *segmentMeta) {
	if meta != nil {
		m.flushes.Inc()
	}
}

func (m *metrics) synced(bytes int) {
	m.syncs.Inc()
	m.syncedBytes.Add(float64(bytes))
}
