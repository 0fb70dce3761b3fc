package demo_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/configs"
	"github.com/millrace/millrace/internal/demo"
	"github.com/millrace/millrace/internal/event"
)

// TestPipelinesUnderstandEveryLine runs what the writer writes in a minute
// through the shipped pipelines: all is parsed, and each rule has matches.
func TestPipelinesUnderstandEveryLine(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, demo.Options{Seed: 7}, start, time.Minute-time.Second)
	cfg, err := demo.Config(dir)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{"web": "web/access.log", "app": "app/application.log", "service": "service/payments.json"}
	for _, p := range cfg.Pipelines {
		text, err := os.ReadFile(filepath.Join(dir, files[p.Name]))
		if err != nil {
			t.Fatal(err)
		}
		checkPipeline(t, p, events(string(text)))
	}
}

// events joins the lines of stack traces to their events, as the agent does.
func events(text string) []string {
	var list []string
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if first := line != "" && (line[0] >= '0' && line[0] <= '9' || line[0] == '{'); first || len(list) == 0 {
			list = append(list, line)
		} else {
			list[len(list)-1] += "\n" + line
		}
	}
	return list
}

func checkPipeline(t *testing.T, p configs.Pipeline, lines []string) {
	t.Helper()
	chain, err := event.Compile(p.Process)
	if err != nil {
		t.Fatalf("pipeline %s: %v", p.Name, err)
	}
	matches := map[string]int{}
	read := start.Add(time.Hour)
	for n, line := range lines {
		e := event.FromRecord(event.Record{Topic: "logs." + p.Name, Offset: int64(n), Timestamp: read, Value: []byte(line)}, read)
		if chain.Process(e) {
			if !strings.Contains(line, "/healthz") {
				t.Fatalf("pipeline %s drops %s", p.Name, line)
			}
			continue
		}
		doc := string(e.AppendJSON(nil))
		if strings.Contains(doc, "parse_failure") || !strings.Contains(doc, `"level":`) || !strings.Contains(doc, `"@timestamp":"2026-03-01T12:00:`) {
			t.Fatalf("pipeline %s does not understand a line: %s", p.Name, doc)
		}
		for _, rule := range p.Alerts {
			where, err := event.CompileCondition(rule.Where)
			if err != nil {
				t.Fatalf("rule %s: %v", rule.Name, err)
			}
			if where.Match(e) {
				matches[rule.Name]++
			}
		}
	}
	for _, rule := range p.Alerts {
		if matches[rule.Name] < max(rule.Count, 1) {
			t.Errorf("rule %s/%s has %d matches in a burst, too few for an alert", p.Name, rule.Name, matches[rule.Name])
		}
	}
}
