package peers

import (
	"os/exec"
	"syscall"
	"testing"
)

// KafkaStreamsTest returns one of the programs by which Apache Kafka tests Kafka Streams with a
// cluster (org.apache.kafka.streams.tests), not started, that ends with the test process at the latest.
func KafkaStreamsTest(t testing.TB, mainClass string, args ...string) *exec.Cmd {
	t.Helper()
	KafkaClasspath(t) // which says what is missing
	classpath := javaLibraries(t, "kafka-streams-"+kafkaVersion,
		pomDependency{GroupID: "org.apache.kafka", ArtifactID: "kafka-streams", Version: kafkaVersion},
		pomDependency{GroupID: "org.apache.kafka", ArtifactID: "kafka-streams", Version: kafkaVersion, Classifier: "test"},
		pomDependency{GroupID: "org.apache.kafka", ArtifactID: "kafka-clients", Version: kafkaVersion, Classifier: "test"},
		pomDependency{GroupID: "org.junit.jupiter", ArtifactID: "junit-jupiter-api", Version: "5.13.4"}, // TestUtils wants it
		pomDependency{GroupID: "org.hamcrest", ArtifactID: "hamcrest", Version: "3.0"},
		pomDependency{GroupID: "org.slf4j", ArtifactID: "slf4j-simple", Version: "1.7.36"})
	cmd := exec.Command("java", append(append(quickJVM(), "-cp", classpath, mainClass), args...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}
