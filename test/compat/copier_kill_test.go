package compat

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/millrace/millrace/test/peers"
)

// startCopier runs Kafka's TransactionalMessageCopier from topic source to topic target.
func startCopier(t *testing.T, addr string) *background {
	t.Helper()
	return startBackground(t, "a copier", peers.KafkaProgram(t, transactionalMessageCopier, "--broker-list", addr, "--transactional-id", "copier",
		"--input-topic", "source", "--input-partition", "0", "--output-topic", "target", "--consumer-group", "copiers", "--transaction-size", "20",
		// It asks for its position before it ends the transaction of the one that was killed, whose
		// offsets are not stable until this time is over; it gives up after a minute.
		"--transaction-timeout", "10000"))
}

// TestMessageCopierThroughKills: Kafka's exactly-once copier is killed in a
// transaction, then the broker, then the copier again; in the end each record was copied once, in order.
func TestMessageCopierThroughKills(t *testing.T) {
	t.Parallel()
	n := startKillable(t)
	n.createTopic("source", 1)
	n.createTopic("target", 1)
	const records = 4_000
	n.sendNumbers("source", records, time.Now().UnixMilli()-records*1000)
	admin := kadm.NewClient(n.franz(t))
	// copied is the end of what was committed to the target, at least; markers count.
	copied := func() int64 {
		ends, err := admin.ListCommittedOffsets(t.Context(), "target")
		if err != nil {
			return 0 // the broker is away
		}
		end, _ := ends.Lookup("target", 0)
		return end.Offset
	}
	c := startCopier(t, n.addr)
	reaches := func(what string, offset int64) {
		t.Helper()
		eventuallyWithin(t, javaLimit, fmt.Sprintf("the copier reaches offset %d %s", offset, what), func() bool { return copied() >= offset || !c.running() })
		if !c.running() {
			t.Fatalf("%s, the copier has ended:\n%s", what, c.out)
		}
	}
	reaches("before it is killed", 400)
	c.kill()
	c = startCopier(t, n.addr)
	reaches("before the broker is killed", copied()+400)
	n.kill()
	n.start()
	if c.running() {
		reaches("before it is killed again", copied()+200)
	}
	c.kill()

	for lives := 1; ; lives++ {
		c = startCopier(t, n.addr)
		select {
		case <-c.ended:
		case <-time.After(javaLimit):
			t.Fatalf("the copier does not end:\n%s", c.out)
		}
		if !c.failed {
			break
		}
		if lives == 5 {
			t.Fatalf("the copier fails for the %dth time:\n%s", lives, c.out)
		}
	}
	want := make([]string, records)
	for i := range want {
		want[i] = fmt.Sprint(i)
	}
	if got := n.committed(t, "target", records); strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("%d records were copied, or not in order", len(got))
	}
}
