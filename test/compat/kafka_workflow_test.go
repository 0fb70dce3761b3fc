package compat

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/millrace/millrace/test/peers"
	"github.com/millrace/millrace/test/process"
)

// kafkaServerProperties is a file as Kafka's distribution has it, of one node.
const kafkaServerProperties = `# The role of this server. Setting this puts us in KRaft mode
process.roles=broker,controller
node.id=5
controller.quorum.voters=5@%[2]s

listeners=PLAINTEXT://%[1]s,CONTROLLER://%[2]s
inter.broker.listener.name=PLAINTEXT
advertised.listeners=PLAINTEXT://%[1]s
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,\
    SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL
num.network.threads=3
num.io.threads=8
socket.send.buffer.bytes=102400
log.dirs=%[3]s
num.partitions=3
offsets.topic.replication.factor=1
log.retention.hours=168
log.segment.bytes=1073741824
log.retention.check.interval.ms=300000
group.initial.rebalance.delay.ms=0
`

// propertiesNode runs the built binary, or Apache Kafka, with a server.properties.
type propertiesNode struct {
	t                     *testing.T
	binary, file, dir, at string
	log                   *lines
	cmd                   *exec.Cmd
}

func newPropertiesNode(t *testing.T, binary string) *propertiesNode {
	t.Helper()
	dir := t.TempDir()
	n := &propertiesNode{t: t, binary: binary, file: filepath.Join(dir, "server.properties"), dir: filepath.Join(dir, "kraft-logs"), at: peers.FreeAddr(t), log: &lines{}}
	content := fmt.Sprintf(kafkaServerProperties, n.at, peers.FreeAddr(t), n.dir)
	if err := os.WriteFile(n.file, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return n
}

// run runs a command of the binary to its end.
func (n *propertiesNode) run(args ...string) (string, error) {
	n.t.Helper()
	var out, stderr bytes.Buffer
	cmd := exec.CommandContext(n.t.Context(), n.binary, args...)
	cmd.Stdout, cmd.Stderr = &out, &stderr
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("%v: %w: %s", args, err, stderr.String())
	}
	return out.String(), nil
}

func (n *propertiesNode) start() {
	n.t.Helper()
	cmd := exec.Command(n.binary, "broker", "--server-properties", n.file)
	if againstKafka() {
		cmd = peers.KafkaProgram(n.t, "kafka.Kafka", n.file)
	}
	cmd.Stdout, cmd.Stderr = n.log, n.log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		n.t.Fatal(err)
	}
	n.cmd = cmd
	n.t.Cleanup(func() { _ = cmd.Process.Kill() })
	eventuallyWithin(n.t, 2*time.Minute, "the broker listens", func() bool {
		conn, err := net.DialTimeout("tcp", n.at, time.Second)
		if err != nil {
			return false
		}
		return conn.Close() == nil
	})
}

func (n *propertiesNode) stop() {
	n.t.Helper()
	if err := n.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		n.t.Fatal(err)
	}
	err := n.cmd.Wait()
	if err != nil && (!againstKafka() || n.cmd.ProcessState.ExitCode() != exitOfJavaBySIGTERM) {
		n.t.Fatalf("stop: %v\n%s", err, n.log)
	}
}

// exitOfJavaBySIGTERM is the status of a Java program that ended in order.
const exitOfJavaBySIGTERM = 143

// storage is kafka-storage as the node's own side has it.
func (n *propertiesNode) storage(args ...string) (string, error) {
	n.t.Helper()
	if againstKafka() {
		return peers.KafkaTool(n.t, storageTool, args...)
	}
	return n.run(append([]string{"broker"}, args...)...)
}

func (n *propertiesNode) tool(stdin, class string, args ...string) string {
	n.t.Helper()
	out, err := peers.KafkaToolInput(n.t, stdin, class, append([]string{"--bootstrap-server", n.at}, args...)...)
	if err != nil {
		n.t.Fatalf("%v\n%s", err, n.log)
	}
	return out
}

// TestServerProperties runs the binary with Kafka's own configuration file.
func TestServerProperties(t *testing.T) {
	t.Parallel()
	onlyOurs(t, "how our binary is started")
	binary, err := process.Build(t.TempDir(), "../..")
	if err != nil {
		t.Fatal(err)
	}
	workflowOfKafkasOwnTools(t, newPropertiesNode(t, binary))
}

// workflowOfKafkasOwnTools formats, runs, and works with Kafka's own tools.
func workflowOfKafkasOwnTools(t *testing.T, n *propertiesNode) {
	t.Helper()
	id, err := n.run("broker", "random-uuid")
	if err != nil {
		t.Fatal(err)
	}
	id = strings.TrimSpace(id)
	out, err := n.run("broker", "format", "--cluster-id", id, "-c", n.file, "--standalone")
	if err != nil || out != "Formatting metadata directory "+n.dir+" with metadata.version 4.1-IV1.\n" {
		t.Fatalf("format: %q, %v", out, err)
	}
	if _, err := n.run("broker", "format", "--cluster-id", id, "-c", n.file); err == nil || !strings.Contains(err.Error(), "is already formatted") {
		t.Errorf("format again: %v", err)
	}
	n.start()
	contains(t, "create", n.tool("", topicCommand, "--create", "--topic", "orders"), "Created topic orders.")
	contains(t, "describe", n.tool("", topicCommand, "--describe", "--topic", "orders"), "PartitionCount: 3", "Leader: 5")
	n.tool("a\nb\nc\n", consoleProducer, "--topic", "orders")
	if got := strings.Fields(n.tool("", consoleConsumer, "--topic", "orders", "--from-beginning", "--max-messages", "3", "--timeout-ms", "20000", "--group", "g")); len(got) != 3 {
		t.Errorf("consumed %v", got)
	}
	contains(t, "quorum", n.tool("", metadataQuorumCommand, "describe", "--status"), id, "LeaderId:")
	contains(t, "log dirs", n.tool("", logDirsCommand, "--describe", "--topic-list", "orders"), n.dir)
	n.stop()
	if got := strings.Count(n.log.String(), "have no meaning here"); got != 1 || !strings.Contains(n.log.String(), "num.io.threads num.network.threads socket.send.buffer.bytes") {
		t.Errorf("%d warnings about ignored keys:\n%s", got, n.log)
	}
	if _, err := os.Stat(filepath.Join(n.dir, "orders-0", "00000000000000000000.log")); err != nil {
		t.Error(err)
	}
}
