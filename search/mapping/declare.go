package mapping

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/millrace/millrace/search/apierror"
)

func mapperError(format string, args ...any) *apierror.Error {
	return apierror.New("mapper_parsing_exception", format, args...)
}

// Parse reads a mapping: the object with "properties" that PUT index/_mapping takes.
func Parse(data []byte) (*Mapping, error) {
	return Empty().MergeJSON(data)
}

// MergeJSON returns the mapping with what data declares added to it. Existing
// fields keep their type; a change of type is an error.
func (m *Mapping) MergeJSON(data []byte) (*Mapping, error) {
	var body map[string]any
	if err := json.Unmarshal(data, &body); err != nil {
		return nil, mapperError("Failed to parse mapping: %s", err)
	}
	return m.Merge(body)
}

// Merge is [Mapping.MergeJSON] of a decoded object.
func (m *Mapping) Merge(body map[string]any) (*Mapping, error) {
	next := m.clone()
	for _, key := range slices.Sorted(maps.Keys(body)) {
		if err := next.mergeRoot(key, body[key]); err != nil {
			return nil, err
		}
	}
	return next, nil
}

func (m *Mapping) mergeRoot(key string, value any) error {
	var err error
	switch key {
	case "properties":
		return m.mergeProperties(m.root, "", value, 1)
	case "dynamic":
		if m.root.dynamic, err = parseDynamic(value); err != nil {
			return err
		}
		return nil
	case "date_detection":
		m.dateDetection, err = parseBool(key, value)
	case "numeric_detection":
		m.numericDetection, err = parseBool(key, value)
	case "dynamic_templates":
		m.dynamicTemplates, err = parseDynamicTemplates(value)
	case "_meta":
	case "_source":
		return checkSource(value)
	case "_data_stream_timestamp", "_routing":
		return nil
	case "_field_names", "subobjects", "runtime", "_size", "dynamic_date_formats":
		return mapperError("[%s] in a mapping is not supported by the Millrace search node", key)
	default:
		return mapperError("Root mapping definition has unsupported parameters:  [%s : %v]", key, value)
	}
	if err != nil {
		return err
	}
	m.extra[key] = value
	return nil
}

func checkSource(value any) error {
	if source, ok := value.(map[string]any); ok && len(source) > 0 && source["enabled"] != true {
		return mapperError("[_source] in a mapping is not supported by the Millrace search node: the source is always kept")
	}
	return nil
}

func parseDynamic(value any) (Dynamic, error) {
	switch v := fmt.Sprint(value); v {
	case "true", "false", "strict":
		return Dynamic(v), nil
	case "runtime":
		return "", mapperError("dynamic [runtime] is not supported by the Millrace search node")
	default:
		return "", mapperError("Failed to parse value [%s] as only [true], [false], [strict] are allowed", v)
	}
}

func parseBool(key string, value any) (bool, error) {
	switch value {
	case true, "true":
		return true, nil
	case false, "false":
		return false, nil
	}
	return false, mapperError("Failed to parse value [%v] of [%s] as only [true] or [false] are allowed.", value, key)
}

func (m *Mapping) mergeProperties(parent *object, prefix string, value any, depth int) error {
	properties, ok := value.(map[string]any)
	if !ok {
		return mapperError("Expected map for property [properties] on field [%s] but got a %T", strings.TrimSuffix(prefix, "."), value)
	}
	if depth > DepthMax {
		return apierror.Illegal("Limit of mapping depth [%d] has been exceeded due to object field [%s]", DepthMax, prefix)
	}
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		spec, ok := properties[name].(map[string]any)
		if !ok {
			return mapperError("Expected map for property [fields] on field [%s] but got a %T", name, properties[name])
		}
		if err := m.mergeProperty(parent, prefix, name, spec, depth); err != nil {
			return err
		}
	}
	return nil
}

// mergeProperty declares one name, which may have dots.
func (m *Mapping) mergeProperty(parent *object, prefix, name string, spec map[string]any, depth int) error {
	if head, rest, dotted := strings.Cut(name, "."); dotted {
		if head == "" || rest == "" {
			return mapperError("field name cannot contain only whitespace: ['%s']", prefix+name)
		}
		child, err := parent.childObject(prefix, head)
		if err != nil {
			return err
		}
		return m.mergeProperty(child, prefix+head+".", rest, spec, depth+1)
	}
	if name == "" {
		return mapperError("field name cannot be an empty string")
	}
	typeName, hasType := spec["type"].(string)
	_, hasProperties := spec["properties"]
	if typeName == string(ObjectType) || !hasType && (hasProperties || spec["enabled"] != nil || spec["dynamic"] != nil) {
		return m.mergeObject(parent, prefix, name, spec, depth)
	}
	if !hasType {
		return mapperError("No type specified for field [%s]", prefix+name)
	}
	field, err := newField(prefix+name, Type(typeName), spec)
	if err != nil {
		return err
	}
	return m.addField(parent, name, field)
}

func (o *object) childObject(prefix, name string) (*object, error) {
	child, exists := o.children[name]
	if exists && child.object == nil {
		return nil, apierror.Illegal("can't merge a non object mapping [%s] with an object mapping", prefix+name)
	}
	if !exists {
		child = node{object: &object{children: map[string]node{}}}
		o.children[name] = child
	}
	return child.object, nil
}

func (m *Mapping) mergeObject(parent *object, prefix, name string, spec map[string]any, depth int) error {
	child, err := parent.childObject(prefix, name)
	if err != nil {
		return err
	}
	for key, value := range spec {
		switch key {
		case "type":
		case "properties":
			err = m.mergeProperties(child, prefix+name+".", value, depth+1)
		case "dynamic":
			child.dynamic, err = parseDynamic(value)
		case "enabled":
			var enabled bool
			enabled, err = parseBool(key, value)
			child.disabled = !enabled
		case "subobjects":
			if value != true {
				err = mapperError("[subobjects] is not supported by the Millrace search node")
			}
		default:
			err = mapperError("unknown parameter [%s] on mapper [%s] of type [object]", key, name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// addField enters a field, or checks that the same is there already.
func (m *Mapping) addField(parent *object, name string, field *Field) error {
	existing, exists := parent.children[name]
	switch {
	case !exists:
		if err := m.register(field); err != nil {
			return err
		}
		parent.children[name] = node{field: field}
		return nil
	case existing.field == nil:
		return apierror.Illegal("can't merge a non object mapping [%s] with an object mapping", field.Path)
	case existing.field.Type != field.Type:
		return apierror.Illegal("mapper [%s] cannot be changed from type [%s] to [%s]", field.Path, existing.field.Type, field.Type)
	}
	return m.replaceField(parent, name, existing.field, field)
}

// replaceField takes over what may change in an existing field: further multi-fields
// and ignore_above.
func (m *Mapping) replaceField(parent *object, name string, old, next *Field) error {
	if next.Index != old.Index || next.DocValues != old.DocValues || next.Dates.Text() != old.Dates.Text() {
		return apierror.Illegal("Mapper for [%s] conflicts with existing mapper:\n\tCannot update parameter of type [%s]", old.Path, old.Type)
	}
	merged := *next
	merged.Slot = old.Slot
	merged.spec = maps.Clone(next.spec)
	merged.Subs = nil
	for _, sub := range old.Subs {
		if !slices.ContainsFunc(next.Subs, func(s *Field) bool { return s.Path == sub.Path }) {
			merged.Subs = append(merged.Subs, sub)
		}
	}
	for _, sub := range next.Subs {
		if before := m.fields[sub.Path]; before != nil && before.Type != sub.Type {
			return apierror.Illegal("mapper [%s] cannot be changed from type [%s] to [%s]", sub.Path, before.Type, sub.Type)
		}
		sub.Slot = old.Slot
		merged.Subs = append(merged.Subs, sub)
	}
	if len(merged.Subs) > 0 {
		fields := map[string]any{}
		for _, sub := range merged.Subs {
			fields[strings.TrimPrefix(sub.Path, old.Path+".")] = sub.spec
			m.fields[sub.Path] = sub
		}
		merged.spec["fields"] = fields
	}
	m.count += len(merged.Subs) - len(old.Subs)
	if m.count > FieldsMax {
		return apierror.Illegal("Limit of total fields [%d] has been exceeded", FieldsMax)
	}
	m.fields[merged.Path] = &merged
	m.columns[merged.Slot] = &merged
	parent.children[name] = node{field: &merged}
	return nil
}

// intOf reads a whole number as JSON and YAML write it.
func intOf(value any) (int, bool) {
	switch v := value.(type) {
	case float64:
		return int(v), v == float64(int(v))
	case json.Number:
		n, err := strconv.Atoi(v.String())
		return n, err == nil
	case string:
		n, err := strconv.Atoi(v)
		return n, err == nil
	case int:
		return v, true
	default:
		return 0, false
	}
}
