package bench

import (
	"testing"
	"time"

	"github.com/millrace/millrace/test/peers"
)

// serverJVM are the flags that Apache Kafka's own start script uses, with the
// heap that it sets.
func serverJVM() []string {
	return []string{"-Xmx1g", "-Xms1g", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20", "-XX:InitiatingHeapOccupancyPercent=35", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"}
}

// startAndIdle measures the time until the first answer and the memory of a
// process without work.
func startAndIdle(t testing.TB, binary string) *table {
	tab := newTable("Start and idle", "`millrace up` runs broker, agent, pipelines, search node and console; Kafka is one KRaft node with 1 GiB of heap; Elasticsearch has 1 GiB.",
		"millrace up", "Apache Kafka", "Elasticsearch")
	for range rounds {
		p := run(t, binary, "", "up")
		idle(t)
		tab.add("start until ready, s", "millrace up", p.Took.Seconds())
		tab.add("resident idle, MiB", "millrace up", used(t, p.Pid()).residentMiB)
		p.Kill()
	}
	kafka := peers.Kafka(t, peers.KafkaJVM(serverJVM()...))
	for range rounds {
		kafka.Kill()
		began := time.Now()
		kafka.Start()
		tab.add("start until ready, s", "Apache Kafka", time.Since(began).Seconds())
	}
	idle(t)
	tab.add("resident idle, MiB", "Apache Kafka", used(t, kafka.Pid()).residentMiB)
	kafka.Kill()
	began := time.Now()
	elasticsearch := peers.Elasticsearch(t)
	tab.add("start until ready, s", "Elasticsearch", time.Since(began).Seconds())
	tab.add("resident idle, MiB", "Elasticsearch", used(t, elasticsearch.Pid()).residentMiB)
	elasticsearch.Kill()
	return tab
}

// idle lets a process settle for the time that the measurement defines.
func idle(t testing.TB) {
	t.Helper()
	<-time.After(5 * time.Second)
}
