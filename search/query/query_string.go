package query

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/millrace/millrace/search/analysis"
	"github.com/millrace/millrace/search/apierror"
	"github.com/millrace/millrace/search/mapping"
)

// queryString is the query "query_string".
type queryString struct {
	text    string
	fields  []string
	and     bool
	lenient bool
	phrase  bool // type phrase
	zone    *time.Location
	escape  bool
}

// FromLucene returns the query that ?q= means.
func FromLucene(text, defaultField string, and bool, lenient bool) Query {
	q := &queryString{text: text, and: and, lenient: lenient}
	if defaultField != "" {
		q.fields = []string{defaultField}
	}
	q.settle(false)
	return q
}

func parseQueryString(body map[string]any) (Query, error) {
	text, ok := textOf(body["query"])
	if !ok {
		return nil, apierror.Parsing("[query_string] must be provided with a [query]")
	}
	q := &queryString{text: text}
	hasLenient := false
	for _, key := range slices.Sorted(maps.Keys(body)) {
		if err := q.parameter(key, body[key]); err != nil {
			return nil, err
		}
		hasLenient = hasLenient || key == "lenient"
	}
	if len(q.fields) > 1 && body["default_field"] != nil {
		return nil, apierror.Parsing("[query_string] cannot use both [default_field] and [fields]")
	}
	q.settle(hasLenient)
	return q, nil
}

// settle makes all fields the default, for which what does not fit is passed over.
func (q *queryString) settle(hasLenient bool) {
	if len(q.fields) == 0 || len(q.fields) == 1 && q.fields[0] == "*" {
		q.fields = nil
		q.lenient = q.lenient || !hasLenient
	}
}

func (q *queryString) parameter(key string, value any) error {
	text, _ := textOf(value)
	var err error
	switch key {
	case "query", "boost", "analyze_wildcard", "allow_leading_wildcard", "enable_position_increments", "fuzzy_max_expansions",
		"fuzzy_prefix_length", "fuzzy_transpositions", "fuzzy_rewrite", "fuzziness", "max_determinized_states", "rewrite", "tie_breaker",
		"auto_generate_synonyms_phrase_query":
	case "default_field":
		if value != nil {
			q.fields = []string{text}
		}
	case "fields":
		items, ok := value.([]any)
		if !ok {
			return apierror.Parsing("[query_string] query does not support [fields]")
		}
		for _, item := range items {
			name, _ := textOf(item)
			name, _, _ = strings.Cut(name, "^")
			q.fields = append(q.fields, name)
		}
	case "default_operator":
		q.and, err = parseOperator(value)
	case "lenient":
		q.lenient, err = boolOf(key, value)
	case "escape":
		q.escape, err = boolOf(key, value)
	case "time_zone":
		if q.zone, err = mapping.ParseZone(text); err != nil {
			err = apierror.Illegal("%s", err)
		}
	case "analyzer", "quote_analyzer":
		if text != "standard" && text != "default" {
			return apierror.Unsupported("the analyzer [" + text + "]")
		}
	case "phrase_slop":
		if text != "0" {
			return apierror.Unsupported("[phrase_slop] of the query [query_string]")
		}
	case "type":
		switch text {
		case "best_fields", "most_fields":
		case "phrase":
			q.phrase = true
		default:
			return apierror.Unsupported("[type] of the query [query_string]")
		}
	case "minimum_should_match", "quote_field_suffix", "_name":
		return apierror.Unsupported("[" + key + "] of the query [query_string]")
	default:
		return apierror.Parsing("[query_string] query does not support [%s]", key)
	}
	return err
}

func (q *queryString) compile(c *compiler) (Filter, error) {
	text := q.text
	if q.escape {
		text = escapeLucene(text)
	}
	tokens, err := tokenizeLucene(text)
	var f Filter
	if err == nil {
		p := &lucene{tokens: tokens, and: q.and, leaf: &luceneLeaf{c: c, q: q}}
		f, err = p.parse()
	}
	if e, ok := apierror.From(err); ok && e.Type == "parse_exception" && !e.Shard {
		outer := c.shardError("Failed to parse query [%s]", q.text)
		if shard, ok := apierror.From(outer); ok {
			return nil, shard.WithCause(e)
		}
	}
	if err != nil {
		return nil, err
	}
	if f == nil {
		return noneFilter{}, nil
	}
	return f, nil
}

func escapeLucene(text string) string {
	var out strings.Builder
	for i := range len(text) {
		if strings.ContainsRune(`\+-!():^[]"{}~*?|&/`, rune(text[i])) {
			out.WriteByte('\\')
		}
		out.WriteByte(text[i])
	}
	return out.String()
}

// luceneLeaf turns the words of a query_string into filters on fields.
type luceneLeaf struct {
	c *compiler
	q *queryString
}

// each joins what make returns for each of the fields that a name means. A nil filter
// is no clause; where all are nil, there is none.
func (l *luceneLeaf) each(field string, make func(f *mapping.Field) (Filter, error)) (Filter, error) {
	names := []string{field}
	if field == "" {
		names = l.q.fields
		if names == nil {
			names = []string{"*"}
		}
	}
	var filters []Filter
	found, empty := false, true
	for _, name := range names {
		for _, f := range l.c.mapping.Expand(name) {
			found = true
			if !f.Index && !f.DocValues {
				continue
			}
			if l.c.clauses++; l.c.clauses > ClausesMax {
				return nil, apierror.Illegal("Query contains too many nested clauses; maxClauseCount is set to %d", ClausesMax)
			}
			one, err := make(f)
			if err != nil {
				if l.lenient(err) {
					empty = false
					continue
				}
				return nil, err
			}
			if one != nil {
				filters, empty = append(filters, one), false
			}
		}
	}
	if found && empty {
		return nil, nil
	}
	return anyOf(filters), nil
}

// lenient reports whether an error only says that the value does not fit the field.
func (l *luceneLeaf) lenient(err error) bool {
	e, ok := apierror.From(err)
	return l.q.lenient && ok && e.Shard
}

func (l *luceneLeaf) text(field, text string, quoted bool) (Filter, error) {
	if field == "_exists_" {
		return l.c.exists(text), nil
	}
	if field == "_id" {
		return idSet(text), nil
	}
	if isMeta(field) {
		return nil, apierror.Unsupported("a query on the field [" + field + "]")
	}
	if !quoted && field != "" {
		if r, ok := comparison(text); ok {
			r.zone = l.q.zone
			return l.each(field, func(f *mapping.Field) (Filter, error) { return l.c.between(f, normalizeRange(f, r)) })
		}
	}
	return l.each(field, func(f *mapping.Field) (Filter, error) {
		switch {
		case f.Type.IsText() && len(analyze(text)) == 0:
			return nil, nil
		case f.Type == mapping.Date:
			return l.c.between(f, rangeSpec{from: &text, to: &text, includeFrom: true, includeTo: true, zone: l.q.zone})
		case quoted || l.q.phrase:
			return l.c.phrase(f, text)
		default:
			return l.c.full(f, text, boolOperator{and: l.q.and})
		}
	})
}

func isMeta(field string) bool {
	switch field {
	case "_index", "_seq_no", "_routing", "_ignored", "_tier", "_source", "_field_names", "_version":
		return true
	}
	return false
}

// comparison reads >=5, >5, <=5 and <5.
func comparison(text string) (rangeSpec, bool) {
	r := rangeSpec{includeFrom: true, includeTo: true}
	for _, operator := range []string{">=", "<=", ">", "<"} {
		end, ok := strings.CutPrefix(text, operator)
		if !ok || end == "" {
			continue
		}
		if operator[0] == '>' {
			r.from, r.includeFrom = &end, operator == ">="
		} else {
			r.to, r.includeTo = &end, operator == "<="
		}
		return r, true
	}
	return r, false
}

// normalizeRange lowers the ends of a range over words, as the analyzer does.
func normalizeRange(f *mapping.Field, r rangeSpec) rangeSpec {
	if !f.Type.IsText() {
		return r
	}
	for _, end := range []**string{&r.from, &r.to} {
		if *end != nil {
			lower := string(analysis.AppendLower(nil, []byte(**end)))
			*end = &lower
		}
	}
	return r
}

func (l *luceneLeaf) star(field string) (Filter, error) {
	switch {
	case field == "*", field == "" && l.q.fields == nil:
		return allFilter{}, nil
	case field != "":
		return l.c.exists(field), nil
	}
	var each []Filter
	for _, name := range l.q.fields {
		each = append(each, l.c.exists(name))
	}
	return anyOf(each), nil
}

// normalize lowers a pattern for text, whose words are in lower case.
func normalize(f *mapping.Field, pattern string) string {
	if f.Type.IsText() {
		return string(analysis.AppendLower(nil, []byte(pattern)))
	}
	return pattern
}

func (l *luceneLeaf) prefix(field, prefix string) (Filter, error) {
	if field == "_exists_" {
		return l.c.exists(prefix + "*"), nil
	}
	if isMeta(field) || field == "_id" {
		return nil, apierror.Unsupported("a pattern on the field [" + field + "]")
	}
	return l.each(field, func(f *mapping.Field) (Filter, error) { return l.c.prefix(f, normalize(f, prefix), false) })
}

func (l *luceneLeaf) wildcard(field, pattern string) (Filter, error) {
	if field == "_exists_" {
		return l.c.exists(pattern), nil
	}
	if isMeta(field) || field == "_id" {
		return nil, apierror.Unsupported("a pattern on the field [" + field + "]")
	}
	return l.each(field, func(f *mapping.Field) (Filter, error) { return l.c.wildcard(f, normalize(f, pattern), false) })
}

func (l *luceneLeaf) regex(field, pattern string) (Filter, error) {
	if isMeta(field) || field == "_id" {
		return nil, apierror.Unsupported("a pattern on the field [" + field + "]")
	}
	return l.each(field, func(f *mapping.Field) (Filter, error) { return l.c.regex(f, pattern, false) })
}

func (l *luceneLeaf) between(field string, t luceneToken) (Filter, error) {
	if isMeta(field) || field == "_id" {
		return nil, apierror.Unsupported("a range on the field [" + field + "]")
	}
	r := rangeSpec{includeFrom: t.includeFrom, includeTo: t.includeTo, zone: l.q.zone}
	from, to := unescape(t.from), unescape(t.to)
	if from != "*" || t.fromQuoted {
		r.from = &from
	}
	if to != "*" || t.toQuoted {
		r.to = &to
	}
	if r.from == nil && r.to == nil && field != "" {
		return l.c.exists(field), nil
	}
	return l.each(field, func(f *mapping.Field) (Filter, error) { return l.c.between(f, normalizeRange(f, r)) })
}
