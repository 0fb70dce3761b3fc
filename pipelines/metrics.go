package pipelines

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/millrace/millrace/internal/elastic"
)

// metrics are those of all pipelines.
type metrics struct {
	read, dropped, failed, indexed, known, stripped, deadLettered, retries *prometheus.CounterVec

	bulkSeconds *prometheus.HistogramVec
	lag         *prometheus.GaugeVec
}

func newMetrics(r prometheus.Registerer) *metrics {
	counter := func(name, help string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "millrace_pipeline_" + name, Help: help}, []string{"pipeline"})
	}
	m := &metrics{
		read:         counter("records_read_total", "Records read from Kafka."),
		dropped:      counter("records_dropped_total", "Records dropped by a processor."),
		failed:       counter("parse_failures_total", "Documents with the tag parse_failure."),
		indexed:      counter("documents_indexed_total", "Documents that Elasticsearch has acknowledged as new."),
		known:        counter("documents_known_total", "Documents that were there already (409)."),
		stripped:     counter("documents_stripped_total", "Documents refused for their content and indexed with message, metadata and reason only."),
		deadLettered: counter("documents_dead_lettered_total", "Documents refused in both forms and written to the dead-letter topic."),
		retries:      counter("bulk_retries_total", "Bulk requests that were sent again."),
		bulkSeconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "millrace_pipeline_bulk_seconds", Help: "Time from sending a bulk request to the last acknowledgement of its documents.",
			Buckets: prometheus.ExponentialBuckets(0.002, 2, 14),
		}, []string{"pipeline"}),
		lag: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "millrace_pipeline_lag_records", Help: "Records of a partition that are not yet indexed.",
		}, []string{"pipeline", "topic", "partition"}),
	}
	if r != nil {
		r.MustRegister(m.read, m.dropped, m.failed, m.indexed, m.known, m.stripped, m.deadLettered, m.retries, m.bulkSeconds, m.lag)
	}
	return m
}

// pipelineMetrics are the metrics of one pipeline.
type pipelineMetrics struct {
	name string
	all  *metrics

	read, dropped, failed, indexed, known, stripped, deadLettered, retries prometheus.Counter

	bulkSeconds prometheus.Observer
}

func (m *metrics) of(name string) pipelineMetrics {
	return pipelineMetrics{
		name: name, all: m,
		read: m.read.WithLabelValues(name), dropped: m.dropped.WithLabelValues(name), failed: m.failed.WithLabelValues(name),
		indexed: m.indexed.WithLabelValues(name), known: m.known.WithLabelValues(name), stripped: m.stripped.WithLabelValues(name),
		deadLettered: m.deadLettered.WithLabelValues(name), retries: m.retries.WithLabelValues(name),
		bulkSeconds: m.bulkSeconds.WithLabelValues(name),
	}
}

// written counts what became of a bulk request.
func (m pipelineMetrics) written(res elastic.Result, took time.Duration) {
	m.indexed.Add(float64(res.Created))
	m.known.Add(float64(res.Known))
	m.stripped.Add(float64(res.Stripped))
	m.deadLettered.Add(float64(len(res.Refused)))
	m.bulkSeconds.Observe(took.Seconds())
}

func (m pipelineMetrics) setLag(topic string, partition int32, records int64) {
	m.all.lag.WithLabelValues(m.name, topic, strconv.FormatInt(int64(partition), 10)).Set(float64(max(records, 0)))
}

func (m pipelineMetrics) forgetLag(topic string, partition int32) {
	m.all.lag.DeleteLabelValues(m.name, topic, strconv.FormatInt(int64(partition), 10))
}
