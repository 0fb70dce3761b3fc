package conformance

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// results are what one broker's run of a suite came to, by the names of the tests.
type results struct {
	Tests map[string]outcome `json:"tests"`
	// Tries says how often a test ran, of those that ran more than once.
	Tries map[string]int `json:"tries,omitempty"`
	// Parts are the outcomes of the parts of those tests that did not pass: what
	// passed in one of their tries has passed.
	Parts map[string]map[string]outcome `json:"parts,omitempty"`
	// Seconds is how long the last run took, for as many tests as ran in it.
	Seconds int `json:"seconds"`
}

func newResults() results {
	return results{Tests: map[string]outcome{}, Tries: map[string]int{}, Parts: map[string]map[string]outcome{}}
}

// count says how many tests ended so.
func (r results) count(want outcome) int {
	n := 0
	for _, o := range r.Tests {
		if o == want {
			n++
		}
	}
	return n
}

// over puts the newer results of some tests in the place of their earlier ones.
func (r results) over(earlier results) results {
	both := newResults()
	both.Seconds = earlier.Seconds
	maps.Copy(both.Tests, earlier.Tests)
	maps.Copy(both.Tries, earlier.Tries)
	maps.Copy(both.Parts, earlier.Parts)
	for test := range r.Tests {
		delete(both.Tries, test)
		delete(both.Parts, test)
	}
	maps.Copy(both.Tests, r.Tests)
	maps.Copy(both.Tries, r.Tries)
	maps.Copy(both.Parts, r.Parts)
	return both
}

// report is what one project's tests came to with both brokers.
type report struct {
	Project string `json:"project"`
	// Runs say when and of which revision the last run of the whole suite was, and
	// then the runs of some of its tests that came after it.
	Runs  []string `json:"runs"`
	Ours  results  `json:"ours"`
	Kafka results  `json:"kafka"`
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
	earlier, err := savedReport(r.path())
	if errors.Is(err, fs.ErrNotExist) {
		return r, nil
	}
	if err != nil {
		return r, err
	}
	r.Runs = append(earlier.Runs, fmt.Sprintf("%d of its tests again %s", len(r.Ours.Tests), strings.Join(r.Runs, ", ")))
	r.Ours, r.Kafka = r.Ours.over(earlier.Ours), r.Kafka.over(earlier.Kafka)
	return r, nil
}

func savedReport(path string) (report, error) {
	var r report
	text, err := os.ReadFile(path)
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(text, &r); err != nil {
		return r, fmt.Errorf("%s: %w", path, err)
	}
	return r, nil
}

// savedReports returns the reports of all projects.
func savedReports() ([]report, error) {
	paths, err := filepath.Glob(filepath.Join(resultsDir, "*.json"))
	if err != nil {
		return nil, err
	}
	var reports []report
	for _, path := range paths {
		r, err := savedReport(path)
		if err != nil {
			return nil, err
		}
		reports = append(reports, r)
	}
	return reports, nil
}

// runName names a run by its day and by the commit whose code it ran.
func runName(began time.Time, commit string) string {
	return began.UTC().Format(time.DateOnly) + " at " + commit
}

func (r report) key(test string) string { return strings.Fields(r.Project)[0] + " " + test }

// different are the tests that pass with Apache Kafka and not here.
func (r report) different() []string {
	var tests []string
	for _, test := range slices.Sorted(maps.Keys(r.Kafka.Tests)) {
		if r.Kafka.Tests[test] == passed && r.Ours.Tests[test] != passed {
			tests = append(tests, test)
		}
	}
	return tests
}

// differentParts are the parts that pass with Apache Kafka and not here, of tests
// that fail with both.
func (r report) differentParts() []string {
	var parts []string
	for _, test := range slices.Sorted(maps.Keys(r.Kafka.Parts)) {
		ours, ran := r.Ours.Parts[test]
		for _, part := range slices.Sorted(maps.Keys(r.Kafka.Parts[test])) {
			if ran && r.Kafka.Parts[test][part] == passed && ours[part] != passed {
				parts = append(parts, part)
			}
		}
	}
	return parts
}

// problems are differences that nobody has given a reason for.
func (r report) problems() []string {
	var problems []string
	for _, test := range slices.Concat(r.different(), r.differentParts()) {
		if knownDifferences()[r.key(test)] == "" {
			problems = append(problems, fmt.Sprintf("%s: does not pass here (%s), passes with Apache Kafka", r.key(test), r.Ours.Tests[test]))
		}
	}
	for _, test := range slices.Sorted(maps.Keys(r.Ours.Tests)) {
		if ours, kafka := r.Ours.Tests[test], r.Kafka.Tests[test]; ours != kafka || ours == failed || ours == hung {
			if kafka != passed && explanation(r.key(test)) == "" {
				problems = append(problems, fmt.Sprintf("%s: %s here, %q with Apache Kafka, and no reason is given", r.key(test), ours, kafka))
			}
		}
	}
	return problems
}
