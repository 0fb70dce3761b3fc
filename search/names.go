package search

import (
	"net/http"
	"slices"
	"strings"
	"unicode"

	"github.com/millrace/millrace/search/apierror"
	"github.com/millrace/millrace/search/mapping"
	"github.com/millrace/millrace/search/storage"
)

// indexNameMax is Elasticsearch's limit in bytes.
const indexNameMax = 255

func notFound(name string) *apierror.Error {
	return &apierror.Error{
		Status: http.StatusNotFound, Type: "index_not_found_exception", Reason: "no such index [" + name + "]",
		Fields: map[string]any{"resource.type": "index_or_alias", "resource.id": name, "index_uuid": "_na_", "index": name},
	}
}

// checkIndexName refuses names that Elasticsearch refuses.
func checkIndexName(name string) error {
	reason := ""
	switch {
	case name == "":
		reason = "must not be empty"
	case strings.ContainsFunc(name, unicode.IsUpper):
		reason = "must be lowercase"
	case strings.ContainsAny(name, " \"*,/<>?\\|"):
		reason = "must not contain the following characters [' ','\"','*',',','/','<','>','?','\\','|']"
	case strings.ContainsAny(name, "#"):
		reason = "must not contain '#'"
	case strings.ContainsAny(name, ":"):
		reason = "must not contain ':'"
	case strings.ContainsRune("_-+", rune(name[0])):
		reason = "must not start with '_', '-', or '+'"
	case name == "." || name == "..":
		reason = "must not be '.' or '..'"
	case len(name) > indexNameMax:
		reason = "index name is too long, (more than 255 bytes)"
	}
	if reason == "" {
		return nil
	}
	e := apierror.New("invalid_index_name_exception", "Invalid index name [%s], %s", name, reason)
	e.Fields = map[string]any{"index_uuid": "_na_", "index": name}
	return e
}

// indicesOptions says what becomes of names that mean nothing.
type indicesOptions struct {
	ignoreUnavailable bool
	allowNoIndices    bool
	noWildcards       bool
}

// options reads the parameters that belong to index names.
func (r *request) options() (indicesOptions, error) {
	var o indicesOptions
	var err error
	if o.ignoreUnavailable, err = r.flag("ignore_unavailable", false); err != nil {
		return o, err
	}
	if o.allowNoIndices, err = r.flag("allow_no_indices", true); err != nil {
		return o, err
	}
	for value := range strings.SplitSeq(r.text("expand_wildcards"), ",") {
		switch value {
		case "", "open", "all", "hidden", "closed":
		case "none":
			o.noWildcards = true
		default:
			return o, apierror.Illegal("No valid expand wildcard value [%s]", value)
		}
	}
	r.ignore("ignore_throttled")
	return o, nil
}

// resolve returns the indices that an expression names, ordered by name: names,
// patterns with * and, after a pattern, names and patterns with a minus that take away.
func (n *Node) resolve(expression string, o indicesOptions) ([]*storage.Index, error) {
	all := n.store.Indices()
	if expression == "" || expression == "_all" || expression == "*" {
		if len(all) == 0 && !o.allowNoIndices {
			return nil, notFound("_all")
		}
		return all, nil
	}
	chosen := map[*storage.Index]bool{}
	wild := false
	for name := range strings.SplitSeq(expression, ",") {
		rest, minus := strings.CutPrefix(name, "-")
		switch {
		case strings.HasPrefix(name, "<"):
			return nil, apierror.Unsupported("date math in an index name")
		case strings.Contains(name, ":"):
			return nil, apierror.Unsupported("a search over clusters")
		case minus && wild:
			for ix := range chosen {
				if mapping.MatchSimple(rest, ix.Name) {
					delete(chosen, ix)
				}
			}
		case strings.Contains(name, "*") && !o.noWildcards:
			wild = true
			if err := n.choosePattern(name, all, chosen, o); err != nil {
				return nil, err
			}
		default:
			ix := n.store.Index(name)
			if ix == nil && !o.ignoreUnavailable {
				return nil, notFound(name)
			}
			if ix != nil {
				chosen[ix] = true
			}
		}
	}
	if len(chosen) == 0 && !o.allowNoIndices {
		return nil, notFound(expression)
	}
	return slices.DeleteFunc(all, func(ix *storage.Index) bool { return !chosen[ix] }), nil
}

func (n *Node) choosePattern(pattern string, all []*storage.Index, chosen map[*storage.Index]bool, o indicesOptions) error {
	any := false
	for _, ix := range all {
		if mapping.MatchSimple(pattern, ix.Name) {
			chosen[ix] = true
			any = true
		}
	}
	if !any && !o.allowNoIndices {
		return notFound(pattern)
	}
	return nil
}
