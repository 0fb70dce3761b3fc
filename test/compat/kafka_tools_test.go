package compat

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"

	"github.com/millrace/millrace/test/peers"
)

// Main classes of Apache Kafka's tools.
const (
	topicCommand         = "org.apache.kafka.tools.TopicCommand"
	configCommand        = "kafka.admin.ConfigCommand"
	consoleProducer      = "org.apache.kafka.tools.ConsoleProducer"
	consoleConsumer      = "org.apache.kafka.tools.consumer.ConsoleConsumer"
	consumerGroupCommand = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand"
	getOffsetShell       = "org.apache.kafka.tools.GetOffsetShell"
	producerPerformance  = "org.apache.kafka.tools.ProducerPerformance"
	consumerPerformance  = "org.apache.kafka.tools.ConsumerPerformance"
	logDirsCommand       = "org.apache.kafka.tools.LogDirsCommand"
	deleteRecordsCommand = "org.apache.kafka.tools.DeleteRecordsCommand"
	brokerAPIVersions    = "org.apache.kafka.tools.BrokerApiVersionsCommand"
	clusterTool          = "org.apache.kafka.tools.ClusterTool"
	dumpLogSegments      = "kafka.tools.DumpLogSegments"
)

// sendNumbers produces records "0" to "count-1" to partition 0, their
// timestamps one second apart from startMs on.
func (n *node) sendNumbers(topic string, count int, startMs int64) {
	n.t.Helper()
	p, err := sarama.NewSyncProducer([]string{n.addr}, saramaConfig(sarama.V2_8_0_0))
	if err != nil {
		n.t.Fatal(err)
	}
	defer p.Close()
	var messages []*sarama.ProducerMessage
	for i := range count {
		messages = append(messages, &sarama.ProducerMessage{
			Topic: topic, Key: sarama.StringEncoder("k"), Value: sarama.StringEncoder(fmt.Sprint(i)), Timestamp: time.UnixMilli(startMs + 1000*int64(i)),
		})
	}
	if err := p.SendMessages(messages); err != nil {
		n.t.Fatal(err)
	}
}

func TestTopicAndConfigCommand(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	contains(t, "create", n.tool(t, topicCommand, "--create", "--topic", "tools", "--partitions", "2", "--config", "retention.ms=86400000"), "Created topic tools.")
	if out, err := peers.KafkaTool(t, topicCommand, "--bootstrap-server", n.addr, "--create", "--topic", "tools"); err == nil || !strings.Contains(out+err.Error(), "already exists") {
		t.Errorf("create again: %q, %v", out, err)
	}
	contains(t, "list", n.tool(t, topicCommand, "--list"), "tools")
	n.tool(t, topicCommand, "--alter", "--topic", "tools", "--partitions", "3")
	contains(t, "describe", n.tool(t, topicCommand, "--describe", "--topic", "tools"),
		"Topic: tools", "PartitionCount: 3", "ReplicationFactor: 1", "retention.ms=86400000", "Partition: 2 Leader: 1 Replicas: 1 Isr: 1")

	n.tool(t, configCommand, "--alter", "--entity-type", "topics", "--entity-name", "tools", "--add-config", "retention.ms=1234567,max.message.bytes=2000000")
	contains(t, "configs", n.tool(t, configCommand, "--describe", "--entity-type", "topics", "--entity-name", "tools"), "retention.ms=1234567", "max.message.bytes=2000000")
	n.tool(t, configCommand, "--alter", "--entity-type", "topics", "--entity-name", "tools", "--delete-config", "retention.ms")
	all := n.tool(t, configCommand, "--describe", "--all", "--entity-type", "topics", "--entity-name", "tools")
	contains(t, "all configs", all, "max.message.bytes=2000000", "segment.bytes=", "cleanup.policy=delete")
	if strings.Contains(all, "1234567") {
		t.Errorf("the deleted config is still there:\n%s", all)
	}
	contains(t, "broker configs", n.tool(t, configCommand, "--describe", "--all", "--entity-type", "brokers", "--entity-name", "1"), "node.id=1")

	n.tool(t, topicCommand, "--delete", "--topic", "tools")
	if out := n.tool(t, topicCommand, "--list"); strings.Contains(out, "tools") {
		t.Errorf("the deleted topic is still there: %s", out)
	}
}

func TestClusterTools(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	contains(t, "api versions", n.tool(t, brokerAPIVersions), "(id: 1 rack: null isFenced: false) -> (", "Produce(0): 0 to 13", "JoinGroup(11): 0 to 9")
	out, err := peers.KafkaTool(t, clusterTool, "cluster-id", "--bootstrap-server", n.addr)
	if err != nil || !strings.Contains(out, "Cluster ID: ") {
		t.Errorf("cluster id: %q, %v", out, err)
	}
	n.createTopic("dirs", 1)
	n.sendNumbers("dirs", 10, time.Now().UnixMilli())
	contains(t, "log dirs", n.tool(t, logDirsCommand, "--describe", "--topic-list", "dirs"), `"partition":"dirs-0"`, `"isFuture":false`)
}

func TestConsoleProducerAndConsumer(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	n.createTopic("console", 1)
	n.toolInput(t, "k1:one\nk2:two\nk3:three\n", consoleProducer, "--topic", "console", "--property", "parse.key=true", "--property", "key.separator=:", "--compression-codec", "zstd")
	contains(t, "from the beginning", n.tool(t, consoleConsumer, "--topic", "console", "--from-beginning", "--max-messages", "3",
		"--property", "print.key=true", "--property", "print.offset=true"), "Offset:0 k1 one Offset:1 k2 two Offset:2 k3 three")
	contains(t, "from an offset", n.tool(t, consoleConsumer, "--topic", "console", "--partition", "0", "--offset", "2", "--max-messages", "1"), "three")
	group := []string{"--topic", "console", "--group", "console-group", "--max-messages", "2", "--consumer-property", "auto.offset.reset=earliest"}
	contains(t, "the group's first", n.tool(t, consoleConsumer, group...), "one two")
	n.sendNumbers("console", 1, time.Now().UnixMilli())
	contains(t, "the group goes on", n.tool(t, consoleConsumer, group...), "three 0")
}

func TestGetOffsetShellAndDeleteRecords(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	n.createTopic("offsets", 1)
	start := time.Now().Add(-time.Hour).UnixMilli() / 1000 * 1000
	n.sendNumbers("offsets", 100, start)
	deletion := filepath.Join(t.TempDir(), "deletion.json")
	if err := os.WriteFile(deletion, []byte(`{"partitions": [{"topic": "offsets", "partition": 0, "offset": 10}], "version": 1}`), 0o600); err != nil {
		t.Fatal(err)
	}
	contains(t, "delete records", n.tool(t, deleteRecordsCommand, "--offset-json-file", deletion), "partition: offsets-0 low_watermark: 10")
	for when, want := range map[string]string{
		"latest": "offsets:0:100", "-1": "offsets:0:100", "earliest": "offsets:0:10", "-2": "offsets:0:10", "max-timestamp": "offsets:0:99",
		"earliest-local": "offsets:0:10", fmt.Sprint(start + 50_000): "offsets:0:50", fmt.Sprint(start + 49_001): "offsets:0:50",
	} {
		contains(t, "offsets at "+when, n.tool(t, getOffsetShell, "--topic", "offsets", "--time", when), want)
	}
}

func TestPerformanceTools(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	n.createTopic("perf", 3)
	const records = "50000"
	out, err := peers.KafkaTool(t, producerPerformance, "--topic", "perf", "--num-records", records, "--record-size", "200", "--throughput", "-1",
		"--producer-props", "bootstrap.servers="+n.addr, "acks=all", "compression.type=lz4")
	if err != nil {
		t.Fatal(err)
	}
	contains(t, "producer", out, records+" records sent")
	contains(t, "consumer", n.tool(t, consumerPerformance, "--topic", "perf", "--messages", records, "--group", "perf-group", "--timeout", "30000"), ", "+records+", ")
}

// TestDumpLogSegments: Apache Kafka's own reader takes our files for its own.
func TestDumpLogSegments(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	n.createTopic("dump", 1)
	n.sendNumbers("dump", 300, time.Now().UnixMilli()-300_000)
	c := saramaConfig(sarama.V2_8_0_0)
	c.Producer.Idempotent, c.Net.MaxOpenRequests, c.Producer.Compression = true, 1, sarama.CompressionZSTD
	p, err := sarama.NewSyncProducer([]string{n.addr}, c)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		hardToCompress := make([]byte, 1000)
		rand.NewChaCha8([32]byte{byte(i)}).Read(hardToCompress)
		if _, _, err := p.SendMessage(&sarama.ProducerMessage{Topic: "dump", Value: sarama.StringEncoder(fmt.Sprintf("%x", hardToCompress))}); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	contains(t, "group", n.tool(t, consoleConsumer, "--topic", "dump", "--group", "dump-group", "--max-messages", "5", "--consumer-property", "auto.offset.reset=earliest"), "0 1 2 3 4")
	n.stop()

	dump := func(pattern string, args ...string) string {
		t.Helper()
		files, err := filepath.Glob(filepath.Join(n.dir, "logs", pattern))
		if err != nil || len(files) == 0 {
			t.Fatalf("no files %s: %v", pattern, err)
		}
		out, err := peers.KafkaTool(t, dumpLogSegments, append([]string{"--files", strings.Join(files, ",")}, args...)...)
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		if strings.Contains(out, "Found invalid") || strings.Contains(out, "Mismatches in") || strings.Contains(out, "Non-consecutive") {
			t.Errorf("files %s:\n%s", pattern, out[max(0, len(out)-4000):])
		}
		return out
	}
	contains(t, "segment", dump("dump-0/*.log", "--print-data-log", "--deep-iteration"),
		"baseOffset: 0 ", "lastOffset: 299 ", "isvalid: true", "offset: 299", "key: k payload: 299", "compresscodec: zstd")
	contains(t, "index", dump("dump-0/*.index", "--index-sanity-check"), "passed sanity check")
	dump("dump-0/*.index")
	contains(t, "time index", dump("dump-0/*.timeindex", "--index-sanity-check"), "passed sanity check")
	dump("dump-0/*.timeindex")
	contains(t, "snapshot", dump("dump-0/*.snapshot"), "producerId:", "lastSequence: 19")
	contains(t, "committed offsets", dump("__consumer_offsets-*/*.log", "--offsets-decoder"),
		`"group":"dump-group","topic":"dump","partition":0`, `"offset":5`, `"protocolType":"consumer","generation":1,"protocol":"range"`, `"sessionTimeout":45000`)
}
