package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/test/peers"
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

// TestEveryLineExactlyOnceThroughKills writes and rotates logs at full speed,
// kills the process again and again while batches are unacknowledged, and
// requires every line once in the topic and once in the search results.
func TestEveryLineExactlyOnceThroughKills(t *testing.T) {
	t.Run("embedded", func(t *testing.T) {
		dir := t.TempDir()
		n := newNode(t, inputs(dir))
		killTest(t, n, dir, n.broker, "http://"+n.search)
	})
	t.Run("kafka and elasticsearch", func(t *testing.T) {
		kafka, elasticsearch := peers.Kafka(t), peers.Elasticsearch(t)
		dir := t.TempDir()
		n := newNode(t, inputs(dir)+fmt.Sprintf("kafka: {brokers: [%q], partitions: 3}\nelasticsearch: {addresses: [%q]}\n", kafka.Bootstrap, elasticsearch.URL))
		killTest(t, n, dir, kafka.Bootstrap, elasticsearch.URL)
	})
}

func inputs(dir string) string {
	return fmt.Sprintf("agent: {inputs: [{include: [%q]}]}\n", filepath.Join(dir, "*.log"))
}

func killTest(t *testing.T, n *node, dir, bootstrap, elasticsearch string) {
	lines, written := corpus(t), newLedger()
	kills := setting(t, "MILLRACE_E2E_KILLS", killCount)
	bytesMax := int64(setting(t, "MILLRACE_E2E_MIB", writtenMiB)) << 20
	writers := []*logWriter{
		{path: filepath.Join(dir, "renamed.log"), rotate: byRename, sizeMax: 4 << 20, ledger: written},
		{path: filepath.Join(dir, "copied.log"), rotate: byCopyTruncate, sizeMax: 4 << 20, ledger: written},
		{path: filepath.Join(dir, "second.log"), rotate: byRename, sizeMax: 7 << 20, ledger: written},
	}
	began := time.Now()
	n.start()
	for round := range kills + 1 {
		writing := make(chan error, 1)
		go func() { writing <- writeRound(writers, lines, written, bytesMax*int64(round+1)/int64(kills+1)) }()
		if round < kills {
			n.killWhileUnacknowledged()
		}
		if err := <-writing; err != nil {
			t.Fatal(err)
		}
		if round < kills {
			n.start()
		}
	}
	t.Logf("%d lines, %d MiB written, %d kills, %s", written.total(), written.bytes>>20, kills, time.Since(began).Round(time.Millisecond))
	settled(n, bootstrap, elasticsearch, "logs", "millrace-logs-*", written.total(), 5*time.Minute)
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
	took, err := n.terminate()
	if err != nil || took > 10*time.Second {
		t.Errorf("the orderly end took %s: %v\n%s", took, err, n.logs())
	}
	for _, word := range []string{"panic:", "DATA RACE", "lines_lost"} {
		if strings.Contains(n.logs(), word) {
			t.Errorf("the log holds %q:\n%s", word, n.logs())
		}
	}
	t.Logf("verified after %s", time.Since(began).Round(time.Millisecond))
}

// writeRound writes all writers in turn until so many bytes are written.
func writeRound(writers []*logWriter, lines [][]byte, written *ledger, upTo int64) error {
	const piece = 2000
	for at := 0; written.bytes < upTo; at = (at + piece) % len(lines) {
		chunk := lines[at:min(at+piece, len(lines))]
		for _, w := range writers {
			if err := w.write(chunk); err != nil {
				return err
			}
		}
	}
	return nil
}

// killWhileUnacknowledged waits until the agent holds lines that the cluster
// has not acknowledged, and kills the process at once.
func (n *node) killWhileUnacknowledged() {
	n.t.Helper()
	n.eventually(60*time.Second, "batches are unacknowledged", func() error {
		held, err := n.metric("millrace_agent_unacked_bytes")
		if err == nil && held == 0 {
			err = fmt.Errorf("nothing is unacknowledged")
		}
		return err
	})
	n.kill()
}
