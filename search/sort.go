package search

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/millrace/millrace/search/agg"
	"github.com/millrace/millrace/search/apierror"
	"github.com/millrace/millrace/search/column"
	"github.com/millrace/millrace/search/mapping"
)

// sortKey is one key of a sort.
type sortKey struct {
	field    string // or _doc
	desc     bool
	missing  string // _last, _first, or a value
	unmapped string
	highest  bool // mode max; otherwise min
	format   *mapping.DateFormat
}

func parseSort(value any) ([]sortKey, error) {
	items, ok := value.([]any)
	if !ok {
		items = []any{value}
	}
	var keys []sortKey
	for _, item := range items {
		switch v := item.(type) {
		case string:
			key, err := newSortKey(v, map[string]any{})
			if err != nil {
				return nil, err
			}
			keys = append(keys, key)
		case map[string]any:
			for _, field := range slices.Sorted(maps.Keys(v)) {
				key, err := parseSortKey(field, v[field])
				if err != nil {
					return nil, err
				}
				keys = append(keys, key)
			}
		default:
			return nil, apierror.Illegal("malformed sort format, within the sort array, an object, or an actual string are allowed")
		}
	}
	return keys, nil
}

func parseSortKey(field string, value any) (sortKey, error) {
	switch v := value.(type) {
	case string:
		return newSortKey(field, map[string]any{"order": v})
	case map[string]any:
		return newSortKey(field, v)
	default:
		return sortKey{}, apierror.Illegal("malformed sort of the field [%s]", field)
	}
}

func newSortKey(field string, body map[string]any) (sortKey, error) {
	key := sortKey{field: field, missing: "_last"}
	mode := ""
	for _, name := range slices.Sorted(maps.Keys(body)) {
		text, _ := scalarText(body[name])
		switch name {
		case "order":
			switch strings.ToLower(text) {
			case "asc":
			case "desc":
				key.desc = true
			default:
				return key, apierror.New("x_content_parse_exception", "[field_sort] failed to parse field [order]").WithCause(apierror.Illegal("Unknown SortOrder [%s]", text))
			}
		case "missing":
			key.missing = text
		case "unmapped_type":
			key.unmapped = text
		case "mode":
			mode = strings.ToLower(text)
			if mode != "min" && mode != "max" {
				return key, apierror.Unsupported("the sort mode [" + mode + "]")
			}
		case "format":
			dates, err := mapping.ParseDateFormat(text)
			if err != nil {
				return key, apierror.Illegal("%s", err)
			}
			key.format = &dates
		case "numeric_type", "nested", "nested_path", "nested_filter":
			return key, apierror.Unsupported("[" + name + "] of a sort")
		default:
			return key, apierror.New("x_content_parse_exception", "[field_sort] unknown field [%s]", name)
		}
	}
	switch field {
	case "_score", "_script", "_geo_distance", "_shard_doc", "_index", "_version", "_routing", "_source":
		return key, apierror.Unsupported("a sort on [" + field + "]")
	case "_id":
		return key, apierror.OnShard("illegal_argument_exception", "Fielddata access on the _id field is disallowed, you can re-enable it by updating the dynamic cluster setting: indices.id_field_data.enabled")
	}
	key.highest = key.desc && mode == "" || mode == "max"
	return key, nil
}

func parseSortParam(text string) ([]sortKey, error) {
	var keys []sortKey
	for part := range strings.SplitSeq(text, ",") {
		body := map[string]any{}
		field := part
		if i := strings.LastIndex(part, ":"); i >= 0 {
			field = part[:i]
			body["order"] = part[i+1:]
		}
		key, err := newSortKey(field, body)
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// sortKind is the kind of the values of a key.
type sortKind int

const (
	sortNone sortKind = iota // no index has the field
	sortDoc
	sortLong
	sortDouble
	sortText
)

// sortValue is one value of a hit. Missing ones of text stand before or after all others.
type sortValue struct {
	whole  int64
	number float64
	text   string
	// absent is -1 where the value is missing and comes first, 1 where it comes last.
	absent int8
}

// sorter is a sort over all indices of a search.
type sorter struct {
	keys  []sortKey
	kinds []sortKind
	// dates and address say how values of a key are shown.
	dates   []*mapping.DateFormat
	address []bool
	// narrow marks fields of 32 bits and less, whose missing values are of that size.
	narrow []bool
	after  []sortValue
}

func newSorter(keys []sortKey) *sorter {
	return &sorter{
		keys: keys, kinds: make([]sortKind, len(keys)), dates: make([]*mapping.DateFormat, len(keys)),
		address: make([]bool, len(keys)), narrow: make([]bool, len(keys)),
	}
}

// bind finds the fields of an index; a nil field is not mapped there.
func (s *sorter) bind(m *mapping.Mapping, index string) ([]*mapping.Field, error) {
	fields := make([]*mapping.Field, len(s.keys))
	for i, key := range s.keys {
		kind := sortDoc
		if key.field == "_seq_no" {
			kind = sortLong
		} else if key.field != "_doc" {
			f, err := sortField(m, index, key)
			if err != nil {
				return nil, err
			}
			fields[i] = f
			kind = s.describe(i, f, key)
		}
		if s.kinds[i] != sortNone && kind != sortNone && s.kinds[i] != kind {
			return nil, apierror.Unsupported("a sort on the field [" + key.field + "], which has different types in the indices,")
		}
		if kind != sortNone {
			s.kinds[i] = kind
		}
	}
	return fields, nil
}

func sortField(m *mapping.Mapping, index string, key sortKey) (*mapping.Field, error) {
	f := m.Lookup(key.field)
	switch {
	case f == nil && key.unmapped == "":
		e := apierror.OnShard("query_shard_exception", "No mapping found for [%s] in order to sort on", key.field)
		e.Fields = map[string]any{"index": index}
		return nil, e
	case f == nil:
		return nil, nil
	case f.Type.IsText():
		return nil, agg.TextError(f, index)
	case !f.DocValues:
		return nil, apierror.OnShard("illegal_argument_exception", "Can't load fielddata on [%s] because fielddata is unsupported on fields of type [%s]. Use doc values instead.", f.Path, f.Type)
	}
	return f, nil
}

// describe notes how values of key i are compared and shown.
func (s *sorter) describe(i int, f *mapping.Field, key sortKey) sortKind {
	kind := mapping.Type(key.unmapped)
	if f != nil {
		kind = f.Type
		if f.Type == mapping.Date {
			s.dates[i] = &f.Dates
		}
	}
	switch {
	case kind.IsText(), kind.IsKeyword():
		return sortText
	case kind == mapping.IP:
		s.address[i] = true
		return sortText
	case kind.IsFloat():
		return sortDouble
	default:
		s.narrow[i] = kind == mapping.Integer || kind == mapping.Short || kind == mapping.Byte
		return sortLong
	}
}

// reader returns the function that reads key i of a row.
func (s *sorter) reader(i int, f *mapping.Field, b *blockReader, position int) (func(row int) sortValue, error) {
	missing, err := s.missing(i, f)
	if err != nil {
		return nil, err
	}
	var c *column.Column
	switch key := s.keys[i]; {
	case key.field == "_doc":
		return func(row int) sortValue { return sortValue{whole: int64(position + row)} }, nil
	case key.field == "_seq_no":
		c, err = b.SeqNos()
	case f != nil:
		c, err = b.Column(f)
	}
	if err != nil {
		return nil, err
	}
	if c == nil {
		return func(int) sortValue { return missing }, nil
	}
	return columnReader(c, f, s.keys[i].highest, missing), nil
}

func columnReader(c *column.Column, f *mapping.Field, highest bool, missing sortValue) func(row int) sortValue {
	switch c.Kind {
	case column.Int:
		return func(row int) sortValue {
			lo, hi := c.Range(row)
			if lo == hi {
				return missing
			}
			return sortValue{whole: pick(c.Ints[lo:hi], highest)}
		}
	case column.Float:
		return func(row int) sortValue {
			lo, hi := c.Range(row)
			if lo == hi {
				return missing
			}
			return sortValue{number: pick(c.Floats[lo:hi], highest)}
		}
	default:
		return func(row int) sortValue {
			lo, hi := c.Range(row)
			best, found := "", false
			for i := lo; i < hi; i++ {
				v := c.Bytes(i)
				if f.IgnoreAbove > 0 && len(v) > f.IgnoreAbove && len([]rune(string(v))) > f.IgnoreAbove {
					continue
				}
				if text := string(v); !found || (text > best) == highest && text != best {
					best, found = text, true
				}
			}
			if !found {
				return missing
			}
			return sortValue{text: best}
		}
	}
}

func pick[T cmp.Ordered](values []T, highest bool) T {
	if len(values) == 1 {
		return values[0]
	}
	if highest {
		return slices.Max(values)
	}
	return slices.Min(values)
}

// missing returns the value of a document without one.
func (s *sorter) missing(i int, f *mapping.Field) (sortValue, error) {
	key := s.keys[i]
	first := key.missing == "_first"
	if !first && key.missing != "_last" {
		return s.parse(i, f, key.missing)
	}
	low := first != key.desc // the lowest value comes first in an ascending sort
	switch s.kinds[i] {
	case sortDouble:
		if low {
			return sortValue{number: math.Inf(-1)}, nil
		}
		return sortValue{number: math.Inf(1)}, nil
	case sortText:
		if first {
			return sortValue{absent: -1}, nil
		}
		return sortValue{absent: 1}, nil
	default:
		least, greatest := int64(math.MinInt64), int64(math.MaxInt64)
		if s.narrow[i] {
			least, greatest = math.MinInt32, math.MaxInt32
		}
		if low {
			return sortValue{whole: least}, nil
		}
		return sortValue{whole: greatest}, nil
	}
}

// parse reads a value of key i as a request writes it.
func (s *sorter) parse(i int, f *mapping.Field, text string) (sortValue, error) {
	bad := func() error {
		return apierror.OnShard("illegal_argument_exception", "Failed to parse sort value [%s] for field [%s]", text, s.keys[i].field)
	}
	switch s.kinds[i] {
	case sortText:
		if s.address[i] {
			return sortValue{}, apierror.Unsupported("a value of an address in a sort")
		}
		return sortValue{text: text}, nil
	case sortDouble:
		x, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return sortValue{}, bad()
		}
		return sortValue{number: x}, nil
	default:
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			return sortValue{whole: n}, nil
		}
		dates := s.keys[i].format
		if dates == nil {
			dates = s.dates[i]
		}
		if dates == nil {
			if text == "true" || text == "false" {
				return sortValue{whole: map[string]int64{"true": 1}[text]}, nil
			}
			return sortValue{}, bad()
		}
		ms, _, err := dates.Parse(text, time.UTC)
		if err != nil {
			return sortValue{}, bad()
		}
		return sortValue{whole: ms}, nil
	}
}

// setAfter reads the values of search_after.
func (s *sorter) setAfter(values []any, fields []*mapping.Field) error {
	s.after = make([]sortValue, len(values))
	for i, value := range values {
		if value == nil {
			missing, err := s.missing(i, fields[i])
			if err != nil {
				return err
			}
			s.after[i] = missing
			continue
		}
		text, ok := scalarText(value)
		if !ok {
			return apierror.Illegal("Can't handle search_after field value of type [%T]", value)
		}
		v, err := s.parse(i, fields[i], text)
		if err != nil {
			return err
		}
		s.after[i] = v
	}
	return nil
}

// compare orders two values of key i.
func (s *sorter) compare(i int, a, b sortValue) int {
	var c int
	switch s.kinds[i] {
	case sortText:
		if a.absent != 0 || b.absent != 0 {
			return cmp.Compare(a.absent, b.absent) // whatever the direction
		}
		c = strings.Compare(a.text, b.text)
	case sortDouble:
		c = cmp.Compare(a.number, b.number)
	default:
		c = cmp.Compare(a.whole, b.whole)
	}
	if s.keys[i].desc {
		return -c
	}
	return c
}

// show renders a value as the member "sort" of a hit has it.
func (s *sorter) show(i int, v sortValue) any {
	switch {
	case v.absent != 0:
		return nil
	case s.kinds[i] == sortText && s.address[i]:
		return agg.ValueText(&mapping.Field{Type: mapping.IP}, []byte(v.text))
	case s.kinds[i] == sortText:
		return v.text
	case s.kinds[i] == sortDouble && math.IsInf(v.number, 0):
		return strings.Replace(fmt.Sprintf("%vInfinity", map[bool]string{true: "-"}[v.number < 0]), "+", "", 1)
	case s.kinds[i] == sortDouble:
		return v.number
	case s.keys[i].format != nil && s.dates[i] != nil && v.whole != math.MaxInt64 && v.whole != math.MinInt64:
		return s.keys[i].format.Format(v.whole, time.UTC)
	default:
		return v.whole
	}
}
