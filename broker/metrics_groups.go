package broker

import (
	"context"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	// groupLagSeriesMax bounds the series of group lag of one scrape. Groups of the
	// first partitions of __consumer_offsets come first, so that those that are
	// there stay; millrace_broker_group_lag_complete says whether all are.
	groupLagSeriesMax = 5_000
	// groupLagWait is how long a scrape waits for the coordinator.
	groupLagWait = 2 * time.Second
)

// groupLagCollector reports how far groups are behind, when it is asked.
type groupLagCollector struct {
	node          *Node
	lag, complete *prometheus.Desc
}

func (n *Node) registerGroupLag(reg prometheus.Registerer) error {
	if reg == nil {
		return nil
	}
	return reg.Register(&groupLagCollector{
		node:     n,
		lag:      prometheus.NewDesc("millrace_broker_group_lag", "Records between a group's committed offset and the end of the partition.", []string{"group", "topic", "partition"}, nil),
		complete: prometheus.NewDesc("millrace_broker_group_lag_complete", "1 when millrace_broker_group_lag has all committed offsets, 0 when there are more than it reports.", nil, nil),
	})
}

// Describe implements [prometheus.Collector].
func (c *groupLagCollector) Describe(out chan<- *prometheus.Desc) {
	out <- c.lag
	out <- c.complete
}

// Collect implements [prometheus.Collector].
func (c *groupLagCollector) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), groupLagWait)
	defer cancel()
	offsets, more := c.node.groups.CommittedOffsets(ctx, groupLagSeriesMax)
	for _, o := range offsets {
		t := c.node.topics.byName(o.Topic)
		if t == nil || int(o.Partition) >= len(t.logs) || t.logs[o.Partition] == nil {
			continue
		}
		lag := max(t.logs[o.Partition].HighWatermark()-o.Offset, 0)
		out <- prometheus.MustNewConstMetric(c.lag, prometheus.GaugeValue, float64(lag), o.Group, o.Topic, strconv.Itoa(int(o.Partition)))
	}
	complete := 1.0
	if more {
		complete = 0
	}
	out <- prometheus.MustNewConstMetric(c.complete, prometheus.GaugeValue, complete)
}
