package search

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"net/http"
	"time"

	"github.com/millrace/millrace/search/apierror"
	"github.com/millrace/millrace/search/jsonscan"
	"github.com/millrace/millrace/search/mapping"
	"github.com/millrace/millrace/search/storage"
)

// idBytesMax is the longest _id.
const idBytesMax = 512

// bulkAction is one action of a bulk.
type bulkAction struct {
	kind      string // index, create, delete
	index, id string
	hasID     bool
	source    []byte
}

// bulk is POST [index]/_bulk. Its answer is sent when everything in it, and everything
// that its conflicts were found with, is on disk.
func (n *Node) bulk(r *request) (answer, error) {
	refresh, err := r.refreshParam()
	if err != nil {
		return answer{}, err
	}
	if err := r.unsupported("pipeline", "routing", "require_alias", "require_data_stream", "list_executed_pipelines"); err != nil {
		return answer{}, err
	}
	r.ignore("wait_for_active_shards", "_source", "_source_includes", "_source_excludes", "include_source_on_error", "type")
	if err := r.finish(); err != nil {
		return answer{}, err
	}
	content, err := r.read()
	if err != nil {
		return answer{}, err
	}
	if len(content) == 0 {
		return answer{}, apierror.New("parse_exception", "request body is required")
	}
	actions, err := parseBulk(content, r.params["index"])
	if err != nil {
		return answer{}, err
	}
	if err := n.waitForRoom(r.Context()); err != nil {
		return answer{}, err
	}
	start := n.clock()
	w := n.newWriter()
	items := make([]bulkAnswer, len(actions))
	failed := false
	for i := range actions {
		item, err := w.item(r.Context(), &actions[i])
		if err != nil {
			return answer{}, err
		}
		failed = failed || item.Error != nil
		item.ForcedRefresh = refresh == "true" && item.Error == nil
		items[i].set(actions[i].kind, item)
	}
	if err := w.finish(refresh != ""); err != nil {
		return answer{}, err
	}
	return ok(map[string]any{"errors": failed, "took": n.clock().Sub(start).Milliseconds(), "items": items})
}

// bulkAnswer is an item of the answer, under the name of its action.
type bulkAnswer struct {
	Index  *bulkItem `json:"index,omitempty"`
	Create *bulkItem `json:"create,omitempty"`
	Delete *bulkItem `json:"delete,omitempty"`
}

func (a *bulkAnswer) set(kind string, item *bulkItem) {
	switch kind {
	case "index":
		a.Index = item
	case "create":
		a.Create = item
	default:
		a.Delete = item
	}
}

// bulkItem is what became of one action.
type bulkItem struct {
	Index         string         `json:"_index"`
	ID            *string        `json:"_id"`
	Version       int64          `json:"_version,omitempty"`
	Result        string         `json:"result,omitempty"`
	ForcedRefresh bool           `json:"forced_refresh,omitempty"`
	Shards        *shardCounts   `json:"_shards,omitempty"`
	SeqNo         *int64         `json:"_seq_no,omitempty"`
	PrimaryTerm   int64          `json:"_primary_term,omitempty"`
	Status        int            `json:"status"`
	Error         map[string]any `json:"error,omitempty"`
}

// shardCounts says on how many shards a write was made.
type shardCounts struct {
	Total      int `json:"total"`
	Successful int `json:"successful"`
	Failed     int `json:"failed"`
}

// refreshParam reads ?refresh: empty, true or wait_for. The latter two are the same here.
func (r *request) refreshParam() (string, error) {
	r.used["refresh"] = true
	if !r.query.Has("refresh") {
		return "", nil
	}
	switch v := r.query.Get("refresh"); v {
	case "", "true":
		return "true", nil
	case "wait_for":
		return v, nil
	case "false":
		return "", nil
	default:
		return "", apierror.Illegal("Unknown value for refresh: [%s].", v)
	}
}

// roomTimeout is how long a write waits for the buffers before it is refused.
const roomTimeout = 30 * time.Second

func (n *Node) waitForRoom(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, roomTimeout)
	defer cancel()
	if err := n.store.WaitForRoom(ctx); err != nil {
		return &apierror.Error{Status: http.StatusTooManyRequests, Type: "es_rejected_execution_exception", Reason: "the buffer of documents is full and could not be written in time"}
	}
	return nil
}

// parseBulk splits a bulk into its actions. Sources are not looked into.
func parseBulk(content []byte, index string) ([]bulkAction, error) {
	if content[len(content)-1] != '\n' {
		return nil, apierror.Illegal("The bulk request must be terminated by a newline [\\n]")
	}
	var actions []bulkAction
	var scan jsonscan.Scanner
	line := 0
	next := func() ([]byte, bool) {
		end := bytes.IndexByte(content, '\n')
		if end < 0 {
			return nil, false
		}
		text := content[:end]
		content = content[end+1:]
		line++
		return bytes.TrimSuffix(text, []byte("\r")), true
	}
	for {
		text, more := next()
		if !more {
			break
		}
		if len(bytes.TrimSpace(text)) == 0 {
			continue
		}
		a := bulkAction{index: index}
		if err := a.parse(&scan, text, line); err != nil {
			return nil, err
		}
		if a.kind != "delete" {
			if a.source, more = next(); !more {
				return nil, apierror.Illegal("The bulk request must be terminated by a newline [\\n]")
			}
		}
		actions = append(actions, a)
	}
	if len(actions) == 0 {
		return nil, validationFailed("no requests added;")
	}
	for _, a := range actions {
		if a.index == "" {
			return nil, validationFailed("index is missing;")
		}
		if a.kind == "delete" && !a.hasID {
			return nil, validationFailed("id is missing;")
		}
	}
	return actions, nil
}

func validationFailed(reason string) error {
	return apierror.New("action_request_validation_exception", "Validation Failed: 1: %s", reason)
}

// parse reads the line that says what to do.
func (a *bulkAction) parse(scan *jsonscan.Scanner, text []byte, line int) error {
	scan.Reset(text)
	malformed := func(format string, args ...any) error {
		return apierror.Illegal("Malformed action/metadata line [%d], "+format, append([]any{line}, args...)...)
	}
	if scan.Peek() != '{' {
		return malformed("expected START_OBJECT but found [%s]", bytes.TrimSpace(text[:min(len(text), 20)]))
	}
	members := 0
	err := scan.Object(func(key []byte) error {
		if members++; members > 1 {
			return malformed("expected END_OBJECT")
		}
		switch a.kind = string(key); a.kind {
		case "index", "create", "delete":
		case "update":
			return apierror.Unsupported("the action [update] of a bulk")
		default:
			return malformed("expected field [create], [delete], [index] or [update] but found [%s]", key)
		}
		if scan.Peek() != '{' {
			return malformed("expected START_OBJECT")
		}
		return scan.Object(func(key []byte) error { return a.member(scan, string(key), line) })
	})
	if err == nil {
		err = scan.End()
	}
	if _, known := apierror.From(err); err != nil && !known {
		return malformed("%s", err)
	}
	if err == nil && members == 0 {
		return malformed("expected FIELD_NAME but found [END_OBJECT]")
	}
	return err
}

func (a *bulkAction) member(scan *jsonscan.Scanner, key string, line int) error {
	if scan.Peek() == '{' || scan.Peek() == '[' {
		return apierror.Illegal("Malformed action/metadata line [%d], expected a simple value for field [%s] but found [START_OBJECT]", line, key)
	}
	raw, err := scan.Skip()
	if err != nil {
		return err
	}
	value := string(raw)
	null := value == "null"
	if raw[0] == '"' {
		var inner jsonscan.Scanner
		inner.Reset(raw)
		text, err := inner.String()
		if err != nil {
			return err
		}
		value = string(text)
	}
	switch key {
	case "_index":
		if !null {
			a.index = value
		}
	case "_id":
		if !null {
			a.id, a.hasID = value, true
		}
	case "require_alias", "require_data_stream":
		if value == "true" {
			return apierror.Unsupported("[" + key + "] of a bulk")
		}
	case "_type":
	case "dynamic_templates", "if_seq_no", "if_primary_term", "version", "_version", "version_type", "_version_type", "routing", "_routing", "pipeline", "retry_on_conflict":
		if !null {
			return apierror.Unsupported("[" + key + "] of a bulk")
		}
	default:
		return apierror.Illegal("Action/metadata line [%d] contains an unknown parameter [%s]", line, key)
	}
	return nil
}

// writer carries out the actions of one request.
type writer struct {
	node   *Node
	parser mapping.Parser
	// position is what must be on disk before the answer.
	position int64
	touched  map[*storage.Index]bool
	last     *storage.Index
	shards   shardCounts
}

func (n *Node) newWriter() *writer {
	return &writer{node: n, touched: map[*storage.Index]bool{}, shards: shardCounts{Total: 1, Successful: 1}}
}

// finish waits for the disk and makes the documents visible.
func (w *writer) finish(refresh bool) error {
	if err := w.node.store.Sync(w.position); err != nil {
		return err
	}
	if refresh {
		for ix := range w.touched {
			ix.Refresh()
		}
	}
	return nil
}

// writeTriesMax bounds how often a write meets an index that has just been deleted.
const writeTriesMax = 10

// item carries out one action and renders its part of the answer. An error is the
// node's fault and fails the whole request.
func (w *writer) item(ctx context.Context, a *bulkAction) (*bulkItem, error) {
	result, ix, err := w.write(a)
	w.position = max(w.position, result.Position)
	if err != nil {
		e, known := apierror.From(err)
		if !known {
			return nil, err
		}
		w.count(e)
		item := &bulkItem{Index: a.index, ID: &a.id, Status: e.HTTPStatus(), Error: renderError(e)}
		if !a.hasID && a.id == "" {
			item.ID = nil
		}
		return item, ctx.Err()
	}
	status := http.StatusOK
	outcome := "updated"
	switch {
	case a.kind == "delete" && result.Found:
		outcome = "deleted"
	case a.kind == "delete":
		outcome, status = "not_found", http.StatusNotFound
	case result.Created:
		outcome, status = "created", http.StatusCreated
	}
	w.node.metrics.documents.WithLabelValues(outcome).Inc()
	w.touched[ix] = true
	return &bulkItem{
		Index: ix.Name, ID: &a.id, Version: result.Version, Result: outcome, Shards: &w.shards, SeqNo: &result.SeqNo,
		PrimaryTerm: 1, Status: status,
	}, nil
}

func (w *writer) count(e *apierror.Error) {
	if e.HTTPStatus() == http.StatusConflict {
		w.node.metrics.documents.WithLabelValues("conflict").Inc()
		return
	}
	w.node.metrics.documents.WithLabelValues("refused").Inc()
}

// write carries out one action. An index that is deleted meanwhile is made anew.
func (w *writer) write(a *bulkAction) (storage.Result, *storage.Index, error) {
	if len(a.id) > idBytesMax {
		return storage.Result{}, nil, apierror.Illegal("id [%s] is too long, must be no longer than 512 bytes but was: %d", a.id, len(a.id))
	}
	if a.hasID && a.id == "" {
		return storage.Result{}, nil, apierror.Illegal("if _id is specified it must not be empty")
	}
	var err error
	for range writeTriesMax {
		var ix *storage.Index
		if ix, err = w.index(a); err != nil {
			return storage.Result{}, nil, err
		}
		var result storage.Result
		switch a.kind {
		case "delete":
			result, err = ix.Delete(a.id)
		default:
			if !a.hasID && a.id == "" {
				a.id = newDocumentID()
			}
			result, err = ix.Put(&w.parser, a.id, a.source, a.kind == "create" || !a.hasID)
		}
		if !errors.Is(err, storage.ErrClosed) {
			return result, ix, err
		}
		w.last = nil
	}
	return storage.Result{}, nil, err
}

// index finds the index of an action, or makes it.
func (w *writer) index(a *bulkAction) (*storage.Index, error) {
	if w.last != nil && w.last.Name == a.index {
		return w.last, nil
	}
	ix := w.node.store.Index(a.index)
	if ix == nil && a.kind == "delete" {
		// Elasticsearch makes the index for a deletion only with an external version.
		return nil, notFound(a.index)
	}
	if ix == nil {
		var err error
		if ix, err = w.node.autoCreate(a.index); err != nil {
			return nil, err
		}
	}
	w.last = ix
	return ix, nil
}

// newDocumentID makes an _id of 20 characters.
func newDocumentID() string {
	var raw [15]byte
	_, _ = rand.Read(raw[:]) // it never fails: crypto/rand ends the program instead
	return base64.RawURLEncoding.EncodeToString(raw[:])
}
