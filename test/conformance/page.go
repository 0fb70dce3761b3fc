package conformance

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/millrace/millrace/test/page"
)

// writePage replaces the generated part of the page.
func writePage(path string) error {
	reports, err := savedReports()
	if err != nil {
		return err
	}
	text, err := generated(reports)
	if err != nil {
		return err
	}
	return page.Write(path, "make conformance", text)
}

// generated is the part of the page that the run writes.
func generated(reports []report) (string, error) {
	features, err := featureTables(reports)
	if err != nil {
		return "", err
	}
	return suitesTable(reports) + differencesTable(reports) + cannotRunTable(reports) + triesTable(reports) + "\n" + features, nil
}

// suitesTable has a line for each suite.
func suitesTable(reports []report) string {
	var b strings.Builder
	b.WriteString("| suite | run | tests | pass with Apache Kafka 4.1.1 | pass here | of those that pass with Kafka, here too | skipped here | minutes here | with Kafka |\n|---|---|---|---|---|---|---|---|---|\n")
	for _, r := range reports {
		with := r.Kafka.count(passed)
		fmt.Fprintf(&b, "| %s | %s | %d | %d | %d | %d of %d | %d | %s | %s |\n", r.Project, strings.Join(r.Runs, "; "), len(r.Ours.Tests), with, r.Ours.count(passed),
			with-len(r.different()), with, r.Ours.count(skipped), r.Ours.minutes(), r.Kafka.minutes())
	}
	return b.String()
}

// minutes says how long the last full run took, if that was measured.
func (r results) minutes() string {
	if r.Seconds == 0 {
		return "–"
	}
	return fmt.Sprintf("%.1f", float64(r.Seconds)/60)
}

// differencesTable has a line for each test that does not pass with both.
func differencesTable(reports []report) string {
	var b strings.Builder
	for _, r := range reports {
		for _, test := range slices.Sorted(maps.Keys(r.Ours.Tests)) {
			ours, kafka := r.Ours.Tests[test], r.Kafka.Tests[test]
			if ours == kafka && (ours == passed || ours == skipped) {
				continue
			}
			if b.Len() == 0 {
				b.WriteString("\n| test that does not pass with both | with Apache Kafka | here | reason |\n|---|---|---|---|\n")
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", r.key(test), outcomeOf(r.Kafka, test), outcomeOf(r.Ours, test), explanation(r.key(test)))
		}
	}
	return b.String()
}

// outcomeOf says how a test ended, and how many of its parts passed all the same.
func outcomeOf(r results, test string) string {
	said := string(cmp.Or(r.Tests[test], "not run"))
	parts := r.Parts[test]
	if len(parts) == 0 {
		return said
	}
	passes := 0
	for _, o := range parts {
		if o == passed {
			passes++
		}
	}
	return fmt.Sprintf("%s; %d of its %d parts pass", said, passes, len(parts))
}

func cannotRunTable(reports []report) string {
	var b strings.Builder
	for _, r := range reports {
		for _, test := range slices.Sorted(maps.Keys(r.CannotRun)) {
			if b.Len() == 0 {
				b.WriteString("\n| test that one node cannot serve, run against neither | what it does |\n|---|---|\n")
			}
			fmt.Fprintf(&b, "| %s | %s |\n", r.key(test), r.CannotRun[test])
		}
	}
	return b.String()
}

// triesTable says which tests passed only when they ran again.
func triesTable(reports []report) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\nA test that fails may run %d times. Those that passed, but not at once:\n\n| suite | here | with Apache Kafka |\n|---|---|---|\n", attempts)
	for _, r := range reports {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", strings.Fields(r.Project)[0], r.Ours.repeated(), r.Kafka.repeated())
	}
	return b.String()
}

// repeated names the tests that passed in a later try.
func (r results) repeated() string {
	var names []string
	for _, test := range slices.Sorted(maps.Keys(r.Tries)) {
		if r.Tests[test] == passed {
			names = append(names, fmt.Sprintf("%s (in try %d)", test, r.Tries[test]))
		}
	}
	return cmp.Or(strings.Join(names, ", "), "none")
}
