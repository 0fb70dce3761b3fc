package compat

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/test/peers"
)

// streamsProgram is a running StreamsSmokeTest of Apache Kafka.
type streamsProgram struct {
	t     *testing.T
	cmd   *exec.Cmd
	out   *lines
	ended chan struct{}
}

// startStreams runs StreamsSmokeTest's command with exactly_once_v2; programs with one state directory take over from each other.
func startStreams(t *testing.T, addr, state, command string) *streamsProgram {
	t.Helper()
	properties := filepath.Join(t.TempDir(), "streams.properties")
	// A member that was killed is missed after 10 s, not 45; its transaction is aborted after 10 s by default.
	text := fmt.Sprintf("bootstrap.servers=%s\nstate.dir=%s\nprocessing.guarantee=exactly_once_v2\nsession.timeout.ms=10000\n", addr, state)
	if err := os.WriteFile(properties, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p := &streamsProgram{t: t, out: &lines{}, ended: make(chan struct{})}
	p.cmd = peers.KafkaStreamsTest(t, "org.apache.kafka.streams.tests.StreamsSmokeTest", properties, command)
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.out
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait() // what it printed says how it ended
		close(p.ended)
	}()
	t.Cleanup(func() {
		p.kill()
		if text := p.out.String(); t.Failed() {
			t.Logf("%s:\n%s", command, text[max(0, len(text)-4000):])
		}
	})
	return p
}

// kill is kill -9; it does nothing to one that has ended.
func (p *streamsProgram) kill() {
	_ = p.cmd.Process.Kill() // fails only when it has ended
	<-p.ended
}

// says waits until the program has printed what.
func (p *streamsProgram) says(what string) {
	p.t.Helper()
	eventuallyWithin(p.t, javaLimit, "StreamsSmokeTest says "+what, func() bool {
		select {
		case <-p.ended:
			return true
		default:
			return strings.Contains(p.out.String(), what)
		}
	})
	if !strings.Contains(p.out.String(), what) {
		p.t.Fatalf("StreamsSmokeTest ended and did not say %q", what)
	}
}

// TestKafkaStreamsThroughKills: Kafka Streams' own smoke test, joins, windows, suppression and
// aggregates over ten topics with exactly_once_v2, while one of its two clients is killed and then the
// broker. Its driver compares every result with what it computes from its input.
func TestKafkaStreamsThroughKills(t *testing.T) {
	t.Parallel()
	n := startKillable(t)
	for _, topic := range []string{"data", "echo", "fk", "max", "min", "min-suppressed", "min-raw", "sum", "sws-raw", "sws-suppressed", "dif", "cnt", "avg", "wcnt", "tagg"} {
		n.createTopic(topic, 2)
	}
	states := []string{t.TempDir(), t.TempDir()}
	clients := []*streamsProgram{startStreams(t, n.addr, states[0], "process"), startStreams(t, n.addr, states[1], "process")}
	for _, c := range clients {
		c.says("SMOKE-TEST-CLIENT-STARTED")
	}
	driver := startStreams(t, n.addr, t.TempDir(), "run") // it produces 20,000 records in 90 s
	driver.says(" 4000 records produced")
	clients[0].kill()
	startStreams(t, n.addr, states[0], "process")
	driver.says(" 12000 records produced")
	n.kill()
	n.start()
	select {
	case <-driver.ended:
	case <-time.After(10 * time.Minute):
		t.Fatal("the driver does not end")
	}
	contains(t, "the driver", driver.out.String(), "SUCCESS")
}
