package search

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/millrace/millrace/search/apierror"
)

// request is an HTTP request on its way through a handler.
type request struct {
	*http.Request
	node   *Node
	params map[string]string // of the path
	query  url.Values
	used   map[string]bool
	body   *account
}

// answer is what a handler returns.
type answer struct {
	status int
	// body is marshalled as JSON; text is sent as it is where body is nil.
	body any
	text string
}

func ok(body any) (answer, error) { return answer{status: http.StatusOK, body: body}, nil }

type handler func(*request) (answer, error)

// route is one path of the API. A segment in braces is a parameter.
type route struct {
	api      string
	path     []string
	handlers map[string]handler
}

func (n *Node) table() []route {
	get, post, put, del, head := http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodHead
	list := []struct {
		api, path string
		handlers  map[string]handler
	}{
		{"info", "/", map[string]handler{get: n.info, head: n.info}},
		{"bulk", "/_bulk", map[string]handler{post: n.bulk, put: n.bulk}},
		{"bulk", "/{index}/_bulk", map[string]handler{post: n.bulk, put: n.bulk}},
		{"search", "/_search", map[string]handler{get: n.search, post: n.search}},
		{"search", "/{index}/_search", map[string]handler{get: n.search, post: n.search}},
		{"count", "/_count", map[string]handler{get: n.count, post: n.count}},
		{"count", "/{index}/_count", map[string]handler{get: n.count, post: n.count}},
		{"msearch", "/_msearch", map[string]handler{get: n.msearch, post: n.msearch}},
		{"msearch", "/{index}/_msearch", map[string]handler{get: n.msearch, post: n.msearch}},
		{"refresh", "/_refresh", map[string]handler{get: n.refresh, post: n.refresh}},
		{"refresh", "/{index}/_refresh", map[string]handler{get: n.refresh, post: n.refresh}},
		{"flush", "/_flush", map[string]handler{get: n.flush, post: n.flush}},
		{"flush", "/{index}/_flush", map[string]handler{get: n.flush, post: n.flush}},
		{"doc", "/{index}/_doc", map[string]handler{post: n.putDocument}},
		{"doc", "/{index}/_doc/{id}", map[string]handler{get: n.getDocument, head: n.getDocument, put: n.putDocument, post: n.putDocument, del: n.deleteDocument}},
		{"create", "/{index}/_create/{id}", map[string]handler{put: n.createDocument, post: n.createDocument}},
		{"source", "/{index}/_source/{id}", map[string]handler{get: n.getSource, head: n.getSource}},
		{"mapping", "/_mapping", map[string]handler{get: n.getMapping}},
		{"mapping", "/{index}/_mapping", map[string]handler{get: n.getMapping, put: n.putMapping, post: n.putMapping}},
		{"field_caps", "/_field_caps", map[string]handler{get: n.fieldCaps, post: n.fieldCaps}},
		{"field_caps", "/{index}/_field_caps", map[string]handler{get: n.fieldCaps, post: n.fieldCaps}},
		{"index_template", "/_index_template", map[string]handler{get: n.getTemplate}},
		{"index_template", "/_index_template/{name}", map[string]handler{get: n.getTemplate, head: n.getTemplate, put: n.putTemplate, post: n.putTemplate, del: n.deleteTemplate}},
		{"cluster_health", "/_cluster/health", map[string]handler{get: n.health}},
		{"cluster_health", "/_cluster/health/{index}", map[string]handler{get: n.health}},
		{"cat", "/_cat/indices", map[string]handler{get: n.catIndices}},
		{"cat", "/_cat/indices/{index}", map[string]handler{get: n.catIndices}},
		{"cat", "/_cat/count", map[string]handler{get: n.catCount}},
		{"cat", "/_cat/count/{index}", map[string]handler{get: n.catCount}},
		{"index", "/{index}", map[string]handler{get: n.getIndex, head: n.getIndex, put: n.createIndex, del: n.deleteIndex}},
	}
	var routes []route
	for _, r := range list {
		routes = append(routes, route{r.api, splitPath(r.path), r.handlers})
	}
	return routes
}

func splitPath(path string) []string {
	return strings.FieldsFunc(path, func(c rune) bool { return c == '/' })
}

// match fills params where the path is the route's.
func (r *route) match(segments []string) (map[string]string, bool) {
	if len(segments) != len(r.path) {
		return nil, false
	}
	var params map[string]string
	for i, want := range r.path {
		if want[0] != '{' {
			if want != segments[i] {
				return nil, false
			}
			continue
		}
		// An index or a document never begins with an underscore, but for _all.
		if want == "{index}" && strings.HasPrefix(segments[i], "_") && segments[i] != "_all" {
			return nil, false
		}
		if params == nil {
			params = map[string]string{}
		}
		params[strings.Trim(want, "{}")] = segments[i]
	}
	return params, true
}

// find returns the handler of a request. Where there is none, it is one that says so.
func (n *Node) find(r *http.Request) (string, handler, map[string]string) {
	segments := splitPath(r.URL.EscapedPath())
	for i, s := range segments {
		plain, err := url.PathUnescape(s)
		if err != nil {
			return "unknown", refuse(apierror.Illegal("the path [%s] is not escaped correctly", r.URL.EscapedPath())), nil
		}
		segments[i] = plain
	}
	allowed := map[string]bool{}
	for i := range n.routes {
		params, matches := n.routes[i].match(segments)
		if !matches {
			continue
		}
		if h := n.routes[i].handlers[r.Method]; h != nil {
			return n.routes[i].api, h, params
		}
		for method := range n.routes[i].handlers {
			allowed[method] = true
		}
	}
	if len(allowed) > 0 {
		return "unknown", func(*request) (answer, error) {
			return answer{status: http.StatusMethodNotAllowed, body: map[string]any{"status": http.StatusMethodNotAllowed, "error": fmt.Sprintf(
				"Incorrect HTTP method for uri [%s] and method [%s], allowed: [%s]", r.URL.RequestURI(), r.Method, strings.Join(slices.Sorted(maps.Keys(allowed)), ", "))}}, nil
		}, nil
	}
	return "unknown", n.unknownRoute(segments), nil
}

// unknownRoute answers what no route has: Elasticsearch's own APIs are named as not supported.
func (n *Node) unknownRoute(segments []string) handler {
	for _, s := range segments {
		if len(s) > 1 && s[0] == '_' && s != "_all" {
			return refuse(apierror.Unsupported("the API [" + s + "]"))
		}
	}
	return func(r *request) (answer, error) {
		return answer{status: http.StatusBadRequest, body: map[string]any{
			"error": fmt.Sprintf("no handler found for uri [%s] and method [%s]", r.URL.RequestURI(), r.Method),
		}}, nil
	}
}

func refuse(err error) handler {
	return func(*request) (answer, error) { return answer{}, err }
}

// flag reads a parameter that is true or false; an empty value is true.
func (r *request) flag(name string, otherwise bool) (bool, error) {
	r.used[name] = true
	if !r.query.Has(name) {
		return otherwise, nil
	}
	switch v := r.query.Get(name); v {
	case "", "true":
		return true, nil
	case "false":
		return false, nil
	default:
		return false, apierror.Illegal("Failed to parse value [%s] as only [true] or [false] are allowed.", v)
	}
}

// text reads a parameter.
func (r *request) text(name string) string {
	r.used[name] = true
	return r.query.Get(name)
}

// number reads a parameter that is a whole number.
func (r *request) number(name string, otherwise int) (int, error) {
	r.used[name] = true
	if !r.query.Has(name) {
		return otherwise, nil
	}
	v, err := strconv.Atoi(r.query.Get(name))
	if err != nil {
		return 0, apierror.Illegal("Failed to parse int parameter [%s] with value [%s]", name, r.query.Get(name))
	}
	return v, nil
}

// ignore accepts parameters that change nothing here.
func (r *request) ignore(names ...string) {
	for _, name := range names {
		r.used[name] = true
	}
}

// unsupported refuses parameters that Elasticsearch has and this node has not.
func (r *request) unsupported(names ...string) error {
	for _, name := range names {
		r.used[name] = true
		if r.query.Has(name) {
			return apierror.Unsupported("the parameter [" + name + "]")
		}
	}
	return nil
}

// finish refuses the parameters that nobody asked for.
func (r *request) finish() error {
	r.ignore("pretty", "human", "error_trace", "filter_path", "format", "master_timeout", "timeout")
	var unknown []string
	for _, name := range slices.Sorted(maps.Keys(r.query)) {
		if !r.used[name] {
			unknown = append(unknown, "["+name+"]")
		}
	}
	switch len(unknown) {
	case 0:
		return nil
	case 1:
		return apierror.Illegal("request [%s] contains unrecognized parameter: %s", r.URL.Path, unknown[0])
	default:
		return apierror.Illegal("request [%s] contains unrecognized parameters: %s", r.URL.Path, strings.Join(unknown, ", "))
	}
}
