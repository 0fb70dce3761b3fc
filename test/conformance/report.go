package conformance

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// report is what one project's tests came to, by the names of the tests.
type report struct {
	Project string             `json:"project"`
	Ours    map[string]outcome `json:"ours"`
	Kafka   map[string]outcome `json:"kafka"`
	// CannotRun are tests that ran against neither, with the reason.
	CannotRun map[string]string `json:"cannot_run,omitempty"`
}

// resultsDir keeps the report of each project's last full run.
const resultsDir = "results"

// path is where the report is kept.
func (r report) path() string {
	return filepath.Join(resultsDir, strings.ReplaceAll(strings.Fields(r.Project)[0], "/", "-")+".json")
}

func (r report) save() error {
	text, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return err
	}
	return errors.Join(os.MkdirAll(resultsDir, 0o755), os.WriteFile(r.path(), append(text, '\n'), 0o644))
}

// withEarlier adds what earlier runs found out about the tests that did not run now.
func (r report) withEarlier() (report, error) {
	text, err := os.ReadFile(r.path())
	if errors.Is(err, fs.ErrNotExist) {
		return r, nil
	}
	if err != nil {
		return r, err
	}
	var earlier report
	if err := json.Unmarshal(text, &earlier); err != nil {
		return r, fmt.Errorf("%s: %w", r.path(), err)
	}
	maps.Copy(earlier.Ours, r.Ours)
	maps.Copy(earlier.Kafka, r.Kafka)
	earlier.Project, earlier.CannotRun = r.Project, r.CannotRun
	return earlier, nil
}

// savedReports returns the reports of all projects.
func savedReports() ([]report, error) {
	paths, err := filepath.Glob(filepath.Join(resultsDir, "*.json"))
	if err != nil {
		return nil, err
	}
	var reports []report
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		var r report
		if err := json.Unmarshal(text, &r); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		reports = append(reports, r)
	}
	return reports, nil
}

// knownDifferences gives the reason for each test that passes with Apache Kafka
// and not here, by the first word of its project and its name.
func knownDifferences() map[string]string {
	return map[string]string{}
}

func (r report) key(test string) string { return strings.Fields(r.Project)[0] + " " + test }

// different are the tests that pass with Apache Kafka and not here.
func (r report) different() []string {
	var tests []string
	for _, test := range slices.Sorted(maps.Keys(r.Kafka)) {
		if r.Kafka[test] == passed && r.Ours[test] != passed {
			tests = append(tests, test)
		}
	}
	return tests
}

// problems are differences without a reason.
func (r report) problems() []string {
	var problems []string
	for _, test := range r.different() {
		if knownDifferences()[r.key(test)] == "" {
			problems = append(problems, fmt.Sprintf("%s %s: %s here, passes with Apache Kafka", r.Project, test, r.Ours[test]))
		}
	}
	return problems
}

func (r report) count(results map[string]outcome, want outcome) int {
	n := 0
	for _, o := range results {
		if o == want {
			n++
		}
	}
	return n
}

// The page's part between these lines is written by the run.
const (
	pageBegin = "<!-- written by make conformance: begin -->"
	pageEnd   = "<!-- written by make conformance: end -->"
)

// writePage replaces the generated part of the page.
func writePage(path string) error {
	reports, err := savedReports()
	if err != nil {
		return err
	}
	page, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	before, rest, ok := strings.Cut(string(page), pageBegin)
	_, after, ok2 := strings.Cut(rest, pageEnd)
	if !ok || !ok2 {
		return errors.New(path + " has no place for the table")
	}
	text, err := generated(reports)
	if err != nil {
		return err
	}
	return os.WriteFile(path, []byte(before+text+after), 0o644)
}

// generated is the part of the page that the run writes.
func generated(reports []report) (string, error) {
	features, err := featureTables(reports)
	if err != nil {
		return "", err
	}
	return pageBegin + "\n" + table(reports) + "\n" + features + pageEnd, nil
}

func table(reports []report) string {
	var b strings.Builder
	b.WriteString("| suite | tests | pass with Apache Kafka 4.1.1 | pass here | of those that pass with Kafka, here too | skipped here |\n|---|---|---|---|---|---|\n")
	for _, r := range reports {
		with := r.count(r.Kafka, passed)
		fmt.Fprintf(&b, "| %s | %d | %d | %d | %d of %d | %d |\n", r.Project, len(r.Ours), with, r.count(r.Ours, passed), with-len(r.different()), with, r.count(r.Ours, skipped))
	}
	b.WriteString("\n")
	rows := 0
	for _, r := range reports {
		for _, test := range slices.Sorted(maps.Keys(r.Ours)) {
			if r.Ours[test] == r.Kafka[test] && (r.Ours[test] == passed || r.Ours[test] == skipped) {
				continue
			}
			if rows++; rows == 1 {
				b.WriteString("| test that does not pass on both | with Apache Kafka | here | reason |\n|---|---|---|---|\n")
			}
			reason := knownDifferences()[r.key(test)]
			switch {
			case r.Ours[test] == passed:
				reason = "passes here"
			case r.Kafka[test] != passed:
				reason = "not of this broker's making"
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", r.key(test), cmp.Or(r.Kafka[test], "not run"), r.Ours[test], reason)
		}
	}
	rows = 0
	for _, r := range reports {
		for _, test := range slices.Sorted(maps.Keys(r.CannotRun)) {
			if rows++; rows == 1 {
				b.WriteString("\n| test that one node cannot serve, run against neither | what it does |\n|---|---|\n")
			}
			fmt.Fprintf(&b, "| %s | %s |\n", r.key(test), r.CannotRun[test])
		}
	}
	return b.String()
}
