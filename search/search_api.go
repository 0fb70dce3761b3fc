package search

import (
	"bytes"
	"strings"

	"github.com/millrace/millrace/search/apierror"
	"github.com/millrace/millrace/search/query"
	"github.com/millrace/millrace/search/storage"
)

// search is GET and POST [index]/_search.
func (n *Node) search(r *request) (answer, error) {
	req := newSearchRequest()
	body, err := r.object()
	if err != nil {
		return answer{}, err
	}
	if err := req.parseBody(body); err != nil {
		return answer{}, err
	}
	q, err := parseQueryParam(r)
	if err != nil {
		return answer{}, err
	}
	if q != nil {
		req.query = q
	}
	if err := req.parseParams(r); err != nil {
		return answer{}, err
	}
	indices, err := n.indicesOf(r)
	if err != nil {
		return answer{}, err
	}
	if err := r.finish(); err != nil {
		return answer{}, err
	}
	out, err := n.runSearch(r, req, indices)
	if err != nil {
		return answer{}, err
	}
	return ok(out)
}

// indicesOf resolves the index of the path.
func (n *Node) indicesOf(r *request) ([]*storage.Index, error) {
	o, err := r.options()
	if err != nil {
		return nil, err
	}
	return n.resolve(r.params["index"], o)
}

func (n *Node) runSearch(r *request, req *searchRequest, indices []*storage.Index) (map[string]any, error) {
	if len(indices) > 0 {
		if err := req.check(); err != nil {
			return nil, err
		}
	}
	run, err := n.newSearchRun(req, indices)
	if err != nil {
		return nil, err
	}
	defer run.close()
	return run.response(r.Context())
}

// count is GET and POST [index]/_count.
func (n *Node) count(r *request) (answer, error) {
	req := newSearchRequest()
	req.size, req.trackTotal = 0, trackAll
	body, err := r.object()
	if err != nil {
		return answer{}, err
	}
	for key, value := range body {
		if key != "query" {
			return answer{}, apierror.Parsing("request does not support [%s]", key)
		}
		if req.query, err = query.Parse(value); err != nil {
			return answer{}, err
		}
	}
	q, err := parseQueryParam(r)
	if err != nil {
		return answer{}, err
	}
	if q != nil {
		req.query = q
	}
	if err := r.unsupported("routing", "terminate_after", "min_score"); err != nil {
		return answer{}, err
	}
	r.ignore("preference")
	indices, err := n.indicesOf(r)
	if err != nil {
		return answer{}, err
	}
	if err := r.finish(); err != nil {
		return answer{}, err
	}
	run, err := n.newSearchRun(req, indices)
	if err != nil {
		return answer{}, err
	}
	defer run.close()
	if err := run.collect(r.Context()); err != nil {
		return answer{}, err
	}
	return ok(map[string]any{
		"count":   run.total,
		"_shards": map[string]any{"total": len(indices), "successful": len(indices), "skipped": 0, "failed": 0},
	})
}

// searchesMax bounds the searches of one _msearch.
const searchesMax = 1000

// msearch is GET and POST [index]/_msearch: pairs of lines, one naming indices and one
// with a search. Errors of the second kind are answered in their place.
func (n *Node) msearch(r *request) (answer, error) {
	content, err := r.read()
	if err != nil {
		return answer{}, err
	}
	typedKeys, err := r.flag("typed_keys", false)
	if err != nil {
		return answer{}, err
	}
	asInt, err := r.flag("rest_total_hits_as_int", false)
	if err != nil {
		return answer{}, err
	}
	r.ignore("max_concurrent_searches", "max_concurrent_shard_requests", "pre_filter_shard_size", "ccs_minimize_roundtrips", "search_type")
	o, err := r.options()
	if err != nil {
		return answer{}, err
	}
	if err := r.finish(); err != nil {
		return answer{}, err
	}
	if len(bytes.TrimSpace(content)) == 0 {
		return answer{}, apierror.New("parse_exception", "request body or source parameter is required")
	}
	if content[len(content)-1] != '\n' {
		return answer{}, apierror.Illegal("The msearch request must be terminated by a newline [\n]")
	}
	searches, err := parseMsearch(content, r.params["index"], o)
	if err != nil {
		return answer{}, err
	}
	start := n.clock()
	responses := []any{}
	for _, one := range searches {
		one.req.typedKeys, one.req.totalAsInt = typedKeys, asInt
		responses = append(responses, n.oneSearch(r, one))
	}
	return ok(map[string]any{"took": n.clock().Sub(start).Milliseconds(), "responses": responses})
}

// namedSearch is one search of an _msearch.
type namedSearch struct {
	index   string
	options indicesOptions
	req     *searchRequest
}

func parseMsearch(content []byte, index string, o indicesOptions) ([]namedSearch, error) {
	lines := bytes.Split(bytes.TrimSuffix(content, []byte("\n")), []byte("\n"))
	var searches []namedSearch
	for i := 0; i < len(lines); i += 2 {
		if len(searches) >= searchesMax {
			return nil, apierror.Illegal("a request has more than %d searches", searchesMax)
		}
		if i+1 >= len(lines) {
			return nil, apierror.Illegal("Validation Failed: the last search has no body")
		}
		one := namedSearch{index: index, options: o, req: newSearchRequest()}
		if len(bytes.TrimSpace(lines[i])) > 0 {
			header, err := decodeObject(lines[i])
			if err != nil {
				return nil, err
			}
			if err := one.header(header); err != nil {
				return nil, err
			}
		}
		body, err := decodeObject(lines[i+1])
		if err != nil {
			return nil, err
		}
		if err := one.req.parseBody(body); err != nil {
			return nil, err
		}
		searches = append(searches, one)
	}
	return searches, nil
}

func (s *namedSearch) header(header map[string]any) error {
	for key, value := range header {
		switch key {
		case "index", "indices":
			names, err := patterns(value)
			if err != nil {
				return err
			}
			s.index = strings.Join(names, ",")
		case "ignore_unavailable":
			s.options.ignoreUnavailable = value == true || value == "true"
		case "allow_no_indices":
			s.options.allowNoIndices = value == true || value == "true"
		case "search_type", "preference", "request_cache", "expand_wildcards", "ccs_minimize_roundtrips", "allow_partial_search_results", "max_concurrent_shard_requests", "ignore_throttled":
		case "routing":
			return apierror.Unsupported("[routing] of a search")
		default:
			return apierror.Illegal("key [%s] is not supported in the metadata section", key)
		}
	}
	return nil
}

func (n *Node) oneSearch(r *request, s namedSearch) map[string]any {
	indices, err := n.resolve(s.index, s.options)
	if err != nil {
		return errorBody(asAPIError(err))
	}
	out, err := n.runSearch(r, s.req, indices)
	if err != nil {
		e := asAPIError(err)
		if e.HTTPStatus() >= 500 {
			n.logger.Error("search failed", "index", s.index, "error", err)
		}
		return errorBody(e)
	}
	out["status"] = 200
	return out
}
