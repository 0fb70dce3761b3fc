package capacity

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/test/process"
)

const (
	topicsMany         = 100
	partitionsPerTopic = 100
	partitionsMany     = topicsMany * partitionsPerTopic
	descriptorsMax     = 4096
)

func topicNames() []string {
	names := make([]string, topicsMany)
	for i := range names {
		names[i] = fmt.Sprintf("topic-%02d", i)
	}
	return names
}

// produceToAll writes one record to every partition.
func produceToAll(t testing.TB, c *kgo.Client, word string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	failed := make(chan error, 1)
	for p := range int32(partitionsPerTopic) {
		for _, topic := range topicNames() {
			r := &kgo.Record{Topic: topic, Partition: p, Value: fmt.Appendf(nil, "%s %s %d", word, topic, p)}
			c.Produce(ctx, r, func(r *kgo.Record, err error) {
				if err != nil {
					select {
					case failed <- fmt.Errorf("produce to %s-%d: %w", r.Topic, r.Partition, err):
					default:
					}
				}
			})
		}
	}
	if err := c.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-failed:
		t.Fatal(err)
	default:
	}
}

// consumeAll reads the words of every partition.
func consumeAll(t testing.TB, p *process.Process, words ...string) {
	t.Helper()
	c := client(t, p, kgo.ConsumeTopics(topicNames()...), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	defer c.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	missing := map[string]bool{}
	for _, word := range words {
		for _, topic := range topicNames() {
			for n := range partitionsPerTopic {
				missing[fmt.Sprintf("%s %s %d", word, topic, n)] = true
			}
		}
	}
	for len(missing) > 0 {
		fetches := c.PollFetches(ctx)
		if err := fetches.Err0(); err != nil {
			t.Fatalf("%d records of %d are missing: %v\n%s", len(missing), len(words)*partitionsMany, err, p.Logs())
		}
		fetches.EachError(func(topic string, partition int32, err error) { t.Fatalf("fetch %s-%d: %v", topic, partition, err) })
		fetches.EachRecord(func(r *kgo.Record) {
			if want := fmt.Sprintf("%s %d", r.Topic, r.Partition); !strings.HasSuffix(string(r.Value), want) {
				t.Errorf("%s holds %q", want, r.Value)
			}
			delete(missing, string(r.Value))
		})
	}
}

// processorSeconds is what the broker has used so far.
func processorSeconds(t testing.TB, p *process.Process) float64 {
	t.Helper()
	m, err := p.Metrics()
	if err != nil || m["process_cpu_seconds_total"] == 0 {
		t.Fatalf("the process does not tell its processor time: %v", err)
	}
	return m["process_cpu_seconds_total"]
}

func openDescriptors(t testing.TB, p *process.Process) int {
	t.Helper()
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.Pid()))
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

func residentMiB(t testing.TB, p *process.Process) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.Pid()))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		var kib int
		if n, err := fmt.Sscanf(line, "VmRSS: %d kB", &kib); n == 1 && err == nil {
			return kib >> 10
		}
	}
	t.Fatal("no resident memory in /proc")
	return 0
}

// A node under "ulimit -n 4096" holds 10,000 partitions: all of them are
// made, written, read, and there again after a kill.
func TestTenThousandPartitionsWithFourThousandDescriptors(t *testing.T) {
	limited := fmt.Sprintf(`ulimit -n %d && exec "$0" "$@"`, descriptorsMax)
	p := process.New(t, "/bin/sh", "broker: {offsets_partitions: 1}\n", "-c", limited, binary, "broker")
	p.Start()
	before := residentMiB(t, p)
	c := client(t, p, kgo.RecordRetries(1<<20), kgo.MaxProduceRequestsInflightPerBroker(8))
	began, used := time.Now(), processorSeconds(t, p)
	createTopics(t, c, partitionsPerTopic, topicNames()...)
	created, used := time.Since(began), processorSeconds(t, p)-used
	idle := residentMiB(t, p)
	began = time.Now()
	produceToAll(t, c, "before")
	produced := time.Since(began)
	began = time.Now()
	consumeAll(t, p, "before")
	consumed := time.Since(began)
	checkUsage(t, p)
	resident := residentMiB(t, p)
	p.Kill()
	p.Start()
	t.Logf("%d partitions: created in %s, one record in each in %s, read in %s, start after kill -9 %s; resident %d MiB empty, %d MiB with idle partitions, %d MiB written and read",
		partitionsMany, created.Round(time.Millisecond), produced.Round(time.Millisecond), consumed.Round(time.Millisecond), p.Took.Round(time.Millisecond), before, idle, resident)
	produceToAll(t, c, "after")
	consumeAll(t, p, "before", "after")
	checkUsage(t, p)
	if used > 30 { // of its own: how long it takes is also up to others on the machine
		t.Errorf("creating took %.1f s of processor time", used)
	}
	if perPartition := (idle - before) << 20 / partitionsMany; perPartition > 8<<10 {
		t.Errorf("an idle partition takes %d bytes of memory, more than 8 KiB", perPartition)
	}
}

func checkUsage(t testing.TB, p *process.Process) {
	t.Helper()
	if n := openDescriptors(t, p); n > descriptorsMax*3/4 {
		t.Errorf("%d descriptors are open, %d may be", n, descriptorsMax)
	}
	metrics, err := p.Metrics()
	if err != nil {
		t.Fatal(err)
	}
	if n := metrics["millrace_broker_storage_no_descriptors_total"]; n != 0 {
		t.Errorf("descriptors were wanting %v times", n)
	}
	if n := metrics["millrace_broker_offline_partitions"]; n != 0 {
		t.Errorf("%v partitions are offline", n)
	}
}
