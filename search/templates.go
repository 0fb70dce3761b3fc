package search

import (
	"encoding/json"
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

// templateBody is what an index is made from.
type templateBody struct {
	mappings, settings map[string]any
}

var errUnknownMember = errors.New("unknown member")

func (b *templateBody) member(key string, value any) error {
	object, isObject := value.(map[string]any)
	if value != nil && !isObject {
		return apierror.New("parse_exception", "[%s] must be an object", key)
	}
	switch key {
	case "mappings":
		b.mappings = object
	case "settings":
		settings, err := flatSettings(object)
		b.settings = settings
		return err
	case "aliases":
		if len(object) > 0 {
			return apierror.Unsupported("[aliases] of an index")
		}
	case "lifecycle":
		return apierror.Unsupported("[lifecycle] of an index")
	default:
		return errUnknownMember
	}
	return nil
}

// flatSettings writes settings with their full names but for "index.". They are kept and
// shown; those that would change a result are refused.
func flatSettings(settings map[string]any) (map[string]any, error) {
	flat := map[string]any{}
	flatten(flat, "", settings)
	for key, value := range flat {
		if key == "mapping.total_fields.limit" && fmt.Sprint(value) == strconv.Itoa(mapping.FieldsMax) {
			continue // the limit that every index has
		}
		for _, refused := range []string{"analysis.", "sort.", "default_pipeline", "final_pipeline", "max_result_window", "query.default_field", "mapping.total_fields", "mode", "mapping.source", "mapping.synthetic"} {
			if strings.HasPrefix(key, refused) {
				return nil, apierror.Unsupported("the setting [index." + key + "]")
			}
		}
	}
	return flat, nil
}

func flatten(out map[string]any, prefix string, settings map[string]any) {
	for key, value := range settings {
		if inner, ok := value.(map[string]any); ok {
			flatten(out, prefix+key+".", inner)
			continue
		}
		out[strings.TrimPrefix(prefix+key, "index.")] = value
	}
}

func (b *templateBody) mapping() (*mapping.Mapping, error) {
	if b.mappings == nil {
		return mapping.Empty(), nil
	}
	m, err := mapping.Empty().Merge(b.mappings)
	return m, mappingError(err)
}

// indexTemplate is a composable index template.
type indexTemplate struct {
	patterns []string
	priority int
	body     templateBody
}

// parseTemplate reads the body of PUT _index_template.
func parseTemplate(name string, body map[string]any) (indexTemplate, error) {
	var t indexTemplate
	for _, key := range slices.Sorted(maps.Keys(body)) {
		if err := t.member(name, key, body[key]); err != nil {
			return t, err
		}
	}
	if len(t.patterns) == 0 {
		return t, apierror.Illegal("Required [index_patterns]")
	}
	if _, err := t.body.mapping(); err != nil {
		e := apierror.Illegal("composable template [%s] template after composition is invalid", name)
		if cause, known := apierror.From(err); known {
			e.Cause = cause
		}
		return t, e
	}
	return t, nil
}

func (t *indexTemplate) member(name, key string, value any) error {
	var err error
	switch key {
	case "index_patterns":
		t.patterns, err = patterns(value)
	case "priority":
		t.priority, err = wholeNumber(key, value)
	case "template":
		body, ok := value.(map[string]any)
		if !ok {
			return apierror.New("x_content_parse_exception", "[index_template] failed to parse field [template]")
		}
		for _, inner := range slices.Sorted(maps.Keys(body)) {
			err = t.body.member(inner, body[inner])
			if errors.Is(err, errUnknownMember) {
				return apierror.New("x_content_parse_exception", "[template] unknown field [%s]", inner)
			}
			if err != nil {
				return err
			}
		}
	case "composed_of":
		var list []string
		if list, err = patterns(value); err == nil && len(list) > 0 {
			return apierror.New("invalid_index_template_exception", "index_template [%s] invalid, cause [index template [%s] specifies component templates [%s] that do not exist]", name, name, strings.Join(list, ", "))
		}
	case "version", "_meta", "allow_auto_create", "deprecated", "ignore_missing_component_templates":
		if key == "allow_auto_create" && value == false {
			return apierror.Unsupported("[allow_auto_create] of an index template")
		}
	case "data_stream":
		return apierror.Unsupported("[data_stream] of an index template")
	default:
		return apierror.New("x_content_parse_exception", "[index_template] unknown field [%s]", key)
	}
	return err
}

// templateFor returns the template with the highest priority that the name falls under.
func (n *Node) templateFor(name string) (templateBody, error) {
	var best *indexTemplate
	templates := n.store.State().Templates
	for _, key := range slices.Sorted(maps.Keys(templates)) {
		body, err := decodeObject(templates[key])
		if err != nil {
			return templateBody{}, fmt.Errorf("index template %s: %w", key, err)
		}
		t, err := parseTemplate(key, body)
		if err != nil {
			return templateBody{}, fmt.Errorf("index template %s: %w", key, err)
		}
		matches := slices.ContainsFunc(t.patterns, func(p string) bool { return mapping.MatchSimple(p, name) })
		if matches && (best == nil || t.priority > best.priority) {
			best = &t
		}
	}
	if best == nil {
		return templateBody{}, nil
	}
	return best.body, nil
}

// putTemplate is PUT _index_template/name.
func (n *Node) putTemplate(r *request) (answer, error) {
	create, err := r.flag("create", false)
	if err != nil {
		return answer{}, err
	}
	r.ignore("cause")
	if err := r.finish(); err != nil {
		return answer{}, err
	}
	name := r.params["name"]
	body, err := r.object()
	if err != nil {
		return answer{}, err
	}
	if body == nil {
		return answer{}, apierror.New("parse_exception", "request body is required")
	}
	t, err := parseTemplate(name, body)
	if err != nil {
		return answer{}, err
	}
	content, err := json.Marshal(body)
	if err != nil {
		return answer{}, err
	}
	err = n.store.UpdateState(func(s *storage.State) error {
		if _, exists := s.Templates[name]; exists && create {
			return apierror.Illegal("index template [%s] already exists", name)
		}
		if err := checkPriorities(s.Templates, name, t); err != nil {
			return err
		}
		s.Templates[name] = content
		return nil
	})
	if err != nil {
		return answer{}, err
	}
	return ok(map[string]any{"acknowledged": true})
}

// checkPriorities refuses a template that another one of the same priority overlaps.
func checkPriorities(templates map[string]json.RawMessage, name string, t indexTemplate) error {
	for _, other := range slices.Sorted(maps.Keys(templates)) {
		if other == name {
			continue
		}
		body, err := decodeObject(templates[other])
		if err != nil {
			return err
		}
		o, err := parseTemplate(other, body)
		if err != nil {
			return err
		}
		if o.priority != t.priority {
			continue
		}
		for _, a := range t.patterns {
			for _, b := range o.patterns {
				if overlap(a, b) {
					return apierror.Illegal("index template [%s] has index patterns %v matching patterns from existing templates [%s] with patterns (%s => %v) that have the same priority [%d], multiple index templates may not match during index creation, please use a different priority",
						name, t.patterns, other, other, o.patterns, t.priority)
				}
			}
		}
	}
	return nil
}

// overlap reports whether a name can match both patterns.
func overlap(a, b string) bool {
	switch {
	case a == "" && b == "":
		return true
	case a != "" && a[0] == '*':
		return overlap(a[1:], b) || b != "" && overlap(a, b[1:])
	case b != "" && b[0] == '*':
		return overlap(a, b[1:]) || a != "" && overlap(a[1:], b)
	default:
		return a != "" && b != "" && a[0] == b[0] && overlap(a[1:], b[1:])
	}
}

// getTemplate is GET and HEAD _index_template[/name].
func (n *Node) getTemplate(r *request) (answer, error) {
	r.ignore("local", "flat_settings", "include_defaults")
	if err := r.finish(); err != nil {
		return answer{}, err
	}
	wanted := r.params["name"]
	templates := n.store.State().Templates
	list := []any{}
	for _, name := range slices.Sorted(maps.Keys(templates)) {
		if wanted != "" && !mapping.MatchSimple(wanted, name) {
			continue
		}
		body, err := decodeObject(templates[name])
		if err != nil {
			return answer{}, err
		}
		if body["composed_of"] == nil {
			body["composed_of"] = []any{}
		}
		if one, isText := body["index_patterns"].(string); isText {
			body["index_patterns"] = []any{one}
		}
		list = append(list, map[string]any{"name": name, "index_template": body})
	}
	if len(list) == 0 && wanted != "" && !strings.Contains(wanted, "*") {
		return answer{}, &apierror.Error{Status: http.StatusNotFound, Type: "resource_not_found_exception", Reason: "index template matching [" + wanted + "] not found"}
	}
	return ok(map[string]any{"index_templates": list})
}

// deleteTemplate is DELETE _index_template/name.
func (n *Node) deleteTemplate(r *request) (answer, error) {
	if err := r.finish(); err != nil {
		return answer{}, err
	}
	err := n.store.UpdateState(func(s *storage.State) error {
		for name := range strings.SplitSeq(r.params["name"], ",") {
			found := strings.Contains(name, "*")
			for existing := range s.Templates {
				if mapping.MatchSimple(name, existing) {
					delete(s.Templates, existing)
					found = true
				}
			}
			if !found {
				return &apierror.Error{Status: http.StatusNotFound, Type: "index_template_missing_exception", Reason: "index_template [" + name + "] missing"}
			}
		}
		return nil
	})
	if err != nil {
		return answer{}, err
	}
	return ok(map[string]any{"acknowledged": true})
}
