package bench

import (
	"fmt"
	"os"
	"strconv"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
)

const mib = 1 << 20

func loadCases() []loadCase {
	none, lz4, zstd := kgo.NoCompression(), kgo.Lz4Compression(), kgo.ZstdCompression()
	base := loadCase{recordBytes: 1024, partitions: 6, producers: 1, consumers: 1, codec: none, codecName: "none", bytes: 384 * mib, passes: 4}
	with := func(change func(*loadCase)) loadCase {
		c := base
		change(&c)
		return c
	}
	return []loadCase{
		with(func(c *loadCase) { c.recordBytes, c.bytes = 100, 128*mib }),
		base,
		with(func(c *loadCase) { c.recordBytes = 10 << 10 }),
		with(func(c *loadCase) { c.partitions = 1 }),
		with(func(c *loadCase) { c.partitions, c.bytes = 100, 256*mib }),
		with(func(c *loadCase) { c.partitions, c.bytes = 1000, 128*mib }),
		with(func(c *loadCase) { c.leaderAckOnly = true }),
		with(func(c *loadCase) { c.codec, c.codecName, c.bytes = lz4, "lz4", 2048*mib }),
		with(func(c *loadCase) { c.codec, c.codecName, c.bytes = zstd, "zstd", 2048*mib }),
		with(func(c *loadCase) { c.transactional = true }),
		with(func(c *loadCase) { c.producers, c.consumers, c.bytes, c.passes = 10, 4, 256*mib, 2 }),
		with(func(c *loadCase) { c.producers, c.consumers, c.bytes, c.passes = 50, 8, 256*mib, 1 }),
	}
}

// matrixTables are the figures of the matrix, a row for each load.
type matrixTables struct {
	rate, cpu, readRate, readCPU, memory *table
}

func newMatrixTables(systems []string) matrixTables {
	const load = "franz-go on the same two processors, linger 5 ms, values that compress as logs do; one load before them that does not count; before each, the files of the one before are gone and the disk is idle."
	return matrixTables{
		rate:     newTable("Produce, MiB/s", load+" Until the last record is acknowledged.", systems...).wants(goal{ratioMin: 1}),
		cpu:      newTable("Produce, server CPU s/GiB", load+" GiB of records before compression.", systems...).wants(goal{ratioMax: 0.25}),
		readRate: newTable("Consume, MiB/s", load+" From the start of the topic, all consumers together, read_committed.", systems...).wants(goal{ratioMin: 1}),
		readCPU:  newTable("Consume, server CPU s/GiB", load+" GiB of records before compression.", systems...).wants(goal{ratioMax: 0.5}),
		memory: newTable("Resident memory, MiB", "Every 50 ms while a load is produced and consumed: average and largest; idle: 5 s after the start.", systems...).
			wants(goal{valueMax: 300}).wants(goal{valueMax: 100}, "idle"),
	}
}

func (m *matrixTables) all() []*table {
	return []*table{m.rate, m.cpu, m.readRate, m.readCPU, m.memory}
}

// measure adds one run of a load.
func (m *matrixTables) measure(t testing.TB, s target, c loadCase, topic string) {
	g := generator{t, s.bootstrap}
	g.createTopic(topic, c.partitions)
	read := float64(c.bytes) * float64(c.consumers*c.passes)
	stop := resident(t, s.pid())
	before := used(t, s.pid()).cpuSeconds
	took := g.produce(topic, c)
	middle := used(t, s.pid()).cpuSeconds
	m.rate.add(c.name(), s.name, float64(c.bytes)/mib/took.Seconds())
	m.cpu.add(c.name(), s.name, (middle-before)/(float64(c.bytes)/(1<<30)))
	took = g.consume(topic, c)
	m.readRate.add(c.name(), s.name, read/mib/took.Seconds())
	m.readCPU.add(c.name(), s.name, (used(t, s.pid()).cpuSeconds-middle)/(read/(1<<30)))
	average, peak := stop()
	m.memory.add(c.name()+", average", s.name, average)
	m.memory.add(c.name()+", largest", s.name, peak)
	s.settle(t, topic)
}

// brokerMatrix runs every load on every system, alternating.
func brokerMatrix(t testing.TB, targets []target) []*table {
	m := newMatrixTables(names(targets))
	idle(t)
	for _, s := range targets {
		m.memory.add("idle", s.name, used(t, s.pid()).residentMiB)
	}
	cases := loadCases()
	for i := range cases {
		cases[i].bytes = max(cases[i].bytes*scale(t)/100, int64(cases[i].recordBytes*cases[i].producers*100))
	}
	warmUp := newMatrixTables(names(targets))
	for _, s := range targets {
		warmUp.measure(t, s, cases[1], "warm-up")
	}
	for i, c := range cases {
		for round := range runs(t) {
			for _, s := range targets {
				m.measure(t, s, c, fmt.Sprintf("matrix-%d-%d", i, round))
			}
		}
	}
	return m.all()
}

func names(targets []target) []string {
	var out []string
	for _, s := range targets {
		out = append(out, s.name)
	}
	return out
}

// scale is how much of each load there is, in percent: less is for trying the benchmark out, and is
// run once and not written down.
func scale(t testing.TB) int64 { return int64(setting(t, "MILLRACE_BENCH_SCALE", 100)) }

// runs is how often each figure of the broker is taken.
func runs(t testing.TB) int {
	if scale(t) < 100 {
		return 1
	}
	return rounds
}

// setting reads a number of the environment.
func setting(t testing.TB, name string, otherwise int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil || n <= 0 {
		t.Fatalf("%s is %q, which is no number above 0", name, text)
	}
	return n
}
