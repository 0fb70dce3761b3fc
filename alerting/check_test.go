package alerting

import (
	"os"
	"strings"
	"testing"

	"github.com/millrace/millrace/configs"
)

func TestExamplesAreValid(t *testing.T) {
	cfg, err := configs.Load("../configs/examples/alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if problems := Check(cfg); len(problems) > 0 {
		t.Fatal(problems)
	}
	if _, err := New(Config{Pipelines: cfg.Pipelines, Notifiers: cfg.Notifiers, Alerting: cfg.Alerting}, Options{}); err != nil {
		t.Fatal(err)
	}
}

// TestMistakesHaveAPlace loads a file with one mistake on each line that says
// "# wrong" and expects an error there, from the model or from Check.
func TestMistakesHaveAPlace(t *testing.T) {
	for name, text := range map[string]string{
		"rules": `
pipelines:
  - name: p
    input: {topics: [a]}
    alerts:
      - name: a
        type: frequency
        where: 'status >= 500'
        count: 0             # wrong: at least 1
        within: 1m
      - name: b
        type: any
        where: 'a ='
        notify: []
`,
		"notifier": `
pipelines:
  - name: p
    input: {topics: [a]}
    alerts:
      - {name: a, type: any, where: 'a == 1', notify: [nobody]}   # wrong: no notifier
`,
	} {
		path := t.TempDir() + "/millrace.yaml"
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := configs.Load(path); err == nil || !strings.Contains(err.Error(), path+":") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCheckNamesThePlace(t *testing.T) {
	text := `pipelines:
  - name: p
    input: {topics: [a]}
    alerts:
      - name: broken
        type: any
        where: 'a == 1 and'
      - name: any-with-count
        type: any
        count: 3
        where: 'a == 1'
      - name: large
        type: frequency
        count: 100000000
        within: 1m
        where: 'a == 1'
        group_by: [host.name, host.name, "..", ok]
`
	path := t.TempDir() + "/millrace.yaml"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := configs.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	problems := Check(cfg)
	for _, want := range []string{":7:", ":9:", ":14:", ":17:"} {
		if !strings.Contains(problems.Error(), path+want) {
			t.Errorf("no problem at line %s of:\n%v", want, problems)
		}
	}
	if len(problems) != 5 {
		t.Errorf("%d problems:\n%v", len(problems), problems)
	}
}
