// Package agg computes Elasticsearch's aggregations over the blocks of a search.
//
// [Parse] makes a [Tree] of the JSON. For a search, [Tree.Start] makes a [Run]; for each index [Run.Bind] ties
// it to a mapping, [Bound.Block] collects the matching rows of a block, and
// [Run.Result] renders what came of it. A Run belongs to one goroutine.
//
// Every aggregation keeps its state in arrays by bucket number of the one above it, as
// Elasticsearch does; number 0 is the root. What grows is told to a [Memory] and
// bounded by it. Results are exact: no shard cuts its terms off.
package agg

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/millrace/millrace/search/apierror"
	"github.com/millrace/millrace/search/column"
	"github.com/millrace/millrace/search/mapping"
	"github.com/millrace/millrace/search/query"
)

// BucketsMax is search.max_buckets.
const BucketsMax = 65536

// DepthMax bounds the nesting of aggregations.
const DepthMax = 10

// Memory bounds what a search holds.
type Memory interface {
	// Grow accounts for more bytes, and fails where there are too many.
	Grow(bytes int64) error
}

// Tree is the aggregations of a request.
type Tree struct{ specs []*spec }

// spec is one aggregation as it was read.
type spec struct {
	name string
	kind string
	make func(r *Run, subs *level) aggregator
	subs []*spec
	meta any
}

// Run is the state of the aggregations of one search.
type Run struct {
	// TypedKeys puts the type before each name, as typed_keys asks for.
	TypedKeys bool

	memory Memory
	now    time.Time
	err    error
	root   *level
	// buckets counts what is rendered.
	buckets int
}

// aggregator is the state of one aggregation.
type aggregator interface {
	// bind ties it to an index.
	bind(ix Index) (binding, error)
	// result renders what the bucket above with the number has; -1 is an empty one.
	result(owner int) (map[string]any, error)
}

// binding is an aggregation on one index.
type binding interface {
	// block prepares for the rows of a block.
	block(b query.Rows) (collector, error)
}

// collector adds a row to a bucket of the aggregation above.
type collector func(owner, row int)

// Index is what an aggregation is tied to.
type Index struct {
	Name    string
	Mapping *mapping.Mapping
}

// level is the aggregations side by side under one bucket.
type level struct {
	run         *Run
	specs       []*spec
	aggregators []aggregator
}

func (r *Run) newLevel(specs []*spec) *level {
	l := &level{run: r, specs: specs}
	for _, s := range specs {
		l.aggregators = append(l.aggregators, s.make(r, r.newLevel(s.subs)))
	}
	return l
}

// Start begins a search.
func (t *Tree) Start(memory Memory, now time.Time) *Run {
	r := &Run{memory: memory, now: now}
	r.root = r.newLevel(t.specs)
	return r
}

// grow accounts for memory; the error is kept and ends the search at the block's end.
func (r *Run) grow(bytes int64) {
	if r.err == nil {
		r.err = r.memory.Grow(bytes)
	}
}

// Bound is a run on one index.
type Bound struct {
	run   *Run
	level boundLevel
}

type boundLevel []binding

// Bind ties the run to an index.
func (r *Run) Bind(ix Index) (*Bound, error) {
	l, err := r.root.bind(ix)
	return &Bound{run: r, level: l}, err
}

func (l *level) bind(ix Index) (boundLevel, error) {
	var out boundLevel
	for _, a := range l.aggregators {
		b, err := a.bind(ix)
		if err != nil {
			return nil, err
		}
		out = append(out, b)
	}
	return out, nil
}

// block prepares all aggregations of a level; nil where there are none.
func (l boundLevel) block(b query.Rows) (collector, error) {
	var all []collector
	for _, inner := range l {
		c, err := inner.block(b)
		if err != nil {
			return nil, err
		}
		if c != nil {
			all = append(all, c)
		}
	}
	switch len(all) {
	case 0:
		return nil, nil
	case 1:
		return all[0], nil
	}
	return func(owner, row int) {
		for _, c := range all {
			c(owner, row)
		}
	}, nil
}

// Block collects the rows of a block.
func (b *Bound) Block(rows query.Rows, matching column.Bitmap) error {
	c, err := b.level.block(rows)
	if err != nil || c == nil {
		return err
	}
	for row := range matching.Rows {
		c(0, row)
	}
	return b.run.err
}

// Result renders all aggregations.
func (r *Run) Result() (map[string]any, error) {
	if r.err != nil {
		return nil, r.err
	}
	return r.root.result(0)
}

func (l *level) result(owner int) (map[string]any, error) {
	out := make(map[string]any, len(l.specs))
	for i, s := range l.specs {
		one, err := l.aggregators[i].result(owner)
		if err != nil {
			return nil, err
		}
		if s.meta != nil {
			one["meta"] = s.meta
		}
		out[l.run.nameOf(s, l.aggregators[i])] = one
	}
	return out, nil
}

// addTo renders the aggregations below a bucket into it.
func (l *level) addTo(bucket map[string]any, owner int) error {
	inner, err := l.result(owner)
	maps.Copy(bucket, inner)
	return err
}

// count accounts for a rendered bucket.
func (r *Run) count() error {
	if r.buckets++; r.buckets > BucketsMax {
		e := apierror.New("too_many_buckets_exception", "Trying to create too many buckets. Must be less than or equal to: [%d] but was [%d]. This limit can be set by changing the [search.max_buckets] cluster level setting.", BucketsMax, r.buckets)
		return apierror.New("search_phase_execution_exception", "").WithCause(e)
	}
	return nil
}

// Parse reads the member "aggs" of a search.
func Parse(value any) (*Tree, error) {
	specs, err := parseLevel(value, 1)
	if err != nil {
		return nil, err
	}
	return &Tree{specs: specs}, nil
}

func parseLevel(value any, depth int) ([]*spec, error) {
	body, ok := value.(map[string]any)
	if !ok {
		return nil, apierror.Parsing("Expected [START_OBJECT] under [aggs]")
	}
	if depth > DepthMax {
		return nil, apierror.Illegal("aggregations are nested more than %d levels deep", DepthMax)
	}
	var specs []*spec
	for _, name := range slices.Sorted(maps.Keys(body)) {
		s, err := parseOne(name, body[name], depth)
		if err != nil {
			return nil, err
		}
		specs = append(specs, s)
	}
	return specs, nil
}

func parseOne(name string, value any, depth int) (*spec, error) {
	body, ok := value.(map[string]any)
	if !ok {
		return nil, apierror.Parsing("Aggregation definition for [%s starts with a [%T], expected a [START_OBJECT].", name, value)
	}
	s := &spec{name: name}
	var params any
	for _, key := range slices.Sorted(maps.Keys(body)) {
		switch key {
		case "aggs", "aggregations":
			subs, err := parseLevel(body[key], depth+1)
			if err != nil {
				return nil, err
			}
			s.subs = append(s.subs, subs...)
		case "meta":
			s.meta = body[key]
		default:
			if s.kind != "" {
				return nil, apierror.Parsing("Found two aggregation type definitions in [%s]: [%s] and [%s]", name, s.kind, key)
			}
			s.kind, params = key, body[key]
		}
	}
	if s.kind == "" {
		return nil, apierror.Parsing("Missing definition for aggregation [%s]", name)
	}
	return s, s.parse(params)
}

// parse reads the body of the aggregation's type.
func (s *spec) parse(value any) error {
	p, ok := value.(map[string]any)
	if !ok && s.kind != "filters" {
		return apierror.Parsing("Expected [START_OBJECT] under [%s], but got a [%T] in [%s]", s.kind, value, s.name)
	}
	var err error
	switch s.kind {
	case "terms":
		s.make, err = parseTerms(s, p)
	case "date_histogram":
		s.make, err = parseDateHistogram(s, p)
	case "min", "max", "avg", "sum", "value_count", "stats":
		s.make, err = parseMetric(s, p)
	case "cardinality":
		s.make, err = parseCardinality(s, p)
	case "filter":
		s.make, err = parseFilter(value)
	case "filters":
		s.make, err = parseFilters(p)
	case "missing":
		s.make, err = parseMissing(s, p)
	case "histogram", "range", "date_range", "ip_range", "percentiles", "percentile_ranks", "top_hits", "top_metrics", "composite", "auto_date_histogram",
		"variable_width_histogram", "significant_terms", "significant_text", "rare_terms", "multi_terms", "sampler", "diversified_sampler",
		"random_sampler", "nested", "reverse_nested", "global", "children", "parent", "geo_distance", "geohash_grid", "geotile_grid", "geohex_grid",
		"geo_bounds", "geo_centroid", "geo_line", "extended_stats", "matrix_stats", "median_absolute_deviation", "weighted_avg", "scripted_metric",
		"string_stats", "t_test", "rate", "boxplot", "adjacency_matrix", "ip_prefix", "categorize_text", "frequent_item_sets", "time_series",
		"avg_bucket", "bucket_script", "bucket_selector", "bucket_sort", "cumulative_sum", "derivative", "extended_stats_bucket", "inference",
		"max_bucket", "min_bucket", "moving_fn", "moving_avg", "normalize", "percentiles_bucket", "serial_diff", "stats_bucket", "sum_bucket", "cumulative_cardinality", "moving_percentiles", "bucket_correlation", "bucket_count_ks_test", "change_point":
		return apierror.Unsupported("the aggregation [" + s.kind + "]")
	default:
		e := apierror.Parsing("Unknown aggregation type [%s]", s.kind)
		return e.WithCause(apierror.New("named_object_not_found_exception", "unknown field [%s]", s.kind))
	}
	if err == nil && len(s.subs) > 0 && isMetric(s.kind) {
		return apierror.Illegal("Aggregator [%s] of type [%s] cannot accept sub-aggregations", s.name, s.kind)
	}
	return err
}

func isMetric(kind string) bool {
	switch kind {
	case "min", "max", "avg", "sum", "value_count", "stats", "cardinality":
		return true
	}
	return false
}

// params reads the members of an aggregation's body.
type params struct {
	spec *spec
	body map[string]any
}

// keys refuses members that are neither known nor in ignored; what Elasticsearch has and this
// node has not is named as such.
func (p params) keys(known, unsupported []string) error {
	for _, key := range slices.Sorted(maps.Keys(p.body)) {
		switch {
		case slices.Contains(known, key):
		case slices.Contains(unsupported, key):
			return apierror.Unsupported(fmt.Sprintf("[%s] of the aggregation [%s]", key, p.spec.kind))
		default:
			return apierror.New("x_content_parse_exception", "[%s] unknown field [%s]", p.spec.kind, key)
		}
	}
	return nil
}

func (p params) field() (string, error) {
	field, ok := p.body["field"].(string)
	if !ok || field == "" {
		return "", apierror.Illegal("Required one of fields [field, script], but none were specified.")
	}
	return field, nil
}

func (p params) failed(key, format string, args ...any) error {
	e := apierror.New("x_content_parse_exception", "[%s] failed to parse field [%s]", p.spec.kind, key)
	return e.WithCause(apierror.Illegal(format, args...))
}

// lookup finds the field to aggregate on; nil where the index has none.
func lookup(ix Index, field, kind string, accept func(*mapping.Field) bool) (*mapping.Field, error) {
	switch field {
	case "_id", "_index", "_seq_no", "_version", "_source", "_routing", "_ignored":
		return nil, apierror.Unsupported("an aggregation on the field [" + field + "]")
	}
	f := ix.Mapping.Lookup(field)
	switch {
	case f == nil:
		return nil, nil
	case f.Type.IsText():
		return nil, TextError(f, ix.Name)
	case !f.DocValues:
		return nil, apierror.OnShard("illegal_argument_exception", "Can't load fielddata on [%s] because fielddata is unsupported on fields of type [%s]. Use doc values instead.", f.Path, f.Type)
	case !accept(f):
		return nil, apierror.OnShard("illegal_argument_exception", "Field [%s] of type [%s] is not supported for aggregation [%s]", f.Path, f.Type, kind)
	}
	return f, nil
}

// TextError says that a text field cannot be sorted or aggregated on.
func TextError(f *mapping.Field, index string) error {
	if f.Type == mapping.MatchOnlyText {
		return apierror.OnShard("illegal_argument_exception", "Fielddata is not supported on field [%s] of type [%s]", f.Path, f.Type)
	}
	return apierror.OnShard("illegal_argument_exception", "Fielddata is disabled on [%s] in [%s]. Text fields are not optimised for operations that require per-document field data like aggregations and sorting, so these operations are disabled by default. Please use a keyword field instead. Alternatively, set fielddata=true on [%s] in order to load field data by uninverting the inverted index. Note that this can use significant memory.", f.Path, index, f.Path)
}

// nothing is the binding of an aggregation whose field the index has not.
type nothing struct{}

func (nothing) block(query.Rows) (collector, error) { return nil, nil }

// resize makes a slice long enough for index i, growing in large steps.
func resize[T any](r *Run, s []T, i int, bytes int64) []T {
	if i < len(s) {
		return s
	}
	n := max(i+1, 2*len(s))
	r.grow(int64(n-len(s)) * bytes)
	return append(s, make([]T, n-len(s))...)
}
