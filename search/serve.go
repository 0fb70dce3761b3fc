package search

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"

	"github.com/klauspost/compress/gzip"

	"github.com/millrace/millrace/search/apierror"
	"github.com/millrace/millrace/search/storage"
)

// serve answers one request.
func (n *Node) serve(w http.ResponseWriter, r *http.Request) {
	start := n.clock()
	w.Header().Set("X-Elastic-Product", "Elasticsearch")
	api, handle, params := n.find(r)
	req := &request{Request: r, node: n, params: params, query: r.URL.Query(), used: map[string]bool{}, body: &account{budget: n.bodies}}
	defer req.body.close()
	a := n.call(req, handle)
	n.send(w, req, a)
	n.metrics.requests.WithLabelValues(api, strconv.Itoa(a.status/100)+"xx").Inc()
	n.metrics.seconds.WithLabelValues(api).Observe(n.clock().Sub(start).Seconds())
}

// call runs the handler and renders its error. A panic is a fault of the node: it is
// logged with its stack, and answered with 500, so that it ends one request only.
func (n *Node) call(r *request, handle handler) (a answer) {
	defer func() {
		if fault := recover(); fault != nil {
			n.logger.Error("request failed by a fault of the search node", "method", r.Method, "path", r.URL.Path, "fault", fault, "stack", string(debug.Stack()))
			a = errorAnswer(&apierror.Error{Status: http.StatusInternalServerError, Type: "exception", Reason: "internal error"})
		}
	}()
	a, err := handle(r)
	if err != nil {
		return n.failed(r, err)
	}
	return a
}

// failed renders an error and logs those that are the node's fault.
func (n *Node) failed(r *request, err error) answer {
	e := asAPIError(err)
	if e.HTTPStatus() >= http.StatusInternalServerError {
		n.logger.Error("request failed", "method", r.Method, "path", r.URL.Path, "error", err)
	}
	return errorAnswer(e)
}

func asAPIError(err error) *apierror.Error {
	if e, ok := apierror.From(err); ok {
		return e
	}
	switch {
	case errors.Is(err, storage.ErrLogFailed):
		return &apierror.Error{Status: http.StatusServiceUnavailable, Type: "unavailable_shards_exception", Reason: err.Error()}
	case errors.Is(err, storage.ErrClosed), errors.Is(err, storage.ErrNotFound):
		return &apierror.Error{Status: http.StatusNotFound, Type: "index_not_found_exception", Reason: "the index has been deleted"}
	default:
		return &apierror.Error{Status: http.StatusInternalServerError, Type: "exception", Reason: err.Error()}
	}
}

func errorAnswer(e *apierror.Error) answer {
	return answer{status: e.HTTPStatus(), body: errorBody(e)}
}

// errorBody is Elasticsearch's shape of a failed request.
func errorBody(e *apierror.Error) map[string]any {
	plain := renderError(e)
	root := renderError(rootOf(e))
	delete(root, "caused_by")
	roots := []any{root}
	if e.Shard {
		plain = map[string]any{
			"type": "search_phase_execution_exception", "reason": "all shards failed", "phase": "query", "grouped": true,
			"failed_shards": []any{map[string]any{"shard": 0, "index": e.Fields["index"], "reason": renderError(e)}},
		}
	}
	if e.Type == "search_phase_execution_exception" { // met when results were put together, on no shard
		roots = []any{}
	}
	plain["root_cause"] = roots
	return map[string]any{"error": plain, "status": e.HTTPStatus()}
}

// rootOf returns the innermost error that Elasticsearch counts as a root cause.
func rootOf(e *apierror.Error) *apierror.Error {
	for e.Cause != nil && (e.Type == "x_content_parse_exception" || e.Type == "mapper_parsing_exception") {
		switch e.Cause.Type {
		case "parsing_exception", "mapper_parsing_exception", "x_content_parse_exception":
			e = e.Cause
		default:
			return e
		}
	}
	return e
}

// renderError is an error without its root cause, as items of a bulk show it.
func renderError(e *apierror.Error) map[string]any {
	out := map[string]any{"type": e.Type, "reason": e.Reason}
	maps.Copy(out, e.Fields)
	if e.Cause != nil {
		out["caused_by"] = renderError(e.Cause)
	}
	return out
}

func (n *Node) send(w http.ResponseWriter, r *request, a answer) {
	content := []byte(a.text)
	kind := "text/plain; charset=UTF-8"
	if a.body != nil {
		var err error
		if content, err = r.encode(a.body); err != nil {
			n.logger.Error("answer not encoded", "path", r.URL.Path, "error", err)
			a.status, content = http.StatusInternalServerError, []byte(`{"error":{"type":"exception","reason":"answer not encoded"},"status":500}`)
		}
		kind = contentType(r.Request)
	}
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Content-Length", strconv.Itoa(len(content)))
	w.WriteHeader(a.status)
	if r.Method == http.MethodHead {
		return
	}
	if _, err := w.Write(content); err != nil {
		n.logger.Debug("client gone before its answer", "path", r.URL.Path, "error", err)
	}
}

// contentType answers in the media type that was asked for, as clients in
// compatibility mode check.
func contentType(r *http.Request) string {
	if accept := r.Header.Get("Accept"); strings.HasPrefix(accept, "application/vnd.elasticsearch+json") {
		return accept
	}
	return "application/json"
}

func (r *request) encode(body any) ([]byte, error) {
	if r.query.Get("filter_path") != "" {
		filtered, err := filterPath(body, strings.Split(r.query.Get("filter_path"), ","))
		if err != nil {
			return nil, err
		}
		body = filtered
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if r.query.Has("pretty") && r.query.Get("pretty") != "false" {
		enc.SetIndent("", "  ")
	}
	err := enc.Encode(body)
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), err
}

// read reads the whole body, unpacking gzip. Its size is bounded, unpacked too, and counts
// against the memory of all requests.
func (r *request) read() ([]byte, error) {
	limit := r.node.cfg.RequestMax.Bytes()
	if limit <= 0 {
		limit = 100 << 20
	}
	if r.ContentLength > limit {
		return nil, tooLarge(limit)
	}
	var in io.Reader = r.Body
	switch encoding := r.Header.Get("Content-Encoding"); encoding {
	case "", "identity":
	case "gzip":
		unpacked, err := gzip.NewReader(in)
		if errors.Is(err, io.EOF) {
			return nil, nil
		}
		if err != nil {
			return nil, apierror.Illegal("the body is not gzip: %s", err)
		}
		defer func() { _ = unpacked.Close() }() // only read
		in = unpacked
	default:
		return nil, &apierror.Error{Status: http.StatusUnsupportedMediaType, Type: "media_type_header_exception", Reason: "Content-Encoding [" + encoding + "] is not supported"}
	}
	var body bytes.Buffer
	if r.ContentLength > 0 && in == r.Body {
		if err := r.body.Grow(r.ContentLength); err != nil {
			return nil, err
		}
		body.Grow(int(r.ContentLength) + bytes.MinRead)
	}
	for {
		if room := r.body.held - int64(body.Cap()); room < 0 {
			if err := r.body.Grow(-room); err != nil {
				return nil, err
			}
		}
		n, err := io.CopyN(&body, in, 64<<10)
		if int64(body.Len()) > limit {
			return nil, tooLarge(limit)
		}
		if errors.Is(err, io.EOF) {
			return body.Bytes(), nil
		}
		if err != nil {
			return nil, apierror.Illegal("the body could not be read after %d bytes: %s", int64(body.Len())+n, err)
		}
	}
}

func tooLarge(limit int64) error {
	return &apierror.Error{Status: http.StatusRequestEntityTooLarge, Type: "content_too_long_exception", Reason: "the body is larger than request_max, " + strconv.FormatInt(limit, 10) + " bytes"}
}

// object reads a body that is a JSON object; nil where there is none.
func (r *request) object() (map[string]any, error) {
	content, err := r.read()
	if err != nil {
		return nil, err
	}
	if len(bytes.TrimSpace(content)) == 0 {
		if source := r.text("source"); source != "" {
			r.ignore("source_content_type")
			content = []byte(source)
		} else {
			return nil, nil
		}
	}
	return decodeObject(content)
}

// decodeObject reads a JSON object; numbers stay as they are written.
func decodeObject(content []byte) (map[string]any, error) {
	dec := json.NewDecoder(bytes.NewReader(content))
	dec.UseNumber()
	var body map[string]any
	if err := dec.Decode(&body); err != nil {
		if errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, apierror.New("x_content_e_o_f_exception", "[%d] Unexpected end of file", dec.InputOffset())
		}
		if wrong := (*json.UnmarshalTypeError)(nil); errors.As(err, &wrong) {
			return nil, apierror.Parsing("Expected [START_OBJECT] but found [%s]", wrong.Value)
		}
		return nil, apierror.New("x_content_parse_exception", "[%d] %s", dec.InputOffset(), err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, apierror.New("x_content_parse_exception", "[%d] unexpected text after the body", dec.InputOffset())
	}
	if body == nil {
		return nil, apierror.Parsing("Expected [START_OBJECT] but found [VALUE_NULL]")
	}
	return body, nil
}
