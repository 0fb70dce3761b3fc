package conformance

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/millrace/millrace/configs"
	"github.com/millrace/millrace/test/nodes"
	"github.com/millrace/millrace/test/peers"
)

// MILLRACE_CONFORMANCE_ONLY chooses one suite by a part of its name; the page keeps
// what earlier runs found out about the others.

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
		t.Run(strings.Fields(p.name)[0], func(t *testing.T) {
			ours := runAll(t, p, nodes.BrokerWith(t, func(cfg *configs.Broker) {
				cfg.Authorizer.Enabled, cfg.Authorizer.AllowEveryoneIfNoACL = true, true
			}))
			r := report{Project: p.name, Ours: ours}
			if full() {
				r.Kafka = runAll(t, p, peers.Kafka(t, peers.KafkaProperties(
					"num.partitions=4", // as ours
					"authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer",
					"allow.everyone.if.no.acl.found=true")).Bootstrap)
				if err := r.save(); err != nil {
					t.Fatal(err)
				}
			} else {
				r.Kafka = map[string]outcome{}
				for _, test := range p.short {
					r.Kafka[test] = passed
				}
			}
			for _, problem := range r.problems() {
				t.Error(problem)
			}
		})
	}
	if full() {
		if err := writePage("../../docs/compatibility.md"); err != nil {
			t.Fatal(err)
		}
	}
}

// runAll runs the tests of a project one after the other.
func runAll(t *testing.T, p project, bootstrap string) map[string]outcome {
	t.Helper()
	s := p.prepare(t, bootstrap)
	results := map[string]outcome{}
	for _, test := range s.tests {
		if !full() && !slices.Contains(p.short, test) {
			continue
		}
		result, output := s.run(t.Context(), test)
		results[test] = result
		t.Logf("%s %s at %s: %s", p.name, test, bootstrap, result)
		if result == failed || result == hung {
			t.Log(output)
		}
	}
	return results
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
		{rdkafkaVerdict, "Test 0001_multiobj FAILED", failed},
		{rdkafkaVerdict, "", failed},
	} {
		if got := c.judge(c.output); got != c.want {
			t.Errorf("%q is %s, want %s", c.output, got, c.want)
		}
	}
}

func TestProblems(t *testing.T) {
	r := report{Project: "p", Kafka: map[string]outcome{"a": passed, "b": passed, "c": failed, "d": skipped}, Ours: map[string]outcome{"a": passed, "b": hung, "c": failed}}
	got := r.problems()
	if len(got) != 1 || !strings.Contains(fmt.Sprint(got), "b") {
		t.Errorf("problems are %v", got)
	}
}

// TestPageIsCurrent: the page says what the results say.
func TestPageIsCurrent(t *testing.T) {
	reports, err := savedReports()
	if err != nil || len(reports) == 0 {
		t.Fatalf("%d saved reports: %v", len(reports), err)
	}
	page, err := os.ReadFile("../../docs/compatibility.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(page), pageBegin+"\n"+table(reports)+pageEnd) {
		t.Error("docs/compatibility.md does not say what test/conformance/results holds: make conformance writes both")
	}
	for _, r := range reports {
		for _, problem := range r.problems() {
			t.Error(problem)
		}
	}
}
