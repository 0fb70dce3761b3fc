package bench

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// BenchmarkBroker measures the broker in many forms of load and writes
// its part of docs/benchmarks.md. MILLRACE_BENCH_RECORDS and
// MILLRACE_BENCH_RESTART_MIB change the size of two of its sections,
// MILLRACE_BENCH_SCALE that of all.
func BenchmarkBroker(b *testing.B) {
	for b.Loop() {
		began := time.Now()
		binary := build(b)
		targets := []target{millraceBroker(b, binary, "fsync"), kafkaBroker(b), millraceBroker(b, binary, "os")}
		var tables []*table
		for _, section := range []func(testing.TB, []target) []*table{brokerMatrix, brokerTools, brokerLatency, brokerCold} {
			for _, t := range section(b, targets) {
				b.Logf("%s after %s", t.markdown(), time.Since(began).Round(time.Second))
				tables = append(tables, t)
			}
		}
		for _, s := range targets {
			s.stop()
		}
		tables = append(tables, brokerRestart(b, binary)...)
		b.Logf("%s", time.Since(began).Round(time.Second))
		text := brokerPart(b, tables)
		if scale(b) < 100 {
			b.Log(text)
			continue
		}
		write(b, "make bench-broker", text)
	}
}

// BenchmarkCold measures a consumer that is far behind alone, for work on it. Nothing is warmed up.
func BenchmarkCold(b *testing.B) {
	for b.Loop() {
		binary := build(b)
		targets := []target{millraceBroker(b, binary, "fsync"), kafkaBroker(b), millraceBroker(b, binary, "os")}
		for _, t := range brokerCold(b, targets) {
			b.Log(t.markdown())
		}
		for _, s := range targets {
			s.stop()
		}
	}
}

// BenchmarkRestart measures the restart of the broker alone, for work on it.
func BenchmarkRestart(b *testing.B) {
	for b.Loop() {
		binary := build(b)
		tab := newRestartTable()
		restartLarge(b, binary, tab)
		b.Log(tab.markdown())
	}
}

func brokerPart(t testing.TB, tables []*table) string {
	var body strings.Builder
	met, goals := 0, 0
	for _, tab := range tables {
		m, g := tab.met()
		met, goals = met+m, goals+g
		body.WriteString(tab.markdown())
	}
	return header(t, "make bench-broker") + fmt.Sprintf(`
Goals reached: %d of %d rows. A row is missed if any of our columns misses it; [design/performance.md](design/performance.md) says why and what
was tried. "Millrace fsync" acknowledges after fdatasync, "os" and Kafka after the write. All servers were warmed up by a load before.
`, met, goals) + body.String()
}
