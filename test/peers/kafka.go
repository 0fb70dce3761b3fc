package peers

import (
	"bytes"
	"context"
	"encoding/xml"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// KafkaServer is one Apache Kafka node in KRaft mode.
type KafkaServer struct {
	*Process
	// Bootstrap is its host:port.
	Bootstrap string
	// LogDir is its log.dirs.
	LogDir string

	t          testing.TB
	properties string
	dir        string
	starts     int
	heap       []string
}

// KafkaOption changes how a server is started.
type KafkaOption func(*kafkaOptions)

type kafkaOptions struct {
	properties []string
	listeners  []string
	host       string
	jvm        []string
}

// KafkaProperties adds lines to server.properties.
func KafkaProperties(lines ...string) KafkaOption {
	return func(o *kafkaOptions) { o.properties = append(o.properties, lines...) }
}

// KafkaListener adds a listener beside PLAINTEXT. Its protocol and whatever that
// needs are for [KafkaProperties].
func KafkaListener(name, addr string) KafkaOption {
	return func(o *kafkaOptions) { o.listeners = append(o.listeners, name+"://"+addr) }
}

// KafkaHost is the name of this host that the server tells its clients.
func KafkaHost(name string) KafkaOption {
	return func(o *kafkaOptions) { o.host = name }
}

// KafkaJVM replaces the flags of the server's Java machine, for benchmarks;
// the default starts quickly rather than running fast.
func KafkaJVM(flags ...string) KafkaOption {
	return func(o *kafkaOptions) { o.jvm = flags }
}

// quickJVM are flags for a Java program that runs for seconds.
func quickJVM() []string {
	return []string{"-Xms128m", "-Xmx768m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"}
}

// KafkaClasspath returns the classpath of Apache Kafka's servers and tools.
func KafkaClasspath(t testing.TB) string {
	t.Helper()
	for _, program := range []string{"java", "mvn"} {
		if _, err := exec.LookPath(program); err != nil {
			Missing(t, "Apache Kafka needs %s: apt-get install default-jdk-headless maven", program)
		}
	}
	return javaLibraries(t, "kafka-"+kafkaVersion,
		pomDependency{GroupID: "org.apache.kafka", ArtifactID: "kafka_2.13", Version: kafkaVersion},
		pomDependency{GroupID: "org.apache.kafka", ArtifactID: "kafka-tools", Version: kafkaVersion},
		pomDependency{GroupID: "org.apache.kafka", ArtifactID: "connect-mirror", Version: kafkaVersion},
		pomDependency{GroupID: "org.slf4j", ArtifactID: "slf4j-simple", Version: "1.7.36"})
}

// javaLibraries returns the classpath of libraries and what they need, which Maven fetches once.
func javaLibraries(t testing.TB, name string, libraries ...pomDependency) string {
	t.Helper()
	libs := install(t, name, func(tmp string) error {
		pom, err := xml.MarshalIndent(pomProject{
			Model: "4.0.0", GroupID: "millrace.test", ArtifactID: "peers", Version: "1", Packaging: "pom", Dependencies: libraries,
		}, "", " ")
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(tmp, "pom.xml"), pom, 0o644); err != nil {
			return err
		}
		return run(tmp, "mvn", "-q", "-B", "dependency:copy-dependencies", "-DoutputDirectory="+tmp)
	})
	return filepath.Join(libs, "*")
}

type pomDependency struct {
	GroupID    string `xml:"groupId"`
	ArtifactID string `xml:"artifactId"`
	Version    string `xml:"version"`
	Classifier string `xml:"classifier,omitempty"`
}

type pomProject struct {
	XMLName      xml.Name        `xml:"project"`
	Model        string          `xml:"modelVersion"`
	GroupID      string          `xml:"groupId"`
	ArtifactID   string          `xml:"artifactId"`
	Version      string          `xml:"version"`
	Packaging    string          `xml:"packaging"`
	Dependencies []pomDependency `xml:"dependencies>dependency"`
}

// KafkaTool runs one of Apache Kafka's command-line programs by its main
// class and returns what it printed on standard output. The error holds
// standard error.
func KafkaTool(t testing.TB, mainClass string, args ...string) (string, error) {
	t.Helper()
	return KafkaToolInput(t, "", mainClass, args...)
}

// KafkaToolInput is [KafkaTool] with a standard input.
func KafkaToolInput(t testing.TB, stdin, mainClass string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "java", append(kafkaArgs(t, toolClasses, mainClass), args...)...)
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stdout.String(), fmt.Errorf("%s %s: %w: %s", mainClass, strings.Join(args, " "), err, tail(stderr.String(), 3000))
	}
	return stdout.String(), nil
}

// KafkaProgram returns one of Apache Kafka's programs, not started, that ends with
// the test process at the latest.
func KafkaProgram(t testing.TB, mainClass string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("java", append(kafkaArgs(t, toolClasses, mainClass), args...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

// Kafka starts a fresh Apache Kafka node for the test.
func Kafka(t testing.TB, opts ...KafkaOption) *KafkaServer {
	t.Helper()
	o := kafkaOptions{host: "127.0.0.1"}
	for _, opt := range opts {
		opt(&o)
	}
	dir := t.TempDir()
	addr, controller := FreeAddr(t), FreeAddr(t)
	s := &KafkaServer{
		Bootstrap: addr, LogDir: filepath.Join(dir, "logs"), t: t, dir: dir,
		properties: filepath.Join(dir, "server.properties"), heap: o.jvm,
	}
	extra := strings.Join(append([]string{""}, o.listeners...), ",")
	lines := append([]string{
		"process.roles=broker,controller",
		"node.id=1",
		"controller.quorum.voters=1@" + controller,
		"listeners=PLAINTEXT://" + addr + extra + ",CONTROLLER://" + controller,
		"advertised.listeners=" + strings.ReplaceAll("PLAINTEXT://"+addr+extra, "//127.0.0.1:", "//"+o.host+":"),
		"controller.listener.names=CONTROLLER",
		"log.dirs=" + s.LogDir,
		"offsets.topic.replication.factor=1",
		"offsets.topic.num.partitions=4",
		"transaction.state.log.replication.factor=1",
		"transaction.state.log.min.isr=1",
		"share.coordinator.state.topic.replication.factor=1",
		"share.coordinator.state.topic.min.isr=1",
		"group.initial.rebalance.delay.ms=100",
	}, o.properties...)
	if err := os.WriteFile(s.properties, []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
		t.Fatalf("start Kafka: %v", err)
	}
	if out, err := KafkaTool(t, "kafka.tools.StorageTool", "format", "-t", "bWlsbHJhY2UtcGVlci0wMQ", "-c", s.properties); err != nil {
		t.Fatalf("format Kafka's storage: %v: %s", err, tail(out, 2000))
	}
	s.Start()
	return s
}

// Start starts the node again on its own data after [Process.Kill], and
// waits until it answers.
func (s *KafkaServer) Start() {
	s.t.Helper()
	argv := []string{"-Duser.timezone=UTC", "-Dorg.slf4j.simpleLogger.showDateTime=true", "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss'Z'"}
	if s.heap != nil {
		argv = slices.Concat(argv, s.heap, []string{"-cp", KafkaClasspath(s.t), "kafka.Kafka", s.properties})
	} else {
		argv = slices.Concat(argv, kafkaArgs(s.t, serverClasses, "kafka.Kafka"), []string{s.properties})
	}
	s.starts++
	s.Process = start(s.t, exec.Command("java", argv...), filepath.Join(s.dir, fmt.Sprintf("server-%d.log", s.starts)))
	s.await(s.t, "Kafka", func() error { return answersApiVersions(s.Bootstrap) })
}

// answersApiVersions sends an ApiVersions v0 request, which a node answers once
// it is ready to serve clients.
func answersApiVersions(addr string) error {
	conn, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(2 * time.Second)); err != nil {
		return err
	}
	// length 10, key 18, version 0, correlation id 1, null client id
	if _, err := conn.Write([]byte{0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xff}); err != nil {
		return err
	}
	_, err = conn.Read(make([]byte, 8))
	return err
}
