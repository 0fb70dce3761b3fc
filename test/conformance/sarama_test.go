package conformance

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestDockerShimShowsTheLog: what stands in for docker tells the words that sarama's
// tests must not find, of either broker, and only from a time on.
func TestDockerShimShowsTheLog(t *testing.T) {
	dir := t.TempDir()
	shim, log := filepath.Join(dir, "docker"), filepath.Join(dir, "broker.log")
	lines := []string{
		`time=2026-11-22T00:00:01.500Z level=WARN msg="records refused" error="out of order sequence number: 1"`,
		`2026-11-22T00:00:03Z [data-plane-1] ERROR kafka.server.ReplicaManager - Error processing append operation on partition t-0`,
		`org.apache.kafka.common.errors.OutOfOrderSequenceException: Out of order sequence number`,
		`time=2026-11-22T00:00:04.500Z level=WARN msg="records refused" error="out of order sequence number: 2"`,
	}
	for name, text := range map[string]string{shim: dockerShim, log: strings.Join(lines, "\n")} {
		if err := os.WriteFile(name, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for since, want := range map[string]int{"2026-11-22T00:00:00Z": 3, "2026-11-22T00:00:01Z": 3, "2026-11-22T00:00:02Z": 2, "2026-11-22T00:00:04Z": 1, "2026-11-22T00:00:05Z": 0} {
		cmd := exec.CommandContext(t.Context(), "bash", shim, "compose", "logs", "--since", since, "kafka-1")
		cmd.Env = append(os.Environ(), "BROKER_LOG="+log)
		out, err := cmd.CombinedOutput()
		if got := strings.Count(string(out), "OutOfOrderSequenceException"); err != nil || got != want {
			t.Errorf("since %s: %d, want %d, %v:\n%s", since, got, want, err, out)
		}
	}
	cmd := exec.CommandContext(t.Context(), "bash", shim, "compose", "stop", "kafka-1")
	if out, err := cmd.CombinedOutput(); err == nil {
		t.Errorf("the only node was stopped: %s", out)
	}
}
