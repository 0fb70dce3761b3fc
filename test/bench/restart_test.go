package bench

import (
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/test/peers"
)

// startPartitions is the number of partitions of a restart.
const startPartitions = 1000

// restarted is a server that can be killed and started again.
type restarted struct {
	name, bootstrap string
	kill, start     func()
}

// begin starts a killed server and returns how long it took from the start of
// its process until a record was acknowledged.
func (s restarted) begin(t testing.TB, topic string) time.Duration {
	t.Helper()
	began := time.Now()
	s.start()
	client := generator{t, s.bootstrap}.client(kgo.DefaultProduceTopic(topic))
	defer client.Close()
	if err := client.ProduceSync(t.Context(), &kgo.Record{Value: []byte("first")}).FirstErr(); err != nil {
		t.Fatalf("the first record after a restart of %s: %v", s.name, err)
	}
	return time.Since(began)
}

// brokerRestart measures from the start of a process that was killed to its
// first acknowledged record.
func brokerRestart(t testing.TB, binary string) []*table {
	tab := newRestartTable()
	size := restartMiB(t)
	c := loadCase{recordBytes: 1024, partitions: startPartitions, producers: 1, codec: kgo.NoCompression(), bytes: int64(size) * mib}
	for _, begin := range []func(testing.TB, string) restarted{restartedMillrace, restartedKafka} {
		s := begin(t, binary)
		g := generator{t, s.bootstrap}
		g.createTopic("restart", startPartitions)
		g.produce("restart", c)
		for range runs(t) {
			s.kill()
			tab.add(fmt.Sprintf("%d MiB in all partitions, written just before", size), s.name, s.begin(t, "restart").Seconds())
		}
		s.kill()
	}
	restartLarge(t, binary, tab)
	return []*table{tab}
}

func newRestartTable() *table {
	return newTable("Restart after kill -9 until the first acknowledged record, s",
		fmt.Sprintf("%d partitions, from the start of the process. %s", startPartitions, largeNote), "Millrace fsync", "Apache Kafka").
		wants(goal{ratioMax: 1, valueMax: 0.3})
}

// restartMiB is how much is in all partitions of the smaller restart.
func restartMiB(t testing.TB) int {
	return max(setting(t, "MILLRACE_BENCH_RESTART_MIB", 256)*int(scale(t))/100, 1)
}

func restartedMillrace(t testing.TB, binary string) restarted {
	p := run(t, binary, "", "broker")
	return restarted{"Millrace fsync", p.Broker, p.Kill, p.Start}
}

func restartedKafka(t testing.TB, _ string) restarted {
	k := peers.Kafka(t, peers.KafkaJVM(serverJVM()...))
	return restarted{"Apache Kafka", k.Bootstrap, func() { k.Kill() }, k.Start}
}
