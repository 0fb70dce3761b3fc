package search

import (
	"github.com/prometheus/client_golang/prometheus"
)

// metrics counts requests.
type metrics struct {
	requests  *prometheus.CounterVec
	seconds   *prometheus.HistogramVec
	documents *prometheus.CounterVec
}

func newMetrics(registerer prometheus.Registerer, n *Node) *metrics {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "millrace_search_requests_total", Help: "Requests by API and status class.",
		}, []string{"api", "status"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "millrace_search_request_seconds", Help: "Time to answer by API.", Buckets: prometheus.ExponentialBuckets(0.0005, 4, 9),
		}, []string{"api"}),
		documents: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "millrace_search_documents_total", Help: "Documents written by result: created, updated, deleted, conflict, refused.",
		}, []string{"result"}),
	}
	if registerer != nil {
		registerer.MustRegister(m.requests, m.seconds, m.documents, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "millrace_search_memory_bytes", Help: "Bytes that running searches hold.",
		}, func() float64 { return float64(n.memory.used.Load()) }))
	}
	return m
}
