package demo

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"

	"github.com/millrace/millrace/configs"
	"github.com/millrace/millrace/configs/examples"
)

// dirVariable is what the shipped files write for the folder of the logs.
const dirVariable = "MILLRACE_DEMO_DIR"

// Config returns the shipped demonstration (configs/examples/demo) for logs
// below dir: built-in defaults with inputs, pipelines and notifiers.
func Config(dir string) (*configs.Config, error) {
	files := examples.Demo()
	source := configs.Source{
		ReadFile: func(name string) ([]byte, error) { return fs.ReadFile(files, path.Clean(name)) },
		Glob: func(pattern string) ([]string, error) {
			matches, err := fs.Glob(files, path.Clean(pattern))
			return matches, err
		},
		LookupEnv: func(name string) (string, bool) {
			if name == dirVariable {
				return dir, true
			}
			return os.LookupEnv(name)
		},
	}
	cfg, err := source.Load("millrace.yaml")
	if err != nil {
		return nil, fmt.Errorf("demo configuration: %w", err)
	}
	return cfg, nil
}

// Apply adds the demonstration's inputs, pipelines and notifiers for logs below
// dir to a configuration. A pipeline or notifier of the same name that is there
// already is an error.
func Apply(cfg *configs.Config, dir string) error {
	d, err := Config(dir)
	if err != nil {
		return err
	}
	for _, p := range d.Pipelines {
		if slices.ContainsFunc(cfg.Pipelines, func(have configs.Pipeline) bool { return have.Name == p.Name }) {
			return fmt.Errorf("the configuration has a pipeline %q, as the demo does: rename it, or leave out --demo", p.Name)
		}
	}
	for name := range d.Notifiers {
		if _, taken := cfg.Notifiers[name]; taken {
			return fmt.Errorf("the configuration has a notifier %q, as the demo does: rename it, or leave out --demo", name)
		}
	}
	notifiers := maps.Clone(cfg.Notifiers)
	if notifiers == nil {
		notifiers = map[string]configs.Notifier{}
	}
	maps.Copy(notifiers, d.Notifiers)
	cfg.Notifiers = notifiers
	cfg.Agent.Inputs = append(slices.Clone(cfg.Agent.Inputs), d.Agent.Inputs...)
	cfg.Pipelines = append(slices.Clone(cfg.Pipelines), d.Pipelines...)
	return nil
}
