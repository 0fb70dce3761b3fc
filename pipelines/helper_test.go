package pipelines

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/millrace/millrace/configs"
)

// configOf loads a configuration whose pipelines are files of their own.
func configOf(t *testing.T, pipelines ...string) *configs.Config {
	t.Helper()
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for i, p := range pipelines {
		write("pipeline-"+string(rune('a'+i))+".yaml", p)
	}
	write("millrace.yaml", "pipeline_files: ['pipeline-*.yaml']\n")
	cfg, err := configs.Load(filepath.Join(dir, "millrace.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func pipelineOf(t *testing.T, text string) configs.Pipeline {
	t.Helper()
	return configOf(t, text).Pipelines[0]
}
