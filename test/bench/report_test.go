package bench

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"github.com/millrace/millrace/test/process"
)

// rounds is how often each figure is taken; systems alternate.
const rounds = 3

// BenchmarkReport measures everything once and writes docs/benchmarks.md.
func BenchmarkReport(b *testing.B) {
	for b.Loop() {
		binary := build(b)
		page := header(b, "Benchmarks", "make bench")
		for _, section := range []func(testing.TB, string) *table{startAndIdle, brokerLoad, agentLoad, bulkLoad} {
			t := section(b, binary)
			b.Log(t.markdown())
			page += t.markdown()
		}
		writePage(b, "../../docs/benchmarks.md", page)
	}
}

func writePage(t testing.TB, path, page string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(page), 0o644); err != nil {
		t.Fatal(err)
	}
}

func header(t testing.TB, title, command string) string {
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
	return fmt.Sprintf(`# %s

Written by `+"`%s`"+`. Machine: %d processors, Linux %s, %s, %s. Peers: Apache Kafka 4.1.1, Elasticsearch 8.19.0,
on the same machine in the same run. Each figure is the median of %d alternating runs; ratio is the first column over
the second. Throughput: more is better; processor time, memory and start: less is better.
`, title, command, runtime.NumCPU(), strings.TrimSpace(string(kernel)), runtime.Version(), first, rounds)
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
