package search

import (
	"bytes"
	"encoding/json"
	"strings"

	"github.com/millrace/millrace/search/mapping"
)

// filterPath keeps of an answer what the paths of ?filter_path name, or what those with a
// minus do not name. * stands for a part of a name and ** for any number of names.
func filterPath(body any, paths []string) (any, error) {
	content, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	dec := json.NewDecoder(bytes.NewReader(content))
	dec.UseNumber()
	var tree any
	if err := dec.Decode(&tree); err != nil {
		return nil, err
	}
	var includes, excludes [][]string
	for _, path := range paths {
		if rest, minus := strings.CutPrefix(path, "-"); minus {
			excludes = append(excludes, strings.Split(rest, "."))
		} else if path != "" {
			includes = append(includes, strings.Split(path, "."))
		}
	}
	if len(includes) > 0 {
		tree, _ = keepPaths(tree, includes)
	}
	if len(excludes) > 0 {
		tree, _ = dropPaths(tree, excludes)
	}
	if tree == nil {
		tree = map[string]any{}
	}
	return tree, nil
}

// step returns what is left of the patterns below a name, and whether one ends there.
func step(patterns [][]string, name string) (rest [][]string, ends bool) {
	for _, p := range patterns {
		if p[0] == "**" {
			rest = append(rest, p)
			if len(p) > 1 && mapping.MatchSimple(p[1], name) {
				if len(p) == 2 {
					ends = true
				} else {
					rest = append(rest, p[2:])
				}
			}
			ends = ends || len(p) == 1
			continue
		}
		if mapping.MatchSimple(p[0], name) {
			if len(p) == 1 {
				ends = true
			} else {
				rest = append(rest, p[1:])
			}
		}
	}
	return rest, ends
}

func keepPaths(value any, patterns [][]string) (any, bool) {
	switch v := value.(type) {
	case map[string]any:
		out := map[string]any{}
		for name, inner := range v {
			rest, ends := step(patterns, name)
			if ends {
				out[name] = inner
			} else if kept, any := keepPaths(inner, rest); any {
				out[name] = kept
			}
		}
		return out, len(out) > 0
	case []any:
		var out []any
		for _, inner := range v {
			if kept, any := keepPaths(inner, patterns); any {
				out = append(out, kept)
			}
		}
		return out, len(out) > 0
	default:
		return nil, false
	}
}

func dropPaths(value any, patterns [][]string) (any, bool) {
	switch v := value.(type) {
	case map[string]any:
		for name, inner := range v {
			rest, ends := step(patterns, name)
			if ends {
				delete(v, name)
				continue
			}
			if left, any := dropPaths(inner, rest); any {
				v[name] = left
			} else {
				delete(v, name)
			}
		}
		return v, len(v) > 0
	case []any:
		for i := range v {
			v[i], _ = dropPaths(v[i], patterns)
		}
		return v, true
	default:
		return v, true
	}
}
