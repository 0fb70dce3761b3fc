package bench

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/millrace/millrace/test/peers"
)

const (
	loadRecords    = 2_000_000
	loadRecordSize = 200
	loadPartitions = 6
)

// target is one server under load.
type target struct {
	name, bootstrap string
	pid             func() int
	dir             string // where its partitions are, at some depth
	stop            func()
}

// brokerLoad drives both brokers with Apache Kafka's own load programs.
func brokerLoad(t testing.TB, binary string) *table {
	note := fmt.Sprintf("Apache Kafka's ProducerPerformance and ConsumerPerformance against both: %d records of %d B, %d partitions, acks=all, batch 64 KiB, linger 5 ms. "+
		"Millrace answers after fdatasync (`durability: fsync`), Kafka after the write; `os` is Millrace with Kafka's durability. The client runs on the same two processors.", loadRecords, loadRecordSize, loadPartitions)
	tab := newTable("Broker: produce and consume", note, "Millrace fsync", "Apache Kafka", "Millrace os")
	targets := []target{
		millraceBroker(t, binary, "fsync"),
		kafkaBroker(t),
		millraceBroker(t, binary, "os"),
	}
	for round := range rounds {
		for _, s := range targets {
			load(t, tab, s, fmt.Sprintf("load-%d", round), loadRecords)
		}
	}
	for _, s := range targets {
		tab.add("resident peak, MiB", s.name, used(t, s.pid()).peakMiB)
	}
	return tab
}

func millraceBroker(t testing.TB, binary, durability string) target {
	p := run(t, binary, fmt.Sprintf("broker: {durability: %s}\n", durability), "broker")
	return target{"Millrace " + durability, p.Broker, p.Pid, p.Dir, p.Kill}
}

func kafkaBroker(t testing.TB) target {
	// As ours, it removes the files of deleted topics at once, not a minute later in the middle of another load.
	k := peers.Kafka(t, peers.KafkaJVM(serverJVM()...), peers.KafkaProperties("log.segment.delete.delay.ms=1"))
	return target{"Apache Kafka", k.Bootstrap, k.Pid, k.LogDir, k.Kill}
}

// load produces and consumes records with Apache Kafka's own programs.
func load(t testing.TB, tab *table, s target, topic string, records int) {
	t.Helper()
	if _, err := peers.KafkaTool(t, "org.apache.kafka.tools.TopicCommand", "--bootstrap-server", s.bootstrap,
		"--create", "--topic", topic, "--partitions", strconv.Itoa(loadPartitions), "--replication-factor", "1"); err != nil {
		t.Fatal(err)
	}
	gib := float64(records) * loadRecordSize / (1 << 30)
	before := used(t, s.pid()).cpuSeconds
	out, err := peers.KafkaTool(t, "org.apache.kafka.tools.ProducerPerformance", "--topic", topic,
		"--num-records", strconv.Itoa(records), "--record-size", strconv.Itoa(loadRecordSize), "--throughput", "-1",
		"--producer-props", "bootstrap.servers="+s.bootstrap, "acks=all", "batch.size=65536", "linger.ms=5")
	if err != nil {
		t.Fatal(err)
	}
	middle := used(t, s.pid()).cpuSeconds
	tab.add("produce, records/s", s.name, produced(t, out))
	tab.add("produce, server CPU s/GiB", s.name, (middle-before)/gib)
	out, err = peers.KafkaTool(t, "org.apache.kafka.tools.ConsumerPerformance", "--topic", topic,
		"--bootstrap-server", s.bootstrap, "--messages", strconv.Itoa(records), "--timeout", "60000", "--hide-header")
	if err != nil {
		t.Fatal(err)
	}
	tab.add("consume, records/s", s.name, consumed(t, out))
	tab.add("consume, server CPU s/GiB", s.name, (used(t, s.pid()).cpuSeconds-middle)/gib)
}

// produced reads the last line of ProducerPerformance, "N records sent, R records/sec (…)".
func produced(t testing.TB, out string) float64 {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(out), "\n")
	last := lines[len(lines)-1]
	_, rest, _ := strings.Cut(last, "records sent, ")
	rate, _, ok := strings.Cut(rest, " records/sec")
	v, err := strconv.ParseFloat(rate, 64)
	if !ok || err != nil {
		t.Fatalf("ProducerPerformance said %q", last)
	}
	return v
}

// consumed reads the line of ConsumerPerformance: start, end, MB, MB/s,
// records, records/s, rebalance ms, fetch ms, fetch MB/s, fetch records/s. The
// last one leaves out the time of joining the group.
func consumed(t testing.TB, out string) float64 {
	t.Helper()
	for line := range strings.Lines(out) {
		fields := strings.Split(strings.TrimSpace(line), ", ")
		if len(fields) == 10 {
			if v, err := strconv.ParseFloat(fields[9], 64); err == nil {
				return v
			}
		}
	}
	t.Fatalf("ConsumerPerformance said %q", out)
	return 0
}
