package e2e

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/agent/registry"
	"github.com/millrace/millrace/test/peers"
	"github.com/millrace/millrace/test/process"
)

// amounts of the kill test. MILLRACE_E2E_MIB and MILLRACE_E2E_KILLS change
// them; with peers they are less by default, because Elasticsearch takes minutes
// for what is written here in one second (make kill-test has them in full).
const (
	writtenMiB      = 200
	killCount       = 10
	writtenPeersMiB = 40
	killPeersCount  = 5
	// furtherBytes are written again where a kill came too late.
	furtherBytes = 4 << 20
)

func setting(t *testing.T, name string, otherwise int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// settleTime bounds the wait for the last line.
func settleTime(t *testing.T) time.Duration {
	return time.Duration(setting(t, "MILLRACE_E2E_SETTLE_SECONDS", 900)) * time.Second
}

// TestEveryLineExactlyOnceThroughKills writes and rotates logs at full speed,
// kills the process again and again while batches are unacknowledged, and
// requires every line once in the topic and once in the search results.
func TestEveryLineExactlyOnceThroughKills(t *testing.T) {
	t.Run("embedded", func(t *testing.T) {
		dir := t.TempDir()
		n := process.New(t, binary, inputs(dir), "up")
		killTest(t, n, dir, n.Broker, "http://"+n.Search, writtenMiB, killCount)
	})
	t.Run("kafka and elasticsearch", func(t *testing.T) {
		kafka, elasticsearch := peers.Kafka(t), peers.Elasticsearch(t)
		dir := t.TempDir()
		n := process.New(t, binary, inputs(dir)+fmt.Sprintf("kafka: {brokers: [%q], partitions: 3}\nelasticsearch: {addresses: [%q]}\n", kafka.Bootstrap, elasticsearch.URL), "up")
		killTest(t, n, dir, kafka.Bootstrap, elasticsearch.URL, writtenPeersMiB, killPeersCount)
	})
}

func inputs(dir string) string {
	return fmt.Sprintf("agent: {inputs: [{include: [%q]}]}\n", filepath.Join(dir, "*.log"))
}

func killTest(t *testing.T, n *process.Process, dir, bootstrap, elasticsearch string, mib, kills int) {
	lines, written := corpus(t), newLedger()
	kills = setting(t, "MILLRACE_E2E_KILLS", kills)
	bytesMax := int64(setting(t, "MILLRACE_E2E_MIB", mib)) << 20
	writers := []*logWriter{
		{path: filepath.Join(dir, "renamed.log"), rotate: byRename, sizeMax: 4 << 20, ledger: written},
		{path: filepath.Join(dir, "copied.log"), rotate: byCopyTruncate, sizeMax: 4 << 20, ledger: written},
		{path: filepath.Join(dir, "second.log"), rotate: byRename, sizeMax: 7 << 20, ledger: written},
	}
	began := time.Now()
	n.Start()
	step := bytesMax / int64(kills+1)
	stepLines := float64(step) / float64(meanSize(lines))
	for killed := range kills {
		// Some die young, others with much behind them.
		acked := stepLines * float64(killed%4) / 5
		killWhileUnacknowledged(t, n, acked, func(further int64) error {
			return writeRound(writers, lines, written, max(written.bytes, step*int64(killed+1))+further)
		})
		n.Start()
	}
	if err := writeRound(writers, lines, written, bytesMax); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d lines, %d MiB written, %d kills, %s", written.total(), written.bytes>>20, kills, time.Since(began).Round(time.Millisecond))
	defer func() {
		if t.Failed() {
			t.Log("\n" + describe(t, bootstrap, "logs", dir))
		}
	}()
	settled(t, n, bootstrap, elasticsearch, "logs", "millrace-logs-*", written.total(), settleTime(t))
	t.Logf("settled after %s", time.Since(began).Round(time.Millisecond))
	inTopic, inIndex := written.like(), written.like()
	readTopic(t, bootstrap, "logs", inTopic)
	if err := written.compare(inTopic); err != nil {
		t.Errorf("in the topic: %v", err)
	}
	readIndex(t, elasticsearch, "millrace-logs-*", inIndex)
	if err := written.compare(inIndex); err != nil {
		t.Errorf("by _search: %v", err)
	}
	took, err := n.Terminate()
	if err != nil || took > 20*time.Second {
		t.Errorf("the orderly end took %s: %v\n%s", took, err, n.Logs())
	}
	for _, word := range []string{"panic:", "DATA RACE", "lines_lost"} {
		if strings.Contains(n.Logs(), word) {
			t.Errorf("the log holds %q:\n%s", word, n.Logs())
		}
	}
	t.Logf("verified after %s", time.Since(began).Round(time.Millisecond))
}

// writeRound writes all writers in turn until so many bytes are written.
func writeRound(writers []*logWriter, lines [][]byte, written *ledger, upTo int64) error {
	for written.bytes < upTo {
		for _, w := range writers {
			if err := w.write(lines); err != nil {
				return err
			}
		}
	}
	return nil
}

// killWhileUnacknowledged lets write run, waits until the agent has had so many
// lines of this life acknowledged, and kills the process at a moment when the
// agent's registry holds batches that were sent, or were about to be, and are not
// acknowledged: the process is paused first, and goes on when there are none.
// Where everything was acknowledged too soon, write is called again with the bytes
// that it shall add.
func killWhileUnacknowledged(t *testing.T, n *process.Process, acked float64, write func(further int64) error) {
	t.Helper()
	for further := int64(0); ; further = furtherBytes {
		writing := make(chan error, 1)
		go func() { writing <- write(further) }()
		killed := false
		n.Eventually(120*time.Second, "batches are unacknowledged", func() error {
			sums, err := n.Metrics()
			switch {
			case err != nil:
				return err
			case sums["millrace_agent_lines_acked_total"] < acked:
				return fmt.Errorf("%v of %v lines are acknowledged", sums["millrace_agent_lines_acked_total"], acked)
			}
			n.Pause()
			if killed = plansLeft(t, filepath.Join(n.Dir, "data", "agent", "registry")) > 0; killed {
				return nil
			}
			n.Resume()
			select {
			case err := <-writing:
				writing <- err
				return nil // all is written, and perhaps acknowledged
			default:
				return errors.New("nothing is unacknowledged")
			}
		})
		if killed {
			n.Kill()
		}
		if err := <-writing; err != nil {
			t.Fatal(err)
		}
		if killed {
			return
		}
	}
}

func meanSize(lines [][]byte) int {
	size := 0
	for _, line := range lines {
		size += len(line) + 1
	}
	return size / len(lines)
}

// plansLeft counts the unacknowledged batches in a copy of an agent's
// registry.
func plansLeft(t *testing.T, dir string) int {
	t.Helper()
	replica := t.TempDir()
	if err := os.CopyFS(replica, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	r, err := registry.Open(replica, registry.Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	plans := 0
	for _, lane := range r.Lanes() {
		plans += len(lane.Plans)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	return plans
}
