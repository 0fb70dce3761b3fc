package broker

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
)

// topicCollector reports the partitions when it is asked, so that nothing has
// to be kept up to date.
type topicCollector struct {
	node        *Node
	size        *prometheus.Desc
	end, start  *prometheus.Desc
	stable      *prometheus.Desc
	partitions  *prometheus.Desc
	memory      *prometheus.Desc
	offlineLogs *prometheus.Desc
}

func (n *Node) registerMetrics(reg prometheus.Registerer) error {
	if reg == nil {
		return nil
	}
	labels := []string{"topic", "partition"}
	return reg.Register(&topicCollector{
		node:        n,
		size:        prometheus.NewDesc("millrace_broker_partition_size_bytes", "Bytes of a partition on disk.", labels, nil),
		end:         prometheus.NewDesc("millrace_broker_partition_end_offset", "Offset that the next record gets.", labels, nil),
		start:       prometheus.NewDesc("millrace_broker_partition_start_offset", "First offset that can be read.", labels, nil),
		stable:      prometheus.NewDesc("millrace_broker_partition_stable_offset", "Offset below which no transaction is undecided. It stands still, while the end moves on, when a transaction hangs.", labels, nil),
		partitions:  prometheus.NewDesc("millrace_broker_partitions", "Partitions of this node.", nil, nil),
		memory:      prometheus.NewDesc("millrace_broker_request_memory_bytes", "Bytes reserved for requests and responses in work.", nil, nil),
		offlineLogs: prometheus.NewDesc("millrace_broker_offline_partitions", "Partitions that cannot be used.", nil, nil),
	})
}

// Describe implements [prometheus.Collector].
func (c *topicCollector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.size, c.end, c.start, c.stable, c.partitions, c.memory, c.offlineLogs} {
		out <- d
	}
}

// Collect implements [prometheus.Collector].
func (c *topicCollector) Collect(out chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	partitions, offline := 0, 0
	for _, t := range c.node.topics.all() {
		for p, l := range t.logs {
			partitions++
			if l == nil || l.Err() != nil {
				offline++
				continue
			}
			number := strconv.Itoa(p)
			gauge(c.size, float64(l.SizeBytes()), t.name, number)
			gauge(c.end, float64(l.LogEnd()), t.name, number)
			gauge(c.start, float64(l.LogStart()), t.name, number)
			gauge(c.stable, float64(l.LastStableOffset()), t.name, number)
		}
	}
	gauge(c.partitions, float64(partitions))
	gauge(c.offlineLogs, float64(offline))
	gauge(c.memory, float64(c.node.budget.Used()))
}
