package agg

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/millrace/millrace/search/apierror"
	"github.com/millrace/millrace/search/column"
	"github.com/millrace/millrace/search/mapping"
	"github.com/millrace/millrace/search/query"
)

// terms makes a bucket for each value of a field.
type terms struct {
	run         *Run
	subs        *level
	field       string
	size        int
	minDocCount int64
	orders      []order
	missing     any
	// kind is that of the first index that has the field; others must agree.
	kind    termKind
	address bool // text is addresses in 16 bytes
	dates   mapping.DateFormat
	// numbers finds the bucket of a value.
	numbers map[termKey]int
	buckets []termBucket
}

type termKind int

const (
	kindUnknown termKind = iota
	kindText
	kindLong
	kindDouble
	kindBoolean
	kindDate
)

// termKey is a value under a bucket of the aggregation above; of text and bits, one
// is used.
type termKey struct {
	owner int
	text  string
	bits  uint64
}

type termBucket struct {
	key   termKey
	count int64
}

const termBucketBytes = 120

func parseTerms(s *spec, body map[string]any) (func(*Run, *level) aggregator, error) {
	p := params{s, body}
	err := p.keys(
		[]string{"field", "size", "shard_size", "order", "missing", "min_doc_count", "shard_min_doc_count", "execution_hint", "collect_mode", "show_term_doc_count_error"},
		[]string{"script", "include", "exclude", "format", "value_type"})
	if err != nil {
		return nil, err
	}
	t := terms{size: 10, minDocCount: 1, orders: []order{{"_count", true}}, missing: body["missing"]}
	if t.field, err = p.field(); err != nil {
		return nil, err
	}
	if v, has := body["size"]; has {
		n, ok := intOf(v)
		if !ok || n <= 0 {
			return nil, p.failed("size", "[size] must be greater than 0. Found [%v] in [%s]", v, s.name)
		}
		t.size = n
	}
	if v, has := body["min_doc_count"]; has {
		n, ok := intOf(v)
		if !ok || n < 0 {
			return nil, p.failed("min_doc_count", "[minDocCount] must be greater than or equal to 0. Found [%v] in [%s]", v, s.name)
		}
		if n == 0 {
			return nil, apierror.Unsupported("[min_doc_count] 0 of the aggregation [terms]")
		}
		t.minDocCount = int64(n)
	}
	if v, has := body["order"]; has {
		if t.orders, err = parseOrder(v); err != nil {
			return nil, err
		}
	}
	return func(r *Run, subs *level) aggregator {
		next := t
		next.run, next.subs, next.numbers = r, subs, map[termKey]int{}
		return &next
	}, nil
}

func kindOf(f *mapping.Field) termKind {
	switch {
	case f.Type == mapping.Boolean:
		return kindBoolean
	case f.Type == mapping.Date:
		return kindDate
	case f.Type.IsInteger():
		return kindLong
	case f.Type.IsFloat():
		return kindDouble
	default:
		return kindText
	}
}

func (t *terms) bind(ix Index) (binding, error) {
	if _, err := newSorter(t.orders, t.subs, nil); err != nil {
		return nil, err
	}
	f, err := lookup(ix, t.field, "terms", func(*mapping.Field) bool { return true })
	if err != nil {
		return nil, err
	}
	if f == nil && t.missing == nil {
		return nothing{}, nil
	}
	kind := kindText
	if f != nil {
		kind = kindOf(f)
	}
	if t.kind != kindUnknown && t.kind != kind {
		return nil, apierror.New("aggregation_execution_exception", "Merging/Reducing the aggregations failed when computing the aggregation [%s] because the field you gave in the aggregation query existed as two different types in two different indices", t.field)
	}
	t.kind = kind
	if f != nil {
		t.dates, t.address = f.Dates, f.Type == mapping.IP
	}
	b := &boundTerms{terms: t, f: f}
	if t.missing != nil {
		if b.missing, err = t.missingKey(f); err != nil {
			return nil, err
		}
	}
	b.subs, err = t.subs.bind(ix)
	return b, err
}

// missingKey reads the value that documents without one count as.
func (t *terms) missingKey(f *mapping.Field) (*termKey, error) {
	text, isText := t.missing.(string)
	number, isNumber := numberOf(t.missing)
	flag, isBool := t.missing.(bool)
	switch {
	case t.kind == kindText && isText:
		if f != nil && f.Type == mapping.IP {
			return nil, apierror.Unsupported("[missing] of the aggregation [terms] on an address")
		}
		return &termKey{text: text}, nil
	case t.kind == kindLong && isNumber:
		return &termKey{bits: uint64(int64(number))}, nil
	case t.kind == kindDouble && isNumber:
		return &termKey{bits: math.Float64bits(number)}, nil
	case t.kind == kindBoolean && isBool:
		if flag {
			return &termKey{bits: 1}, nil
		}
		return &termKey{}, nil
	case t.kind == kindDate && isText:
		ms, _, err := f.Dates.Parse(text, time.UTC)
		if err != nil {
			return nil, apierror.OnShard("illegal_argument_exception", "%s", err)
		}
		return &termKey{bits: uint64(ms)}, nil
	default:
		return nil, apierror.Unsupported("a [missing] of another type than the field in the aggregation [terms]")
	}
}

type boundTerms struct {
	*terms
	f       *mapping.Field
	missing *termKey
	subs    boundLevel
}

// unknownBucket marks an entry of a dictionary whose bucket is not known yet, and
// noBucket one that has none.
const (
	unknownBucket = -1
	noBucket      = -2
)

func (t *boundTerms) block(b query.Rows) (collector, error) {
	subs, err := t.subs.block(b)
	if err != nil {
		return nil, err
	}
	var c *column.Column
	if t.f != nil {
		if c, err = b.Column(t.f); err != nil {
			return nil, err
		}
	}
	if c == nil && t.missing == nil {
		return nil, nil
	}
	if c == nil {
		c = &column.Column{Kind: column.Int, Offsets: []uint32{0}}
	}
	// Buckets under the root are found once for each entry of a dictionary.
	codes := slices.Repeat([]int{unknownBucket}, c.DictLen())
	return func(owner, row int) {
		lo, hi := c.Range(row)
		any := false
		for i := lo; i < hi; i++ {
			if c.Kind == column.Bytes && !keeps(t.f, c.Bytes(i)) {
				continue
			}
			any = true
			if repeats(c, lo, i) {
				continue
			}
			t.add(t.bucket(c, codes, owner, i), row, subs)
		}
		if !any && t.missing != nil {
			key := *t.missing
			key.owner = owner
			t.add(t.find(key), row, subs)
		}
	}, nil
}

// repeats reports whether an earlier value of the row is the same.
func repeats(c *column.Column, lo, i int) bool {
	for j := lo; j < i; j++ {
		switch c.Kind {
		case column.Int:
			if c.Ints[j] == c.Ints[i] {
				return true
			}
		case column.Float:
			if c.Floats[j] == c.Floats[i] {
				return true
			}
		default:
			if string(c.Bytes(j)) == string(c.Bytes(i)) {
				return true
			}
		}
	}
	return false
}

func (t *boundTerms) bucket(c *column.Column, codes []int, owner, i int) int {
	switch c.Kind {
	case column.Int:
		return t.find(termKey{owner: owner, bits: uint64(c.Ints[i])})
	case column.Float:
		return t.find(termKey{owner: owner, bits: math.Float64bits(c.Floats[i])})
	}
	if c.Codes == nil || owner != 0 {
		return t.findText(owner, c.Bytes(i))
	}
	code := c.Codes[i]
	if codes[code] == unknownBucket {
		codes[code] = t.findText(owner, c.Bytes(i))
	}
	return codes[code]
}

func (t *terms) findText(owner int, v []byte) int {
	if n, ok := t.numbers[termKey{owner: owner, text: string(v)}]; ok { // no copy for the look-up
		return n
	}
	return t.find(termKey{owner: owner, text: string(v)})
}

func (t *terms) find(key termKey) int {
	if n, ok := t.numbers[key]; ok {
		return n
	}
	if t.run.grow(int64(termBucketBytes + len(key.text))); t.run.err != nil {
		return noBucket
	}
	n := len(t.buckets)
	t.numbers[key] = n
	t.buckets = append(t.buckets, termBucket{key: key})
	return n
}

func (t *terms) add(bucket, row int, subs collector) {
	if bucket < 0 {
		return
	}
	t.buckets[bucket].count++
	if subs != nil {
		subs(bucket, row)
	}
}

func (t *terms) result(owner int) (map[string]any, error) {
	var list []*bucketOf
	var other int64
	for i, b := range t.buckets {
		if b.key.owner != owner || b.count < t.minDocCount {
			continue
		}
		list = append(list, &bucketOf{number: i, count: b.count, text: b.key.text, whole: int64(b.key.bits), value: math.Float64frombits(b.key.bits)})
	}
	s, err := newSorter(t.orders, t.subs, t.byKey())
	if err != nil {
		return nil, err
	}
	slices.SortFunc(list, s.compare)
	rendered := []any{}
	for i, b := range list {
		if i >= t.size {
			other += b.count
			continue
		}
		if err := t.run.count(); err != nil {
			return nil, err
		}
		bucket := t.render(b)
		if err := t.subs.addTo(bucket, b.number); err != nil {
			return nil, err
		}
		rendered = append(rendered, bucket)
	}
	return map[string]any{"doc_count_error_upper_bound": 0, "sum_other_doc_count": other, "buckets": rendered}, nil
}

func (t *terms) byKey() func(a, b *bucketOf) int {
	switch t.kind {
	case kindText:
		return func(a, b *bucketOf) int { return strings.Compare(a.text, b.text) }
	case kindDouble:
		return func(a, b *bucketOf) int { return cmp.Compare(a.value, b.value) }
	default:
		return func(a, b *bucketOf) int { return cmp.Compare(a.whole, b.whole) }
	}
}

func (t *terms) render(b *bucketOf) map[string]any {
	bucket := map[string]any{"doc_count": b.count}
	switch t.kind {
	case kindDouble:
		bucket["key"] = b.value
	case kindLong:
		bucket["key"] = b.whole
	case kindBoolean:
		bucket["key"], bucket["key_as_string"] = b.whole, strconv.FormatBool(b.whole == 1)
	case kindDate:
		bucket["key"], bucket["key_as_string"] = b.whole, t.dates.Format(b.whole, time.UTC)
	default:
		bucket["key"] = b.text
		if t.address {
			bucket["key"] = addressText([]byte(b.text))
		}
	}
	return bucket
}
