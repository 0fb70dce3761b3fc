// Command gen writes docs/configuration.md, the reference of every
// configuration key, from the comments, tags and defaults of package configs.
//
// Run it with "go generate ./configs"; a test says when the page is stale.
package main

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/millrace/millrace/configs"
)

func main() {
	if err := run("configs", "docs/configuration.md"); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

func run(source, target string) error {
	page, err := reference(source)
	if err != nil {
		return err
	}
	return os.WriteFile(target, page, 0o644)
}

// preamble is what stands above the keys.
const preamble = `# Configuration reference

This page is generated from the configuration model (` + "`go generate ./configs`" + `).

One YAML file, given with ` + "`--config`" + `, plus the files that ` + "`include`" + ` and ` + "`pipeline_files`" + ` name.
` + "`millrace check`" + ` validates everything and starts nothing. Unknown keys, wrong types and contradictions are
errors with file, line and column; all are reported at once.

- ` + "`${VAR}`" + `, ` + "`${VAR:-default}`" + ` and ` + "`${file:PATH}`" + ` are expanded in every value; ` + "`$${`" + ` stands for a plain ` + "`${`" + `.
- Durations are written ` + "`500ms`, `5s`, `10m`, `24h`, `7d`" + `; sizes ` + "`512KiB`, `64MiB`, `1GiB`, `10MB`" + ` or a number of bytes.
- Lists of several files are appended; a single value may be given in one file only.
`

// page is one run of the generator.
type page struct {
	out      bytes.Buffer
	comments map[string]map[string]string // type name, then field name ("" for the type itself)
}

func reference(dir string) ([]byte, error) {
	comments, err := readComments(dir)
	if err != nil {
		return nil, err
	}
	p := &page{comments: comments}
	p.out.WriteString(preamble)
	p.section("", reflect.ValueOf(configs.Default()))
	return p.out.Bytes(), nil
}

// section writes the table of one struct and, below it, those of the structs
// that it holds.
func (p *page) section(path string, v reflect.Value) {
	t := v.Type()
	title := path
	if title == "" {
		title = "Top level"
	}
	fmt.Fprintf(&p.out, "\n## %s\n\n", title)
	if doc := p.comments[t.Name()][""]; doc != "" {
		p.out.WriteString(doc + "\n\n")
	}
	p.out.WriteString("| key | type | default | what it is |\n|---|---|---|---|\n")
	type nested struct {
		path  string
		value reflect.Value
	}
	var below []nested
	for field, value := range v.Fields() {
		key := field.Tag.Get("yaml")
		if key == "" || key == "-" {
			continue
		}
		kind, inner := kindOf(field.Type)
		full := strings.TrimPrefix(path+"."+key, ".")
		doc := p.comments[t.Name()][field.Name]
		if words := field.Tag.Get("oneof"); words != "" {
			doc += " One of `" + strings.Join(strings.Fields(words), "`, `") + "`."
		}
		if least := field.Tag.Get("min"); least != "" {
			doc += " At least " + least + "."
		}
		fmt.Fprintf(&p.out, "| `%s` | %s | %s | %s |\n", key, kind, defaultOf(value), doc)
		if inner != nil {
			below = append(below, nested{full + suffix(field.Type), elementOf(value, inner)})
		}
	}
	for _, n := range below {
		p.section(n.path, n.value)
	}
}

func suffix(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Slice:
		return "[]"
	case reflect.Map:
		return ".<name>"
	default:
		return ""
	}
}

// elementOf returns the value that a nested section shows its defaults from.
func elementOf(v reflect.Value, inner reflect.Type) reflect.Value {
	if v.Kind() == reflect.Struct {
		return v
	}
	return reflect.ValueOf(configs.DefaultElement(reflect.Zero(inner).Interface()))
}

// kindOf names a type for readers; inner is the struct to describe below.
func kindOf(t reflect.Type) (kind string, inner reflect.Type) {
	switch t {
	case reflect.TypeFor[configs.Duration]():
		return "duration", nil
	case reflect.TypeFor[configs.Size]():
		return "size", nil
	case reflect.TypeFor[configs.Processor]():
		return "processor", nil
	}
	switch t.Kind() {
	case reflect.Struct:
		return "mapping", t
	case reflect.Pointer:
		_, inner = kindOf(t.Elem())
		return "mapping", inner
	case reflect.Slice:
		name, inner := kindOf(t.Elem())
		return "list of " + name, inner
	case reflect.Map:
		name, inner := kindOf(t.Elem())
		return "names to " + name, inner
	case reflect.Bool:
		return "true or false", nil
	case reflect.String:
		return "text", nil
	case reflect.Float64:
		return "number", nil
	default:
		return "whole number", nil
	}
}

func defaultOf(v reflect.Value) string {
	switch v.Kind() {
	case reflect.Struct, reflect.Pointer, reflect.Map:
		return ""
	case reflect.Slice:
		if v.Len() == 0 || v.Type().Elem().Kind() != reflect.String {
			return ""
		}
		return "`" + strings.ReplaceAll(fmt.Sprint(v.Interface()), "|", "\\|") + "`"
	case reflect.String:
		if v.String() == "" {
			return ""
		}
	}
	return fmt.Sprintf("`%v`", v.Interface())
}

// readComments collects the comments of all structs of the package in dir.
func readComments(dir string) (map[string]map[string]string, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, err
	}
	slices.Sort(files)
	all := map[string]map[string]string{}
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
		if err != nil {
			return nil, err
		}
		for _, decl := range file.Decls {
			if gen, ok := decl.(*ast.GenDecl); ok && gen.Tok == token.TYPE {
				structComments(gen, all)
			}
		}
	}
	return all, nil
}

func structComments(gen *ast.GenDecl, all map[string]map[string]string) {
	for _, spec := range gen.Specs {
		named, ok := spec.(*ast.TypeSpec)
		if !ok {
			continue
		}
		structure, ok := named.Type.(*ast.StructType)
		if !ok {
			continue
		}
		of := map[string]string{"": oneLine(gen.Doc, named.Name.Name)}
		for _, field := range structure.Fields.List {
			for _, name := range field.Names {
				of[name.Name] = oneLine(field.Doc, name.Name)
			}
		}
		all[named.Name.Name] = of
	}
}

// oneLine joins a comment and drops the Go name that it begins with.
func oneLine(doc *ast.CommentGroup, name string) string {
	text := strings.Join(strings.Fields(doc.Text()), " ")
	for _, lead := range []string{name + " is ", name + " are ", name + " says "} {
		if rest, ok := strings.CutPrefix(text, lead); ok {
			text = rest
			break
		}
	}
	text = strings.TrimPrefix(text, name+" ")
	if text != "" {
		text = strings.ToUpper(text[:1]) + text[1:]
	}
	return strings.ReplaceAll(text, "|", "\\|")
}
