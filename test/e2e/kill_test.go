package e2e

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/test/peers"
	"github.com/millrace/millrace/test/process"
)

// amounts of the kill test. MILLRACE_E2E_MIB and MILLRACE_E2E_KILLS change them.
const (
	writtenMiB = 200
	killCount  = 10
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
	return time.Duration(setting(t, "MILLRACE_E2E_SETTLE_SECONDS", 600)) * time.Second
}

// TestEveryLineExactlyOnceThroughKills writes and rotates logs at full speed,
// kills the process again and again while batches are unacknowledged, and
// requires every line once in the topic and once in the search results.
func TestEveryLineExactlyOnceThroughKills(t *testing.T) {
	t.Run("embedded", func(t *testing.T) {
		dir := t.TempDir()
		n := process.New(t, binary, inputs(dir), "up")
		killTest(t, n, dir, n.Broker, "http://"+n.Search)
	})
	t.Run("kafka and elasticsearch", func(t *testing.T) {
		kafka, elasticsearch := peers.Kafka(t), peers.Elasticsearch(t)
		dir := t.TempDir()
		n := process.New(t, binary, inputs(dir)+fmt.Sprintf("kafka: {brokers: [%q], partitions: 3}\nelasticsearch: {addresses: [%q]}\n", kafka.Bootstrap, elasticsearch.URL), "up")
		killTest(t, n, dir, kafka.Bootstrap, elasticsearch.URL)
	})
}

func inputs(dir string) string {
	return fmt.Sprintf("agent: {inputs: [{include: [%q]}]}\n", filepath.Join(dir, "*.log"))
}

func killTest(t *testing.T, n *process.Process, dir, bootstrap, elasticsearch string) {
	lines, written := corpus(t), newLedger()
	kills := setting(t, "MILLRACE_E2E_KILLS", killCount)
	bytesMax := int64(setting(t, "MILLRACE_E2E_MIB", writtenMiB)) << 20
	writers := []*logWriter{
		{path: filepath.Join(dir, "renamed.log"), rotate: byRename, sizeMax: 4 << 20, ledger: written},
		{path: filepath.Join(dir, "copied.log"), rotate: byCopyTruncate, sizeMax: 4 << 20, ledger: written},
		{path: filepath.Join(dir, "second.log"), rotate: byRename, sizeMax: 7 << 20, ledger: written},
	}
	began := time.Now()
	n.Start()
	for round := range kills + 1 {
		writing := make(chan error, 1)
		go func() { writing <- writeRound(writers, lines, written, bytesMax*int64(round+1)/int64(kills+1)) }()
		if round < kills {
			killWhileUnacknowledged(n)
		}
		if err := <-writing; err != nil {
			t.Fatal(err)
		}
		if round < kills {
			n.Start()
		}
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
	if err != nil || took > 10*time.Second {
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

// killWhileUnacknowledged waits until the agent holds lines that the cluster
// has not acknowledged, and kills the process at once.
func killWhileUnacknowledged(n *process.Process) {
	n.Eventually(60*time.Second, "batches are unacknowledged", func() error {
		sums, err := n.Metrics()
		if err == nil && sums["millrace_agent_unacked_bytes"] == 0 {
			err = errors.New("nothing is unacknowledged")
		}
		return err
	})
	n.Kill()
}
