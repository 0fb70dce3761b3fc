package search

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/millrace/millrace/search/apierror"
	"github.com/millrace/millrace/search/mapping"
	"github.com/millrace/millrace/search/storage"
)

// createIndex is PUT index.
func (n *Node) createIndex(r *request) (answer, error) {
	name := r.params["index"]
	body, err := r.object()
	if err != nil {
		return answer{}, err
	}
	r.ignore("wait_for_active_shards")
	if err := r.finish(); err != nil {
		return answer{}, err
	}
	if err := checkIndexName(name); err != nil {
		return answer{}, err
	}
	own := templateBody{}
	for _, key := range slices.Sorted(maps.Keys(body)) {
		if err := own.member(key, body[key]); err != nil {
			if errors.Is(err, errUnknownMember) {
				return answer{}, apierror.New("parse_exception", "unknown key [%s] for create index", key)
			}
			return answer{}, err
		}
	}
	ix, err := n.makeIndex(name, own)
	if errors.Is(err, storage.ErrExists) {
		e := apierror.New("resource_already_exists_exception", "index [%s/%s] already exists", name, ix.UUID)
		e.Fields = map[string]any{"index_uuid": ix.UUID.String(), "index": name}
		return answer{}, e
	}
	if err != nil {
		return answer{}, err
	}
	return ok(map[string]any{"acknowledged": true, "shards_acknowledged": true, "index": name})
}

// autoCreate makes the index that a write names and that does not exist.
func (n *Node) autoCreate(name string) (*storage.Index, error) {
	if err := checkIndexName(name); err != nil {
		return nil, err
	}
	ix, err := n.makeIndex(name, templateBody{})
	if errors.Is(err, storage.ErrExists) {
		return ix, nil
	}
	return ix, err
}

// makeIndex makes an index from the template that its name falls under and from what the
// request says.
func (n *Node) makeIndex(name string, own templateBody) (*storage.Index, error) {
	base, err := n.templateFor(name)
	if err != nil {
		return nil, err
	}
	fields, err := base.mapping()
	if err != nil {
		return nil, err
	}
	if own.mappings != nil {
		if fields, err = fields.Merge(own.mappings); err != nil {
			return nil, mappingError(err)
		}
	}
	settings := maps.Clone(base.settings)
	if settings == nil {
		settings = map[string]any{}
	}
	maps.Copy(settings, own.settings)
	return n.store.CreateIndex(name, fields, settings)
}

// mappingError words an error of a mapping as Elasticsearch does for a whole request.
func mappingError(err error) error {
	e, known := apierror.From(err)
	if !known || e.Type != "mapper_parsing_exception" {
		return err
	}
	return apierror.New(e.Type, "Failed to parse mapping: %s", e.Reason).WithCause(e)
}

// deleteIndex is DELETE index.
func (n *Node) deleteIndex(r *request) (answer, error) {
	o, err := r.options()
	if err != nil {
		return answer{}, err
	}
	if err := r.finish(); err != nil {
		return answer{}, err
	}
	name := r.params["index"]
	if strings.Contains(name, "*") || name == "_all" {
		return answer{}, apierror.Illegal("Wildcard expressions or all indices are not allowed")
	}
	indices, err := n.resolve(name, o)
	if err != nil {
		return answer{}, err
	}
	for _, ix := range indices {
		if err := n.store.DeleteIndex(ix.Name); err != nil && !errors.Is(err, storage.ErrNotFound) {
			return answer{}, err
		}
	}
	return ok(map[string]any{"acknowledged": true})
}

// getIndex is GET and HEAD index.
func (n *Node) getIndex(r *request) (answer, error) {
	r.ignore("include_defaults", "flat_settings", "local", "features")
	indices, err := n.indicesOf(r)
	if err != nil {
		return answer{}, err
	}
	if err := r.finish(); err != nil {
		return answer{}, err
	}
	if r.Method == http.MethodHead && len(indices) == 0 {
		return answer{status: http.StatusNotFound}, nil
	}
	out := map[string]any{}
	for _, ix := range indices {
		out[ix.Name] = map[string]any{"aliases": map[string]any{}, "mappings": ix.Mapping(), "settings": map[string]any{"index": shownSettings(ix)}}
	}
	return ok(out)
}

func shownSettings(ix *storage.Index) map[string]any {
	shown := map[string]any{
		"number_of_shards": "1", "number_of_replicas": "0", "provided_name": ix.Name, "uuid": ix.UUID.String(),
		"creation_date": strconv.FormatInt(ix.Created.UnixMilli(), 10),
		"version":       map[string]any{"created": "8536000"},
	}
	for key, value := range ix.Settings {
		if _, own := shown[key]; !own {
			shown[key] = fmt.Sprint(value)
		}
	}
	return shown
}

// getMapping is GET [index]/_mapping.
func (n *Node) getMapping(r *request) (answer, error) {
	r.ignore("local")
	indices, err := n.indicesOf(r)
	if err != nil {
		return answer{}, err
	}
	if err := r.finish(); err != nil {
		return answer{}, err
	}
	out := map[string]any{}
	for _, ix := range indices {
		out[ix.Name] = map[string]any{"mappings": ix.Mapping()}
	}
	return ok(out)
}

// putMapping is PUT index/_mapping.
func (n *Node) putMapping(r *request) (answer, error) {
	r.ignore("write_index_only")
	body, err := r.object()
	if err != nil {
		return answer{}, err
	}
	indices, err := n.indicesOf(r)
	if err != nil {
		return answer{}, err
	}
	if err := r.finish(); err != nil {
		return answer{}, err
	}
	if body == nil {
		return answer{}, apierror.New("parse_exception", "request body is required")
	}
	for _, ix := range indices { // all or none
		if _, err := ix.Mapping().Merge(body); err != nil {
			return answer{}, mappingError(err)
		}
	}
	for _, ix := range indices {
		if err := ix.PutMapping(body); err != nil {
			return answer{}, mappingError(err)
		}
	}
	return ok(map[string]any{"acknowledged": true})
}

// refresh is GET and POST [index]/_refresh.
func (n *Node) refresh(r *request) (answer, error) {
	indices, err := n.indicesOf(r)
	if err != nil {
		return answer{}, err
	}
	if err := r.finish(); err != nil {
		return answer{}, err
	}
	for _, ix := range indices {
		ix.Refresh()
	}
	return ok(map[string]any{"_shards": map[string]any{"total": len(indices), "successful": len(indices), "failed": 0}})
}

// flush is GET and POST [index]/_flush: what is buffered is written as segments.
func (n *Node) flush(r *request) (answer, error) {
	r.ignore("force", "wait_if_ongoing")
	indices, err := n.indicesOf(r)
	if err != nil {
		return answer{}, err
	}
	if err := r.finish(); err != nil {
		return answer{}, err
	}
	for _, ix := range indices {
		if err := ix.Flush(); err != nil {
			return answer{}, err
		}
	}
	return ok(map[string]any{"_shards": map[string]any{"total": len(indices), "successful": len(indices), "failed": 0}})
}

// fieldCaps is GET and POST [index]/_field_caps.
func (n *Node) fieldCaps(r *request) (answer, error) {
	body, err := r.object()
	if err != nil {
		return answer{}, err
	}
	wanted := strings.Split(r.text("fields"), ",")
	for key, value := range body {
		if key != "fields" {
			return answer{}, apierror.Unsupported("[" + key + "] of the API [_field_caps]")
		}
		if wanted, err = patterns(value); err != nil {
			return answer{}, err
		}
	}
	if len(wanted) == 0 || wanted[0] == "" {
		return answer{}, validationFailed("no fields specified;")
	}
	if err := r.unsupported("filters", "types"); err != nil {
		return answer{}, err
	}
	r.ignore("include_unmapped", "include_empty_fields")
	indices, err := n.indicesOf(r)
	if err != nil {
		return answer{}, err
	}
	if err := r.finish(); err != nil {
		return answer{}, err
	}
	names := []string{}
	fields := map[string]map[string]map[string]any{}
	for _, ix := range indices {
		names = append(names, ix.Name)
		for _, pattern := range wanted {
			for _, f := range ix.Mapping().Expand(pattern) {
				addCaps(fields, f)
			}
			for _, path := range ix.Mapping().Objects() {
				if mapping.MatchSimple(pattern, path) {
					addCaps(fields, &mapping.Field{Path: path, Type: mapping.ObjectType})
				}
			}
		}
	}
	return ok(map[string]any{"indices": names, "fields": fields})
}

func addCaps(fields map[string]map[string]map[string]any, f *mapping.Field) {
	if fields[f.Path] == nil {
		fields[f.Path] = map[string]map[string]any{}
	}
	kind := string(f.Type)
	if f.Type == mapping.MatchOnlyText {
		kind = string(mapping.Text)
	}
	fields[f.Path][kind] = map[string]any{"type": kind, "metadata_field": false, "searchable": f.Index || f.DocValues, "aggregatable": f.Aggregatable()}
}
