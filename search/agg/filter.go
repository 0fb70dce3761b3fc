package agg

import (
	"maps"
	"slices"

	"github.com/millrace/millrace/search/apierror"
	"github.com/millrace/millrace/search/column"
	"github.com/millrace/millrace/search/query"
)

// filters is filter, filters and missing: one bucket per query.
type filters struct {
	run     *Run
	subs    *level
	queries []query.Query
	// names is nil for a single filter, and for filters without names.
	names  []string
	single bool
	// counts is by bucket number, which is owner*len(queries)+i.
	counts []int64
}

func parseFilter(value any) (func(*Run, *level) aggregator, error) {
	q, err := query.Parse(value)
	if err != nil {
		return nil, err
	}
	return func(r *Run, subs *level) aggregator {
		return &filters{run: r, subs: subs, queries: []query.Query{q}, single: true}
	}, nil
}

func parseMissing(s *spec, body map[string]any) (func(*Run, *level) aggregator, error) {
	p := params{s, body}
	if err := p.keys([]string{"field"}, []string{"missing", "script"}); err != nil {
		return nil, err
	}
	field, err := p.field()
	if err != nil {
		return nil, err
	}
	return parseFilter(map[string]any{"bool": map[string]any{"must_not": map[string]any{"exists": map[string]any{"field": field}}}})
}

func parseFilters(body map[string]any) (func(*Run, *level) aggregator, error) {
	var queries []query.Query
	var names []string
	add := func(value any) error {
		q, err := query.Parse(value)
		queries = append(queries, q)
		return err
	}
	for _, key := range slices.Sorted(maps.Keys(body)) {
		if key != "filters" && key != "keyed" {
			return nil, apierror.Unsupported("[" + key + "] of the aggregation [filters]")
		}
	}
	switch list := body["filters"].(type) {
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(list)) {
			names = append(names, name)
			if err := add(list[name]); err != nil {
				return nil, err
			}
		}
	case []any:
		for _, item := range list {
			if err := add(item); err != nil {
				return nil, err
			}
		}
	default:
		return nil, apierror.Illegal("[filters] cannot be empty.")
	}
	return func(r *Run, subs *level) aggregator {
		return &filters{run: r, subs: subs, queries: queries, names: names}
	}, nil
}

func (a *filters) bind(ix Index) (binding, error) {
	b := &boundFilters{filters: a}
	for _, q := range a.queries {
		f, err := query.Compile(q, ix.Mapping, ix.Name, a.run.now)
		if err != nil {
			return nil, err
		}
		b.compiled = append(b.compiled, f)
	}
	var err error
	b.subs, err = a.subs.bind(ix)
	return b, err
}

type boundFilters struct {
	*filters
	compiled []query.Filter
	subs     boundLevel
}

func (a *boundFilters) block(b query.Rows) (collector, error) {
	subs, err := a.subs.block(b)
	if err != nil {
		return nil, err
	}
	var hits []column.Bitmap
	for _, f := range a.compiled {
		rows := column.FullBitmap(b.RowCount())
		if err := f.Apply(b, rows); err != nil {
			return nil, err
		}
		hits = append(hits, rows)
	}
	return func(owner, row int) {
		for i, rows := range hits {
			if !rows.Has(row) {
				continue
			}
			bucket := owner*len(hits) + i
			a.counts = resize(a.run, a.counts, bucket, 8)
			a.counts[bucket]++
			if subs != nil {
				subs(bucket, row)
			}
		}
	}, nil
}

func (a *filters) result(owner int) (map[string]any, error) {
	var list []any
	keyed := map[string]any{}
	for i := range a.queries {
		number := -1
		var count int64
		if owner >= 0 {
			number = owner*len(a.queries) + i
			if number < len(a.counts) {
				count = a.counts[number]
			}
		}
		bucket := map[string]any{"doc_count": count}
		if err := a.run.count(); err != nil {
			return nil, err
		}
		if err := a.subs.addTo(bucket, number); err != nil {
			return nil, err
		}
		switch {
		case a.single:
			return bucket, nil
		case a.names != nil:
			keyed[a.names[i]] = bucket
		default:
			list = append(list, bucket)
		}
	}
	if a.names != nil {
		return map[string]any{"buckets": keyed}, nil
	}
	return map[string]any{"buckets": list}, nil
}

// number returns the documents of a single filter to sort by.
func (a *filters) number(owner int, name string) (float64, bool) {
	if !a.single || name != "" && name != "_count" {
		return 0, false
	}
	if owner < 0 || owner >= len(a.counts) {
		return 0, true
	}
	return float64(a.counts[owner]), true
}
