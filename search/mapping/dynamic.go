package mapping

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/millrace/millrace/search/apierror"
)

// dynamicTemplate is one entry of dynamic_templates.
type dynamicTemplate struct {
	name                                         string
	match, unmatch, pathMatch, pathUnmatch, kind []string
	regex                                        bool
	mapping                                      map[string]any
}

func parseDynamicTemplates(value any) ([]dynamicTemplate, error) {
	list, ok := value.([]any)
	if !ok {
		return nil, mapperError("Dynamic template syntax error. An array of named objects is expected.")
	}
	var templates []dynamicTemplate
	for _, item := range list {
		entry, ok := item.(map[string]any)
		if !ok || len(entry) != 1 {
			return nil, mapperError("A dynamic template must be defined with a name")
		}
		for name, body := range entry {
			t, err := parseDynamicTemplate(name, body)
			if err != nil {
				return nil, err
			}
			templates = append(templates, t)
		}
	}
	return templates, nil
}

func parseDynamicTemplate(name string, value any) (dynamicTemplate, error) {
	t := dynamicTemplate{name: name}
	body, ok := value.(map[string]any)
	if !ok {
		return t, mapperError("Dynamic template syntax error. An object is expected for [%s].", name)
	}
	for _, key := range slices.Sorted(maps.Keys(body)) {
		v := body[key]
		switch key {
		case "match":
			t.match = stringsOf(v)
		case "unmatch":
			t.unmatch = stringsOf(v)
		case "path_match":
			t.pathMatch = stringsOf(v)
		case "path_unmatch":
			t.pathUnmatch = stringsOf(v)
		case "match_mapping_type":
			t.kind = stringsOf(v)
		case "match_pattern":
			t.regex = v == "regex"
		case "mapping":
			t.mapping, _ = v.(map[string]any)
		default:
			return t, mapperError("Illegal dynamic template parameter: [%s] is not supported by the Millrace search node", key)
		}
	}
	if t.mapping == nil {
		return t, mapperError("template [%s] must have either mapping or runtime set", name)
	}
	if t.regex {
		for _, pattern := range slices.Concat(t.match, t.unmatch) {
			if _, err := regexp.Compile("^(?:" + pattern + ")$"); err != nil {
				return t, mapperError("Pattern [%s] of type [regex] is invalid. Cannot create dynamic template [%s].", pattern, name)
			}
		}
	}
	return t, nil
}

func stringsOf(value any) []string {
	switch v := value.(type) {
	case string:
		return []string{v}
	case []any:
		var list []string
		for _, item := range v {
			list = append(list, fmt.Sprint(item))
		}
		return list
	default:
		return nil
	}
}

// matches reports whether a new field of the JSON type falls under the template.
func (t *dynamicTemplate) matches(path, jsonType string) bool {
	name := lastName(path)
	anyOf := func(patterns []string, s string, regex bool) bool {
		return slices.ContainsFunc(patterns, func(pattern string) bool {
			if regex {
				ok, err := regexp.MatchString("^(?:"+pattern+")$", s)
				return ok && err == nil
			}
			return MatchSimple(pattern, s)
		})
	}
	switch {
	case t.pathMatch != nil && !anyOf(t.pathMatch, path, false),
		t.pathUnmatch != nil && anyOf(t.pathUnmatch, path, false),
		t.match != nil && !anyOf(t.match, name, t.regex),
		t.unmatch != nil && anyOf(t.unmatch, name, t.regex),
		t.kind != nil && !slices.Contains(t.kind, jsonType) && !slices.Contains(t.kind, "*"):
		return false
	}
	return true
}

// declare returns the declaration of a new field whose type would be dynamicType.
func (t *dynamicTemplate) declare(path, dynamicType string) map[string]any {
	spec := substitute(t.mapping, lastName(path), dynamicType).(map[string]any)
	if _, has := spec["type"]; !has {
		spec["type"] = dynamicType
	}
	return spec
}

func substitute(value any, name, dynamicType string) any {
	switch v := value.(type) {
	case string:
		return strings.NewReplacer("{name}", name, "{dynamic_type}", dynamicType, "{dynamicType}", dynamicType).Replace(v)
	case map[string]any:
		out := make(map[string]any, len(v))
		for key, item := range v {
			out[key] = substitute(item, name, dynamicType)
		}
		return out
	default:
		return v
	}
}

// jsonValue is what is known of a value that has no field yet.
type jsonValue struct {
	jsonType string // string, long, double, boolean, object
	text     string
}

// Declare returns the declaration that dynamic mapping gives to a new field.
func (m *Mapping) declareDynamic(path string, v jsonValue) map[string]any {
	jsonType, spec := v.jsonType, map[string]any(nil)
	switch jsonType {
	case "long":
		spec = map[string]any{"type": "long"}
	case "double":
		spec = map[string]any{"type": "float"}
	case "boolean":
		spec = map[string]any{"type": "boolean"}
	case "object":
		spec = map[string]any{"type": "object"}
	default:
		jsonType, spec = m.declareString(v.text)
	}
	for i := range m.dynamicTemplates {
		if t := &m.dynamicTemplates[i]; t.matches(path, jsonType) {
			dynamicType := spec["type"].(string)
			return t.declare(path, dynamicType)
		}
	}
	return spec
}

func (m *Mapping) declareString(text string) (string, map[string]any) {
	_, numberErr := strconv.ParseFloat(text, 64)
	if m.numericDetection && numberErr == nil {
		if _, err := strconv.ParseInt(text, 10, 64); err == nil {
			return "long", map[string]any{"type": "long"}
		}
		return "double", map[string]any{"type": "float"}
	}
	if m.dateDetection && numberErr != nil && mayBeDate(text) {
		if _, _, ok := (isoLayout{}).parse(text, time.UTC); ok {
			return "date", map[string]any{"type": "date"}
		}
		for _, layout := range [...]string{"2006/01/02 15:04:05", "2006/01/02"} {
			if _, err := time.Parse(layout, text); err == nil {
				return "date", map[string]any{"type": "date", "format": "yyyy/MM/dd HH:mm:ss||yyyy/MM/dd||epoch_millis"}
			}
		}
	}
	return "string", map[string]any{
		"type":   "text",
		"fields": map[string]any{"keyword": map[string]any{"type": "keyword", "ignore_above": 256}},
	}
}

// mayBeDate refuses most text at first sight.
func mayBeDate(text string) bool {
	return len(text) >= 7 && len(text) <= 40 && text[0] >= '0' && text[0] <= '9' && (text[4] == '-' || text[4] == '/')
}

// withNew returns the mapping with the new fields of a document.
func (m *Mapping) withNew(fields []newFieldSpec) (*Mapping, error) {
	next := m.clone()
	for _, f := range fields {
		if err := next.mergeProperty(next.root, "", f.path, f.spec, 1); err != nil {
			return nil, err
		}
	}
	if err := next.checkDepth(next.root, "", 1); err != nil {
		return nil, err
	}
	return next, nil
}

func (m *Mapping) checkDepth(o *object, prefix string, depth int) error {
	if depth > DepthMax+1 {
		return apierror.Illegal("Limit of mapping depth [%d] has been exceeded due to object field [%s]", DepthMax, prefix)
	}
	for name, child := range o.children {
		if child.object != nil {
			if err := m.checkDepth(child.object, prefix+"."+name, depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}
