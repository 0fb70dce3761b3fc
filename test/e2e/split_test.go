package e2e

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/millrace/millrace/test/process"
)

// TestPartsInProcessesOfTheirOwn runs each part alone, kills them one after
// the other, and requires the same result as one process gives.
func TestPartsInProcessesOfTheirOwn(t *testing.T) {
	dir, written := t.TempDir(), newLedger()
	broker := process.New(t, binary, "", "broker")
	search := process.New(t, binary, "", "search")
	broker.Start()
	search.Start()
	where := fmt.Sprintf("kafka: {brokers: [%q]}\nelasticsearch: {addresses: [%q]}\n", broker.Broker, "http://"+search.Search)
	parts := []*process.Process{
		process.New(t, binary, where+inputs(dir), "agent"),
		process.New(t, binary, where, "pipelines"),
		process.New(t, binary, where, "pipelines"),
	}
	for _, p := range parts {
		p.Start()
	}
	writers := []*logWriter{{path: filepath.Join(dir, "a.log"), rotate: byRename, sizeMax: 1 << 20, ledger: written}}
	lines := corpus(t)
	for i, victim := range append([]*process.Process{broker, search}, parts...) {
		if err := writeRound(writers, lines, written, int64(i+1)<<21); err != nil {
			t.Fatal(err)
		}
		victim.Kill()
		victim.Start()
	}
	settled(t, broker, broker.Broker, "http://"+search.Search, "logs", "millrace-logs-*", written.total(), 2*time.Minute)
	inTopic, inIndex := written.like(), written.like()
	readTopic(t, broker.Broker, "logs", inTopic)
	if err := written.compare(inTopic); err != nil {
		t.Errorf("in the topic: %v", err)
	}
	readIndex(t, "http://"+search.Search, "millrace-logs-*", inIndex)
	if err := written.compare(inIndex); err != nil {
		t.Errorf("by _search: %v", err)
	}
	for _, p := range []*process.Process{parts[0], parts[1], parts[2], broker, search} {
		if took, err := p.Terminate(); err != nil || took > 20*time.Second {
			t.Errorf("the orderly end took %s: %v\n%s", took, err, p.Logs())
		}
	}
}
