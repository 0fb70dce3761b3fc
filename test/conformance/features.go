package conformance

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"
)

// featuresFile says which tests show that a client has a feature.
//
//go:embed features.txt
var featuresFile string

// isTool stands in the place of a feature for a command-line program.
const isTool = "tool"

// featureColumns are what clients do, in the order of the table.
func featureColumns() []string {
	return []string{
		"produce", "codecs", "idempotence", "transactions", "consume", "read_committed", "classic groups", "static members",
		"cooperative", "KIP-848", "topics", "configs", "groups", "ACLs", "quotas", "SCRAM users", "SASL", "TLS",
	}
}

// evidence are the tests that show that a client has a feature, each with the first
// word of its suite's name before its own.
type evidence struct {
	client, feature string
	tests           []string
}

// parseEvidence reads lines of the form "client | feature | test, test".
func parseEvidence(text string) ([]evidence, error) {
	var all []evidence
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		parts := strings.Split(line, " | ")
		if len(parts) != 3 || parts[1] != isTool && !slices.Contains(featureColumns(), parts[1]) {
			return nil, fmt.Errorf("features: %q", line)
		}
		all = append(all, evidence{client: parts[0], feature: parts[1], tests: strings.Split(parts[2], ", ")})
	}
	return all, nil
}

// verdicts are the outcomes of all tests by suite and name.
type verdicts struct{ ours, kafka map[string]outcome }

func verdictsOf(reports []report) verdicts {
	v := verdicts{ours: map[string]outcome{}, kafka: map[string]outcome{}}
	for _, r := range reports {
		for test, o := range r.Ours.Tests {
			v.ours[r.key(test)] = o
		}
		for test, o := range r.Kafka.Tests {
			v.kafka[r.key(test)] = o
		}
	}
	return v
}

// passing counts the tests that pass.
func passing(tests []string, results map[string]outcome) int {
	n := 0
	for _, test := range tests {
		if results[test] == passed {
			n++
		}
	}
	return n
}

// cell says how many of the tests pass here and with Apache Kafka: a plain number
// stands for all of them with both.
func (v verdicts) cell(e evidence) string {
	here, kafka, ran := passing(e.tests, v.ours), passing(e.tests, v.kafka), 0
	for _, test := range e.tests {
		if o := v.kafka[test]; o != "" && o != skipped {
			ran++
		}
	}
	switch {
	case here == len(e.tests) && kafka == here:
		return fmt.Sprint(here)
	case here == len(e.tests) && kafka == ran:
		return fmt.Sprintf("%d (%d ran with Kafka)", here, ran)
	}
	return fmt.Sprintf("%d of %d, Kafka %d of %d", here, len(e.tests), kafka, ran)
}

// featureTables are the table of clients and features, the one of tools, and the list
// of the tests behind them.
func featureTables(reports []report) (string, error) {
	all, err := parseEvidence(featuresFile)
	if err != nil {
		return "", err
	}
	v := verdictsOf(reports)
	columns := featureColumns()
	var clients []string
	cells := map[[2]string]string{}
	var tools, tests strings.Builder
	for _, e := range all {
		if e.feature == isTool {
			fmt.Fprintf(&tools, "| %s | %s | %s |\n", e.client, v.cell(e), strings.Join(e.tests, ", "))
			continue
		}
		if !slices.Contains(clients, e.client) {
			clients = append(clients, e.client)
		}
		cells[[2]string{e.client, e.feature}] = v.cell(e)
		fmt.Fprintf(&tests, "| %s | %s | %s |\n", e.client, e.feature, strings.Join(e.tests, ", "))
	}
	var b strings.Builder
	b.WriteString("What clients and tools do: a number says how many tests show it that pass here and with Apache Kafka, all of those that there are; where some do not, the cell says so.\n\n")
	b.WriteString("| client | " + strings.Join(columns, " | ") + " |\n|" + strings.Repeat("---|", len(columns)+1) + "\n")
	for _, client := range clients {
		b.WriteString("| " + client)
		for _, feature := range columns {
			b.WriteString(" | " + cells[[2]string{client, feature}])
		}
		b.WriteString(" |\n")
	}
	b.WriteString("\n| tool of Apache Kafka 4.1.1 | passes | tests |\n|---|---|---|\n" + tools.String())
	b.WriteString("\n<details><summary>The tests behind each cell</summary>\n\n| client | feature | tests |\n|---|---|---|\n" + tests.String() + "\n</details>\n")
	return b.String(), nil
}
