// Package process runs the built binary of Millrace for tests and benchmarks:
// one process that can be killed, ended and started again on the same data and
// addresses.
//
// A process belongs to the test that made it and is killed when that test
// ends, or when the test process dies.
package process

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/millrace/millrace/test/peers"
)

// readyTimeout bounds a start; pollInterval is between two looks.
const (
	readyTimeout = 60 * time.Second
	pollInterval = 2 * time.Millisecond
)

// Build builds the binary as it is shipped and returns its path, within dir.
// The path below is the one from the calling package to the module's root.
func Build(dir, root string) (string, error) {
	binary := filepath.Join(dir, "millrace")
	cmd := exec.Command("go", "build", "-o", binary, "./cmd/millrace")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build: %w\n%s", err, out)
	}
	return binary, nil
}

// Main runs the tests of a package that share one binary: it builds it, as [Build] does, into a
// directory that goes when the tests have ended. It returns the code to exit with.
func Main(m *testing.M, root string, binary *string) int {
	dir, err := os.MkdirTemp("", "millrace-binary-")
	code := 1
	if err == nil {
		if *binary, err = Build(dir, root); err == nil {
			code = m.Run()
		}
		err = errors.Join(err, os.RemoveAll(dir))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// Process is one millrace.
type Process struct {
	// Dir holds its configuration, logs and data (in Dir/data).
	Dir string
	// HTTP, Broker and Search are its addresses, where it has such parts.
	HTTP, Broker, Search string
	// Took is how long the last start took until it said that it is ready.
	Took time.Duration

	t      testing.TB
	binary string
	args   []string
	cmd    *exec.Cmd
	ended  chan struct{}
	err    error
	starts int
}

// New prepares "millrace <args> --config FILE". To the given configuration a
// data folder and free addresses are added.
func New(t testing.TB, binary, config string, args ...string) *Process {
	t.Helper()
	p := &Process{t: t, binary: binary, Dir: t.TempDir(), HTTP: peers.FreeAddr(t), Broker: peers.FreeAddr(t), Search: peers.FreeAddr(t)}
	path := filepath.Join(p.Dir, "millrace.yaml")
	text := fmt.Sprintf("data_dir: %s/data\nhttp: {listen: %q}\n%s", p.Dir, p.HTTP, config)
	for key, addr := range map[string]string{"broker": p.Broker, "search": p.Search} {
		if with := key + ": {"; strings.Contains("\n"+config, "\n"+with) {
			text = strings.Replace(text, "\n"+with, fmt.Sprintf("\n%slisten: %q, ", with, addr), 1)
		} else {
			text += fmt.Sprintf("%slisten: %q}\n", with, addr)
		}
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	p.args = append(args, "--config", path)
	t.Cleanup(p.Kill)
	return p
}

// Start runs the process and waits until it says that it is ready.
func (p *Process) Start() {
	p.t.Helper()
	p.starts++
	log, err := os.Create(filepath.Join(p.Dir, fmt.Sprintf("log-%02d", p.starts)))
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = log.Close() }() // the child has its own descriptor
	cmd := exec.Command(p.binary, p.args...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	began := time.Now()
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		p.err = cmd.Wait()
		close(ended)
	}()
	p.cmd, p.ended = cmd, ended
	p.Eventually(readyTimeout, "the process is ready", func() error {
		resp, err := http.Get("http://" + p.HTTP + "/readyz")
		if err != nil {
			return err
		}
		if resp.StatusCode != http.StatusOK {
			err = errors.New(resp.Status)
		}
		return errors.Join(err, resp.Body.Close())
	})
	p.Took = time.Since(began)
}

// Pid of the running process.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Kill is kill -9; it does nothing to a process that has ended.
func (p *Process) Kill() {
	if p.cmd == nil {
		return
	}
	_ = p.cmd.Process.Kill() // fails only when it has ended
	<-p.ended
	p.cmd = nil
}

// Pause stops the process where it is, whatever it is doing, and returns once
// all of its threads stand still. Kill ends it from there, Resume lets it go on.
func (p *Process) Pause() {
	p.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		p.t.Fatal(err)
	}
	p.Eventually(readyTimeout, "the process stands still", func() error {
		states, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", p.Pid()))
		if err != nil {
			return err
		}
		for _, path := range states {
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			if _, state, _ := strings.Cut(string(text), ") "); !strings.HasPrefix(state, "T") {
				return fmt.Errorf("%s: %.1s", path, state)
			}
		}
		return nil
	})
}

// Resume lets a paused process go on.
func (p *Process) Resume() {
	p.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		p.t.Fatal(err)
	}
}

// Terminate sends SIGTERM and returns how long the end took and how it ended.
func (p *Process) Terminate() (time.Duration, error) {
	p.t.Helper()
	began := time.Now()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Fatal(err)
	}
	<-p.ended
	p.cmd = nil
	return time.Since(began), p.err
}

// Logs returns the end of what the process has written in each of its lives.
func (p *Process) Logs() string {
	paths, err := filepath.Glob(filepath.Join(p.Dir, "log-*"))
	if err != nil {
		return err.Error()
	}
	var all strings.Builder
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return err.Error()
		}
		fmt.Fprintf(&all, "--- %s\n%s", filepath.Base(path), text[max(0, len(text)-4000):])
	}
	return all.String()
}

// Eventually polls until check returns nil; at the limit the test fails with
// the last reason and the process's own words.
func (p *Process) Eventually(limit time.Duration, what string, check func() error) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		err := check()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-p.ended:
			p.t.Fatalf("%s: the process has ended: %v\n%s", what, p.err, p.Logs())
		case <-ctx.Done():
			p.t.Fatalf("%s: not within %s: %v\n%s\n%s", what, limit, err, p.Logs(), p.goroutines())
		}
	}
}

// goroutines tells what the process is doing, as far as it answers.
func (p *Process) goroutines() string {
	client := http.Client{Timeout: 10 * time.Second}
	resp, err := client.Get("http://" + p.HTTP + "/debug/pprof/goroutine?debug=1")
	if err != nil {
		return err.Error()
	}
	defer func() { _ = resp.Body.Close() }() // it was read to its end
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// Metrics reads the process's metrics, each summed over its labels.
func (p *Process) Metrics() (map[string]float64, error) {
	resp, err := http.Get("http://" + p.HTTP + "/metrics")
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }() // it was read to its end
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	sums := map[string]float64{}
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) < 2 || fields[0] == "#" {
			continue
		}
		name, _, _ := strings.Cut(fields[0], "{")
		v, err := strconv.ParseFloat(fields[len(fields)-1], 64)
		if err != nil {
			return nil, fmt.Errorf("metric %s: %w", name, err)
		}
		sums[name] += v
	}
	return sums, nil
}
