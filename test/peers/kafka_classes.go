package peers

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// Archives of the classes that Kafka's programs load, made by Java itself (class data
// sharing): with them they start in half of the time.
const (
	toolClasses   = "tools.jsa"
	serverClasses = "server.jsa"
)

// kafkaArgs are Java's arguments for one of Kafka's programs, up to its main class.
// Java goes without an archive that is not its own, and does not mention it.
func kafkaArgs(t testing.TB, archive, mainClass string) []string {
	t.Helper()
	archive = filepath.Join(kafkaClasses(t), archive)
	return append(quickJVM(), "-Xlog:disable", "-XX:SharedArchiveFile="+archive, "-cp", KafkaClasspath(t), mainClass)
}

// kafkaClasses returns the folder of the archives. They are made once: a server and a
// tool that is its client archive at their end what they loaded.
func kafkaClasses(t testing.TB) string {
	t.Helper()
	classpath := KafkaClasspath(t)
	return install(t, "kafka-"+kafkaVersion+"-classes", func(tmp string) error {
		java := func(archive, mainClass string, args ...string) *exec.Cmd {
			argv := append(quickJVM(), "-Xlog:disable", "-XX:ArchiveClassesAtExit="+filepath.Join(tmp, archive), "-cp", classpath, mainClass)
			cmd := exec.Command("java", append(argv, args...)...)
			cmd.Dir, cmd.SysProcAttr = tmp, &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
			return cmd
		}
		addr, controller, data := FreeAddr(t), FreeAddr(t), filepath.Join(tmp, "data")
		properties := filepath.Join(tmp, "server.properties")
		text := fmt.Sprintf("process.roles=broker,controller\nnode.id=1\ncontroller.quorum.voters=1@%[2]s\nlisteners=PLAINTEXT://%[1]s,CONTROLLER://%[2]s\n"+
			"controller.listener.names=CONTROLLER\nlog.dirs=%[3]s\noffsets.topic.replication.factor=1\noffsets.topic.num.partitions=1\n", addr, controller, data)
		if err := os.WriteFile(properties, []byte(text), 0o644); err != nil {
			return err
		}
		if err := run(tmp, "java", append(quickJVM(), "-cp", classpath, "kafka.tools.StorageTool", "format", "-t", "bWlsbHJhY2UtcGVlci0wMQ", "-c", properties)...); err != nil {
			return err
		}
		server := start(t, java(serverClasses, "kafka.Kafka", properties), filepath.Join(tmp, "server.log"))
		server.await(t, "Kafka", func() error { return answersApiVersions(addr) })
		if out, err := java(toolClasses, "org.apache.kafka.tools.EndToEndLatency", addr, "classes", "10", "all", "100").CombinedOutput(); err != nil {
			return fmt.Errorf("%w: %s", err, tail(string(out), 2000))
		}
		server.Stop(t)
		return os.RemoveAll(data)
	})
}
