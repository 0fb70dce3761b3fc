package bench

import (
	"fmt"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"github.com/millrace/millrace/test/page"
	"github.com/millrace/millrace/test/process"
)

// rounds is how often each figure is taken; systems alternate.
const rounds = 3

// BenchmarkReport measures everything once and writes docs/benchmarks.md.
func BenchmarkReport(b *testing.B) {
	for b.Loop() {
		binary := build(b)
		text := header(b, "make bench")
		for _, section := range []func(testing.TB, string) *table{startAndIdle, brokerLoad, agentLoad, bulkLoad} {
			t := section(b, binary)
			b.Log(t.markdown())
			text += t.markdown()
		}
		write(b, "make bench", text)
	}
}

// write puts figures into their part of the page.
func write(t testing.TB, command, text string) {
	t.Helper()
	if err := page.Write("../../docs/benchmarks.md", command, text); err != nil {
		t.Fatal(err)
	}
}

// header says how a part of the page came about.
func header(t testing.TB, command string) string {
	t.Helper()
	java, err := exec.Command("java", "-version").CombinedOutput()
	if err != nil {
		t.Fatal(err)
	}
	kernel, err := exec.Command("uname", "-r").Output()
	if err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(string(java), "\n")
	return fmt.Sprintf(`Written by `+"`%s`"+`. Machine: %d processors, Linux %s, %s, %s. Peers: Apache Kafka 4.1.1, Elasticsearch 8.19.0,
on the same machine in the same run. Each figure is the median of %d alternating runs; ratio is the first column over
the second. Throughput: more is better; processor time, memory and start: less is better.
`, command, runtime.NumCPU(), strings.TrimSpace(string(kernel)), runtime.Version(), first, rounds)
}

func build(t testing.TB) string {
	t.Helper()
	binary, err := process.Build(t.TempDir(), "../..")
	if err != nil {
		t.Fatal(err)
	}
	return binary
}

// run starts millrace and waits until it is ready.
func run(t testing.TB, binary, config string, args ...string) *process.Process {
	t.Helper()
	p := process.New(t, binary, config, args...)
	p.Start()
	return p
}
