package console

import (
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/millrace/millrace/configs"
	"github.com/millrace/millrace/internal/clusterview"
)

// cluster keeps a connection to Kafka and the samples that rates are made of.
type cluster struct {
	cfg configs.Kafka
	log *slog.Logger

	mu     sync.Mutex
	view   *clusterview.View
	closed bool
	topics []clusterview.Topic
	rates  map[string]rates
	at     time.Time
	base   sample
}

// sample is the end offsets and sizes of all topics at a time.
type sample struct {
	at   time.Time
	ends map[string]int64
	size map[string]int64
}

// rates are what a topic grew by in a second.
type rates struct {
	records, bytes float64
}

func newCluster(cfg configs.Kafka, log *slog.Logger) *cluster {
	return &cluster{cfg: cfg, log: log}
}

func (c *cluster) close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	if c.view == nil {
		return nil
	}
	err := c.view.Close()
	c.view = nil
	return err
}

// with runs fn with a connection. One that broke is dropped, so that the next
// question opens another. Questions are asked one after another.
func (c *cluster) with(fn func(*clusterview.View) error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return &problem{http.StatusServiceUnavailable, "the process is ending", "start it again"}
	}
	if c.view == nil {
		v, err := clusterview.Open(c.cfg)
		if err != nil {
			return err
		}
		c.view = v
	}
	err := fn(c.view)
	if errors.Is(err, clusterview.ErrUnreachable) {
		if closeErr := c.view.Close(); closeErr != nil {
			c.log.Debug("closing a broken connection to Kafka failed", "error", closeErr)
		}
		c.view = nil
	}
	return err
}

// topicRow is one topic of the page. Rates and size are null while they are not known.
type topicRow struct {
	Name              string   `json:"name"`
	Internal          bool     `json:"internal"`
	Partitions        int      `json:"partitions"`
	ReplicationFactor int      `json:"replication_factor"`
	UnderReplicated   int      `json:"under_replicated"`
	Offline           int      `json:"offline"`
	Records           int64    `json:"records"`
	SizeBytes         *int64   `json:"size_bytes"`
	RecordsPerSecond  *float64 `json:"records_per_second"`
	BytesPerSecond    *float64 `json:"bytes_per_second"`

	Detail []clusterview.Partition `json:"partition_list"`
}

// topics answers /api/topics.
func (c *Console) topics(*http.Request) (any, error) {
	rows := []topicRow{}
	err := c.cluster.with(func(v *clusterview.View) error {
		topics, rate, err := c.cluster.sampled(v, time.Now())
		for _, t := range topics {
			rows = append(rows, newTopicRow(t, rate))
		}
		return err
	})
	return map[string]any{"topics": rows}, err
}

func newTopicRow(t clusterview.Topic, rate map[string]rates) topicRow {
	row := topicRow{
		Name: t.Name, Internal: t.Internal || strings.HasPrefix(t.Name, "__"), Partitions: len(t.Partitions),
		ReplicationFactor: t.ReplicationFactor(), Records: t.Records(), Detail: t.Partitions,
	}
	for _, p := range t.Partitions {
		if len(p.ISR) < len(p.Replicas) {
			row.UnderReplicated++
		}
		if p.Leader < 0 {
			row.Offline++
		}
	}
	if n := t.SizeBytes(); n >= 0 {
		row.SizeBytes = &n
	}
	if r, ok := rate[t.Name]; ok {
		row.RecordsPerSecond = &r.records
		if row.SizeBytes != nil {
			row.BytesPerSecond = &r.bytes
		}
	}
	return row
}

// sampled returns the topics, asked for again when the last answer is old, and
// the rates since a sample of at least rateWindow ago. The caller holds mu.
func (c *cluster) sampled(v *clusterview.View, now time.Time) ([]clusterview.Topic, map[string]rates, error) {
	if c.topics != nil && now.Sub(c.at) < sampleAgeMax {
		return c.topics, c.rates, nil
	}
	topics, err := v.Topics()
	if err != nil {
		return nil, nil, err
	}
	next := sample{at: now, ends: map[string]int64{}, size: map[string]int64{}}
	for _, t := range topics {
		for _, p := range t.Partitions {
			next.ends[t.Name] += max(p.End, 0)
		}
		next.size[t.Name] = t.SizeBytes()
	}
	c.topics, c.at = topics, now
	elapsed := now.Sub(c.base.at)
	switch {
	case c.base.at.IsZero() || elapsed > time.Minute:
		c.base, c.rates = next, nil
	case elapsed >= rateWindow:
		c.rates = growth(c.base, next)
		c.base = next
	}
	return topics, c.rates, nil
}

// growth divides what was added by the time. What became smaller (a topic made
// anew, segments deleted by retention) counts as no growth; bytes follow the records.
func growth(before, after sample) map[string]rates {
	seconds := after.at.Sub(before.at).Seconds()
	out := map[string]rates{}
	for name, end := range after.ends {
		was, ok := before.ends[name]
		if !ok {
			continue
		}
		r := rates{records: float64(max(end-was, 0)) / seconds}
		if sizeWas, ok := before.size[name]; ok && sizeWas >= 0 {
			r.bytes = float64(max(after.size[name]-sizeWas, 0)) / seconds
		}
		out[name] = r
	}
	return out
}

// groups answers /api/groups.
func (c *Console) groups(*http.Request) (any, error) {
	type row struct {
		clusterview.Group
		Lag int64 `json:"lag"`
	}
	rows := []row{}
	err := c.cluster.with(func(v *clusterview.View) error {
		groups, err := v.Groups()
		for _, g := range groups {
			rows = append(rows, row{g, g.Lag()})
		}
		return err
	})
	return map[string]any{"groups": rows}, err
}

// status answers /api/status: what this console looks at.
func (c *Console) status(*http.Request) (any, error) {
	return map[string]any{
		"kafka": c.options.Kafka.Brokers, "elasticsearch": c.options.Elasticsearch.Addresses,
		"now_ms": time.Now().UnixMilli(),
	}, nil
}
