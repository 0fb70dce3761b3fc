// Package peers gives tests the real systems that Millrace works with and is
// compared to: Apache Kafka with its tools, Elasticsearch, kcat, Python clients,
// Chromium.
//
// Each is fetched once by its own package manager (Maven, pip, apt) into a
// cache directory, MILLRACE_PEERS_DIR or a default of the user's, and started
// on free loopback ports. A server belongs to the test that asked for it and
// is killed when that test ends, or when the test process dies.
//
// Where a package manager is missing the test is skipped with one line that
// says what is missing. With CI=true nothing is skipped: a missing peer fails
// the test.
package peers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Versions of the peers, and bounds of waiting for them.
const (
	kafkaVersion         = "4.1.1"
	elasticsearchVersion = "8.19.0"

	startTimeout = 120 * time.Second
	pollInterval = 50 * time.Millisecond
)

// Missing ends the test because of a peer that cannot be had: skipped
// outside CI, failed inside.
func Missing(t testing.TB, format string, args ...any) {
	t.Helper()
	msg := fmt.Sprintf(format, args...)
	if os.Getenv("CI") == "true" {
		t.Fatalf("missing peer: %s", msg)
	}
	t.Skipf("skipped, missing peer: %s", msg)
}

// Dir returns the cache directory for everything that is fetched.
func Dir(t testing.TB) string {
	t.Helper()
	dir := os.Getenv("MILLRACE_PEERS_DIR")
	switch {
	case dir != "":
	case os.Geteuid() == 0:
		// Elasticsearch runs as another user, who cannot look into root's home.
		dir = "/var/cache/millrace-peers"
	default:
		cache, err := os.UserCacheDir()
		if err != nil {
			t.Fatalf("find a cache directory, set MILLRACE_PEERS_DIR: %v", err)
		}
		dir = filepath.Join(cache, "millrace-peers")
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatalf("make the cache directory: %v", err)
	}
	return dir
}

// install makes dir/name once, also among several test processes: fill
// writes into a temporary folder, which is then renamed.
func install(t testing.TB, name string, fill func(tmp string) error) string {
	t.Helper()
	cache := Dir(t)
	target := filepath.Join(cache, name)
	unlock := lock(t, target+".lock")
	defer unlock()
	if _, err := os.Stat(target); err == nil {
		return target
	}
	tmp, err := os.MkdirTemp(cache, ".new-") //nolint:usetesting // it is renamed to its target, so it must lie beside it
	if err != nil {
		t.Fatalf("install %s: %v", name, err)
	}
	defer func() { _ = os.RemoveAll(tmp) }()
	if err := os.Chmod(tmp, 0o755); err != nil {
		t.Fatalf("install %s: %v", name, err)
	}
	if err := fill(tmp); err != nil {
		Missing(t, "%s could not be installed: %v", name, err)
	}
	if err := os.Rename(tmp, target); err != nil {
		t.Fatalf("install %s: %v", name, err)
	}
	return target
}

// lock takes an exclusive lock between processes.
func lock(t testing.TB, path string) (unlock func()) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		t.Fatalf("lock %s: %v", path, err)
	}
	for {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX)
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	if err != nil {
		t.Fatalf("lock %s: %v", path, err)
	}
	return func() { _ = f.Close() }
}

// run runs a package manager to its end.
func run(dir, name string, args ...string) error {
	return runWith(dir, nil, name, args...)
}

// runWith is [run] with an environment.
func runWith(dir string, env []string, name string, args ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = dir, env
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, tail(string(out), 2000))
	}
	return nil
}

func tail(s string, n int) string {
	if len(s) > n {
		return "…" + s[len(s)-n:]
	}
	return s
}

// Process is a running peer.
type Process struct {
	cmd  *exec.Cmd
	log  string
	done chan struct{}
}

// Pid of the process, for measuring what it uses.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Log returns the last lines that the process wrote.
func (p *Process) Log() string {
	b, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return tail(string(b), 4000)
}

// LogFile is where the process writes what it has to say.
func (p *Process) LogFile() string { return p.log }

// Kill ends the process at once, as kill -9 does, and waits for its end.
func (p *Process) Kill() {
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) // fails only when it has already ended
	<-p.done
}

// Stop ends the process in order and waits for its end.
func (p *Process) Stop(t testing.TB) {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatalf("stop %s: %v", p.cmd.Path, err)
	}
	select {
	case <-p.done:
	case <-time.After(startTimeout):
		t.Fatalf("%s does not stop:\n%s", p.cmd.Path, p.Log())
	}
}

// start runs a server until the test ends; its output goes to a file.
func start(t testing.TB, cmd *exec.Cmd, logPath string) *Process {
	t.Helper()
	out, err := os.Create(logPath)
	if err != nil {
		t.Fatalf("start %s: %v", cmd.Path, err)
	}
	defer func() { _ = out.Close() }() // the child has its own descriptor
	cmd.Stdout, cmd.Stderr = out, out
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	cmd.SysProcAttr.Setpgid = true
	if err := cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", cmd.Path, err)
	}
	p := &Process{cmd: cmd, log: logPath, done: make(chan struct{})}
	go func() {
		_ = cmd.Wait() // the exit status of a killed server says nothing
		close(p.done)
	}()
	t.Cleanup(p.Kill)
	return p
}

// await polls until ready returns nil, the process ends or the time is over.
func (p *Process) await(t testing.TB, what string, ready func() error) {
	t.Helper()
	deadline := time.NewTimer(startTimeout)
	defer deadline.Stop()
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	var err error
	for {
		select {
		case <-p.done:
			t.Fatalf("%s ended while starting:\n%s", what, p.Log())
		case <-deadline.C:
			t.Fatalf("%s is not ready after %s: %v\n%s", what, startTimeout, err, p.Log())
		case <-tick.C:
			if err = ready(); err == nil {
				return
			}
		}
	}
}

// Binary returns the path of a Debian package's program, installing the
// package when root and apt-get are there.
func Binary(t testing.TB, program, debianPackage string) string {
	t.Helper()
	if path, err := exec.LookPath(program); err == nil {
		return path
	}
	unlock := lock(t, filepath.Join(Dir(t), "apt.lock"))
	defer unlock()
	if path, err := exec.LookPath(program); err == nil {
		return path
	}
	if _, err := exec.LookPath("apt-get"); err != nil || os.Geteuid() != 0 {
		Missing(t, "%s is not installed: apt-get install %s", program, debianPackage)
	}
	if err := run("/", "apt-get", "install", "-y", "-q", "--no-install-recommends", debianPackage); err != nil {
		if err = run("/", "apt-get", "update", "-q"); err == nil {
			err = run("/", "apt-get", "install", "-y", "-q", "--no-install-recommends", debianPackage)
		}
		if err != nil {
			Missing(t, "%s: %v", program, err)
		}
	}
	path, err := exec.LookPath(program)
	if err != nil {
		Missing(t, "%s is not in package %s", program, debianPackage)
	}
	return path
}

// Kcat returns the path of kcat.
func Kcat(t testing.TB) string {
	t.Helper()
	return Binary(t, "kcat", "kcat")
}

// Chromium returns the path of Debian's Chromium.
func Chromium(t testing.TB) string {
	t.Helper()
	return Binary(t, "chromium", "chromium")
}

// Python returns the interpreter of a virtual environment that holds the
// given PyPI packages (with versions, "kafka-python==2.2.15").
func Python(t testing.TB, packages ...string) string {
	t.Helper()
	python, err := exec.LookPath("python3")
	if err != nil {
		Missing(t, "python3 is not installed: apt-get install python3-venv")
	}
	name := "python-" + strings.NewReplacer("=", "-", "<", "-", ">", "-").Replace(strings.Join(packages, "-"))
	// A virtual environment cannot be renamed, so it is made in its place
	// and marked when it is whole.
	venv := filepath.Join(Dir(t), name)
	mark := filepath.Join(venv, "installed")
	unlock := lock(t, venv+".lock")
	defer unlock()
	if _, err := os.Stat(mark); err == nil {
		return filepath.Join(venv, "bin", "python")
	}
	err = errors.Join(os.RemoveAll(venv), run("/", python, "-m", "venv", venv))
	if err == nil {
		err = run("/", filepath.Join(venv, "bin", "pip"), append([]string{"install", "-q"}, packages...)...)
	}
	if err == nil {
		err = os.WriteFile(mark, nil, 0o644)
	}
	if err != nil {
		Missing(t, "Python packages %v: %v", packages, err)
	}
	return filepath.Join(venv, "bin", "python")
}
