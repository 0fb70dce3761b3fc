package compat

import (
	"bytes"
	"context"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/test/peers"
)

// runProgram runs a program with an input for at most two minutes, and returns
// what it printed. It fails the test when the program does.
func runProgram(t *testing.T, input, program string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(input), &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %s: %v\n%s%s", program, strings.Join(args, " "), err, stdout.String(), stderr.String())
	}
	return stdout.String()
}

// tool runs one of Apache Kafka's programs against the node, and returns what it
// printed. It fails the test when the program does.
func (n *node) tool(t *testing.T, mainClass string, args ...string) string {
	t.Helper()
	return n.toolInput(t, "", mainClass, args...)
}

func (n *node) toolInput(t *testing.T, input, mainClass string, args ...string) string {
	t.Helper()
	out, err := peers.KafkaToolInput(t, input, mainClass, append([]string{"--bootstrap-server", n.addr}, args...)...)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return out
}

// contains fails the test unless all parts are in the output, blanks counting as one.
func contains(t *testing.T, what, output string, parts ...string) {
	t.Helper()
	flat := strings.Join(strings.Fields(output), " ")
	for _, p := range parts {
		if !strings.Contains(flat, p) {
			t.Errorf("%s: %q is not in\n%s", what, p, output[max(0, len(output)-4000):])
		}
	}
}
