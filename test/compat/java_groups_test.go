package compat

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/configs"
	"github.com/millrace/millrace/test/peers"
)

// Main classes of Apache Kafka's clients that say what they do.
const (
	verifiableProducer = "org.apache.kafka.tools.VerifiableProducer"
	verifiableConsumer = "org.apache.kafka.tools.VerifiableConsumer"
)

// javaLimit bounds what a Java program is waited for, on a machine with much else to do.
const javaLimit = 3 * time.Minute

// javaConsumer is a running VerifiableConsumer of topic shared, of the Java client.
type javaConsumer struct {
	t     *testing.T
	name  string
	cmd   *exec.Cmd
	ended chan struct{}

	mu     sync.Mutex
	owns   map[int32]bool
	read   *readOffsets
	stderr lines
}

// readOffsets are the offsets that the members of a group have read, with how often.
type readOffsets struct {
	mu    sync.Mutex
	times map[string]int
}

func (r *readOffsets) add(partition int32, from, to int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for ; from <= to; from++ {
		r.times[fmt.Sprintf("%d/%d", partition, from)]++
	}
}

// count returns how many records were read, and which of them more than once.
func (r *readOffsets) count() (records int, again []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for at, times := range r.times {
		if times > 1 {
			again = append(again, at)
		}
	}
	return len(r.times), again
}

// startJavaConsumer runs a member of group java that speaks a group protocol.
func startJavaConsumer(t *testing.T, n *node, name, protocol string, read *readOffsets, args ...string) *javaConsumer {
	t.Helper()
	conf := filepath.Join(t.TempDir(), "consumer.properties")
	lines := ""
	if protocol == "classic" {
		lines = "heartbeat.interval.ms=300\n"
	}
	if err := os.WriteFile(conf, []byte(lines), 0o600); err != nil {
		t.Fatal(err)
	}
	args = append([]string{
		"--bootstrap-server", n.addr, "--topic", "shared", "--group-id", "java", "--group-protocol", protocol, "--reset-policy", "earliest", "--consumer.config", conf,
	}, args...)
	if protocol == "classic" {
		args = append(args, "--session-timeout", "60000")
	}
	c := &javaConsumer{t: t, name: name, cmd: peers.KafkaProgram(t, verifiableConsumer, args...), ended: make(chan struct{}), owns: map[int32]bool{}, read: read}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	c.cmd.Stderr = &c.stderr
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(c.ended)
		for s := bufio.NewScanner(out); s.Scan(); {
			c.event(s.Bytes())
		}
		_ = c.cmd.Wait() // it ends by a signal, or is done
	}()
	t.Cleanup(func() {
		_ = c.cmd.Process.Kill() // fails only when it has ended
		<-c.ended
		if t.Failed() {
			t.Logf("%s: %s", c.name, c.stderr.String())
		}
	})
	return c
}

// event takes a line of the program's output.
func (c *javaConsumer) event(line []byte) {
	var e struct {
		Name       string `json:"name"`
		Partitions []struct {
			Partition int32 `json:"partition"`
			MinOffset int64 `json:"minOffset"`
			MaxOffset int64 `json:"maxOffset"`
		} `json:"partitions"`
	}
	if json.Unmarshal(line, &e) != nil {
		return // not an event
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range e.Partitions {
		switch e.Name {
		case "partitions_assigned":
			c.owns[p.Partition] = true
		case "partitions_revoked":
			delete(c.owns, p.Partition)
		case "records_consumed":
			c.read.add(p.Partition, p.MinOffset, p.MaxOffset)
		}
	}
}

func (c *javaConsumer) owned() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.owns)
}

// leave lets the member leave its group, and waits until it has ended.
func (c *javaConsumer) leave() {
	c.t.Helper()
	if err := c.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		c.t.Fatalf("%s: %v", c.name, err)
	}
	c.awaitEnd()
}

func (c *javaConsumer) awaitEnd() {
	c.t.Helper()
	select {
	case <-c.ended:
	case <-time.After(javaLimit):
		c.t.Fatalf("%s does not end: %s", c.name, c.stderr.String())
	}
}

// startQuickGroupsNode runs a node whose groups of the new protocol hear each other soon.
func startQuickGroupsNode(t *testing.T) *node {
	t.Helper()
	cfg := configs.Default().Broker
	cfg.Listen, cfg.OffsetsPartitions = "127.0.0.1:0", 4
	cfg.GroupConsumerHeartbeatInterval, cfg.GroupConsumerHeartbeatIntervalMin = configs.Duration(300*time.Millisecond), configs.Duration(100*time.Millisecond)
	return startNodeWith(t, t.TempDir(), cfg)
}

// TestVerifiableClients: what Kafka's VerifiableProducer was acknowledged, its
// VerifiableConsumer reads once, with each group protocol.
func TestVerifiableClients(t *testing.T) {
	t.Parallel()
	n := startQuickGroupsNode(t)
	n.createTopic("shared", 6)
	out := n.tool(t, verifiableProducer, "--topic", "shared", "--max-messages", "600", "--acks", "-1")
	if got := strings.Count(out, `"name":"producer_send_success"`); got != 600 {
		t.Fatalf("%d records were acknowledged:\n%s", got, out[max(0, len(out)-2000):])
	}
	contains(t, "producer", out, `"sent":600`, `"acked":600`)
	for _, protocol := range []string{"classic", "consumer"} {
		read := &readOffsets{times: map[string]int{}}
		c := startJavaConsumer(t, n, protocol, protocol, read, "--max-messages", "600")
		c.awaitEnd()
		if records, again := read.count(); records != 600 || len(again) > 0 {
			t.Errorf("%s: %d records were read, more than once %v: %s", protocol, records, again, c.stderr.String())
		}
		n.tool(t, consumerGroupCommand, "--delete", "--group", "java")
	}
}

// TestJavaGroupMigration: Java clients of both protocols in one group, which goes
// from classic to the new protocol and back while it reads, by a member that comes and
// leaves, and by exchange of all its members. Each record is read once.
func TestJavaGroupMigration(t *testing.T) {
	t.Parallel()
	n := startQuickGroupsNode(t)
	n.createTopic("shared", 6)
	admin := franz(t, n)
	kind := func() string {
		resp, err := kmsg.NewPtrListGroupsRequest().RequestWith(t.Context(), admin)
		if err != nil {
			t.Fatal(err)
		}
		if len(resp.Groups) != 1 {
			return ""
		}
		return resp.Groups[0].GroupType + " " + resp.Groups[0].GroupState
	}
	read := &readOffsets{times: map[string]int{}}
	sent := 0
	readAll := func(when, want string) {
		t.Helper()
		eventuallyWithin(t, javaLimit, when+" the group is "+want, func() bool { return kind() == want })
		for range 60 {
			if err := admin.ProduceSync(t.Context(), &kgo.Record{Topic: "shared", Value: []byte("record")}).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
		sent += 60
		eventuallyWithin(t, javaLimit, when+" everything is read", func() bool { records, _ := read.count(); return records == sent })
	}
	all := func(c *javaConsumer) {
		t.Helper()
		eventuallyWithin(t, javaLimit, c.name+" owns everything", func() bool { return c.owned() == 6 })
	}
	share := func(a, b *javaConsumer) {
		t.Helper()
		eventuallyWithin(t, javaLimit, a.name+" and "+b.name+" share", func() bool { return a.owned() == 3 && b.owned() == 3 })
	}

	classic := startJavaConsumer(t, n, "the first classic member", "classic", read)
	all(classic)
	readAll("at first", "classic Stable")

	visitor := startJavaConsumer(t, n, "a visitor of the new protocol", "consumer", read)
	share(classic, visitor)
	readAll("with a visitor", "consumer Stable")
	visitor.leave()
	all(classic)
	readAll("without the visitor", "classic Stable")

	modern := startJavaConsumer(t, n, "the member of the new protocol", "consumer", read)
	share(classic, modern)
	classic.leave()
	all(modern)
	readAll("upgraded", "consumer Stable")

	again := startJavaConsumer(t, n, "the second classic member", "classic", read)
	share(modern, again)
	modern.leave()
	all(again)
	readAll("downgraded", "classic Stable")

	if _, twice := read.count(); len(twice) > 0 {
		t.Errorf("read more than once: %v", twice)
	}
}
