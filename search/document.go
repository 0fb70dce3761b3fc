package search

import (
	"encoding/json"
	"net/http"

	"github.com/millrace/millrace/search/apierror"
	"github.com/millrace/millrace/search/storage"
)

// putDocument is PUT and POST index/_doc/id and POST index/_doc.
func (n *Node) putDocument(r *request) (answer, error) {
	kind := "index"
	switch opType := r.text("op_type"); opType {
	case "", "index":
	case "create":
		kind = "create"
	default:
		return answer{}, apierror.Illegal("opType must be 'create' or 'index', found: [%s]", opType)
	}
	return n.writeDocument(r, kind)
}

// createDocument is PUT and POST index/_create/id.
func (n *Node) createDocument(r *request) (answer, error) { return n.writeDocument(r, "create") }

// deleteDocument is DELETE index/_doc/id.
func (n *Node) deleteDocument(r *request) (answer, error) { return n.writeDocument(r, "delete") }

func (n *Node) writeDocument(r *request, kind string) (answer, error) {
	refresh, err := r.refreshParam()
	if err != nil {
		return answer{}, err
	}
	if err := r.unsupported("routing", "pipeline", "version", "version_type", "if_seq_no", "if_primary_term", "require_alias", "require_data_stream"); err != nil {
		return answer{}, err
	}
	r.ignore("wait_for_active_shards", "include_source_on_error")
	if err := r.finish(); err != nil {
		return answer{}, err
	}
	content, err := r.read()
	if err != nil {
		return answer{}, err
	}
	if len(content) == 0 && kind != "delete" {
		return answer{}, apierror.New("parse_exception", "request body is required")
	}
	if err := n.waitForRoom(r.Context()); err != nil {
		return answer{}, err
	}
	id, hasID := r.params["id"]
	a := bulkAction{kind: kind, index: r.params["index"], id: id, hasID: hasID, source: content}
	w := n.newWriter()
	result, ix, err := w.write(&a)
	w.position = max(w.position, result.Position)
	if syncErr := w.finish(false); syncErr != nil {
		return answer{}, syncErr
	}
	if err != nil {
		if e, known := apierror.From(err); known {
			w.count(e)
		}
		return answer{}, err
	}
	outcome, status := "updated", http.StatusOK
	switch {
	case kind == "delete" && result.Found:
		outcome = "deleted"
	case kind == "delete":
		outcome, status = "not_found", http.StatusNotFound
	case result.Created:
		outcome, status = "created", http.StatusCreated
	}
	n.metrics.documents.WithLabelValues(outcome).Inc()
	body := map[string]any{
		"_index": ix.Name, "_id": a.id, "_version": result.Version, "result": outcome, "_seq_no": result.SeqNo, "_primary_term": 1,
		"_shards": map[string]any{"total": 1, "successful": 1, "failed": 0},
	}
	if refresh != "" {
		ix.Refresh()
		if refresh == "true" {
			body["forced_refresh"] = true
		}
	}
	return answer{status: status, body: body}, nil
}

// getDocument is GET and HEAD index/_doc/id. It sees documents that are not refreshed yet.
func (n *Node) getDocument(r *request) (answer, error) {
	filter, d, found, err := n.lookUp(r)
	if err != nil {
		return answer{}, err
	}
	name, id := r.params["index"], r.params["id"]
	if !found {
		return answer{status: http.StatusNotFound, body: map[string]any{"_index": name, "_id": id, "found": false}}, nil
	}
	body := map[string]any{"_index": name, "_id": id, "_version": d.Version, "_seq_no": d.SeqNo, "_primary_term": 1, "found": true}
	if !filter.none {
		if body["_source"], err = filter.apply(d.Source); err != nil {
			return answer{}, err
		}
	}
	return ok(body)
}

func readGetParams(r *request) (sourceFilter, error) {
	var filter sourceFilter
	if err := filter.params(r); err != nil {
		return filter, err
	}
	if err := r.unsupported("routing", "version", "version_type", "stored_fields", "force_synthetic_source"); err != nil {
		return filter, err
	}
	r.ignore("preference", "realtime", "refresh")
	return filter, r.finish()
}

// lookUp finds the document that a request names, refreshed or not, and reads which part of it is asked for.
func (n *Node) lookUp(r *request) (filter sourceFilter, d storage.Document, found bool, err error) {
	if filter, err = readGetParams(r); err != nil {
		return filter, d, false, err
	}
	ix := n.store.Index(r.params["index"])
	if ix == nil {
		return filter, d, false, notFound(r.params["index"])
	}
	d, found, err = ix.Get(r.params["id"])
	return filter, d, found, err
}

// getSource is GET and HEAD index/_source/id.
func (n *Node) getSource(r *request) (answer, error) {
	filter, d, found, err := n.lookUp(r)
	if err != nil {
		return answer{}, err
	}
	name, id := r.params["index"], r.params["id"]
	if !found {
		return answer{}, &apierror.Error{Status: http.StatusNotFound, Type: "resource_not_found_exception", Reason: "Document not found [" + name + "]/[" + id + "]"}
	}
	source, err := filter.apply(d.Source)
	if err != nil {
		return answer{}, err
	}
	return ok(json.RawMessage(source))
}
