package configs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// Source is what a configuration is read from, so that a test needs neither
// environment nor disk.
type Source struct {
	// ReadFile returns a file's bytes.
	ReadFile func(path string) ([]byte, error)
	// Glob returns the paths that match a pattern, sorted.
	Glob func(pattern string) ([]string, error)
	// LookupEnv returns an environment variable.
	LookupEnv func(name string) (string, bool)
}

// System reads the real files and environment.
func System() Source {
	return Source{ReadFile: os.ReadFile, Glob: filepath.Glob, LookupEnv: os.LookupEnv}
}

// Load reads the file and everything that it includes, and validates the
// whole. All problems come back at once as [Errors].
func Load(path string) (*Config, error) {
	return System().Load(path)
}

// Load is the package's [Load] over this source.
func (s Source) Load(path string) (*Config, error) {
	cfg := Default()
	l := newLoader(s, &cfg)
	l.file(path, 0)
	l.pipelineFiles(filepath.Dir(path))
	return l.finish()
}

// Parse reads one document that is already in memory, named as in messages.
func (s Source) Parse(name string, document []byte) (*Config, error) {
	cfg := Default()
	l := newLoader(s, &cfg)
	l.document(name, document, 0)
	l.pipelineFiles(filepath.Dir(name))
	return l.finish()
}

// includeDepthMax bounds how deep files may include each other.
const includeDepthMax = 8

// loader collects one configuration from several files. It lives for one Load.
type loader struct {
	source Source
	cfg    *Config
	errs   Errors
	files  []string
	places map[string]place
}

// place is where a value stands in the files.
type place struct {
	file         string
	line, column int
}

func newLoader(s Source, cfg *Config) *loader {
	cfg.places = map[string]place{}
	return &loader{source: s, cfg: cfg, places: cfg.places}
}

// LoadAny reads a configuration file, or a file that holds one pipeline alone,
// which it knows by its top-level keys. The notifiers that a lone pipeline names are
// taken to be defined elsewhere.
func (s Source) LoadAny(path string) (*Config, error) {
	document, err := s.ReadFile(path)
	if err != nil || !isPipeline(document) {
		return s.Load(path)
	}
	cfg := Default()
	l := newLoader(s, &cfg)
	cfg.PipelineFiles = []string{filepath.Base(path)}
	l.pipelineFiles(filepath.Dir(path))
	for _, p := range cfg.Pipelines {
		for _, rule := range p.Alerts {
			for _, name := range rule.Notify {
				if cfg.Notifiers == nil {
					cfg.Notifiers = map[string]Notifier{}
				}
				cfg.Notifiers[name] = Notifier{Stdout: &StdoutNotifier{}}
			}
		}
	}
	return l.finish()
}

// isPipeline reports whether a document's top-level keys are a pipeline's.
func isPipeline(document []byte) bool {
	var doc yaml.Node
	if yaml.Unmarshal(document, &doc) != nil || len(doc.Content) == 0 || doc.Content[0].Kind != yaml.MappingNode {
		return false
	}
	pipeline, whole := keysOf(reflect.TypeFor[Pipeline]()), keysOf(reflect.TypeFor[Config]())
	found := 0
	root := doc.Content[0]
	for i := 0; i+1 < len(root.Content); i += 2 {
		key := root.Content[i].Value
		if slices.Contains(whole, key) {
			return false
		}
		if slices.Contains(pipeline, key) {
			found++
		}
	}
	return found >= 2
}

func (l *loader) finish() (*Config, error) {
	if len(l.errs) == 0 {
		l.errs = l.cfg.Validate()
	}
	if len(l.errs) > 0 {
		return nil, l.errs
	}
	return l.cfg, nil
}

// file reads one configuration file and those that it includes.
func (l *loader) file(path string, depth int) {
	if slices.Contains(l.files, path) {
		return
	}
	l.files = append(l.files, path)
	document, err := l.source.ReadFile(path)
	if err != nil {
		l.unreadable(path, err)
		return
	}
	l.document(path, document, depth)
}

func (l *loader) unreadable(path string, err error) {
	msg := err.Error()
	if errors.Is(err, fs.ErrNotExist) {
		msg = "there is no such file"
	}
	l.errs = append(l.errs, &FieldError{File: path, Msg: msg})
}

func (l *loader) document(path string, document []byte, depth int) {
	root := l.parse(path, document)
	if root == nil {
		return
	}
	before := len(l.cfg.Include)
	if isPipeline(document) {
		l.errs = append(l.errs, &FieldError{File: path, Line: root.Line, Column: root.Column, Msg: "this file holds one pipeline: name it under pipeline_files of the configuration"})
		return
	}
	d := decoder{loader: l, file: path}
	d.value(root, reflect.ValueOf(l.cfg).Elem(), "")
	includes := l.cfg.Include[before:]
	for _, pattern := range includes {
		if depth >= includeDepthMax {
			l.errs = append(l.errs, &FieldError{File: path, Msg: fmt.Sprintf("files include each other more than %d deep", includeDepthMax)})
			return
		}
		for _, match := range l.glob(path, "include", pattern) {
			l.file(match, depth+1)
		}
	}
}

// parse returns the document's root with all ${…} expanded; nil when the
// document is empty or broken.
func (l *loader) parse(path string, document []byte) *yaml.Node {
	var doc yaml.Node
	if err := yaml.Unmarshal(document, &doc); err != nil {
		l.errs = append(l.errs, syntaxError(path, err))
		return nil
	}
	if len(doc.Content) == 0 {
		return nil
	}
	root := doc.Content[0]
	l.expand(path, root)
	return root
}

// syntaxError takes the line out of yaml.v3's message.
func syntaxError(path string, err error) *FieldError {
	msg := strings.TrimPrefix(err.Error(), "yaml: ")
	e := &FieldError{File: path, Msg: msg, Column: 1}
	var line int
	if n, scanErr := fmt.Sscanf(msg, "line %d:", &line); n == 1 && scanErr == nil {
		_, rest, _ := strings.Cut(msg, ": ")
		e.Line, e.Msg = line, rest
	}
	return e
}

func (l *loader) glob(file, key, pattern string) []string {
	if !filepath.IsAbs(pattern) {
		pattern = filepath.Join(filepath.Dir(file), pattern)
	}
	matches, err := l.source.Glob(pattern)
	if err == nil && len(matches) == 0 && !strings.ContainsAny(pattern, "*?[") {
		err = errors.New("there is no such file")
	}
	if err != nil {
		l.errs = append(l.errs, &FieldError{File: file, Msg: fmt.Sprintf("%s %q: %v", key, pattern, err)})
	}
	return matches
}

// pipelineFiles reads the files that hold one pipeline each.
func (l *loader) pipelineFiles(dir string) {
	for _, pattern := range l.cfg.PipelineFiles {
		for _, path := range l.glob(filepath.Join(dir, "millrace.yaml"), "pipeline_files", pattern) {
			document, err := l.source.ReadFile(path)
			if err != nil {
				l.unreadable(path, err)
				continue
			}
			root := l.parse(path, document)
			if root == nil {
				continue
			}
			p := newElement[Pipeline]()
			d := decoder{loader: l, file: path}
			d.value(root, reflect.ValueOf(&p).Elem(), fmt.Sprintf("pipelines[%d]", len(l.cfg.Pipelines)))
			l.cfg.Pipelines = append(l.cfg.Pipelines, p)
		}
	}
}
