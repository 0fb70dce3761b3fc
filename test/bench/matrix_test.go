package bench

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/test/peers"
)

// startPartitions is the number of partitions of a restart.
const startPartitions = 1000

func loadCases() []loadCase {
	const mib = 1 << 20
	none, lz4, zstd := kgo.NoCompression(), kgo.Lz4Compression(), kgo.ZstdCompression()
	base := loadCase{recordBytes: 1024, partitions: 6, producers: 1, consumers: 1, codec: none, codecName: "none", bytes: 256 * mib}
	with := func(change func(*loadCase)) loadCase {
		c := base
		change(&c)
		return c
	}
	return []loadCase{
		with(func(c *loadCase) { c.recordBytes, c.bytes = 100, 100*mib }),
		base,
		with(func(c *loadCase) { c.recordBytes = 10 << 10 }),
		with(func(c *loadCase) { c.partitions = 1 }),
		with(func(c *loadCase) { c.partitions = 100 }),
		with(func(c *loadCase) { c.partitions, c.bytes = 1000, 128*mib }),
		with(func(c *loadCase) { c.leaderAckOnly = true }),
		with(func(c *loadCase) { c.codec, c.codecName = lz4, "lz4" }),
		with(func(c *loadCase) { c.codec, c.codecName = zstd, "zstd" }),
		with(func(c *loadCase) { c.transactional = true }),
		with(func(c *loadCase) { c.producers, c.consumers = 10, 4 }),
		with(func(c *loadCase) { c.producers, c.consumers = 50, 8 }),
	}
}

// BenchmarkBroker measures the broker in many forms of load and writes
// docs/benchmarks-broker.md.
func BenchmarkBroker(b *testing.B) {
	for b.Loop() {
		binary := build(b)
		page := header(b, "Benchmarks of the broker", "make bench-broker")
		for _, section := range []func(testing.TB, string) []*table{brokerMatrix, brokerLatency, brokerRestart} {
			for _, t := range section(b, binary) {
				b.Log(t.markdown())
				page += t.markdown()
			}
		}
		writePage(b, "../../docs/benchmarks-broker.md", page)
	}
}

// brokerMatrix has one table for each figure, a row for each load.
func brokerMatrix(t testing.TB, binary string) []*table {
	systems := []string{"Millrace fsync", "Apache Kafka", "Millrace os"}
	const load = "franz-go on the same two processors, linger 5 ms, values that compress as logs do."
	rate := newTable("Produce, MiB/s", load+" Until the last record is acknowledged.", systems...)
	cpu := newTable("Produce, server CPU s/GiB", load, systems...)
	readRate := newTable("Consume, MiB/s", load+" From the start of the topic, all consumers together, read_committed.", systems...)
	readCPU := newTable("Consume, server CPU s/GiB", load, systems...)
	memory := newTable("Resident after the load, MiB", "At the end of each row, and the peak of the whole run.", systems...)
	targets := []target{millraceBroker(t, binary, "fsync"), kafkaBroker(t), millraceBroker(t, binary, "os")}
	for i, c := range loadCases() {
		for round := range rounds {
			for _, s := range targets {
				g, topic := generator{t, s.bootstrap}, fmt.Sprintf("matrix-%d-%d", i, round)
				g.createTopic(topic, c.partitions)
				mib, gib := float64(c.bytes)/(1<<20), float64(c.bytes)/(1<<30)
				before := used(t, s.pid()).cpuSeconds
				took := g.produce(topic, c)
				middle := used(t, s.pid()).cpuSeconds
				rate.add(c.name(), s.name, mib/took.Seconds())
				cpu.add(c.name(), s.name, (middle-before)/gib)
				took = g.consume(topic, c)
				readRate.add(c.name(), s.name, mib*float64(c.consumers)/took.Seconds())
				readCPU.add(c.name(), s.name, (used(t, s.pid()).cpuSeconds-middle)/gib/float64(c.consumers))
				memory.add(c.name(), s.name, used(t, s.pid()).residentMiB)
				g.deleteTopic(topic)
			}
		}
	}
	for _, s := range targets {
		memory.add("peak", s.name, used(t, s.pid()).peakMiB)
	}
	return []*table{rate, cpu, readRate, readCPU, memory}
}

// brokerLatency measures from the send of a record to its arrival.
func brokerLatency(t testing.TB, binary string) []*table {
	const perSecond, seconds = 500, 10
	tab := newTable("Latency from producer to consumer, ms", fmt.Sprintf("%d records of 200 B a second for %d s, 6 partitions, acks=all, no linger.", perSecond, seconds), "Millrace fsync", "Apache Kafka", "Millrace os")
	targets := []target{millraceBroker(t, binary, "fsync"), kafkaBroker(t), millraceBroker(t, binary, "os")}
	for round := range rounds {
		for _, s := range targets {
			g, topic := generator{t, s.bootstrap}, fmt.Sprintf("latency-%d", round)
			g.createTopic(topic, 6)
			all := g.latencies(topic, perSecond, seconds*time.Second)
			for _, p := range []float64{50, 99, 99.9} {
				at := min(int(float64(len(all))*p/100), len(all)-1)
				tab.add(fmt.Sprintf("p%v", p), s.name, all[at].Seconds()*1000)
			}
		}
	}
	return []*table{tab}
}

// brokerRestart measures from the start of a process that was killed to its
// first acknowledged record.
func brokerRestart(t testing.TB, binary string) []*table {
	tab := newTable("Restart after kill -9 until the first acknowledged record, s",
		fmt.Sprintf("%d partitions, 256 MiB in them.", startPartitions), "Millrace fsync", "Apache Kafka")
	ours := run(t, binary, "", "broker")
	kafka := peers.Kafka(t, peers.KafkaJVM(serverJVM()...))
	c := loadCase{recordBytes: 1024, partitions: startPartitions, producers: 1, codec: kgo.NoCompression(), bytes: 256 << 20}
	for name, s := range map[string]restarted{
		"Millrace fsync": {ours.Broker, ours.Kill, ours.Start}, "Apache Kafka": {kafka.Bootstrap, kafka.Kill, kafka.Start},
	} {
		g := generator{t, s.bootstrap}
		g.createTopic("restart", startPartitions)
		g.produce("restart", c)
		for range rounds {
			s.kill()
			began := time.Now()
			s.start()
			client := g.client(kgo.DefaultProduceTopic("restart"))
			if err := client.ProduceSync(t.Context(), &kgo.Record{Value: []byte("first")}).FirstErr(); err != nil {
				t.Fatal(errors.Join(err, fmt.Errorf("the first record after a restart of %s", name)))
			}
			tab.add("start to first record", name, time.Since(began).Seconds())
			client.Close()
		}
	}
	return []*table{tab}
}

// restarted is a server that can be killed and started again.
type restarted struct {
	bootstrap   string
	kill, start func()
}
