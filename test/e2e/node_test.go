package e2e

import (
	"bytes"
	"context"
	"encoding/json"
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

// binary is the product as it is shipped, built once for all tests.
var binary string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "millrace-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	binary = filepath.Join(dir, "millrace")
	build := exec.Command("go", "build", "-o", binary, "../../cmd/millrace")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build: %v\n%s", err, out)
		os.Exit(1)
	}
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// node is one millrace process that can be killed and started again on the
// same data and addresses.
type node struct {
	t      *testing.T
	args   []string
	dir    string
	http   string
	broker string
	search string

	cmd    *exec.Cmd
	done   chan error
	starts int
}

// newNode prepares "millrace up" with the given configuration, which may use
// the data folder and addresses that are appended to it.
func newNode(t *testing.T, config string) *node {
	t.Helper()
	n := &node{t: t, dir: t.TempDir(), http: peers.FreeAddr(t), broker: peers.FreeAddr(t), search: peers.FreeAddr(t)}
	text := fmt.Sprintf("data_dir: %s/data\nhttp: {listen: %q}\nbroker: {listen: %q}\nsearch: {listen: %q}\n%s", n.dir, n.http, n.broker, n.search, config)
	path := filepath.Join(n.dir, "millrace.yaml")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	n.args = []string{"up", "--config", path}
	return n
}

// start runs the process and waits until it says that it is ready.
func (n *node) start() {
	n.t.Helper()
	n.starts++
	log, err := os.Create(filepath.Join(n.dir, fmt.Sprintf("log-%02d", n.starts)))
	if err != nil {
		n.t.Fatal(err)
	}
	defer log.Close()
	n.cmd = exec.Command(binary, n.args...)
	n.cmd.Stdout, n.cmd.Stderr = log, log
	n.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := n.cmd.Start(); err != nil {
		n.t.Fatal(err)
	}
	n.done = make(chan error, 1)
	go func(cmd *exec.Cmd, done chan<- error) { done <- cmd.Wait() }(n.cmd, n.done)
	n.t.Cleanup(n.kill)
	n.eventually(30*time.Second, "the process is ready", func() error {
		_, err := n.get("http://" + n.http + "/readyz")
		return err
	})
}

// kill is kill -9; it is harmless on a process that has ended.
func (n *node) kill() {
	if n.cmd == nil {
		return
	}
	_ = n.cmd.Process.Kill() // fails only when it has ended
	<-n.done
	n.cmd = nil
}

// terminate sends SIGTERM and returns how the process ended and how long it took.
func (n *node) terminate() (time.Duration, error) {
	n.t.Helper()
	began := time.Now()
	if err := n.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		n.t.Fatal(err)
	}
	err := <-n.done
	n.cmd = nil
	return time.Since(began), err
}

// logs returns the end of what the process has written in all its lives.
func (n *node) logs() string {
	paths, err := filepath.Glob(filepath.Join(n.dir, "log-*"))
	if err != nil {
		return err.Error()
	}
	var all strings.Builder
	for _, p := range paths {
		b, err := os.ReadFile(p)
		if err != nil {
			return err.Error()
		}
		if len(b) > 4000 {
			b = b[len(b)-4000:]
		}
		fmt.Fprintf(&all, "--- %s\n%s", filepath.Base(p), b)
	}
	return all.String()
}

// eventually polls until check returns nil; at the deadline the test fails
// with the last reason and the process's own words.
func (n *node) eventually(limit time.Duration, what string, check func() error) {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(n.t.Context(), limit)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := check()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			n.t.Fatalf("%s: not within %s: %v\n%s", what, limit, err, n.logs())
		}
	}
}

func (n *node) get(url string) ([]byte, error) {
	return request(n.t.Context(), http.MethodGet, url, nil)
}

// request does one HTTP exchange and returns the body of a 2xx answer.
func request(ctx context.Context, method, url string, body any) ([]byte, error) {
	var payload io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		payload = bytes.NewReader(b)
	}
	ctx, cancel := context.WithTimeout(ctx, 60*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, url, payload)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode/100 != 2 {
		err = fmt.Errorf("%s %s: %s: %s", method, url, resp.Status, answer)
	}
	return answer, err
}

// metric sums one metric of the process over its labels.
func (n *node) metric(name string) (float64, error) {
	body, err := n.get("http://" + n.http + "/metrics")
	if err != nil {
		return 0, err
	}
	sum := 0.0
	for line := range strings.Lines(string(body)) {
		rest, ok := strings.CutPrefix(line, name)
		if !ok || (rest[0] != ' ' && rest[0] != '{') {
			continue
		}
		fields := strings.Fields(rest)
		v, err := strconv.ParseFloat(fields[len(fields)-1], 64)
		if err != nil {
			return 0, fmt.Errorf("metric %s: %w", name, err)
		}
		sum += v
	}
	return sum, nil
}
