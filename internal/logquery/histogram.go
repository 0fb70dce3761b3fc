package logquery

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// bucketsMax is the largest number of bars of a histogram.
const bucketsMax = 240

// intervals are the bar widths that people can read.
var intervals = [...]time.Duration{
	time.Millisecond, 10 * time.Millisecond, 100 * time.Millisecond,
	time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 15 * time.Second, 30 * time.Second,
	time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 15 * time.Minute, 30 * time.Minute,
	time.Hour, 2 * time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour,
	24 * time.Hour, 2 * 24 * time.Hour, 7 * 24 * time.Hour, 30 * 24 * time.Hour, 365 * 24 * time.Hour,
}

// Bars is a histogram over time. Bars without a line are not in Buckets.
type Bars struct {
	IntervalMs int64    `json:"interval_ms"`
	FromMs     int64    `json:"from_ms"`
	UntilMs    int64    `json:"until_ms"`
	Buckets    []Bucket `json:"buckets"`
	// Total is the sum of all buckets.
	Total int64 `json:"total"`
}

// Bucket is one bar: the lines from StartMs on, for one interval, in all and by level.
type Bucket struct {
	StartMs int64            `json:"start_ms"`
	Count   int64            `json:"count"`
	Levels  map[string]int64 `json:"levels"`
}

// Interval returns the smallest readable bar width that makes at most want bars.
func Interval(span time.Duration, want int) time.Duration {
	want = min(max(want, 1), bucketsMax)
	for _, i := range intervals {
		if span/i < time.Duration(want) {
			return i
		}
	}
	return (span/time.Duration(want) + 1).Truncate(time.Millisecond) + time.Millisecond
}

// Histogram counts the lines of a query over time, in about want bars. The
// query has both bounds of time.
func Histogram(ctx context.Context, t Transport, q Query, want int) (Bars, error) {
	if err := q.Validate(); err != nil {
		return Bars{}, err
	}
	if q.Since.IsZero() || q.Until.IsZero() {
		return Bars{}, fmt.Errorf("%w: a histogram needs both ends of its time range", ErrQuery)
	}
	interval := Interval(q.Until.Sub(q.Since), want)
	body := map[string]any{
		"query": q.filter(), "size": 0, "track_total_hits": false,
		"aggs": map[string]any{"time": map[string]any{
			"date_histogram": map[string]any{"field": q.timeField(), "fixed_interval": fmt.Sprintf("%dms", interval.Milliseconds()), "min_doc_count": 1},
			"aggs":           map[string]any{"level": map[string]any{"terms": map[string]any{"field": "log.level", "size": 12}}},
		}},
	}
	a, err := ask(ctx, t, q.index(), body)
	if err != nil {
		return Bars{}, err
	}
	bars := Bars{IntervalMs: interval.Milliseconds(), FromMs: q.Since.UnixMilli(), UntilMs: q.Until.UnixMilli(), Buckets: []Bucket{}}
	return bars, bars.fill(a.Aggregations)
}

func (b *Bars) fill(raw json.RawMessage) error {
	if len(raw) == 0 {
		return nil // no index matches
	}
	var aggs struct {
		Time struct {
			Buckets []struct {
				Key   float64 `json:"key"`
				Count int64   `json:"doc_count"`
				Level struct {
					Buckets []struct {
						Key   any   `json:"key"`
						Count int64 `json:"doc_count"`
					} `json:"buckets"`
				} `json:"level"`
			} `json:"buckets"`
		} `json:"time"`
	}
	if err := json.Unmarshal(raw, &aggs); err != nil {
		return fmt.Errorf("decode histogram: %w", err)
	}
	for _, t := range aggs.Time.Buckets {
		bucket := Bucket{StartMs: int64(t.Key), Count: t.Count, Levels: map[string]int64{}}
		for _, l := range t.Level.Buckets {
			bucket.Levels[fmt.Sprint(l.Key)] += l.Count
		}
		b.Total += t.Count
		b.Buckets = append(b.Buckets, bucket)
	}
	return nil
}
