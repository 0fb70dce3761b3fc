package search

import (
	"bytes"
	"encoding/json"
	"strings"

	"github.com/millrace/millrace/search/apierror"
	"github.com/millrace/millrace/search/mapping"
)

// sourceFilter says what of a document's source is shown.
type sourceFilter struct {
	none               bool
	includes, excludes []string
}

func parseSource(value any) (sourceFilter, error) {
	switch v := value.(type) {
	case bool:
		return sourceFilter{none: !v}, nil
	case string, []any:
		list, err := patterns(v)
		return sourceFilter{includes: list}, err
	case map[string]any:
		var f sourceFilter
		for key, inner := range v {
			list, err := patterns(inner)
			if err != nil {
				return f, err
			}
			switch key {
			case "includes", "include":
				f.includes = list
			case "excludes", "exclude":
				f.excludes = list
			default:
				return f, apierror.Parsing("Unknown key for a %s in [%s].", tokenName(inner), key)
			}
		}
		return f, nil
	default:
		return sourceFilter{}, apierror.Parsing("Expected one of [VALUE_BOOLEAN, VALUE_STRING, START_ARRAY, START_OBJECT] but found [%s]", tokenName(value))
	}
}

func patterns(value any) ([]string, error) {
	switch v := value.(type) {
	case string:
		return []string{v}, nil
	case []any:
		var list []string
		for _, item := range v {
			text, ok := item.(string)
			if !ok {
				return nil, apierror.Parsing("Unknown key for a %s in [_source].", tokenName(item))
			}
			list = append(list, text)
		}
		return list, nil
	default:
		return nil, apierror.Parsing("Unknown key for a %s in [_source].", tokenName(value))
	}
}

// params reads _source, _source_includes and _source_excludes of the URL.
func (f *sourceFilter) params(r *request) error {
	if text := r.text("_source"); text != "" {
		switch text {
		case "true":
			*f = sourceFilter{}
		case "false":
			*f = sourceFilter{none: true}
		default:
			*f = sourceFilter{includes: strings.Split(text, ",")}
		}
	}
	for _, name := range []string{"_source_includes", "_source_include"} {
		if text := r.text(name); text != "" {
			f.includes = strings.Split(text, ",")
		}
	}
	for _, name := range []string{"_source_excludes", "_source_exclude"} {
		if text := r.text(name); text != "" {
			f.excludes = strings.Split(text, ",")
		}
	}
	return nil
}

// apply returns what is shown of a source.
func (f *sourceFilter) apply(source []byte) (json.RawMessage, error) {
	if len(f.includes) == 0 && len(f.excludes) == 0 {
		return bytes.TrimSpace(source), nil
	}
	dec := json.NewDecoder(bytes.NewReader(source))
	dec.UseNumber()
	var tree map[string]any
	if err := dec.Decode(&tree); err != nil {
		return nil, err
	}
	kept := f.object(tree, "", len(f.includes) == 0)
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	err := enc.Encode(kept)
	return bytes.TrimSpace(out.Bytes()), err
}

// object filters an object; all says that a pattern includes the whole of it.
func (f *sourceFilter) object(tree map[string]any, prefix string, all bool) map[string]any {
	out := map[string]any{}
	for name, value := range tree {
		path := prefix + name
		if matchAny(f.excludes, path) {
			continue
		}
		included := all || matchAny(f.includes, path)
		if kept, ok := f.value(value, path, included); ok {
			out[name] = kept
		}
	}
	return out
}

func (f *sourceFilter) value(value any, path string, included bool) (any, bool) {
	switch v := value.(type) {
	case map[string]any:
		kept := f.object(v, path+".", included)
		return kept, included && (len(kept) > 0 || len(v) == 0) || len(kept) > 0
	case []any:
		out := []any{}
		for _, item := range v {
			if kept, ok := f.value(item, path, included); ok {
				out = append(out, kept)
			}
		}
		return out, included || len(out) > 0
	default:
		return v, included
	}
}

func matchAny(patterns []string, path string) bool {
	for _, p := range patterns {
		if mapping.MatchSimple(p, path) {
			return true
		}
	}
	return false
}
