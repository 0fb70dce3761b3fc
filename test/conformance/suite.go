package conformance

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/millrace/millrace/test/peers"
)

// Versions of the suites.
const (
	franzVersion   = "v1.22.2"
	kafkaGoVersion = "v0.4.51"
	// rdkafkaCrate carries the librdkafka that its version ends with.
	rdkafkaCrate = "4.10.0+2.12.1"
)

// Lines by which suites tell how a test ended.
var (
	goPart        = regexp.MustCompile(`(?m)^ *--- (PASS|FAIL|SKIP): (\S+) \(`)
	rdkafkaPassed = regexp.MustCompile(`=== Test \S+ PASSED ===`)
	rdkafkaFailed = regexp.MustCompile(`(?m)=== Test \S+ FAILED ===|^.{0,9}### Test "[^"]*" failed|TEST FAILURE`)
)

// attempts is how often a test may run until it passes, against either broker: some
// of these suites race with themselves on a busy machine.
const attempts = 3

// outcome is how one test ended.
type outcome string

const (
	passed  outcome = "passed"
	failed  outcome = "failed"
	skipped outcome = "skipped"
	hung    outcome = "timed out"
)

// suite is one project's tests, made ready to run against one bootstrap address.
type suite struct {
	// tests are the names of those that need a broker.
	tests []string
	// command runs one test by its name.
	command func(ctx context.Context, test string) *exec.Cmd
	// judge reads what a test printed; parts, which may be nil, finds the outcomes of
	// its parts in that.
	judge func(output string) outcome
	parts func(output string) map[string]outcome
	// timeout bounds one test.
	timeout time.Duration
	// cannotRun are tests that one node cannot serve, with the reason.
	cannotRun map[string]string
}

// target is the broker that a suite runs against.
type target struct {
	// bootstrap is the address that clients are told; listen is where it
	// listens, another address for those with a proxy before them.
	bootstrap, listen string
	// sasl is the address of a listener with SASL, for the projects that want one.
	sasl string
	// log is the file that the broker logs to, nothing for suites that start brokers.
	log string
	// kafka says that it is Apache Kafka.
	kafka bool
}

// String says which broker it is.
func (at target) String() string {
	if at.kafka {
		return "Apache Kafka"
	}
	return "Millrace"
}

// project is somebody else's suite.
type project struct {
	// name is shown in the table; short are the tests that every run has.
	name  string
	short []string
	// prepare fetches and builds.
	prepare func(t testing.TB, at target) suite
	// proxied suites put a proxy before the broker.
	proxied bool
	// host is what the broker calls its own: 127.0.0.1 if it is empty.
	host string
	// users may log in by SASL at a second listener, if there are some.
	users map[string]string
	// properties are what the suite wants of the broker, as in server.properties.
	properties []string
	// ownBrokers start with each test.
	ownBrokers bool
}

func projects() []project {
	return []project{
		{
			name:    "franz-go kgo " + franzVersion,
			short:   []string{"TestGroupSimple", "TestIssue865", "TestConsumeRegex", "TestPauseIssue489"},
			prepare: franzSuite,
		},
		{
			name:    "segmentio/kafka-go " + kafkaGoVersion,
			short:   []string{"TestClientFetch", "TestClientProduceAndConsume", "TestConsumerGroup", "TestClientDeleteTopics"},
			prepare: kafkaGoSuite,
			host:    "localhost", users: map[string]string{"adminplain": "admin-secret"}, // of its docker-compose.yml
		},
		{
			name:       "sarama " + saramaVersion + " (functional)",
			short:      []string{"TestFuncTxnProduce", "TestFuncConsumerGroupStaticMembership_Basic", "TestFuncAdminQuotas"},
			prepare:    saramaSuite,
			proxied:    true,
			properties: []string{"auto.create.topics.enable=false", "group.initial.rebalance.delay.ms=0"}, // of its docker-compose.yml
		},
		{name: "librdkafka " + rdkafkaCrate[strings.IndexByte(rdkafkaCrate, '+')+1:], prepare: librdkafkaSuite},
		{name: "compat (ours: test/compat)", prepare: compatSuite, ownBrokers: true}, // without short: go test runs them anyway
	}
}

// goVerdict reads what "go test -v" printed.
func goVerdict(output string) outcome {
	switch {
	case strings.Contains(output, "--- FAIL") || strings.Contains(output, "panic:"):
		return failed
	case strings.Contains(output, "\n--- SKIP") || strings.HasPrefix(output, "--- SKIP"):
		return skipped
	case strings.Contains(output, "--- PASS"):
		return passed
	}
	return failed
}

// goParts finds the outcomes of a Go test's subtests.
func goParts(output string) map[string]outcome {
	parts := map[string]outcome{}
	for _, m := range goPart.FindAllStringSubmatch(output, -1) {
		parts[m[2]] = map[string]outcome{"PASS": passed, "FAIL": failed, "SKIP": skipped}[m[1]]
	}
	return parts
}

// goSuite makes a suite of a compiled Go test.
func goSuite(t testing.TB, dir, binary string, timeout time.Duration, env ...string) suite {
	t.Helper()
	list := exec.CommandContext(t.Context(), binary, "-test.list", "^Test")
	list.Dir = dir
	out, err := list.Output()
	if err != nil {
		t.Fatalf("list the tests of %s: %v", binary, err)
	}
	return suite{
		tests:   slices.DeleteFunc(strings.Fields(string(out)), func(name string) bool { return !strings.HasPrefix(name, "Test") }),
		command: goTestCommand(dir, binary, env...), judge: goVerdict, parts: goParts, timeout: timeout,
	}
}

// goTestCommand runs one test of a compiled Go test.
func goTestCommand(dir, binary string, env ...string) func(context.Context, string) *exec.Cmd {
	return func(ctx context.Context, test string) *exec.Cmd {
		cmd := exec.CommandContext(ctx, binary, "-test.v", "-test.run", "^"+regexp.QuoteMeta(test)+"$")
		cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
		return cmd
	}
}

func franzSuite(t testing.TB, at target) suite {
	t.Helper()
	dir, binary := peers.GoTests(t, peers.GoTestSource{Module: "github.com/twmb/franz-go", Version: franzVersion, Package: "pkg/kgo"})
	return goSuite(t, dir, binary, 10*time.Minute, "KGO_SEEDS="+at.bootstrap, "KGO_TEST_RF=1", "KGO_TEST_RECORDS=20000")
}

// compatSuite are the tests of this product with other people's clients, which start
// either broker themselves.
func compatSuite(t testing.TB, at target) suite {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "compat.test")
	build := exec.CommandContext(t.Context(), "go", "test", "-c", "-o", binary, "../compat")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build test/compat: %v\n%s", err, out)
	}
	dir, err := filepath.Abs("../compat")
	if err != nil {
		t.Fatal(err)
	}
	env := []string{"CI=true"} // a client that is missing fails its test
	if at.kafka {
		env = append(env, "MILLRACE_COMPAT_BROKER=kafka")
	}
	return goSuite(t, dir, binary, 15*time.Minute, env...)
}

// kafkaGoSuite compiles the tests for the addresses, which they have written in them,
// with an edit of a slip in them: one of their helpers makes a group that was never
// told how to connect.
func kafkaGoSuite(t testing.TB, at target) suite {
	t.Helper()
	_, port, _ := strings.Cut(at.bootstrap, ":")
	_, saslPort, _ := strings.Cut(at.sasl, ":")
	replacer := strings.NewReplacer("9092", port, "9093", saslPort, `TCP("localhost")`, fmt.Sprintf("TCP(%q)", at.bootstrap),
		`"example.com",`, fmt.Sprintf(`"example.com:%s",`, port), "conn, err := cg.coordinator()", "cg.config.Timeout = 10 * time.Second\n\tcg.config.connect = makeConnect(cg.config)\n\tconn, err := cg.coordinator()")
	edit := func(text string) string {
		if strings.Contains(text, "func TestNetworkAddress(") {
			return text // it is about the default port
		}
		return replacer.Replace(text)
	}
	dir, binary := peers.GoTests(t, peers.GoTestSource{Module: "github.com/segmentio/kafka-go", Version: kafkaGoVersion, Package: ".", Variant: "-" + port, Edit: edit})
	t.Cleanup(func() { _ = os.RemoveAll(filepath.Dir(binary)) }) // it is of use for this address only
	return goSuite(t, dir, binary, 3*time.Minute, "KAFKA_VERSION=3.8.0", "KAFKA_SKIP_NETTEST=1")
}

func librdkafkaSuite(t testing.TB, at target) suite {
	t.Helper()
	root := peers.LibrdkafkaTests(t, rdkafkaCrate)
	dir := filepath.Join(root, "tests")
	conf := filepath.Join(t.TempDir(), "test.conf")
	if err := os.WriteFile(conf, []byte("metadata.broker.list="+at.bootstrap+"\ntest.timeout.multiplier=3\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	kafkaPath := kafkaScripts(t)
	source, err := os.ReadFile(filepath.Join(dir, "test.c"))
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	s := suite{timeout: 5 * time.Minute, judge: rdkafkaVerdict}
	for _, m := range regexp.MustCompile(`_TEST\((0\d{3})_`).FindAllStringSubmatch(string(source), -1) {
		if !seen[m[1]] {
			seen[m[1]] = true
			s.tests = append(s.tests, m[1])
		}
	}
	slices.Sort(s.tests)
	libs := filepath.Join(root, "src") + ":" + filepath.Join(root, "src-cpp")
	s.command = func(ctx context.Context, test string) *exec.Cmd {
		// -Q: fewer iterations, -E: without the tests that tamper with sockets,
		// -L: without those that need no broker.
		cmd := exec.CommandContext(ctx, filepath.Join(dir, "test-runner"), "-Q", "-E", "-L", "-p1")
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "TESTS="+test, "TEST_KAFKA_VERSION=4.1.1", "RDKAFKA_TEST_CONF="+conf, "LD_LIBRARY_PATH="+libs,
			"KAFKA_PATH="+kafkaPath, "BROKERS="+at.bootstrap)
		return cmd
	}
	return s
}

// kafkaScripts makes a folder with those of Kafka's scripts that tests call.
func kafkaScripts(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	bin := filepath.Join(dir, "bin")
	if err := os.Mkdir(bin, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, class := range map[string]string{
		"kafka-topics.sh": "TopicCommand", "kafka-acls.sh": "AclCommand", "kafka-console-producer.sh": "ConsoleProducer",
		"kafka-console-consumer.sh": "consumer.ConsoleConsumer", "kafka-verifiable-consumer.sh": "VerifiableConsumer",
	} {
		script := fmt.Sprintf("#!/bin/sh\nexec java -cp '%s' org.apache.kafka.tools.%s \"$@\"\n", peers.KafkaClasspath(t), class)
		if err := os.WriteFile(filepath.Join(bin, name), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// rdkafkaVerdict reads how the runner sums up its tests: a test that is left out is
// not listed as passed. What a test says of itself in between is not the verdict.
func rdkafkaVerdict(output string) outcome {
	switch {
	case rdkafkaFailed.MatchString(output):
		return failed
	case rdkafkaPassed.MatchString(output):
		return passed
	case strings.Contains(output, "SKIPPED"), strings.Contains(output, "ALL TESTS PASSED"):
		return skipped
	}
	return failed
}

// run runs one test; the last result is the end of what it printed.
func (s suite) run(ctx context.Context, test string) (outcome, map[string]outcome, string) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	cmd := s.command(ctx, test)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.WaitDelay = 5 * time.Second
	err := cmd.Run()
	text := out.String()
	end := text[max(0, len(text)-20_000):]
	var parts map[string]outcome
	if s.parts != nil {
		parts = s.parts(text)
		delete(parts, test)
	}
	if ctx.Err() != nil {
		return hung, parts, end
	}
	result := s.judge(text)
	if err != nil && result == passed {
		result = failed
	}
	return result, parts, end
}
