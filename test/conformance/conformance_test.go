package conformance

import (
	"errors"
	"flag"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// MILLRACE_CONFORMANCE_ONLY chooses one suite by a part of its name, and
// MILLRACE_CONFORMANCE_TESTS some of its tests by an expression; the page keeps what
// earlier runs found out about the others.

// chosen says whether a test is one of those that are to run.
func (p project) chosen(t *testing.T, test string) bool {
	t.Helper()
	if !full() {
		return slices.Contains(p.short, test)
	}
	chosen, err := regexp.MatchString(os.Getenv("MILLRACE_CONFORMANCE_TESTS"), test)
	if err != nil {
		t.Fatal(err)
	}
	return chosen
}

// full says that all tests are to run, against both brokers, and the page is to
// be written.
func full() bool { return os.Getenv("MILLRACE_CONFORMANCE") == "full" }

func TestConformance(t *testing.T) {
	if testing.Short() {
		t.Skip("skipped: -short runs nobody else's suites")
	}
	for _, p := range projects() {
		if !full() && len(p.short) == 0 || !strings.Contains(p.name, os.Getenv("MILLRACE_CONFORMANCE_ONLY")) {
			continue
		}
		t.Run(strings.Fields(p.name)[0], func(t *testing.T) { conform(t, p) })
	}
	if full() {
		if err := writePage("../../docs/compatibility.md"); err != nil {
			t.Fatal(err)
		}
	}
}

// conform runs one project's tests.
func conform(t *testing.T, p project) {
	t.Helper()
	r := report{Project: p.name}
	if !full() {
		at := ourBroker(t, p)
		r.Ours = runAll(t, p, at, p.prepare(t, at))
		r.Kafka = newResults()
		for _, test := range p.short {
			r.Kafka.Tests[test] = passed
		}
	} else {
		r.Runs = []string{runName(time.Now(), commit(t))}
		r.Ours, r.Kafka, r.CannotRun = runBoth(t, p)
		var err error
		if os.Getenv("MILLRACE_CONFORMANCE_TESTS") != "" {
			r, err = r.withEarlier()
		}
		if err := errors.Join(err, r.save()); err != nil {
			t.Fatal(err)
		}
	}
	for _, problem := range r.problems() {
		t.Error(problem)
	}
}

// commit names the code that runs.
func commit(t *testing.T) string {
	t.Helper()
	git := func(args ...string) string {
		t.Helper()
		out, err := exec.CommandContext(t.Context(), "git", args...).Output()
		if err != nil {
			t.Fatalf("the commit that runs: %v", err)
		}
		return strings.TrimSpace(string(out))
	}
	name := git("rev-parse", "--short", "HEAD")
	// What an earlier suite has written is not code.
	if git("status", "--porcelain", "--", ":/", ":!/docs", ":!/test/conformance/results") != "" {
		name += ", with changes"
	}
	return name
}

// runBoth runs a project's tests against both brokers: one after the other, or side by
// side where each test starts a broker of its own and mostly waits for that.
func runBoth(t *testing.T, p project) (ours, kafka results, cannotRun map[string]string) {
	t.Helper()
	at := ourBroker(t, p)
	s := p.prepare(t, at)
	if !p.ownBrokers {
		ours = runAll(t, p, at, s)
		theirs := apacheKafka(t, p)
		return ours, runAll(t, p, theirs, p.prepare(t, theirs)), s.cannotRun
	}
	theirs := apacheKafka(t, p)
	beside := p.prepare(t, theirs)
	done := make(chan results, 1)
	go func() { done <- runAll(t, p, theirs, beside) }()
	ours = runAll(t, p, at, s)
	return ours, <-done, s.cannotRun
}

// runAll runs the tests of a project one after the other.
func runAll(t *testing.T, p project, at target, s suite) results {
	t.Helper()
	all, began := newResults(), time.Now()
	for _, test := range s.tests {
		if !p.chosen(t, test) || s.cannotRun[test] != "" {
			continue
		}
		try, result, parts := 0, failed, map[string]outcome{}
		for again := true; again; {
			try++
			var now map[string]outcome
			var output string
			result, now, output = s.run(t.Context(), test)
			for part, o := range now {
				if parts[part] != passed {
					parts[part] = o
				}
			}
			bad := result == failed || result == hung
			again = bad && try < attempts
			t.Logf("%s %s with %s: %s in try %d", p.name, test, at, result, try)
			if bad {
				t.Log(output)
			}
		}
		all.add(test, result, try, parts)
	}
	all.Seconds = int(time.Since(began).Seconds())
	return all
}

// add takes what a test came to in its last try.
func (r results) add(test string, result outcome, tries int, parts map[string]outcome) {
	r.Tests[test] = result
	if tries > 1 {
		r.Tries[test] = tries
	}
	if result != passed && result != skipped && len(parts) > 0 {
		r.Parts[test] = parts
	}
}

func TestVerdicts(t *testing.T) {
	for _, c := range []struct {
		judge  func(string) outcome
		output string
		want   outcome
	}{
		{goVerdict, "=== RUN   TestA\n--- PASS: TestA (0.00s)\nPASS\n", passed},
		{goVerdict, "=== RUN   TestA\n    --- FAIL: TestA/b (0.00s)\n--- FAIL: TestA (0.00s)\n", failed},
		{goVerdict, "=== RUN   TestA\n--- SKIP: TestA (0.00s)\nPASS\n", skipped},
		{goVerdict, "    --- SKIP: TestA/b (0.00s)\n--- PASS: TestA (0.00s)\nPASS\n", passed},
		{goVerdict, "panic: x\n", failed},
		{goVerdict, "", failed},
		{rdkafkaVerdict, "================= Test 0001_multiobj PASSED =================\nALL TESTS PASSED", passed},
		{rdkafkaVerdict, "|  0004_conf | SKIPPED | 0s |\n============== ALL TESTS PASSED", skipped},
		{rdkafkaVerdict, "### Test \"0001_multiobj\" failed at test.c:1", failed},
		{rdkafkaVerdict, "\x1b[31m### Test \"0001_multiobj\" failed at test.c:1\n================= Test 0002_x PASSED =================", failed},
		{rdkafkaVerdict, "low linger.ms (0ms)  FAILED\n================= Test 0055_producer_latency PASSED =================", passed},
		{rdkafkaVerdict, "", failed},
	} {
		if got := c.judge(c.output); got != c.want {
			t.Errorf("%q is %s, want %s", c.output, got, c.want)
		}
	}
}

func TestProblems(t *testing.T) {
	r := report{
		Project: "p",
		Kafka:   results{Tests: map[string]outcome{"a": passed, "b": passed, "c": failed, "d": skipped}, Parts: map[string]map[string]outcome{"c": {"c/1": passed, "c/2": failed, "c/3": passed}}},
		Ours:    results{Tests: map[string]outcome{"a": passed, "b": hung, "c": failed}, Parts: map[string]map[string]outcome{"c": {"c/1": failed, "c/2": failed, "c/3": passed}}},
	}
	got := r.problems()
	if len(got) != 3 || !strings.Contains(got[0], "p b:") || !strings.Contains(got[1], "p c/1:") || !strings.Contains(got[2], "p c: failed here") {
		t.Errorf("problems are %q", got)
	}
}

// TestPartOfARunReplacesThatPart: the others keep what is known of them.
func TestPartOfARunReplacesThatPart(t *testing.T) {
	earlier, now := newResults(), newResults()
	earlier.add("a", failed, 3, map[string]outcome{"a/1": passed})
	earlier.add("b", passed, 2, nil)
	now.add("a", passed, 1, nil)
	both := now.over(earlier)
	if both.Tests["a"] != passed || both.Tests["b"] != passed || len(both.Parts) != 0 || len(both.Tries) != 1 || both.repeated() != "b (in try 2)" {
		t.Errorf("%+v", both)
	}
}

var rewrite = flag.Bool("rewrite", false, "write the results that there are into the page")

// TestCells: what a cell says.
func TestCells(t *testing.T) {
	v := verdicts{
		ours:  map[string]outcome{"s a": passed, "s b": passed, "s c": failed, "s d": passed},
		kafka: map[string]outcome{"s a": passed, "s b": passed, "s c": passed, "s d": failed},
	}
	for want, tests := range map[string][]string{
		"2": {"s a", "s b"}, "1 of 2, Kafka 2 of 2": {"s a", "s c"}, "1 of 1, Kafka 0 of 1": {"s d"},
	} {
		if got := v.cell(evidence{tests: tests}); got != want {
			t.Errorf("%v: %q, want %q", tests, got, want)
		}
	}
	delete(v.kafka, "s b")
	if got := v.cell(evidence{tests: []string{"s a", "s b"}}); got != "2 (1 ran with Kafka)" {
		t.Errorf("%q", got)
	}
	if all, err := parseEvidence("a | no such feature | s x"); err == nil {
		t.Errorf("evidence %v", all)
	}
}

// TestPageIsCurrent: the page says what the results say.
func TestPageIsCurrent(t *testing.T) {
	if *rewrite {
		if err := writePage("../../docs/compatibility.md"); err != nil {
			t.Fatal(err)
		}
	}
	reports, err := savedReports()
	if err != nil || len(reports) == 0 {
		t.Fatalf("%d saved reports: %v", len(reports), err)
	}
	page, err := os.ReadFile("../../docs/compatibility.md")
	if err != nil {
		t.Fatal(err)
	}
	text, err := generated(reports)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(page), text) {
		t.Error("docs/compatibility.md does not say what test/conformance/results holds: make conformance writes both")
	}
	for _, r := range reports {
		for _, problem := range r.problems() {
			t.Error(problem)
		}
	}
	all, err := parseEvidence(featuresFile)
	if err != nil {
		t.Fatal(err)
	}
	// A cell stands for what this broker does: what fails is not hidden in a number.
	v := verdictsOf(reports)
	for _, e := range all {
		for _, test := range e.tests {
			if v.ours[test] != passed {
				t.Errorf("%s, %s: %q has the result %q", e.client, e.feature, test, v.ours[test])
			}
		}
	}
}
