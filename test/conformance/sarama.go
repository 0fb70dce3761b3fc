package conformance

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/test/peers"
)

const saramaVersion = "v1.61.1"

// dockerShim stands in place of docker, by which sarama's tests run Kafka's own
// tools inside a container and read its log. It runs the tool here, and shows what
// the broker's log has since a time; where this product's broker has other words than
// Kafka, those that the tests look for stand beside them.
const dockerShim = `#!/bin/bash
[ "$1" = compose ] || exit 64
case "$2" in
exec)
  shift 4
  args=()
  for arg in "$@"; do
    arg="${arg//\/opt\/kafka-$KAFKA_VERSION/$KAFKA_PATH}"
    args+=("${arg//kafka-1:9091/$BROKERS}")
  done
  exec "${args[@]}" ;;
logs)
  [ "$3" = --since ] || exit 64
  awk -v since="$4" '
    match($0, /[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]T[0-9][0-9]:[0-9][0-9]:[0-9][0-9]/) { shown = substr($0, RSTART, RLENGTH) "Z" >= since }
    shown { gsub(/out of order sequence number/, "& (OutOfOrderSequenceException)"); print }' "$BROKER_LOG" ;;
*) echo "there is one node, which stays: docker $*" >&2; exit 1 ;;
esac
`

// severalNodes is the reason for tests that need more than one broker.
func severalNodes() map[string]string {
	return map[string]string{
		"TestConsumerFetchFollowerFailover":        "fetches from a follower, which it then stops",
		"TestFuncAdminListConsumerGroupOffsets":    "stops the coordinator, whose work another broker takes over",
		"TestFuncTxnProduceWithBrokerFailure":      "stops the transaction coordinator, whose work another broker takes over",
		"TestFuncAdminAlterPartitionReassignments": "moves partitions to a second broker",
	}
}

// saramaSuite compiles sarama's functional tests for one broker behind one proxy
// instead of five; their topics have one replica instead of three. As all tests have a
// process of their own here, the topics that they share are made before the first.
func saramaSuite(t testing.TB, at target) suite {
	t.Helper()
	dir, binary := peers.GoTests(t, peers.GoTestSource{
		Module: "github.com/IBM/sarama", Version: saramaVersion, Package: ".", Tags: "functional", Variant: "-one-node",
		Edit: strings.NewReplacer(
			"ReplicationFactor: 3,", "ReplicationFactor: 1,",
			"for i := 1; i <= 5; i++", "for i := 1; i <= 1; i++",
			`fmt.Sprintf("127.0.0.1:%d", 29090+i))`, "proxy.ListenAddr)",
			"env.UsingExisting = usingExisting", "env.UsingExisting = false",
			`Logger.Println("creating test topics")`, `if os.Getenv("TOPICS_ARE_THERE") != "" { return nil }`,
		).Replace,
	})
	files, err := filepath.Glob(filepath.Join(dir, "functional_*_test.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("sarama's functional tests: %d files, %v", len(files), err)
	}
	var tests []string
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`(?m)^func (Test\w+)\(t \*testing\.T\)`).FindAllStringSubmatch(string(text), -1) {
			tests = append(tests, m[1])
		}
	}
	slices.Sort(tests)
	toxiproxy := peers.Toxiproxy(t, map[string][2]string{"kafka1": {at.bootstrap, at.listen}})
	tools := kafkaScripts(t)
	if err := os.WriteFile(filepath.Join(tools, "bin", "docker"), []byte(dockerShim), 0o755); err != nil {
		t.Fatal(err)
	}
	env := []string{
		"TOXIPROXY_ADDR=" + toxiproxy, "KAFKA_VERSION=4.1.1", "KAFKA_PATH=" + tools, "BROKERS=" + at.listen, "BROKER_LOG=" + at.log,
		fmt.Sprintf("PATH=%s%c%s", filepath.Join(tools, "bin"), os.PathListSeparator, os.Getenv("PATH")),
	}
	if out, err := goTestCommand(dir, binary, env...)(t.Context(), "none").CombinedOutput(); err != nil {
		t.Fatalf("sarama's topics: %v\n%s", err, out)
	}
	return suite{
		tests: tests, judge: goVerdict, timeout: 6 * time.Minute, cannotRun: severalNodes(),
		command: goTestCommand(dir, binary, append(env, "TOPICS_ARE_THERE=yes")...),
	}
}
