package configs

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// decoder fills configuration structs from the nodes of one file. Unlike
// yaml.v3's own it goes on after an error, so that one run reports them all.
type decoder struct {
	*loader
	file string
}

func (d *decoder) fail(node *yaml.Node, format string, args ...any) {
	d.errs = append(d.errs, &FieldError{File: d.file, Line: node.Line, Column: node.Column, Msg: fmt.Sprintf(format, args...)})
}

// value decodes node into v. path names the value, as in "agent.inputs[0].topic".
func (d *decoder) value(node *yaml.Node, v reflect.Value, path string) {
	for node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	d.places[path] = place{d.file, node.Line, node.Column}
	switch target := v.Addr().Interface().(type) {
	case *Duration:
		decodeText(d, node, target, ParseDuration)
		return
	case *Size:
		decodeText(d, node, target, ParseSize)
		return
	case *Processor:
		d.processor(node, target)
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		d.mapping(node, v, path)
	case reflect.Pointer:
		d.pointer(node, v, path)
	case reflect.Slice:
		d.sequence(node, v, path)
	case reflect.Map:
		d.table(node, v, path)
	default:
		d.scalar(node, v, path)
	}
}

func (d *decoder) processor(node *yaml.Node, target *Processor) {
	target.File = d.file
	if node.Kind != yaml.MappingNode || len(node.Content) != 2 {
		d.fail(node, "%s", processorShape)
		return
	}
	target.Name, target.Settings = node.Content[0].Value, *node.Content[1]
}

func decodeText[T any](d *decoder, node *yaml.Node, target *T, parse func(string) (T, error)) {
	if node.Kind != yaml.ScalarNode {
		d.fail(node, "a single value is expected here, not %s", kindName(node))
		return
	}
	parsed, err := parse(node.Value)
	if err != nil {
		d.fail(node, "%v", err)
		return
	}
	*target = parsed
}

// mapping decodes a struct: unknown and repeated keys are errors.
func (d *decoder) mapping(node *yaml.Node, v reflect.Value, path string) {
	if isNull(node) {
		return
	}
	if node.Kind != yaml.MappingNode {
		d.fail(node, "%s takes a mapping with the keys %s, not %s", orRoot(path), strings.Join(keysOf(v.Type()), ", "), kindName(node))
		return
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, child := node.Content[i], node.Content[i+1]
		if seen[key.Value] {
			d.fail(key, "%s is given twice", key.Value)
			continue
		}
		seen[key.Value] = true
		field, ok := fieldOf(v, key.Value)
		if !ok {
			d.unknown(key, v.Type(), path)
			continue
		}
		d.field(key, child, field, join(path, key.Value))
	}
}

// field refuses a single value that another file has already given.
func (d *decoder) field(key, child *yaml.Node, field reflect.Value, path string) {
	kind := field.Kind()
	if p, ok := d.places[path]; ok && p.file != d.file && kind != reflect.Struct && kind != reflect.Slice && kind != reflect.Map {
		d.fail(key, "%s is already set at %s:%d; give it in one file only", path, p.file, p.line)
		return
	}
	d.value(child, field, path)
}

func (d *decoder) unknown(key *yaml.Node, t reflect.Type, path string) {
	keys := keysOf(t)
	if best := nearest(key.Value, keys); best != "" {
		d.fail(key, "%s has no key %q; did you mean %q?", orRoot(path), key.Value, best)
		return
	}
	d.fail(key, "%s has no key %q; its keys are %s", orRoot(path), key.Value, strings.Join(keys, ", "))
}

func (d *decoder) pointer(node *yaml.Node, v reflect.Value, path string) {
	fresh := reflect.New(v.Type().Elem())
	setDefaults(fresh)
	d.value(node, fresh.Elem(), path)
	v.Set(fresh)
}

// sequence appends to what is there, so that files add to each other. A
// single scalar is taken as a list of one. A default list is replaced.
func (d *decoder) sequence(node *yaml.Node, v reflect.Value, path string) {
	items := node.Content
	switch {
	case isNull(node):
		return
	case node.Kind == yaml.ScalarNode && v.Type().Elem().Kind() == reflect.String:
		items = []*yaml.Node{node}
	case node.Kind != yaml.SequenceNode:
		d.fail(node, "%s takes a list, not %s", path, kindName(node))
		return
	}
	if _, given := d.places[path+"[0]"]; !given && v.Len() > 0 {
		v.SetZero()
	}
	for _, item := range items {
		element := reflect.New(v.Type().Elem())
		setDefaults(element)
		d.value(item, element.Elem(), fmt.Sprintf("%s[%d]", path, v.Len()))
		v.Set(reflect.Append(v, element.Elem()))
	}
}

func (d *decoder) table(node *yaml.Node, v reflect.Value, path string) {
	if isNull(node) {
		return
	}
	if node.Kind != yaml.MappingNode {
		d.fail(node, "%s takes a mapping of names, not %s", path, kindName(node))
		return
	}
	if v.IsNil() {
		v.Set(reflect.MakeMap(v.Type()))
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, child := node.Content[i], node.Content[i+1]
		if v.MapIndex(reflect.ValueOf(key.Value)).IsValid() {
			d.fail(key, "%s is given twice", join(path, key.Value))
			continue
		}
		element := reflect.New(v.Type().Elem())
		setDefaults(element)
		d.value(child, element.Elem(), join(path, key.Value))
		v.SetMapIndex(reflect.ValueOf(key.Value), element.Elem())
	}
}

func (d *decoder) scalar(node *yaml.Node, v reflect.Value, path string) {
	if node.Kind != yaml.ScalarNode {
		d.fail(node, "%s takes a single value, not %s", path, kindName(node))
		return
	}
	text := node.Value
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Bool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			d.fail(node, "%s takes true or false, not %q", path, text)
			return
		}
		v.SetBool(b)
	case reflect.Int, reflect.Int16, reflect.Int32, reflect.Int64:
		n, err := strconv.ParseInt(text, 10, v.Type().Bits())
		if err != nil {
			d.fail(node, "%s takes a whole number, not %q", path, text)
			return
		}
		v.SetInt(n)
	case reflect.Float64:
		f, err := strconv.ParseFloat(text, 64)
		if err != nil {
			d.fail(node, "%s takes a number, not %q", path, text)
			return
		}
		v.SetFloat(f)
	default:
		panic(fmt.Sprintf("configs: no decoding for %s of type %s", path, v.Type()))
	}
}

// newElement returns a list element with its defaults.
func newElement[T any]() T {
	var v T
	setDefaults(reflect.ValueOf(&v))
	return v
}

// DefaultElement returns what a list element, map element or optional part of
// zero's type starts from.
func DefaultElement(zero any) any {
	pointer := reflect.New(reflect.TypeOf(zero))
	setDefaults(pointer)
	return pointer.Elem().Interface()
}

// setDefaults fills what a new list element, map element or optional part
// starts from.
func setDefaults(pointer reflect.Value) {
	switch p := pointer.Interface().(type) {
	case *Input:
		*p = DefaultInput()
	case *Listener:
		p.TLS.ClientAuth, p.TLS.MinVersion = "none", "1.2"
	case *ElasticsearchOutput:
		*p = DefaultElasticsearchOutput()
	case *WebhookNotifier:
		*p = DefaultWebhook()
	case *Pipeline:
		p.Input.StartAt = "beginning"
	}
}

// keysOf lists the keys of a struct, in their order.
func keysOf(t reflect.Type) []string {
	var keys []string
	for field := range t.Fields() {
		if tag := field.Tag.Get("yaml"); tag != "" && tag != "-" {
			keys = append(keys, tag)
		}
	}
	return keys
}

func fieldOf(v reflect.Value, key string) (reflect.Value, bool) {
	t := v.Type()
	for i := range t.NumField() {
		if tag, ok := t.Field(i).Tag.Lookup("yaml"); ok && tag == key && tag != "-" {
			return v.Field(i), true
		}
	}
	return reflect.Value{}, false
}

// nearest returns the key that word was probably meant to be, or "".
func nearest(word string, keys []string) string {
	best, bestDistance := "", max(2, len(word)/3)+1
	for _, k := range keys {
		if d := distance(word, k); d < bestDistance {
			best, bestDistance = k, d
		}
	}
	return best
}

// distance is the number of single-byte edits between two words (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

func isNull(node *yaml.Node) bool { return node.Kind == yaml.ScalarNode && node.Tag == "!!null" }

func kindName(node *yaml.Node) string {
	switch node.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	default:
		return strconv.Quote(node.Value)
	}
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func orRoot(path string) string {
	if path == "" {
		return "the configuration"
	}
	return path
}

// oneOf says whether value is among the words of a oneof tag.
func oneOf(value, words string) bool { return slices.Contains(strings.Fields(words), value) }
