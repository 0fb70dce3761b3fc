package mapping

import (
	"maps"
	"slices"

	"github.com/millrace/millrace/search/apierror"
	"github.com/millrace/millrace/search/column"
)

// newField reads the declaration of a leaf.
func newField(path string, kind Type, spec map[string]any) (*Field, error) {
	f := &Field{Path: path, Type: kind, Column: path, Index: true, DocValues: true, coerce: true, spec: spec}
	if err := checkType(path, kind); err != nil {
		return nil, err
	}
	if kind == Date {
		f.Dates = DefaultDateFormat()
	}
	for _, key := range slices.Sorted(maps.Keys(spec)) {
		if err := f.parameter(key, spec[key]); err != nil {
			return nil, err
		}
	}
	if kind.IsText() {
		f.DocValues = false
	}
	return f, nil
}

func checkType(path string, kind Type) error {
	switch kind {
	case Text, MatchOnlyText, Keyword, Wildcard, Long, Integer, Short, Byte, Double, Float, HalfFloat, Boolean, Date, IP:
		return nil
	case ObjectType:
		return mapperError("[object] cannot be a multi-field: [%s]", path)
	case "nested", "flattened", "constant_keyword", "date_nanos", "unsigned_long", "scaled_float", "geo_point", "geo_shape", "binary",
		"alias", "join", "completion", "token_count", "version", "ip_range", "date_range", "long_range", "integer_range", "float_range",
		"double_range", "search_as_you_type", "dense_vector", "sparse_vector", "rank_feature", "rank_features", "histogram",
		"aggregate_metric_double", "counted_keyword", "passthrough", "semantic_text", "percolator", "point", "shape", "murmur3", "annotated_text":
		return mapperError("The mapper type [%s] declared on field [%s] is not supported by the Millrace search node", kind, path)
	default:
		return mapperError("The mapper type [%s] declared on field [%s] does not exist. It might have been created within a future version or requires a plugin to be installed. Check the documentation.", kind, path)
	}
}

// parameter takes over one parameter of the declaration.
func (f *Field) parameter(key string, value any) error {
	var err error
	switch key {
	case "type", "meta", "eager_global_ordinals", "similarity", "index_prefixes", "position_increment_gap", "time_series_dimension", "time_series_metric":
		return nil
	case "norms", "index_options", "index_phrases", "term_vector", "store", "boost", "locale":
		return nil // neither the hits nor their order depend on it here
	case "index":
		f.Index, err = parseBool(key, value)
	case "doc_values":
		f.DocValues, err = parseBool(key, value)
	case "coerce":
		f.coerce, err = parseBool(key, value)
	case "ignore_malformed":
		f.ignoreMalformed, err = parseBool(key, value)
	case "ignore_above":
		return f.setIgnoreAbove(value)
	case "format":
		return f.setFormat(value)
	case "fields":
		return f.setSubs(value)
	case "analyzer", "search_analyzer", "search_quote_analyzer":
		if value != "standard" && value != "default" {
			return mapperError("analyzer [%v] of field [%s] is not supported by the Millrace search node: only [standard] is", value, f.Path)
		}
	case "fielddata":
		var on bool
		if on, err = parseBool(key, value); err == nil && on {
			return f.unsupported(key)
		}
	case "copy_to", "null_value", "normalizer", "script", "on_script_error", "split_queries_on_whitespace":
		return f.unsupported(key)
	default:
		return mapperError("unknown parameter [%s] on mapper [%s] of type [%s]", key, lastName(f.Path), f.Type)
	}
	return err
}

func (f *Field) unsupported(key string) *apierror.Error {
	return mapperError("parameter [%s] on field [%s] is not supported by the Millrace search node", key, f.Path)
}

func (f *Field) setIgnoreAbove(value any) error {
	n, ok := intOf(value)
	if !ok || n < 0 || !f.Type.IsKeyword() {
		return mapperError("Failed to parse [ignore_above] of field [%s]: [%v]", f.Path, value)
	}
	f.IgnoreAbove = n
	return nil
}

func (f *Field) setFormat(value any) error {
	text, ok := value.(string)
	if !ok || f.Type != Date {
		return mapperError("unknown parameter [format] on mapper [%s] of type [%s]", lastName(f.Path), f.Type)
	}
	dates, err := ParseDateFormat(text)
	if err != nil {
		return mapperError("Invalid format of field [%s]: %s", f.Path, err)
	}
	f.Dates = dates
	return nil
}

// setSubs reads multi-fields. They share the column of their parent, so both
// must hold text.
func (f *Field) setSubs(value any) error {
	subs, ok := value.(map[string]any)
	if !ok {
		return mapperError("Expected map for property [fields] on field [%s] but got a %T", f.Path, value)
	}
	for _, name := range slices.Sorted(maps.Keys(subs)) {
		spec, ok := subs[name].(map[string]any)
		if !ok {
			return mapperError("Expected map for property [fields] on field [%s] but got a %T", name, subs[name])
		}
		kind, _ := spec["type"].(string)
		if _, nested := spec["fields"]; nested || kind == "" {
			return mapperError("No type specified for field [%s.%s]", f.Path, name)
		}
		sub, err := newField(f.Path+"."+name, Type(kind), spec)
		if err != nil {
			return err
		}
		if f.Type.Kind() != column.Bytes || sub.Type.Kind() != column.Bytes || f.Type == IP || sub.Type == IP {
			return mapperError("multi-field [%s] of type [%s] on a field of type [%s] is not supported by the Millrace search node", sub.Path, sub.Type, f.Type)
		}
		sub.Column = f.Path
		f.Subs = append(f.Subs, sub)
	}
	return nil
}

func lastName(path string) string {
	for i := len(path) - 1; i >= 0; i-- {
		if path[i] == '.' {
			return path[i+1:]
		}
	}
	return path
}
