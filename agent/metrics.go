package agent

import "github.com/prometheus/client_golang/prometheus"

// metrics of an agent. They are counted even when nobody collects them.
type metrics struct {
	linesRead, linesAcked, linesLost, linesCut prometheus.Counter
	bytesRead, bytesLost                       prometheus.Counter
	retries, truncations, batchesAcked         prometheus.Counter
	unackedBytes, filesOpen, filesKnown        prometheus.Gauge
	inDoubt                                    prometheus.Counter
}

func newMetrics(r prometheus.Registerer) (*metrics, error) {
	var all []prometheus.Collector
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Name: "millrace_agent_" + name, Help: help})
		all = append(all, c)
		return c
	}
	gauge := func(name, help string) prometheus.Gauge {
		g := prometheus.NewGauge(prometheus.GaugeOpts{Name: "millrace_agent_" + name, Help: help})
		all = append(all, g)
		return g
	}
	m := &metrics{
		linesRead:    counter("lines_read_total", "Lines (events, where lines are joined) read from files."),
		linesAcked:   counter("lines_acked_total", "Lines that the cluster has acknowledged."),
		linesLost:    counter("lines_lost_total", "Lines that were planned and given up; each is named in the log."),
		linesCut:     counter("lines_cut_total", "Lines that were cut at line_max or by the cluster's limit."),
		bytesRead:    counter("bytes_read_total", "Bytes of files that were read as lines."),
		bytesLost:    counter("bytes_lost_total", "Bytes of files that were gone before they were read."),
		retries:      counter("batch_retries_total", "Batches that were sent again."),
		truncations:  counter("truncations_total", "Truncations noticed."),
		batchesAcked: counter("batches_acked_total", "Batches that the cluster has acknowledged."),
		inDoubt:      counter("batches_in_doubt_total", "Unacknowledged batches whose bytes were gone at a start."),
		unackedBytes: gauge("unacked_bytes", "Bytes of records that are read and not acknowledged."),
		filesOpen:    gauge("files_open", "Files that are open."),
		filesKnown:   gauge("files_known", "Generations of files that the registry holds."),
	}
	if r == nil {
		return m, nil
	}
	for _, c := range all {
		if err := r.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}
