package bench

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/millrace/millrace/test/peers"
)

// rounds is how often each figure is taken; systems alternate.
const rounds = 3

// BenchmarkReport measures everything once and writes docs/benchmarks.md.
func BenchmarkReport(b *testing.B) {
	for b.Loop() {
		binary := build(b)
		page := header(b)
		for _, section := range []func(testing.TB, string) *table{startAndIdle, brokerLoad, agentLoad, bulkLoad} {
			t := section(b, binary)
			b.Log(t.markdown())
			page += t.markdown()
		}
		if err := os.WriteFile("../../docs/benchmarks.md", []byte(page), 0o644); err != nil {
			b.Fatal(err)
		}
	}
}

func header(t testing.TB) string {
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
	return fmt.Sprintf(`# Benchmarks

Written by `+"`make bench`"+`. Machine: %d processors, Linux %s, %s, %s. Peers: Apache Kafka 4.1.1, Elasticsearch 8.19.0,
on the same machine in the same run. Each figure is the median of %d alternating runs; ratio is the first column over
the second. Throughput: more is better; processor time, memory and start: less is better.
`, runtime.NumCPU(), strings.TrimSpace(string(kernel)), runtime.Version(), first, rounds)
}

func build(t testing.TB) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "millrace")
	cmd := exec.Command("go", "build", "-o", binary, "../../cmd/millrace")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return binary
}

// process is a running millrace.
type process struct {
	cmd   *exec.Cmd
	http  string
	log   string
	took  time.Duration // from exec until it said that it is ready
	ended chan struct{}
}

// run starts millrace and waits until it is ready.
func run(t testing.TB, binary, config string, args ...string) *process {
	t.Helper()
	dir := t.TempDir()
	p := &process{http: peers.FreeAddr(t), log: filepath.Join(dir, "log"), ended: make(chan struct{})}
	path := filepath.Join(dir, "millrace.yaml")
	text := fmt.Sprintf("data_dir: %s/data\nhttp: {listen: %q}\n%s", dir, p.http, config)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	p.exec(t, binary, append(args, "--config", path))
	return p
}

func (p *process) exec(t testing.TB, binary string, args []string) {
	t.Helper()
	log, err := os.Create(p.log)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	p.cmd = exec.Command(binary, args...)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	began := time.Now()
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait() // it is killed
		close(p.ended)
	}()
	t.Cleanup(p.kill)
	await(t, p, 60*time.Second, func() bool { _, err := scrape(t, p.http); return err == nil })
	p.took = time.Since(began)
}

func (p *process) kill() {
	_ = p.cmd.Process.Kill() // fails only when it has ended
	<-p.ended
}

// await polls until done, every two milliseconds.
func await(t testing.TB, p *process, limit time.Duration, done func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-p.ended:
			t.Fatalf("millrace ended:\n%s", p.tail())
		case <-ctx.Done():
			t.Fatalf("not within %s\n%s", limit, p.tail())
		}
	}
}

func (p *process) tail() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-4000):])
}
