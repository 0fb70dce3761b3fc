package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/millrace/millrace/test/peers"
)

// rdkafkaCrate is the crate that carries librdkafka's sources.
const rdkafkaCrate = "4.10.0+2.12.1"

// brokerTools drives the brokers with other people's load programs: Apache Kafka's
// own, and librdkafka's.
func brokerTools(t testing.TB, targets []target) []*table {
	records := setting(t, "MILLRACE_BENCH_RECORDS", 3_000_000) * int(scale(t)) / 100
	load1 := newTable("Apache Kafka's load programs", fmt.Sprintf("ProducerPerformance and ConsumerPerformance: %d records of %d B, %d partitions, acks=all, batch 64 KiB, linger 5 ms; one run.", records, loadRecordSize, loadPartitions), names(targets)...).
		wants(goal{ratioMin: 1}).wants(goal{ratioMax: 0.25}, "produce, server CPU s/GiB").wants(goal{ratioMax: 0.5}, "consume, server CPU s/GiB")
	e2e := newTable("Apache Kafka's EndToEndLatency, ms", "4,000 records of 200 B, one after the other, acks=all, after 1,000 that do not count; one run.", names(targets)...).wants(goal{ratioMax: 1})
	rdkafka := newTable("librdkafka's rdkafka_performance", fmt.Sprintf("%d records of 100 B, %d partitions, acks=all; one run.", records, loadPartitions), names(targets)...).
		wants(goal{ratioMin: 1}).wants(goal{ratioMax: 0.25}, "produce, server CPU s/GiB").wants(goal{ratioMax: 0.5}, "consume, server CPU s/GiB")
	program := peers.RdkafkaPerformance(t, rdkafkaCrate)
	for _, s := range targets {
		g := generator{t, s.bootstrap}
		load(t, load1, s, "tools-load", records)
		s.settle(t, "tools-load")
		g.createTopic("tools-latency", 1)
		endToEnd(t, nil, s, 1000)
		endToEnd(t, e2e, s, 4000)
		s.settle(t, "tools-latency")
		g.createTopic("tools-rdkafka", loadPartitions)
		rdkafkaLoad(t, rdkafka, s, program, records)
		s.settle(t, "tools-rdkafka")
	}
	return []*table{load1, e2e, rdkafka}
}

// endToEnd runs EndToEndLatency; tab may be nil.
func endToEnd(t testing.TB, tab *table, s target, records int) {
	t.Helper()
	out, err := peers.KafkaTool(t, "org.apache.kafka.tools.EndToEndLatency", s.bootstrap, "tools-latency", strconv.Itoa(records), "all", "200")
	if err != nil {
		t.Fatal(err)
	}
	figures, err := endToEndFigures(out)
	if err != nil {
		t.Fatal(err)
	}
	if tab == nil {
		return
	}
	for i, row := range []string{"average", "p50", "p99", "p99.9"} {
		tab.add(row, s.name, figures[i])
	}
}

var (
	endToEndAverage     = regexp.MustCompile(`Avg latency: ([0-9.,]+) ms`)
	endToEndPercentiles = regexp.MustCompile(`Percentiles: 50th = (\d+), 99th = (\d+), 99.9th = (\d+)`)
)

// endToEndFigures reads average, p50, p99 and p99.9 in milliseconds.
func endToEndFigures(out string) ([]float64, error) {
	average, rest := endToEndAverage.FindStringSubmatch(out), endToEndPercentiles.FindStringSubmatch(out)
	if average == nil || rest == nil {
		return nil, fmt.Errorf("EndToEndLatency said %q", out)
	}
	var figures []float64
	for _, text := range append(average[1:], rest[1:]...) {
		v, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return nil, err
		}
		figures = append(figures, v)
	}
	return figures, nil
}

func rdkafkaLoad(t testing.TB, tab *table, s target, program string, records int) {
	t.Helper()
	gib := float64(records) * 100 / (1 << 30)
	common := []string{"-b", s.bootstrap, "-t", "tools-rdkafka", "-c", strconv.Itoa(records), "-q"}
	before := used(t, s.pid()).cpuSeconds
	rate := rdkafkaRate(t, program, append([]string{"-P", "-s", "100", "-a", "-1"}, common...)...)
	middle := used(t, s.pid()).cpuSeconds
	tab.add("produce, records/s", s.name, rate)
	tab.add("produce, server CPU s/GiB", s.name, (middle-before)/gib)
	consume := append([]string{"-C", "-o", "beginning"}, common...)
	for p := range loadPartitions {
		consume = append(consume, "-p", strconv.Itoa(p))
	}
	tab.add("consume, records/s", s.name, rdkafkaRate(t, program, consume...))
	tab.add("consume, server CPU s/GiB", s.name, (used(t, s.pid()).cpuSeconds-middle)/gib)
}

func rdkafkaRate(t testing.TB, program string, args ...string) float64 {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, program, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v: %s", program, args, err, out)
	}
	rate, err := rdkafkaFigure(string(out))
	if err != nil {
		t.Fatal(err)
	}
	return rate
}

var rdkafkaTotals = regexp.MustCompile(`(\d+) msgs/s`)

// rdkafkaFigure reads the last total that rdkafka_performance printed, in records/s.
func rdkafkaFigure(out string) (float64, error) {
	all := rdkafkaTotals.FindAllStringSubmatch(out, -1)
	if len(all) == 0 {
		return 0, fmt.Errorf("rdkafka_performance said %q", out)
	}
	return strconv.ParseFloat(all[len(all)-1][1], 64)
}

// closing closes c after work that ended with err.
func closing(c io.Closer, err error) error { return errors.Join(err, c.Close()) }
