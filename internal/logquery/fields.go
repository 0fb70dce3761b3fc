package logquery

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// fieldsMax bounds the fields that a document is opened into.
const fieldsMax = 2000

// Fields opens a document into dotted names, as they are written in queries. A
// list of single values is joined by ", ", a list of objects stays JSON, null
// is left out. Numbers keep the digits that they were written with.
func Fields(source json.RawMessage) (map[string]string, error) {
	dec := json.NewDecoder(bytes.NewReader(source))
	dec.UseNumber()
	var doc map[string]any
	if err := dec.Decode(&doc); err != nil {
		return nil, fmt.Errorf("decode document: %w", err)
	}
	out := make(map[string]string, 16)
	addFields(out, "", doc)
	return out, nil
}

func addFields(out map[string]string, prefix string, doc map[string]any) {
	for k, v := range doc {
		if len(out) >= fieldsMax {
			return
		}
		switch v := v.(type) {
		case nil:
		case map[string]any:
			addFields(out, prefix+k+".", v)
		case []any:
			out[prefix+k] = listText(v)
		default:
			out[prefix+k] = fmt.Sprint(v)
		}
	}
}

func listText(list []any) string {
	parts := make([]string, 0, len(list))
	for _, v := range list {
		switch v.(type) {
		case map[string]any, []any:
			raw, err := json.Marshal(list)
			if err != nil {
				return fmt.Sprint(list...)
			}
			return string(raw)
		}
		parts = append(parts, fmt.Sprint(v))
	}
	return strings.Join(parts, ", ")
}
