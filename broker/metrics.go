package broker

import (
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	// partitionSeriesMax bounds the partitions of which a scrape tells offsets and sizes,
	// in the order of their topics' names.
	partitionSeriesMax = 10_000
	// topicSeriesMax bounds the topics of which a scrape tells the traffic.
	topicSeriesMax = 5_000
)

// topicCollector reports topics and partitions when it is asked, so that nothing has
// to be kept up to date.
type topicCollector struct {
	node *Node
	// of each partition
	size, start, stable, end *prometheus.Desc
	// of each topic
	topicIn, topicOut, topicPartitions *prometheus.Desc
	// of the node
	topics, partitions, offline, undecided, memory, memoryMax, freeBuffers, complete *prometheus.Desc
}

func (n *Node) registerMetrics(reg prometheus.Registerer) error {
	if reg == nil {
		return nil
	}
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("millrace_broker_"+name, help, labels, nil)
	}
	return reg.Register(&topicCollector{
		node:   n,
		size:   desc("partition_size_bytes", "Bytes of a partition on disk.", "topic", "partition"),
		end:    desc("partition_end_offset", "Offset that the next record gets.", "topic", "partition"),
		start:  desc("partition_start_offset", "First offset that can be read.", "topic", "partition"),
		stable: desc("partition_stable_offset", "Offset below which no transaction is undecided. It stands still, while the end moves on, when a transaction hangs.", "topic", "partition"),

		topicIn:         desc("topic_received_bytes_total", "Bytes of record batches appended to a topic since the node was started.", "topic"),
		topicOut:        desc("topic_sent_bytes_total", "Bytes of record batches of a topic read for clients since the node was started.", "topic"),
		topicPartitions: desc("topic_partitions", "Partitions of a topic.", "topic"),

		topics:      desc("topics", "Topics of this node."),
		partitions:  desc("partitions", "Partitions of this node."),
		offline:     desc("offline_partitions", "Partitions that cannot be used."),
		undecided:   desc("undecided_partitions", "Partitions in which a transaction is open: readers of committed records wait at its start."),
		memory:      desc("request_memory_bytes", "Bytes reserved for requests and responses in work."),
		memoryMax:   desc("request_memory_max_bytes", "Bytes that requests and responses in work may take together; when they do, connections are not read."),
		freeBuffers: desc("free_buffer_bytes", "Bytes of buffers that are kept for the next requests."),
		complete:    desc("partition_series_complete", "1 when each topic and partition has its series, 0 when there are more than a scrape tells of."),
	})
}

// Describe implements [prometheus.Collector].
func (c *topicCollector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		c.size, c.end, c.start, c.stable, c.topicIn, c.topicOut, c.topicPartitions,
		c.topics, c.partitions, c.offline, c.undecided, c.memory, c.memoryMax, c.freeBuffers, c.complete,
	} {
		out <- d
	}
}

// Collect implements [prometheus.Collector].
func (c *topicCollector) Collect(out chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v int, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(v), labels...)
	}
	topics := c.node.topics.all()
	slices.SortFunc(topics, func(a, b *topicState) int { return strings.Compare(a.name, b.name) })
	partitions, offline, undecided := 0, 0, 0
	for i, t := range topics {
		told := collectedTopic{collector: c, out: out, state: t, from: partitions}
		told.collect()
		partitions += len(t.logs)
		offline += told.offline
		undecided += told.undecided
		if i < topicSeriesMax {
			out <- prometheus.MustNewConstMetric(c.topicIn, prometheus.CounterValue, float64(told.received), t.name)
			out <- prometheus.MustNewConstMetric(c.topicOut, prometheus.CounterValue, float64(told.sent), t.name)
			gauge(c.topicPartitions, len(t.logs), t.name)
		}
	}
	gauge(c.topics, len(topics))
	gauge(c.partitions, partitions)
	gauge(c.offline, offline)
	gauge(c.undecided, undecided)
	gauge(c.memory, int(c.node.budget.Used()))
	gauge(c.memoryMax, int(c.node.budget.Max()))
	gauge(c.freeBuffers, int(c.node.buffers.FreeBytes()))
	complete := 0
	if partitions <= partitionSeriesMax && len(topics) <= topicSeriesMax {
		complete = 1
	}
	gauge(c.complete, complete)
}

// collectedTopic adds up a topic and tells of its partitions.
type collectedTopic struct {
	collector *topicCollector
	out       chan<- prometheus.Metric
	state     *topicState
	// from is the number of partitions of the topics before this one.
	from int

	offline, undecided int
	received, sent     int64
}

func (t *collectedTopic) collect() {
	for p, l := range t.state.logs {
		if l == nil || l.Err() != nil {
			t.offline++
			continue
		}
		received, sent := l.Traffic()
		t.received, t.sent = t.received+received, t.sent+sent
		if l.HasOpenTransaction() {
			t.undecided++
		}
		if t.from+p >= partitionSeriesMax {
			continue
		}
		number := strconv.Itoa(p)
		for _, v := range []struct {
			desc  *prometheus.Desc
			value int64
		}{
			{t.collector.size, l.SizeBytes()},
			{t.collector.end, l.LogEnd()},
			{t.collector.start, l.LogStart()},
			{t.collector.stable, l.LastStableOffset()},
		} {
			t.out <- prometheus.MustNewConstMetric(v.desc, prometheus.GaugeValue, float64(v.value), t.state.name, number)
		}
	}
}
