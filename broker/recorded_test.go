package broker

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// recordedStep is a request as it went over the wire to Apache Kafka 4.1.1, and
// what Kafka answered, with its masked fields.
type recordedStep struct {
	Name    string   `json:"name"`
	Key     int16    `json:"key"`
	Version int16    `json:"version"`
	Request []byte   `json:"request"`
	Mask    []string `json:"mask,omitempty"`
	Answer  string   `json:"answer"`
}

// recordedDir holds one file for each list of compared steps, a step a line.
var recordedDir = filepath.Join("testdata", "kafka-4.1.1")

// recorder writes the steps of one test when the golden files are written anew.
type recorder struct{ lines bytes.Buffer }

func (r *recorder) add(t *testing.T, step comparedStep, answer string) {
	t.Helper()
	line, err := json.Marshal(recordedStep{step.name, step.req.Key(), step.version, frameOf(step.version, 1, step.req), step.mask, answer})
	if err != nil {
		t.Fatal(err)
	}
	r.lines.Write(append(line, '\n'))
}

func (r *recorder) save(t *testing.T) {
	t.Helper()
	if err := os.MkdirAll(recordedDir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(recordedDir, t.Name()+".jsonl"), r.lines.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

func readRecorded(t *testing.T) map[string][]recordedStep {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(recordedDir, "*.jsonl"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no recorded answers in %s: %v", recordedDir, err)
	}
	all := map[string][]recordedStep{}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(bytes.NewReader(text))
		lines.Buffer(nil, 16<<20)
		for lines.Scan() {
			var step recordedStep
			if err := json.Unmarshal(lines.Bytes(), &step); err != nil {
				t.Fatalf("%s: %v", path, err)
			}
			all[path] = append(all[path], step)
		}
		if err := lines.Err(); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
	}
	return all
}

// TestRecordedAnswersOfApacheKafka sends the bytes that Apache Kafka was sent
// and wants its answers. It needs no Kafka; "go test -run AnswersAreThose -rewrite" asks
// a real one anew.
func TestRecordedAnswersOfApacheKafka(t *testing.T) {
	for path, steps := range readRecorded(t) {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".jsonl"), func(t *testing.T) {
			n := startNode(t, t.TempDir(), testConfig())
			for _, r := range steps {
				step := comparedStep{name: r.Name, version: r.Version, req: kmsg.RequestForKey(r.Key), mask: r.Mask}
				if got := whenLoaded(func() string {
					c := dial(t, n)
					defer c.Close()
					c.send(r.Request)
					return c.decode(step, c.receive())
				}); got != r.Answer {
					want, got := apart(r.Answer, got)
					t.Errorf("%s: %s v%d\nKafka %s\nours  %s", r.Name, kmsg.NameForKey(r.Key), r.Version, want, got)
				}
			}
		})
	}
}

// whenLoaded asks again while a coordinator loads, for at most a minute.
func whenLoaded(ask func() string) string {
	got := ask()
	for until := time.Now().Add(60 * time.Second); coordinatorLoads(got) && time.Now().Before(until); {
		got = ask()
	}
	return got
}

// TestEveryAPIHasARecordedAnswer: none is advertised that was not compared.
func TestEveryAPIHasARecordedAnswer(t *testing.T) {
	var recorded []int16
	for _, steps := range readRecorded(t) {
		for _, r := range steps {
			recorded = append(recorded, r.Key)
		}
	}
	elsewhere := map[kmsg.Key]string{
		kmsg.ApiVersions:      "bodies.golden, and each client",
		kmsg.SASLHandshake:    "compared beside Kafka on a SASL listener, which these have not",
		kmsg.SASLAuthenticate: "compared beside Kafka on a SASL listener",
		kmsg.DescribeACLs:     "compared beside a Kafka with an authorizer",
		kmsg.CreateACLs:       "compared beside a Kafka with an authorizer",
		kmsg.DeleteACLs:       "compared beside a Kafka with an authorizer",
	}
	n := startNode(t, t.TempDir(), testConfig())
	for _, a := range n.advertisedAPIs {
		if !slices.Contains(recorded, a.Key) && elsewhere[kmsg.Key(a.Key)] == "" {
			t.Errorf("%s was never compared with Apache Kafka's answer", kmsg.NameForKey(a.Key))
		}
	}
}
