package metrics_test

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

var rewrite = flag.Bool("rewrite", false, "write docs/metrics.md instead of comparing with it")

const (
	documentFile  = "../../docs/metrics.md"
	documentBegin = "<!-- metrics: made by test/metrics, go test -rewrite -->\n"
	documentEnd   = "<!-- end of metrics -->\n"
)

// parts of the product in the order of the document, with the beginning of their metrics' names.
func parts() [][2]string {
	return [][2]string{
		{"Broker: requests and clients", "millrace_broker_"},
		{"Broker: storage", "millrace_broker_storage_"},
		{"Agent", "millrace_agent_"},
		{"Pipelines", "millrace_pipeline_"},
		{"Alerting", "millrace_alert"},
		{"Search node", "millrace_search_"},
		{"Mirror", "millrace_mirror_"},
		{"Console", "millrace_console_"},
	}
}

// partOf is the part with the longest beginning of the name.
func partOf(name string) int {
	best, length := -1, 0
	for i, p := range parts() {
		if strings.HasPrefix(name, p[1]) && len(p[1]) > length {
			best, length = i, len(p[1])
		}
	}
	return best
}

func document(all []metric) string {
	var b strings.Builder
	for i, p := range parts() {
		fmt.Fprintf(&b, "\n### %s\n| metric | type | labels | meaning | when it is bad |\n|---|---|---|---|---|\n", p[0])
		for _, m := range all {
			if partOf(m.name) != i {
				continue
			}
			labels := "–"
			if len(m.labels) > 0 {
				labels = "`" + strings.Join(m.labels, "` `") + "`"
			}
			bad := advice()[m.name]
			if bad == "" {
				bad = "–"
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", m.name, m.kind, labels, strings.TrimSuffix(m.help, "."), bad)
		}
	}
	return b.String() + "\n"
}

// TestTheDocumentIsCurrent compares docs/metrics.md with what the code registers.
func TestTheDocumentIsCurrent(t *testing.T) {
	all := everything(t)
	content, err := os.ReadFile(documentFile)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, begun := strings.Cut(string(content), documentBegin)
	have, after, ended := strings.Cut(rest, documentEnd)
	if !begun || !ended {
		t.Fatalf("%s has no place for the table", documentFile)
	}
	want := document(all)
	if *rewrite {
		if err := os.WriteFile(documentFile, []byte(before+documentBegin+want+documentEnd+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if have != want {
		t.Errorf("%s is not current: run go test ./test/metrics -rewrite", documentFile)
	}
}

// TestMetricsHaveAPartAndAMeaning: nothing stands alone, and no advice is about what is gone.
func TestMetricsHaveAPartAndAMeaning(t *testing.T) {
	all := everything(t)
	for _, m := range all {
		if partOf(m.name) < 0 {
			t.Errorf("%s is of no part", m.name)
		}
		if m.help == "" {
			t.Errorf("%s has no help text", m.name)
		}
	}
	for name := range advice() {
		if !slices.ContainsFunc(all, func(m metric) bool { return m.name == name }) {
			t.Errorf("there is advice for %s, which does not exist", name)
		}
	}
}
