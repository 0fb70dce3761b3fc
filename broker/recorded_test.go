package broker

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/test/exchange"
)

// readRecorded returns what Apache Kafka 4.1.1 was sent and answered, by the names of the
// tests that asked it.
func readRecorded(t *testing.T) map[string][]exchange.Step {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(recordedDir, "*.jsonl"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no recorded answers in %s: %v", recordedDir, err)
	}
	all := map[string][]exchange.Step{}
	for _, path := range paths {
		steps, err := exchange.Read(path)
		if err != nil {
			t.Fatal(err)
		}
		all[strings.TrimSuffix(filepath.Base(path), ".jsonl")] = steps
	}
	return all
}

// TestRecordedAnswersOfApacheKafka sends the bytes that Apache Kafka was sent
// and wants its answers. It needs no Kafka; "go test -run ApacheKafka -rewrite" asks
// a real one anew.
func TestRecordedAnswersOfApacheKafka(t *testing.T) {
	known := readKnownDifferences(t)
	for name, steps := range readRecorded(t) {
		t.Run(name, func(t *testing.T) {
			c := newComparison(t)
			c.known = known
			for _, r := range steps {
				step := comparedStep{name: r.Name, version: r.Version, req: kmsg.RequestForKey(r.Key), mask: r.Mask, last: r.Last, loads: r.Loads}
				if r.Raw {
					step.frame = r.Request
				}
				c.compare(t, step, r.Request, r.Response, nil)
			}
		})
	}
	for _, k := range known {
		if !k.met {
			t.Errorf("no answer differs any more in %s: %s", k.Steps, k.Input)
		}
	}
}

// apiVersion is a version of an API.
type apiVersion struct{ key, version int16 }

// String names it as people do.
func (a apiVersion) String() string { return fmt.Sprintf("%s v%d", kmsg.NameForKey(a.key), a.version) }

// notInKafka are versions that this node answers for older clients and Kafka 4 does not
// answer any more: it closes the connection.
func notInKafka() map[apiVersion]bool {
	gone := map[apiVersion]bool{}
	for key, oldest := range map[kmsg.Key]int16{
		kmsg.Produce: 3, kmsg.OffsetCommit: 2, kmsg.CreateTopics: 2, kmsg.DeleteTopics: 1, kmsg.OffsetForLeaderEpoch: 2, kmsg.DescribeConfigs: 1, kmsg.DescribeLogDirs: 1,
	} {
		for version := range oldest {
			gone[apiVersion{int16(key), version}] = true
		}
	}
	return gone
}

// neverFails are the APIs for which no input is wrong: what they are asked about and is not
// there is missing in the answer. They fail for who has no permission only, which
// TestPermissionsAreThoseOfApacheKafka compares.
func neverFails() map[kmsg.Key]bool {
	return map[kmsg.Key]bool{kmsg.ListGroups: true, kmsg.DescribeLogDirs: true, kmsg.ListPartitionReassignments: true}
}

// TestEveryVersionHasARecordedExchange: none is advertised of which Kafka's answer is not
// known, and no API of which no error of Kafka's is.
func TestEveryVersionHasARecordedExchange(t *testing.T) {
	answered, failed := map[apiVersion]bool{}, map[int16]bool{}
	for _, steps := range readRecorded(t) {
		for _, r := range steps {
			if !r.Raw && len(r.Response) > 0 {
				answered[apiVersion{r.Key, r.Version}] = true
			}
			failed[r.Key] = failed[r.Key] || len(r.Errors) > 0
		}
	}
	for _, a := range startNode(t, t.TempDir(), testConfig()).advertisedAPIs {
		for version := a.Min; version <= a.Max; version++ {
			if v := (apiVersion{a.Key, version}); !answered[v] && !notInKafka()[v] {
				t.Errorf("%s has no recorded exchange with Apache Kafka", v)
			}
		}
		if !failed[a.Key] && !neverFails()[kmsg.Key(a.Key)] {
			t.Errorf("%s has no recorded error of Apache Kafka", kmsg.NameForKey(a.Key))
		}
	}
	for _, v := range slices.Collect(maps.Keys(notInKafka())) {
		if answered[v] {
			t.Errorf("Kafka does answer %s", v)
		}
	}
}
