package metrics_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/millrace/millrace/test/peers"
)

const rulesFile = "../../packaging/prometheus/millrace-alerts.yml"

type ruleFile struct {
	Groups []struct {
		Name  string `yaml:"name"`
		Rules []struct {
			Alert       string            `yaml:"alert"`
			Expr        string            `yaml:"expr"`
			For         string            `yaml:"for"`
			Labels      map[string]string `yaml:"labels"`
			Annotations map[string]string `yaml:"annotations"`
		} `yaml:"rules"`
	} `yaml:"groups"`
}

// TestAlertRules: each names metrics that exist, and has a chapter in docs/monitoring.md.
func TestAlertRules(t *testing.T) {
	content, err := os.ReadFile(rulesFile)
	if err != nil {
		t.Fatal(err)
	}
	monitoring, err := os.ReadFile("../../docs/monitoring.md")
	if err != nil {
		t.Fatal(err)
	}
	var f ruleFile
	dec := yaml.NewDecoder(strings.NewReader(string(content)))
	dec.KnownFields(true)
	if err := dec.Decode(&f); err != nil {
		t.Fatal(err)
	}
	e := newExpressions(t)
	seen := map[string]bool{}
	for _, g := range f.Groups {
		for _, r := range g.Rules {
			if seen[r.Alert] {
				t.Errorf("%s is there twice", r.Alert)
			}
			seen[r.Alert] = true
			for _, wrong := range e.check(r.Expr) {
				t.Errorf("%s: %s", r.Alert, wrong)
			}
			if s := r.Labels["severity"]; s != "critical" && s != "warning" {
				t.Errorf("%s: severity %q", r.Alert, s)
			}
			if r.Annotations["summary"] == "" || r.Annotations["description"] == "" {
				t.Errorf("%s does not say what it means", r.Alert)
			}
			if want := "docs/monitoring.md#" + strings.ToLower(r.Alert); r.Annotations["runbook"] != want {
				t.Errorf("%s: runbook %q, want %q", r.Alert, r.Annotations["runbook"], want)
			}
			if !strings.Contains(string(monitoring), "\n### "+r.Alert+"\n") {
				t.Errorf("docs/monitoring.md has no chapter %s", r.Alert)
			}
		}
	}
	for line := range strings.Lines(string(monitoring)) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "### Millrace"); ok && !seen["Millrace"+name] {
			t.Errorf("docs/monitoring.md has a chapter for Millrace%s, which is no alert", name)
		}
	}
}

// TestPromtoolAcceptsTheRules asks Prometheus' own tool.
func TestPromtoolAcceptsTheRules(t *testing.T) {
	promtool := peers.Binary(t, "promtool", "prometheus")
	if out, err := exec.CommandContext(t.Context(), promtool, "check", "rules", rulesFile, expressionsAsRules(t)).CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

// expressionsAsRules writes what the dashboards ask as a file of rules.
func expressionsAsRules(t *testing.T) string {
	t.Helper()
	type rule struct {
		Record string `yaml:"record"`
		Expr   string `yaml:"expr"`
	}
	var rules []rule
	variables := strings.NewReplacer("$__rate_interval", "5m", "$instance", ".*", "$topic", ".*", "$group", ".*")
	for _, d := range dashboards() {
		for _, r := range d.rows {
			for _, p := range r.panels {
				for _, s := range p.series {
					rules = append(rules, rule{fmt.Sprintf("panel:%d", len(rules)), variables.Replace(s.expr)})
				}
			}
		}
	}
	content, err := yaml.Marshal(map[string]any{"groups": []any{map[string]any{"name": "dashboards", "rules": rules}}})
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "dashboards.yml")
	if err := os.WriteFile(name, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}
