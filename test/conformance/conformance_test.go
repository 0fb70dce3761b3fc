package conformance

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/millrace/millrace/configs"
	"github.com/millrace/millrace/configs/kafkaproperties"
	"github.com/millrace/millrace/test/nodes"
	"github.com/millrace/millrace/test/peers"
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
		t.Run(strings.Fields(p.name)[0], func(t *testing.T) {
			r := report{Project: p.name}
			r.Ours, r.CannotRun = runAll(t, p, ourBroker(t, p))
			if full() {
				r.Kafka, _ = runAll(t, p, apacheKafka(t, p))
				var err error
				if os.Getenv("MILLRACE_CONFORMANCE_TESTS") != "" {
					r, err = r.withEarlier()
				}
				if err := errors.Join(err, r.save()); err != nil {
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

// attempts is how often a test may run until it passes, against either broker: some
// of these suites race with themselves on a busy machine.
const attempts = 3

// runAll runs the tests of a project one after the other.
func runAll(t *testing.T, p project, at target) (_ map[string]outcome, cannotRun map[string]string) {
	t.Helper()
	s := p.prepare(t, at)
	results := map[string]outcome{}
	for _, test := range s.tests {
		if !p.chosen(t, test) || s.cannotRun[test] != "" {
			continue
		}
		result, output := s.run(t.Context(), test)
		for attempt := 1; attempt < attempts && (result == failed || result == hung); attempt++ {
			t.Logf("%s %s at %s: %s, once more:\n%s", p.name, test, at.bootstrap, result, output)
			result, output = s.run(t.Context(), test)
		}
		results[test] = result
		t.Logf("%s %s at %s: %s", p.name, test, at.bootstrap, result)
		if result == failed || result == hung {
			t.Log(output)
		}
	}
	return results, s.cannotRun
}

// brokerProperties are how both brokers are set up for a suite.
func brokerProperties(p project) []string {
	return append([]string{
		"num.partitions=4",
		"authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer",
		"allow.everyone.if.no.acl.found=true",
	}, p.properties...)
}

// ourBroker runs this product's broker for a suite.
func ourBroker(t *testing.T, p project) target {
	t.Helper()
	if p.ownBrokers {
		return target{}
	}
	advertised := ""
	if p.proxied {
		advertised = peers.FreeAddr(t)
	}
	listen := nodes.BrokerWith(t, func(cfg *configs.Broker) {
		file, err := kafkaproperties.Parse("server.properties", []byte(strings.Join(brokerProperties(p), "\n")))
		if err != nil {
			t.Fatal(err)
		}
		broker, _, err := file.Broker(*cfg)
		if err != nil {
			t.Fatal(err)
		}
		broker.Listeners, broker.Listen, broker.Advertised = nil, cfg.Listen, advertised
		*cfg = broker
	})
	return target{bootstrap: cmp.Or(advertised, listen), listen: listen}
}

// apacheKafka runs Apache Kafka for a suite.
func apacheKafka(t *testing.T, p project) target {
	t.Helper()
	if p.ownBrokers {
		return target{kafka: true}
	}
	properties, advertised := brokerProperties(p), ""
	if p.proxied {
		advertised = peers.FreeAddr(t)
		properties = append(properties, "advertised.listeners=PLAINTEXT://"+advertised)
	}
	listen := peers.Kafka(t, peers.KafkaProperties(properties...)).Bootstrap
	return target{bootstrap: cmp.Or(advertised, listen), listen: listen, kafka: true}
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
