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

// brokerRestart measures from the start of a process that was killed to its
// first acknowledged record.
func brokerRestart(t testing.TB, binary string) []*table {
	size := max(setting(t, "MILLRACE_BENCH_RESTART_MIB", 256)*int(scale(t))/100, 1)
	tab := newTable("Restart after kill -9 until the first acknowledged record, s",
		fmt.Sprintf("%d partitions, %d MiB in them, written just before.", startPartitions, size), "Millrace fsync", "Apache Kafka").wants(goal{ratioMax: 1, valueMax: 0.3})
	c := loadCase{recordBytes: 1024, partitions: startPartitions, producers: 1, codec: kgo.NoCompression(), bytes: int64(size) * mib}
	for _, begin := range []func(testing.TB, string) restarted{restartedMillrace, restartedKafka} {
		s := begin(t, binary)
		g := generator{t, s.bootstrap}
		g.createTopic("restart", startPartitions)
		g.produce("restart", c)
		for range runs(t) {
			s.kill()
			began := time.Now()
			s.start()
			client := g.client(kgo.DefaultProduceTopic("restart"))
			if err := client.ProduceSync(t.Context(), &kgo.Record{Value: []byte("first")}).FirstErr(); err != nil {
				t.Fatalf("the first record after a restart of %s: %v", s.name, err)
			}
			tab.add("start to first record", s.name, time.Since(began).Seconds())
			client.Close()
		}
		s.kill()
	}
	return []*table{tab}
}

func restartedMillrace(t testing.TB, binary string) restarted {
	p := run(t, binary, "", "broker")
	return restarted{"Millrace fsync", p.Broker, p.Kill, p.Start}
}

func restartedKafka(t testing.TB, _ string) restarted {
	k := peers.Kafka(t, peers.KafkaJVM(serverJVM()...))
	return restarted{"Apache Kafka", k.Bootstrap, func() { k.Kill() }, k.Start}
}
