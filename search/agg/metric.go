package agg

import (
	"math"
	"time"

	"github.com/millrace/millrace/search/apierror"
	"github.com/millrace/millrace/search/column"
	"github.com/millrace/millrace/search/mapping"
	"github.com/millrace/millrace/search/query"
)

// metric is min, max, avg, sum, value_count and stats.
type metric struct {
	run     *Run
	kind    string
	field   string
	missing *float64
	states  []metricState
	// dates is the field's format where it is a date.
	dates *mapping.DateFormat
}

type metricState struct {
	count            int64
	sum, compensated float64 // Kahan's sum, as Elasticsearch's
	min, max         float64
}

func parseMetric(s *spec, body map[string]any) (func(*Run, *level) aggregator, error) {
	p := params{s, body}
	if err := p.keys([]string{"field", "missing"}, []string{"script", "format", "value_type"}); err != nil {
		return nil, err
	}
	field, err := p.field()
	if err != nil {
		return nil, err
	}
	var missing *float64
	if v, has := body["missing"]; has {
		x, ok := numberOf(v)
		if !ok {
			return nil, apierror.Unsupported("[missing] that is no number of the aggregation [" + s.kind + "]")
		}
		missing = &x
	}
	return func(r *Run, _ *level) aggregator {
		return &metric{run: r, kind: s.kind, field: field, missing: missing}
	}, nil
}

func (m *metric) accepts(f *mapping.Field) bool {
	if m.kind == "value_count" {
		return true
	}
	return f.Type.Kind() != column.Bytes
}

func (m *metric) bind(ix Index) (binding, error) {
	f, err := lookup(ix, m.field, m.kind, m.accepts)
	if err != nil {
		return nil, err
	}
	if f == nil && m.missing == nil {
		return nothing{}, nil
	}
	if f != nil && f.Type == mapping.Date {
		m.dates = &f.Dates
	}
	return &boundMetric{m, f}, nil
}

type boundMetric struct {
	*metric
	f *mapping.Field
}

func (m *boundMetric) block(b query.Rows) (collector, error) {
	var c *column.Column
	if m.f != nil {
		var err error
		if c, err = b.Column(m.f); err != nil {
			return nil, err
		}
	}
	if c == nil && m.missing == nil {
		return nil, nil
	}
	if c == nil {
		c = &column.Column{Kind: column.Int, Offsets: []uint32{0}}
	}
	return func(owner, row int) {
		m.states = resize(m.run, m.states, owner, 40)
		state := &m.states[owner]
		lo, hi := c.Range(row)
		if lo == hi && m.missing != nil {
			state.add(*m.missing)
			return
		}
		for i := lo; i < hi; i++ {
			switch c.Kind {
			case column.Int:
				state.add(float64(c.Ints[i]))
			case column.Float:
				state.add(c.Floats[i])
			default:
				if keeps(m.f, c.Bytes(i)) && !repeats(c, lo, i) {
					state.count++
				}
			}
		}
	}, nil
}

func (s *metricState) add(v float64) {
	if s.count == 0 {
		s.min, s.max = v, v
	}
	s.count++
	s.min, s.max = math.Min(s.min, v), math.Max(s.max, v)
	corrected := v - s.compensated
	next := s.sum + corrected
	s.compensated = (next - s.sum) - corrected
	s.sum = next
}

func (m *metric) result(owner int) (map[string]any, error) {
	var s metricState
	if owner >= 0 && owner < len(m.states) {
		s = m.states[owner]
	}
	switch m.kind {
	case "value_count":
		return map[string]any{"value": s.count}, nil
	case "sum":
		return m.value(s.sum, true), nil
	case "min":
		return m.value(s.min, s.count > 0), nil
	case "max":
		return m.value(s.max, s.count > 0), nil
	case "avg":
		return m.value(s.sum/float64(max(s.count, 1)), s.count > 0), nil
	}
	out := map[string]any{"count": s.count, "sum": s.sum, "min": nil, "max": nil, "avg": nil}
	if s.count > 0 {
		values := map[string]float64{"min": s.min, "max": s.max, "avg": s.sum / float64(s.count), "sum": s.sum}
		for name, v := range values {
			out[name] = v
			if m.dates != nil {
				out[name+"_as_string"] = m.dates.Format(int64(v), time.UTC)
			}
		}
	}
	return out, nil
}

func (m *metric) value(v float64, known bool) map[string]any {
	if !known || math.IsInf(v, 0) || math.IsNaN(v) {
		return map[string]any{"value": nil}
	}
	out := map[string]any{"value": v}
	if m.dates != nil {
		out["value_as_string"] = m.dates.Format(int64(v), time.UTC)
	}
	return out
}

// number returns a metric of a bucket to sort by.
func (m *metric) number(owner int, name string) (float64, bool) {
	var s metricState
	if owner >= 0 && owner < len(m.states) {
		s = m.states[owner]
	}
	kind := m.kind
	if kind == "stats" {
		kind = name
	} else if name != "" && name != "value" {
		return 0, false
	}
	switch kind {
	case "value_count", "count":
		return float64(s.count), true
	case "sum":
		return s.sum, true
	case "min":
		return orInf(s.min, s.count, 1), true
	case "max":
		return orInf(s.max, s.count, -1), true
	case "avg":
		if s.count == 0 {
			return math.NaN(), true
		}
		return s.sum / float64(s.count), true
	}
	return 0, false
}

func orInf(v float64, count int64, sign int) float64 {
	if count == 0 {
		return math.Inf(sign)
	}
	return v
}

// keeps is false for a value that a keyword with ignore_above does not hold.
func keeps(f *mapping.Field, v []byte) bool {
	return f.IgnoreAbove == 0 || len(v) <= f.IgnoreAbove || runes(v) <= f.IgnoreAbove
}
