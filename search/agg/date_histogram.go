package agg

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"

	"github.com/millrace/millrace/search/apierror"
	"github.com/millrace/millrace/search/mapping"
	"github.com/millrace/millrace/search/query"
)

// dateHistogram makes a bucket for each interval of time.
type dateHistogram struct {
	run         *Run
	subs        *level
	field       string
	rounding    rounding
	minDocCount int64
	keyed       bool
	orders      []order
	missing     string
	bounds      *[2]any
	format      string
	dates       mapping.DateFormat
	// isDate is false on a field of numbers, whose keys are not shown as dates.
	isDate  bool
	numbers map[histogramKey]int
	buckets []histogramBucket
}

type histogramKey struct {
	owner int
	ms    int64
}

type histogramBucket struct {
	key   histogramKey
	count int64
}

const histogramBucketBytes = 80

func parseDateHistogram(s *spec, body map[string]any) (func(*Run, *level) aggregator, error) {
	p := params{s, body}
	err := p.keys(
		[]string{"field", "fixed_interval", "calendar_interval", "time_zone", "min_doc_count", "extended_bounds", "keyed", "order", "format", "missing", "offset"},
		[]string{"script", "hard_bounds", "params"})
	if err != nil {
		return nil, err
	}
	h := dateHistogram{orders: []order{{"_key", false}}, isDate: true, dates: mapping.DefaultDateFormat()}
	if h.field, err = p.field(); err != nil {
		return nil, err
	}
	if h.rounding, err = parseRounding(p); err != nil {
		return nil, err
	}
	if v, has := body["min_doc_count"]; has {
		n, ok := intOf(v)
		if !ok || n < 0 {
			return nil, p.failed("min_doc_count", "[min_doc_count] must be greater than or equal to 0. Found [%v] in [%s]", v, s.name)
		}
		h.minDocCount = int64(n)
	}
	if err := h.options(p); err != nil {
		return nil, err
	}
	return func(r *Run, subs *level) aggregator {
		next := h
		next.run, next.subs, next.numbers = r, subs, map[histogramKey]int{}
		return &next
	}, nil
}

func (h *dateHistogram) options(p params) error {
	var err error
	if v, has := p.body["order"]; has {
		if h.orders, err = parseOrder(v); err != nil {
			return err
		}
	}
	if v, has := p.body["keyed"]; has {
		h.keyed = v == true || v == "true"
	}
	if v, has := p.body["missing"]; has {
		h.missing = fmt.Sprint(v)
	}
	if v, has := p.body["format"].(string); has {
		if h.dates, err = mapping.ParseDateFormat(v); err != nil {
			return apierror.Illegal("%s", err)
		}
		h.format = v
	}
	if v, has := p.body["extended_bounds"]; has {
		bounds, ok := v.(map[string]any)
		if !ok {
			return p.failed("extended_bounds", "an object is expected")
		}
		h.bounds = &[2]any{bounds["min"], bounds["max"]}
	}
	return nil
}

func (h *dateHistogram) bind(ix Index) (binding, error) {
	if _, err := newSorter(h.orders, h.subs, nil); err != nil {
		return nil, err
	}
	accept := func(f *mapping.Field) bool { return f.Type == mapping.Date || f.Type.IsInteger() }
	f, err := lookup(ix, h.field, "date_histogram", accept)
	if err != nil {
		return nil, err
	}
	if f == nil && h.missing == "" {
		return nothing{}, nil
	}
	b := &boundHistogram{dateHistogram: h, f: f}
	if f != nil {
		h.isDate = f.Type == mapping.Date
		if h.format == "" && h.isDate {
			h.dates = f.Dates
		}
	}
	if h.missing != "" {
		ms, _, err := h.dates.Parse(h.missing, h.rounding.zone)
		if err != nil {
			return nil, apierror.OnShard("illegal_argument_exception", "%s", err)
		}
		b.missing = &ms
	}
	b.subs, err = h.subs.bind(ix)
	return b, err
}

type boundHistogram struct {
	*dateHistogram
	f       *mapping.Field
	missing *int64
	subs    boundLevel
}

func (h *boundHistogram) block(b query.Rows) (collector, error) {
	subs, err := h.subs.block(b)
	if err != nil {
		return nil, err
	}
	ints, ranges, err := h.values(b)
	if err != nil || ranges == nil && h.missing == nil {
		return nil, err
	}
	round := h.rounding.cached()
	last, lastBucket := histogramKey{owner: -1}, 0
	add := func(owner, row int, key int64) {
		k := histogramKey{owner, key}
		if k != last {
			last, lastBucket = k, h.find(k)
		}
		if lastBucket < 0 {
			return
		}
		h.buckets[lastBucket].count++
		if subs != nil {
			subs(lastBucket, row)
		}
	}
	return func(owner, row int) {
		lo, hi := 0, 0
		if ranges != nil {
			lo, hi = ranges(row)
		}
		if lo == hi && h.missing != nil {
			add(owner, row, round(*h.missing))
		}
		for i := lo; i < hi; i++ {
			key := round(ints[i])
			if !slices.ContainsFunc(ints[lo:i], func(v int64) bool { return round(v) == key }) {
				add(owner, row, key)
			}
		}
	}, nil
}

func (h *boundHistogram) values(b query.Rows) ([]int64, func(int) (int, int), error) {
	if h.f == nil {
		return nil, nil, nil
	}
	c, err := b.Column(h.f)
	if err != nil || c == nil {
		return nil, nil, err
	}
	return c.Ints, c.Range, nil
}

func (h *dateHistogram) find(key histogramKey) int {
	if n, ok := h.numbers[key]; ok {
		return n
	}
	if h.run.grow(histogramBucketBytes); h.run.err != nil {
		return noBucket
	}
	n := len(h.buckets)
	h.numbers[key] = n
	h.buckets = append(h.buckets, histogramBucket{key: key})
	return n
}

func (h *dateHistogram) result(owner int) (map[string]any, error) {
	var list []*bucketOf
	for i, b := range h.buckets {
		if b.key.owner == owner {
			list = append(list, &bucketOf{number: i, count: b.count, whole: b.key.ms})
		}
	}
	byKey := func(a, b *bucketOf) int { return cmp.Compare(a.whole, b.whole) }
	slices.SortFunc(list, byKey)
	if h.minDocCount == 0 {
		var err error
		if list, err = h.fill(list); err != nil {
			return nil, err
		}
	} else {
		list = slices.DeleteFunc(list, func(b *bucketOf) bool { return b.count < h.minDocCount })
	}
	s, err := newSorter(h.orders, h.subs, byKey)
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(list, s.compare)
	return h.render(list)
}

// fill adds the empty buckets between the first and the last, and out to the bounds.
func (h *dateHistogram) fill(list []*bucketOf) ([]*bucketOf, error) {
	from, to := int64(1), int64(0)
	if len(list) > 0 {
		from, to = list[0].whole, list[len(list)-1].whole
	}
	if h.bounds != nil {
		low, high, err := h.parseBounds()
		if err != nil {
			return nil, err
		}
		if from > to {
			from, to = low, high
		} else {
			from, to = min(from, low), max(to, high)
		}
	}
	var full []*bucketOf
	for key := from; key <= to; key = h.rounding.next(key) {
		if len(list) > 0 && list[0].whole == key {
			full, list = append(full, list[0]), list[1:]
		} else {
			full = append(full, &bucketOf{number: -1, whole: key})
		}
		if len(full) > BucketsMax {
			h.run.buckets += len(full)
			return nil, h.run.count()
		}
	}
	return full, nil
}

func (h *dateHistogram) parseBounds() (low, high int64, err error) {
	var ends [2]int64
	for i, v := range h.bounds {
		if x, ok := numberOf(v); ok {
			ends[i] = int64(x)
		} else if text, ok := v.(string); ok {
			if ends[i], err = h.dates.ParseMath(text, h.run.now, false, h.rounding.zone); err != nil {
				return 0, 0, apierror.OnShard("parse_exception", "%s", err)
			}
		} else {
			return 0, 0, apierror.Unsupported("an open end in [extended_bounds] of the aggregation [date_histogram]")
		}
	}
	if ends[0] > ends[1] {
		return 0, 0, apierror.Illegal("[extended_bounds.min][%v] cannot be greater than [extended_bounds.max][%v]", h.bounds[0], h.bounds[1])
	}
	return h.rounding.round(ends[0]), h.rounding.round(ends[1]), nil
}

func (h *dateHistogram) render(list []*bucketOf) (map[string]any, error) {
	rendered, keyed := []any{}, map[string]any{}
	for _, b := range list {
		if err := h.run.count(); err != nil {
			return nil, err
		}
		bucket := map[string]any{"key": b.whole, "doc_count": b.count}
		text := strconv.FormatInt(b.whole, 10)
		if h.isDate || h.format != "" {
			text = h.dates.Format(b.whole, h.rounding.zone)
			bucket["key_as_string"] = text
		}
		if err := h.subs.addTo(bucket, b.number); err != nil {
			return nil, err
		}
		rendered = append(rendered, bucket)
		keyed[text] = bucket
	}
	if h.keyed {
		return map[string]any{"buckets": keyed}, nil
	}
	return map[string]any{"buckets": rendered}, nil
}
