package query

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/millrace/millrace/search/apierror"
)

// Parse reads a query of the DSL, as encoding/json decodes it with UseNumber.
func Parse(value any) (Query, error) {
	p := &parser{}
	return p.query(value, 0)
}

type parser struct{ clauses int }

// MatchAll is the query that every document matches.
func MatchAll() Query { return matchAll{} }

func (p *parser) query(value any, depth int) (Query, error) {
	body, ok := value.(map[string]any)
	if !ok {
		return nil, apierror.Parsing("[_na] query malformed, must start with start_object")
	}
	if len(body) == 0 {
		return nil, apierror.Illegal("query malformed, empty clause found")
	}
	if len(body) > 1 {
		names := slices.Sorted(maps.Keys(body))
		return nil, apierror.Parsing("[%s] malformed query, expected [END_OBJECT] but found [FIELD_NAME]", names[0])
	}
	if p.clauses++; p.clauses > ClausesMax {
		return nil, apierror.Illegal("Query contains too many clauses: more than [%d]", ClausesMax)
	}
	if depth > DepthMax {
		return nil, apierror.Illegal("The nested depth of the query exceeds the maximum nested depth for queries set in [indices.query.bool.max_nested_depth]")
	}
	for name, inner := range body {
		return p.named(name, inner, depth)
	}
	return nil, apierror.Illegal("query malformed, empty clause found")
}

func (p *parser) named(name string, inner any, depth int) (Query, error) {
	body, ok := inner.(map[string]any)
	if !ok {
		return nil, apierror.Parsing("[%s] query malformed, no start_object after query name", name)
	}
	switch name {
	case "match_all":
		return matchAll{}, checkKeys(name, body, "boost")
	case "match_none":
		return matchNone{}, checkKeys(name, body, "boost")
	case "bool":
		return p.boolQuery(body, depth)
	case "constant_score":
		return p.constantScore(body, depth)
	case "term":
		return parseTerm(body)
	case "terms":
		return parseTerms(body)
	case "range":
		return parseRange(body)
	case "exists":
		return parseExists(body)
	case "prefix", "wildcard", "regexp":
		return parsePattern(name, body)
	case "ids":
		return parseIDs(body)
	case "match", "match_phrase":
		return parseMatch(name, body)
	case "multi_match":
		return parseMultiMatch(body)
	case "query_string":
		return parseQueryString(body)
	case "simple_query_string", "match_phrase_prefix", "match_bool_prefix", "fuzzy", "nested", "has_child", "has_parent", "parent_id",
		"dis_max", "function_score", "boosting", "script", "script_score", "more_like_this", "span_term", "span_near", "span_or", "span_first",
		"span_not", "span_multi", "intervals", "geo_bounding_box", "geo_distance", "geo_shape", "percolate", "rank_feature", "distance_feature",
		"pinned", "wrapper", "terms_set", "combined_fields", "knn", "semantic", "sparse_vector", "text_expansion", "rule", "weighted_tokens", "shape", "geo_polygon", "type":
		return nil, apierror.Unsupported("the query [" + name + "]")
	default:
		e := apierror.Parsing("unknown query [%s]", name)
		return nil, e.WithCause(apierror.New("named_object_not_found_exception", "unknown field [%s]", name))
	}
}

// checkKeys refuses keys that are not listed.
func checkKeys(query string, body map[string]any, known ...string) error {
	for _, key := range slices.Sorted(maps.Keys(body)) {
		if slices.Contains(known, key) {
			continue
		}
		if key == "_name" {
			return apierror.Unsupported("[_name] of the query [" + query + "]")
		}
		return apierror.Parsing("[%s] query does not support [%s]", query, key)
	}
	return nil
}

// single returns the one field that a query names and what is said of it. Members of the
// body that are not a field are boost and _name.
func single(query string, body map[string]any) (field string, value any, err error) {
	for _, key := range slices.Sorted(maps.Keys(body)) {
		switch {
		case key == "boost":
		case key == "_name":
			return "", nil, apierror.Unsupported("[_name] of the query [" + query + "]")
		case field != "":
			return "", nil, apierror.Parsing("[%s] query doesn't support multiple fields, found [%s] and [%s]", query, field, key)
		default:
			field, value = key, body[key]
		}
	}
	if field == "" {
		return "", nil, apierror.Illegal("field name is null or empty")
	}
	return field, value, nil
}

// textOf returns a JSON scalar as text.
func textOf(value any) (string, bool) {
	switch v := value.(type) {
	case string:
		return v, true
	case json.Number:
		return v.String(), true
	case bool:
		return strconv.FormatBool(v), true
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64), true
	default:
		return "", false
	}
}

func boolOf(name string, value any) (bool, error) {
	switch v := fmt.Sprint(value); v {
	case "true":
		return true, nil
	case "false":
		return false, nil
	default:
		return false, apierror.Illegal("Failed to parse value [%s] of [%s] as only [true] or [false] are allowed.", v, name)
	}
}

type matchAll struct{}

func (matchAll) compile(*compiler) (Filter, error) { return allFilter{}, nil }

type matchNone struct{}

func (matchNone) compile(*compiler) (Filter, error) { return noneFilter{}, nil }

// boolQuery is the query "bool".
type boolQuery struct {
	must, should, not []Query
	atLeast           *minimum
}

func (p *parser) boolQuery(body map[string]any, depth int) (Query, error) {
	q := &boolQuery{}
	for _, key := range slices.Sorted(maps.Keys(body)) {
		value := body[key]
		var err error
		switch key {
		case "must", "filter":
			var list []Query
			list, err = p.list(key, value, depth)
			q.must = append(q.must, list...)
		case "should":
			q.should, err = p.list(key, value, depth)
		case "must_not", "mustNot":
			q.not, err = p.list(key, value, depth)
		case "minimum_should_match":
			q.atLeast, err = parseMinimum(value)
		case "boost", "adjust_pure_negative":
			if key == "adjust_pure_negative" && value == false {
				err = apierror.Unsupported("[adjust_pure_negative] of the query [bool]")
			}
		case "_name":
			err = apierror.Unsupported("[_name] of the query [bool]")
		default:
			err = apierror.New("x_content_parse_exception", "[bool] unknown field [%s]", key)
		}
		if err != nil {
			return nil, err
		}
	}
	return q, nil
}

func (p *parser) list(key string, value any, depth int) ([]Query, error) {
	items, ok := value.([]any)
	if !ok {
		items = []any{value}
	}
	var list []Query
	for _, item := range items {
		q, err := p.query(item, depth+1)
		if e, known := apierror.From(err); known && (e.Type == "parsing_exception" || e.Type == "x_content_parse_exception") {
			return nil, apierror.New("x_content_parse_exception", "[bool] failed to parse field [%s]", key).WithCause(e)
		}
		if err != nil {
			return nil, err
		}
		list = append(list, q)
	}
	return list, nil
}

func (q *boolQuery) compile(c *compiler) (Filter, error) {
	var lists [3][]Filter
	for i, queries := range [][]Query{q.must, q.should, q.not} {
		for _, inner := range queries {
			f, err := inner.compile(c)
			if err != nil {
				return nil, err
			}
			lists[i] = append(lists[i], f)
		}
	}
	atLeast := 0
	if len(q.must) == 0 && len(q.should) > 0 {
		atLeast = 1
	}
	if q.atLeast != nil {
		var err error
		if atLeast, err = q.atLeast.of(len(q.should)); err != nil {
			return nil, err
		}
	}
	return newBool(lists[0], lists[1], lists[2], atLeast), nil
}

func (p *parser) constantScore(body map[string]any, depth int) (Query, error) {
	if err := checkKeys("constant_score", body, "filter", "boost"); err != nil {
		return nil, err
	}
	if body["filter"] == nil {
		return nil, apierror.Parsing("[constant_score] requires a 'filter' element")
	}
	return p.query(body["filter"], depth+1)
}
