package query

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/millrace/millrace/search/apierror"
	"github.com/millrace/millrace/search/mapping"
)

// fieldQuery is a query on one field.
type fieldQuery struct {
	field string
	on    func(c *compiler, f *mapping.Field) (Filter, error)
	// onID is what the query means on _id, nil where it means nothing.
	onID func() Filter
}

func (q *fieldQuery) compile(c *compiler) (Filter, error) {
	switch q.field {
	case "_id":
		if q.onID == nil {
			return nil, apierror.Unsupported("this query on the field [_id]")
		}
		return q.onID(), nil
	case "_index", "_seq_no", "_routing", "_ignored", "_tier", "_source", "_field_names":
		return nil, apierror.Unsupported("a query on the field [" + q.field + "]")
	}
	f := c.mapping.Lookup(q.field)
	if f == nil {
		return noneFilter{}, nil
	}
	return q.on(c, f)
}

func idSet(ids ...string) Filter {
	set := make(map[string]struct{}, len(ids))
	for _, id := range ids {
		set[id] = struct{}{}
	}
	return &idsFilter{ids: set}
}

func parseTerm(body map[string]any) (Query, error) {
	field, value, err := single("term", body)
	if err != nil {
		return nil, err
	}
	fold := false
	if inner, ok := value.(map[string]any); ok {
		if err := checkKeys("term", inner, "value", "term", "boost", "case_insensitive"); err != nil {
			return nil, err
		}
		if v, has := inner["case_insensitive"]; has {
			if fold, err = boolOf("case_insensitive", v); err != nil {
				return nil, err
			}
		}
		if value = inner["value"]; value == nil {
			value = inner["term"]
		}
	}
	if _, list := value.([]any); list {
		return nil, apierror.Parsing("[term] query does not support array of values")
	}
	text, ok := textOf(value)
	if !ok {
		return nil, apierror.Illegal("value cannot be null")
	}
	return &fieldQuery{
		field: field, onID: func() Filter { return idSet(text) },
		on: func(c *compiler, f *mapping.Field) (Filter, error) {
			if fold && (f.Type.IsText() || f.Type.IsKeyword()) {
				return c.wildcard(f, escapeWildcard(text), true)
			}
			return c.term(f, text)
		},
	}, nil
}

func escapeWildcard(text string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`).Replace(text)
}

func parseTerms(body map[string]any) (Query, error) {
	field, value, err := single("terms", body)
	if err != nil {
		return nil, err
	}
	items, ok := value.([]any)
	if !ok {
		if _, lookup := value.(map[string]any); lookup {
			return nil, apierror.Unsupported("terms lookup")
		}
		return nil, apierror.Parsing("[terms] query does not support [%s]", field)
	}
	if len(items) > TermsMax {
		return nil, apierror.Illegal("The number of terms [%d] used in the Terms Query request has exceeded the allowed maximum of [%d].", len(items), TermsMax)
	}
	var texts []string
	for _, item := range items {
		text, ok := textOf(item)
		if !ok {
			return nil, apierror.Illegal("No value specified for terms query")
		}
		texts = append(texts, text)
	}
	return &fieldQuery{
		field: field, onID: func() Filter { return idSet(texts...) },
		on: func(c *compiler, f *mapping.Field) (Filter, error) { return c.terms(f, texts) },
	}, nil
}

// terms returns what has any of the values.
func (c *compiler) terms(f *mapping.Field, texts []string) (Filter, error) {
	if f.Type.IsKeyword() {
		values := make([][]byte, 0, len(texts))
		for _, text := range texts {
			values = append(values, []byte(text))
		}
		if len(values) == 0 {
			return noneFilter{}, nil
		}
		return exactFilter(f, values), c.searchable(f)
	}
	var each []Filter
	var ranges [][2]int64
	for _, text := range texts {
		one, err := c.term(f, text)
		if err != nil {
			return nil, err
		}
		if ints, ok := one.(*intFilter); ok {
			ranges = append(ranges, ints.ranges...)
			continue
		}
		each = append(each, one)
	}
	if len(ranges) > 0 {
		each = append(each, newIntFilter(f, ranges))
	}
	return anyOf(each), nil
}

func parseExists(body map[string]any) (Query, error) {
	if err := checkKeys("exists", body, "field", "boost"); err != nil {
		return nil, err
	}
	field, ok := body["field"].(string)
	if !ok {
		return nil, apierror.Parsing("[exists] must be provided with a [field]")
	}
	if field == "" {
		return nil, apierror.Illegal("field name is null or empty")
	}
	return existsQuery(field), nil
}

type existsQuery string

func (q existsQuery) compile(c *compiler) (Filter, error) { return c.exists(string(q)), nil }

func parsePattern(name string, body map[string]any) (Query, error) {
	field, value, err := single(name, body)
	if err != nil {
		return nil, err
	}
	fold := false
	if inner, ok := value.(map[string]any); ok {
		known := []string{"value", name, "boost", "rewrite", "case_insensitive"}
		if name == "regexp" {
			known = append(known, "flags", "max_determinized_states")
		}
		if err := checkKeys(name, inner, known...); err != nil {
			return nil, err
		}
		if v, has := inner["case_insensitive"]; has {
			if fold, err = boolOf("case_insensitive", v); err != nil {
				return nil, err
			}
		}
		if value = inner["value"]; value == nil {
			value = inner[name]
		}
	}
	text, ok := textOf(value)
	if !ok {
		return nil, apierror.Illegal("value cannot be null")
	}
	return &fieldQuery{field: field, on: func(c *compiler, f *mapping.Field) (Filter, error) {
		switch name {
		case "prefix":
			return c.prefix(f, text, fold)
		case "wildcard":
			return c.wildcard(f, text, fold)
		default:
			return c.regex(f, text, fold)
		}
	}}, nil
}

func parseIDs(body map[string]any) (Query, error) {
	if err := checkKeys("ids", body, "values", "boost"); err != nil {
		return nil, err
	}
	items, ok := body["values"].([]any)
	if !ok {
		if text, single := textOf(body["values"]); single {
			return idsQuery{text}, nil
		}
		return nil, apierror.Illegal("[ids] requires providing an array of values")
	}
	q := idsQuery{}
	for _, item := range items {
		text, ok := textOf(item)
		if !ok {
			return nil, apierror.Illegal("[ids] values must be strings")
		}
		q = append(q, text)
	}
	return q, nil
}

type idsQuery []string

func (q idsQuery) compile(*compiler) (Filter, error) {
	if len(q) == 0 {
		return noneFilter{}, nil
	}
	return idSet(q...), nil
}

func parseRange(body map[string]any) (Query, error) {
	field, value, err := single("range", body)
	if err != nil {
		return nil, err
	}
	inner, ok := value.(map[string]any)
	if !ok {
		return nil, apierror.Parsing("[range] query malformed, no start_object after field name")
	}
	r := rangeSpec{includeFrom: true, includeTo: true}
	for _, key := range slices.Sorted(maps.Keys(inner)) {
		if err := r.parameter(key, inner[key]); err != nil {
			return nil, err
		}
	}
	return &fieldQuery{field: field, on: func(c *compiler, f *mapping.Field) (Filter, error) {
		if r.from == nil && r.to == nil {
			return c.exists(f.Path), nil
		}
		if f.Type != mapping.Date && (r.format != "" || r.zone != nil) && r.zone != nil {
			return nil, c.shardError("Range [%s] query does not support [time_zone] on field of type [%s]", f.Path, f.Type)
		}
		return c.between(f, r)
	}}, nil
}

func (r *rangeSpec) parameter(key string, value any) error {
	var end *string
	if text, ok := textOf(value); ok {
		end = &text
	} else if value != nil && key != "boost" {
		return apierror.Parsing("[range] query does not support [%s]", key)
	}
	switch key {
	case "gte", "gt", "from":
		r.from = end
		if key == "gt" {
			r.includeFrom = false
		}
	case "lte", "lt", "to":
		r.to = end
		if key == "lt" {
			r.includeTo = false
		}
	case "include_lower", "include_upper":
		include, err := boolOf(key, value)
		if err != nil {
			return err
		}
		if key == "include_lower" {
			r.includeFrom = include
		} else {
			r.includeTo = include
		}
	case "format":
		if end != nil {
			r.format = *end
		}
	case "time_zone":
		if end == nil {
			return nil
		}
		zone, err := mapping.ParseZone(*end)
		if err != nil {
			return apierror.Illegal("%s", err)
		}
		r.zone = zone
	case "boost":
	case "relation":
		if end != nil && !strings.EqualFold(*end, "intersects") {
			return apierror.Unsupported("[relation] of the query [range]")
		}
	default:
		return apierror.Parsing("[range] query does not support [%s]", key)
	}
	return nil
}

// boolOperator says how the words of a text are joined.
type boolOperator struct {
	and     bool
	atLeast *minimum
}

func parseOperator(value any) (and bool, err error) {
	text, _ := textOf(value)
	switch strings.ToLower(text) {
	case "and":
		return true, nil
	case "or":
		return false, nil
	default:
		return false, apierror.Illegal("No enum constant org.elasticsearch.index.query.Operator.%s", strings.ToUpper(text))
	}
}

// matchQuery is match, match_phrase and multi_match.
type matchQuery struct {
	fields   []string
	text     string
	phrase   bool
	operator boolOperator
	lenient  bool
	// emptyAll says that a text without words matches everything.
	emptyAll bool
}

func parseMatch(name string, body map[string]any) (Query, error) {
	field, value, err := single(name, body)
	if err != nil {
		return nil, err
	}
	q := &matchQuery{fields: []string{field}, phrase: name == "match_phrase"}
	inner, ok := value.(map[string]any)
	if !ok {
		inner = map[string]any{"query": value}
	}
	if err := q.parameters(name, inner); err != nil {
		return nil, err
	}
	return q, nil
}

func (q *matchQuery) parameters(name string, inner map[string]any) error {
	text, ok := textOf(inner["query"])
	if !ok {
		return apierror.Parsing("No text specified for text query")
	}
	q.text = text
	for _, key := range slices.Sorted(maps.Keys(inner)) {
		if err := q.parameter(name, key, inner[key]); err != nil {
			return err
		}
	}
	return nil
}

func (q *matchQuery) parameter(name, key string, value any) error {
	text, _ := textOf(value)
	var err error
	switch {
	case key == "query", key == "boost":
	case key == "analyzer":
		if text != "standard" && text != "default" {
			return apierror.Unsupported("the analyzer [" + text + "]")
		}
	case key == "zero_terms_query":
		q.emptyAll = strings.EqualFold(text, "all")
	case key == "slop" && name != "match":
		if text != "0" {
			return apierror.Unsupported("[slop] of the query [" + name + "]")
		}
	case name == "match_phrase":
		return apierror.Parsing("[%s] query does not support [%s]", name, key)
	case key == "operator":
		q.operator.and, err = parseOperator(value)
	case key == "minimum_should_match":
		q.operator.atLeast, err = parseMinimum(value)
	case key == "lenient":
		q.lenient, err = boolOf(key, value)
	case key == "fuzziness":
		return apierror.Unsupported("[fuzziness] of the query [" + name + "]")
	case key == "auto_generate_synonyms_phrase_query", key == "prefix_length", key == "max_expansions", key == "fuzzy_transpositions", key == "fuzzy_rewrite", key == "tie_breaker":
	case key == "_name":
		return apierror.Unsupported("[_name] of the query [" + name + "]")
	default:
		return apierror.Parsing("[%s] query does not support [%s]", name, key)
	}
	return err
}

func parseMultiMatch(body map[string]any) (Query, error) {
	q := &matchQuery{}
	rest := maps.Clone(body)
	switch kind := rest["type"]; kind {
	case nil, "best_fields", "most_fields":
	case "phrase":
		q.phrase = true
	default:
		return nil, apierror.Unsupported("[type] of the query [multi_match]")
	}
	delete(rest, "type")
	fields, ok := rest["fields"].([]any)
	if one, single := rest["fields"].(string); single {
		fields, ok = []any{one}, true
	}
	if !ok && rest["fields"] != nil {
		return nil, apierror.Parsing("[multi_match] query does not support [fields]")
	}
	delete(rest, "fields")
	for _, field := range fields {
		name, _ := textOf(field)
		name, _, _ = strings.Cut(name, "^")
		q.fields = append(q.fields, name)
	}
	if len(q.fields) == 0 {
		q.fields, q.lenient = []string{"*"}, true
	}
	return q, q.parameters("multi_match", rest)
}

func (q *matchQuery) compile(c *compiler) (Filter, error) {
	var each []Filter
	for _, name := range q.fields {
		if name == "_id" {
			each = append(each, idSet(q.text))
			continue
		}
		for _, f := range c.mapping.Expand(name) {
			one, err := q.one(c, f)
			if err != nil {
				if q.lenient {
					continue
				}
				return nil, err
			}
			each = append(each, one)
		}
	}
	if len(each) == 1 {
		return each[0], nil
	}
	return anyOf(each), nil
}

func (q *matchQuery) one(c *compiler, f *mapping.Field) (Filter, error) {
	if q.emptyAll && f.Type.IsText() && len(analyze(q.text)) == 0 {
		return allFilter{}, nil
	}
	if q.phrase {
		return c.phrase(f, q.text)
	}
	return c.full(f, q.text, q.operator)
}

// minimum is a minimum_should_match.
type minimum struct{ text string }

func parseMinimum(value any) (*minimum, error) {
	text, ok := textOf(value)
	if !ok {
		return nil, apierror.Parsing("minimum_should_match must be a number or a string")
	}
	m := &minimum{strings.TrimSpace(text)}
	_, err := m.of(1)
	return m, err
}

// of returns how many of n clauses must match.
func (m *minimum) of(n int) (int, error) {
	text, percent := strings.CutSuffix(m.text, "%")
	value, err := strconv.Atoi(text)
	if err != nil {
		return 0, apierror.Unsupported("[minimum_should_match] of the form [" + m.text + "]")
	}
	if percent {
		part := n * value / 100
		if value < 0 {
			return max(n+part, 0), nil
		}
		return part, nil
	}
	if value < 0 {
		return max(n+value, 0), nil
	}
	return value, nil
}
