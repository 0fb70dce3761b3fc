package compat

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/millrace/millrace/test/peers"
)

// startStreams runs StreamsSmokeTest's command with exactly_once_v2; programs with one state directory take over from each other.
func startStreams(t *testing.T, addr, state, command string) *background {
	t.Helper()
	properties := filepath.Join(t.TempDir(), "streams.properties")
	// A member that was killed is missed after 10 s, not 45; its transaction is aborted after 10 s by default.
	text := fmt.Sprintf("bootstrap.servers=%s\nstate.dir=%s\nprocessing.guarantee=exactly_once_v2\nsession.timeout.ms=10000\n", addr, state)
	if err := os.WriteFile(properties, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return startBackground(t, command, peers.KafkaStreamsTest(t, "org.apache.kafka.streams.tests.StreamsSmokeTest", properties, command))
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
	clients := []*background{startStreams(t, n.addr, states[0], "process"), startStreams(t, n.addr, states[1], "process")}
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
