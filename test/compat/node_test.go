package compat

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"go.uber.org/goleak"

	"github.com/millrace/millrace/broker"
	"github.com/millrace/millrace/configs"
)

func TestMain(m *testing.M) {
	// sarama keeps a goroutine per registry of its metrics.
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/rcrowley/go-metrics.(*meterArbiter).tick"))
}

// node is a broker that runs in this process and is reached over TCP.
type node struct {
	t testing.TB
	// addr is its bootstrap address, dir its data directory.
	addr, dir string
	// listeners returns the address of a listener.
	listeners func(name string) string
	stop      func()
}

// startNode runs a node until the test ends or stop is called.
func startNode(t testing.TB) *node {
	t.Helper()
	return startNodeIn(t, t.TempDir())
}

func startNodeIn(t testing.TB, dir string) *node {
	t.Helper()
	cfg := configs.Default().Broker
	cfg.Listen, cfg.OffsetsPartitions = "127.0.0.1:0", 4
	return startNodeWith(t, dir, cfg)
}

func startNodeWith(t testing.TB, dir string, cfg configs.Broker) *node {
	t.Helper()
	if againstKafka() {
		return startKafka(t, cfg)
	}
	log := &lines{}
	b, err := broker.New(cfg, broker.Options{Dir: dir, Logger: slog.New(slog.NewTextHandler(log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx) }()
	n := &node{t: t, addr: b.Addr(), dir: dir}
	n.listeners = func(name string) string {
		addr, ok := b.ListenerAddr(name)
		if !ok {
			t.Fatalf("the node has no listener %s", name)
		}
		return addr
	}
	n.stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("the node ended with %v", err)
			}
		case <-time.After(time.Minute):
			t.Error("the node did not stop within a minute")
		}
	})
	t.Cleanup(func() {
		n.stop()
		if t.Failed() {
			t.Log("the node's log:\n" + log.String())
		}
	})
	return n
}

// createTopic makes a topic by sarama, for tests of something else.
func (n *node) createTopic(name string, partitions int32) {
	n.t.Helper()
	admin, err := sarama.NewClusterAdmin([]string{n.addr}, saramaConfig(sarama.V2_8_0_0))
	if err != nil {
		n.t.Fatal(err)
	}
	defer admin.Close()
	if err := admin.CreateTopic(name, &sarama.TopicDetail{NumPartitions: partitions, ReplicationFactor: 1}, false); err != nil {
		n.t.Fatal(err)
	}
	// Apache Kafka answers before the topic can be seen.
	eventuallyWithin(n.t, time.Minute, "topic "+name+" is there", func() bool {
		topics, err := admin.DescribeTopics([]string{name})
		return err == nil && len(topics) == 1 && topics[0].Err == sarama.ErrNoError && len(topics[0].Partitions) == int(partitions)
	})
}

// lines is a log that several goroutines write.
type lines struct {
	mu sync.Mutex
	b  strings.Builder
}

// Write takes one log line.
func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// String returns what was logged.
func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// eventually waits until ok is true, looking every 20 ms for two minutes.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	eventuallyWithin(t, 2*time.Minute, what, ok)
}

// eventuallyWithin is [eventually] with another limit, for programs that take long to start.
func eventuallyWithin(t testing.TB, limit time.Duration, what string, ok func() bool) {
	t.Helper()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(limit)
	for !ok() {
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatalf("it did not come to pass that %s", what)
		}
	}
}
