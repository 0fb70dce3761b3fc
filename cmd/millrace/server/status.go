package server

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// statusInterval is the time between two status lines.
const statusInterval = time.Second

// Metrics that the status line shows.
const (
	metricRead    = "millrace_agent_lines_read_total"
	metricShipped = "millrace_agent_lines_acked_total"
	metricIndexed = "millrace_pipeline_documents_indexed_total"
	metricLag     = "millrace_pipeline_lag_records"
	metricAlerts  = "millrace_alerts_raised_total"
)

// Status is what the status line says.
type Status struct {
	// ReadPerSecond, ShippedPerSecond and IndexedPerSecond are lines a second.
	ReadPerSecond, ShippedPerSecond, IndexedPerSecond float64
	// Lag is how many records the pipelines are behind.
	Lag float64
	// Alerts is how many were raised since the start.
	Alerts float64
}

// String is the status line.
func (s Status) String() string {
	return fmt.Sprintf("read %s/s · shipped %s/s · indexed %s/s · lag %s · alerts %.0f",
		short(s.ReadPerSecond), short(s.ShippedPerSecond), short(s.IndexedPerSecond), short(s.Lag), s.Alerts)
}

func short(n float64) string {
	switch {
	case n >= 1e6:
		return fmt.Sprintf("%.1fM", n/1e6)
	case n >= 1e4:
		return fmt.Sprintf("%.1fk", n/1e3)
	default:
		return fmt.Sprintf("%.0f", n)
	}
}

// ShowStatus rewrites one line of a terminal every second until ctx ends.
func ShowStatus(ctx context.Context, g prometheus.Gatherer, terminal io.Writer) error {
	tick := time.NewTicker(statusInterval)
	defer tick.Stop()
	last, err := totals(g)
	if err != nil {
		return err
	}
	lastAt := time.Now()
	for {
		select {
		case <-ctx.Done():
			_, err := fmt.Fprint(terminal, "\r\x1b[K")
			return err
		case now := <-tick.C:
			next, err := totals(g)
			if err != nil {
				return err
			}
			status := between(last, next, now.Sub(lastAt))
			if _, err := fmt.Fprintf(terminal, "\r\x1b[K%s", status); err != nil {
				return err
			}
			last, lastAt = next, now
		}
	}
}

func between(last, next map[string]float64, took time.Duration) Status {
	rate := func(name string) float64 { return (next[name] - last[name]) / took.Seconds() }
	return Status{
		ReadPerSecond: rate(metricRead), ShippedPerSecond: rate(metricShipped), IndexedPerSecond: rate(metricIndexed),
		Lag: next[metricLag], Alerts: next[metricAlerts],
	}
}

// totals sums each metric over its labels.
func totals(g prometheus.Gatherer) (map[string]float64, error) {
	families, err := g.Gather()
	if err != nil {
		return nil, fmt.Errorf("read the metrics: %w", err)
	}
	sums := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			sums[f.GetName()] += value(f.GetType(), m)
		}
	}
	return sums, nil
}

func value(kind dto.MetricType, m *dto.Metric) float64 {
	switch kind {
	case dto.MetricType_COUNTER:
		return m.GetCounter().GetValue()
	case dto.MetricType_GAUGE:
		return m.GetGauge().GetValue()
	default:
		return 0
	}
}
