package process

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
)

const (
	// childEnv makes a test binary a part of the product instead of a run of its tests. Its
	// value is the part's configuration in JSON.
	childEnv = "MILLRACE_TEST_CHILD"
	// childLines is how many of its last lines a child keeps.
	childLines = 200
)

// Child is a part of the product in a process of its own: the test binary of the part's package, which
// can be killed as the product can.
type Child struct {
	cmd  *exec.Cmd
	done chan struct{}

	mu  sync.Mutex
	log []string
}

// ChildMain runs the tests of a package, or what StartChild has started: run, with the configuration
// and a context that ends on SIGTERM. It returns the code to exit with.
func ChildMain[Config any](m *testing.M, run func(context.Context, Config) error) int {
	text, ok := os.LookupEnv(childEnv)
	if !ok {
		return m.Run()
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	var cfg Config
	err := json.Unmarshal([]byte(text), &cfg)
	if err == nil {
		err = run(ctx, cfg)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// StartChild starts this test binary as a part with a configuration, which ChildMain must read. The process is
// killed when the test ends, and its last lines are logged if the test has failed.
func StartChild(t testing.TB, cfg any) *Child {
	t.Helper()
	text, err := json.Marshal(cfg)
	if err != nil {
		t.Fatal(err)
	}
	c := &Child{cmd: exec.Command(os.Args[0]), done: make(chan struct{})}
	c.cmd.Env = append(os.Environ(), childEnv+"="+string(text))
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	stderr, err := c.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go c.follow(bufio.NewScanner(stderr))
	t.Cleanup(func() {
		c.End(syscall.SIGKILL)
		if t.Failed() {
			t.Log(strings.Join(c.Lines(), "\n"))
		}
	})
	return c
}

// follow keeps what the process says until it has ended.
func (c *Child) follow(lines *bufio.Scanner) {
	defer close(c.done)
	for lines.Scan() {
		c.mu.Lock()
		c.log = append(c.log[max(0, len(c.log)+1-childLines):], lines.Text())
		c.mu.Unlock()
	}
	_ = c.cmd.Wait() // how it ended is in its ProcessState
}

// Lines are the last that the process has said on stderr.
func (c *Child) Lines() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.log)
}

// End sends a signal, 0 for none, waits for the process to end, and returns its exit code, -1 where a signal ended it.
// SIGKILL ends it as a power cut would.
func (c *Child) End(s syscall.Signal) int {
	_ = c.cmd.Process.Signal(s) // it may have ended already
	<-c.done
	return c.cmd.ProcessState.ExitCode()
}
