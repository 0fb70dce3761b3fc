package search

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/millrace/millrace/search/agg"
	"github.com/millrace/millrace/search/apierror"
	"github.com/millrace/millrace/search/query"
)

// resultWindowMax is index.max_result_window.
const resultWindowMax = 10000

// trackTotalDefault is how many hits are counted exactly unless more is asked for.
const trackTotalDefault = 10000

// trackAll asks for an exact count.
const trackAll = -1

// searchRequest is a search as it was read.
type searchRequest struct {
	query      query.Query
	from, size int
	sort       []sortKey
	after      []any
	source     sourceFilter
	trackTotal int
	aggs       *agg.Tree
	version    bool
	seqNo      bool
	typedKeys  bool
	totalAsInt bool
}

func newSearchRequest() *searchRequest {
	return &searchRequest{query: query.MatchAll(), size: 10, trackTotal: trackTotalDefault}
}

// parseBody reads the body of a search.
func (s *searchRequest) parseBody(body map[string]any) error {
	for _, key := range slices.Sorted(maps.Keys(body)) {
		if err := s.member(key, body[key]); err != nil {
			return err
		}
	}
	return nil
}

func (s *searchRequest) member(key string, value any) error {
	var err error
	switch key {
	case "query":
		s.query, err = query.Parse(value)
	case "from":
		if s.from, err = wholeNumber(key, value); err == nil && s.from < 0 {
			err = apierror.Illegal("[from] parameter cannot be negative, found [%d]", s.from)
		}
	case "size":
		if s.size, err = wholeNumber(key, value); err == nil && s.size < 0 {
			err = apierror.Illegal("[size] parameter cannot be negative, found [%d]", s.size)
		}
	case "sort":
		s.sort, err = parseSort(value)
	case "search_after":
		list, ok := value.([]any)
		if !ok || len(list) == 0 {
			return apierror.Illegal("Values must contains at least one value.")
		}
		s.after = list
	case "_source":
		s.source, err = parseSource(value)
	case "track_total_hits":
		s.trackTotal, err = parseTrackTotal(value)
	case "aggs", "aggregations":
		s.aggs, err = agg.Parse(value)
	case "version":
		s.version = value == true
	case "seq_no_primary_term":
		s.seqNo = value == true
	case "timeout", "track_scores", "explain", "profile", "highlight", "fields", "docvalue_fields", "stored_fields", "script_fields",
		"runtime_mappings", "post_filter", "min_score", "terminate_after", "collapse", "rescore", "suggest", "pit", "slice", "indices_boost", "stats", "ext", "knn", "rank", "retriever":
		return optional(key, value)
	default:
		return apierror.Parsing("Unknown key for a %s in [%s].", tokenName(value), key)
	}
	return err
}

// optional accepts a member that asks for nothing, and refuses it otherwise.
func optional(key string, value any) error {
	switch v := value.(type) {
	case nil:
		return nil
	case bool:
		if !v {
			return nil
		}
	case map[string]any:
		if len(v) == 0 {
			return nil
		}
	case []any:
		if len(v) == 0 {
			return nil
		}
	}
	switch key {
	case "timeout", "stats":
		return nil // a search here is not cut short, and statistics have no effect on its result
	}
	return apierror.Unsupported("[" + key + "] of a search")
}

func tokenName(value any) string {
	switch value.(type) {
	case map[string]any:
		return "START_OBJECT"
	case []any:
		return "START_ARRAY"
	case string:
		return "VALUE_STRING"
	case bool:
		return "VALUE_BOOLEAN"
	case nil:
		return "VALUE_NULL"
	default:
		return "VALUE_NUMBER"
	}
}

func wholeNumber(key string, value any) (int, error) {
	n, err := strconv.Atoi(fmt.Sprint(value))
	if err != nil {
		return 0, apierror.Illegal("Failed to parse int parameter [%s] with value [%v]", key, value)
	}
	return n, nil
}

func parseTrackTotal(value any) (int, error) {
	switch v := fmt.Sprint(value); v {
	case "true":
		return trackAll, nil
	case "false":
		return 0, nil
	default:
		n, err := strconv.Atoi(v)
		if err != nil || n < -1 {
			return 0, badTrackTotal(v, err)
		}
		return n, nil
	}
}

func badTrackTotal(text string, err error) error {
	if err != nil {
		return apierror.New("number_format_exception", "For input string: \"%s\"", text)
	}
	return apierror.Illegal("[track_total_hits] parameter must be positive or equals to -1, got %s", text)
}

// parseParams reads the parameters of the URL, which overrule the body.
func (s *searchRequest) parseParams(r *request) error {
	var err error
	if s.from, err = r.number("from", s.from); err != nil {
		return err
	}
	if s.size, err = r.number("size", s.size); err != nil {
		return err
	}
	if s.from < 0 || s.size < 0 {
		return apierror.Illegal("[from] and [size] parameters cannot be negative, found [%d] and [%d]", s.from, s.size)
	}
	if text := r.text("sort"); text != "" {
		if s.sort, err = parseSortParam(text); err != nil {
			return err
		}
	}
	if text := r.text("track_total_hits"); text != "" {
		if s.trackTotal, err = parseTrackTotal(text); err != nil {
			return err
		}
	}
	if err := s.source.params(r); err != nil {
		return err
	}
	if s.version, err = r.flag("version", s.version); err != nil {
		return err
	}
	if s.seqNo, err = r.flag("seq_no_primary_term", s.seqNo); err != nil {
		return err
	}
	if s.typedKeys, err = r.flag("typed_keys", s.typedKeys); err != nil {
		return err
	}
	if s.totalAsInt, err = r.flag("rest_total_hits_as_int", false); err != nil {
		return err
	}
	if s.totalAsInt && s.trackTotal == trackTotalDefault {
		s.trackTotal = trackAll
	}
	r.ignore("request_cache", "preference", "batched_reduce_size", "ccs_minimize_roundtrips", "max_concurrent_shard_requests", "pre_filter_shard_size",
		"allow_partial_search_results", "stats", "force_synthetic_source", "track_scores")
	if kind := r.text("search_type"); kind != "" && kind != "query_then_fetch" {
		return apierror.Unsupported("the search_type [" + kind + "]")
	}
	return r.unsupported("scroll", "routing", "terminate_after", "explain", "stored_fields", "docvalue_fields", "suggest_field", "suggest_text", "min_compatible_shard_node", "include_named_queries_score")
}

// parseQueryParam reads ?q= and what belongs to it; it is the query where it is given.
func parseQueryParam(r *request) (query.Query, error) {
	text, field := r.text("q"), r.text("df")
	operator := strings.ToLower(r.text("default_operator"))
	lenient, err := r.flag("lenient", false)
	if err != nil {
		return nil, err
	}
	r.ignore("analyze_wildcard")
	if analyzer := r.text("analyzer"); analyzer != "" && analyzer != "standard" {
		return nil, apierror.Unsupported("the analyzer [" + analyzer + "]")
	}
	if !r.query.Has("q") {
		return nil, nil
	}
	return query.FromLucene(text, field, operator == "and", lenient), nil
}

// check refuses what only shows from all members together.
func (s *searchRequest) check() error {
	if s.from+s.size > resultWindowMax {
		return apierror.OnShard("illegal_argument_exception", "Result window is too large, from + size must be less than or equal to: [%d] but was [%d]. See the scroll api for a more efficient way to request large data sets. This limit can be set by changing the [index.max_result_window] index level setting.", resultWindowMax, s.from+s.size)
	}
	if s.after == nil {
		return nil
	}
	switch {
	case s.from > 0:
		e := apierror.New("action_request_validation_exception", "Validation Failed: 1: `from` parameter must be set to 0 when `search_after` is used;")
		return e
	case len(s.sort) == 0:
		return apierror.OnShard("illegal_argument_exception", "Sort must contain at least one field.")
	case len(s.after) != len(s.sort):
		return apierror.OnShard("illegal_argument_exception", "search_after has %d value(s) but sort has %d.", len(s.after), len(s.sort))
	}
	return nil
}

// scalarText returns a JSON scalar as text.
func scalarText(value any) (string, bool) {
	switch v := value.(type) {
	case string:
		return v, true
	case json.Number:
		return v.String(), true
	case bool:
		return strconv.FormatBool(v), true
	default:
		return "", false
	}
}
