package configs

import (
	"fmt"
	"strings"

	"gopkg.in/yaml.v3"
)

// expand replaces ${VAR}, ${VAR:-default} and ${file:PATH} in every scalar
// below node, in place. "$$" before a brace stands for one dollar sign.
func (l *loader) expand(file string, node *yaml.Node) {
	if node.Kind == yaml.ScalarNode && strings.Contains(node.Value, "${") {
		value, err := l.expandText(node.Value)
		if err != nil {
			l.errs = append(l.errs, &FieldError{File: file, Line: node.Line, Column: node.Column, Msg: err.Error()})
			return
		}
		node.Value = value
	}
	for _, child := range node.Content {
		l.expand(file, child)
	}
}

func (l *loader) expandText(text string) (string, error) {
	var out strings.Builder
	for {
		before, rest, found := strings.Cut(text, "${")
		if !found {
			out.WriteString(text)
			return out.String(), nil
		}
		if strings.HasSuffix(before, "$") {
			out.WriteString(before + "{")
			text = rest
			continue
		}
		name, after, closed := strings.Cut(rest, "}")
		if !closed {
			return "", fmt.Errorf("\"${%s\" has no closing brace; write $${ for a plain ${", rest)
		}
		value, err := l.lookup(name)
		if err != nil {
			return "", err
		}
		out.WriteString(before + value)
		text = after
	}
}

func (l *loader) lookup(name string) (string, error) {
	if path, ok := strings.CutPrefix(name, "file:"); ok {
		b, err := l.source.ReadFile(path)
		if err != nil {
			return "", fmt.Errorf("${file:%s}: %w", path, err)
		}
		return strings.TrimRight(string(b), "\r\n"), nil
	}
	name, fallback, hasFallback := strings.Cut(name, ":-")
	value, ok := l.source.LookupEnv(name)
	switch {
	case ok && (value != "" || !hasFallback):
		return value, nil
	case hasFallback:
		return fallback, nil
	default:
		return "", fmt.Errorf("the environment variable %s is not set; set it or write ${%s:-default}", name, name)
	}
}
