package bench

import (
	"fmt"
	"testing"
	"time"
)

// brokerLatency measures from the send of a record to its arrival.
func brokerLatency(t testing.TB, targets []target) []*table {
	const perSecond = 500
	warmUp, lasting := 3*time.Second, 6*time.Second
	if scale(t) < 100 {
		warmUp, lasting = time.Second, time.Second
	}
	tab := newTable("Latency from producer to consumer, ms", fmt.Sprintf("franz-go: %d records of 200 B a second for %s, 6 partitions, acks=all, no linger; the first %s are left out for all.", perSecond, warmUp+lasting, warmUp),
		names(targets)...).wants(goal{ratioMax: 1})
	for round := range runs(t) {
		for _, s := range targets {
			g, topic := generator{t, s.bootstrap}, fmt.Sprintf("latency-%d", round)
			g.createTopic(topic, 6)
			addPercentiles(tab, "", s.name, g.latencies(topic, perSecond, warmUp, lasting))
			s.settle(t, topic)
		}
	}
	return []*table{tab}
}

// addPercentiles adds p50, p99 and p99.9 in milliseconds of what is in order.
func addPercentiles(tab *table, what, system string, all []time.Duration) {
	for _, p := range []float64{50, 99, 99.9} {
		at := min(int(float64(len(all))*p/100), len(all)-1)
		tab.add(fmt.Sprintf("%sp%v", what, p), system, all[at].Seconds()*1000)
	}
}
