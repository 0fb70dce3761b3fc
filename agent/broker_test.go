package agent_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"

	"github.com/millrace/millrace/broker"
	"github.com/millrace/millrace/configs"
)

const brokerEnv = "MILLRACE_AGENT_TEST_BROKER"

// cluster is what the tests ship to: Apache Kafka, or our own broker.
type cluster struct {
	bootstrap string
	pid       int
}

// runBroker is our broker in a child process; it prints its address.
func runBroker(text string) error {
	var cfg configs.Broker
	if err := json.Unmarshal([]byte(text), &cfg); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "millrace-agent-test-broker")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	node, err := broker.New(cfg, broker.Options{Dir: dir, Logger: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))})
	if err != nil {
		return err
	}
	fmt.Fprintln(os.Stdout, node.Addr())
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	return node.Run(ctx)
}

// ourBroker starts one until the test ends.
func ourBroker(t testing.TB) cluster {
	t.Helper()
	cfg := configs.Default().Broker
	cfg.Listen = "127.0.0.1:0"
	spec, err := json.Marshal(cfg)
	if err != nil {
		t.Fatal(err)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), brokerEnv+"="+string(spec))
	log := &syncBuffer{}
	cmd.Stderr = log
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			t.Errorf("the broker ended with %v", err)
		}
		if t.Failed() {
			t.Log(log.String())
		}
	})
	addr, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the broker did not start: %v: %s", err, log.String())
	}
	return cluster{bootstrap: strings.TrimSpace(addr), pid: cmd.Process.Pid}
}
