package agent_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/millrace/millrace/agent"
	"github.com/millrace/millrace/configs"
	"github.com/millrace/millrace/internal/record"
)

// line is one record of a topic.
type line struct {
	partition int32
	offset    int64
	value     string
	origin    record.Origin
	time      time.Time
}

// reader consumes all partitions of a topic from the start.
type reader struct {
	t     testing.TB
	lines chan line
	have  []line
}

func newReader(t testing.TB, bootstrap, topic string) *reader {
	t.Helper()
	conf := sarama.NewConfig()
	conf.Version = sarama.V2_8_0_0
	conf.Consumer.Return.Errors = false
	client, err := sarama.NewClient([]string{bootstrap}, conf)
	if err != nil {
		t.Fatal(err)
	}
	var partitions []int32
	eventually(t, 60*time.Second, "the topic is there", func() bool {
		if err := client.RefreshMetadata(topic); err != nil {
			return false
		}
		partitions, err = client.Partitions(topic)
		return err == nil && len(partitions) > 0
	})
	consumer, err := sarama.NewConsumerFromClient(client)
	if err != nil {
		t.Fatal(err)
	}
	r := &reader{t: t, lines: make(chan line, 1<<16)}
	stop := make(chan struct{})
	for _, p := range partitions {
		pc, err := consumer.ConsumePartition(topic, p, sarama.OffsetOldest)
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			for m := range pc.Messages() {
				headers := make([]record.Header, len(m.Headers))
				for i, h := range m.Headers {
					headers[i] = record.Header{Key: h.Key, Value: h.Value}
				}
				select {
				case r.lines <- line{m.Partition, m.Offset, string(m.Value), record.ParseOrigin(headers), m.Timestamp}:
				case <-stop:
					return
				}
			}
		}()
		t.Cleanup(pc.AsyncClose)
	}
	t.Cleanup(func() {
		close(stop)
		if err := client.Close(); err != nil {
			t.Log(err)
		}
	})
	return r
}

// next returns n more lines. It fails when none comes for a minute.
func (r *reader) next(n int) []line {
	r.t.Helper()
	timer := time.NewTimer(time.Minute)
	defer timer.Stop()
	from := len(r.have)
	for len(r.have) < from+n {
		select {
		case l := <-r.lines:
			r.have = append(r.have, l)
			timer.Reset(time.Minute)
		case <-timer.C:
			r.t.Fatalf("got %d of %d lines: %q", len(r.have)-from, n, values(r.have[from:]))
		}
	}
	return r.have[from:]
}

// quiet returns what comes until nothing has come for the given time.
func (r *reader) quiet(d time.Duration) []line {
	from := len(r.have)
	timer := time.NewTimer(d)
	defer timer.Stop()
	for {
		select {
		case l := <-r.lines:
			r.have = append(r.have, l)
			timer.Reset(d)
		case <-timer.C:
			return r.have[from:]
		}
	}
}

func values(lines []line) []string {
	out := make([]string, 0, len(lines))
	for _, l := range lines {
		out = append(out, l.value)
	}
	if len(out) > 50 {
		out = append(out[:50], fmt.Sprintf("... %d more", len(lines)-50))
	}
	return out
}

// eventually polls until ok or the time is over.
func eventually(t testing.TB, d time.Duration, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(d)
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("it never happened: %s", what)
		}
	}
}

// rig is an agent under test with its folder of logs.
type rig struct {
	t         testing.TB
	logs, dir string
	bootstrap string
	topic     string
	cfg       configs.Agent
	opts      agent.Options
	registry  *prometheus.Registry
	stop      func() error
	output    *syncBuffer
}

func newRig(t testing.TB, bootstrap string) *rig {
	t.Helper()
	cfg := configs.Default().Agent
	cfg.RescanInterval = configs.Duration(time.Second)
	topic := strings.ToLower(strings.NewReplacer("/", ".", " ", "_").Replace(t.Name()))
	r := &rig{t: t, logs: t.TempDir(), dir: t.TempDir(), bootstrap: bootstrap, topic: topic, cfg: cfg, output: &syncBuffer{}}
	in := configs.DefaultInput()
	in.Include, in.Topic = []string{filepath.Join(r.logs, "*.log")}, topic
	r.cfg.Inputs = []configs.Input{in}
	r.opts = agent.Options{CopyHold: 2 * time.Second}
	return r
}

func (r *rig) path(name string) string { return filepath.Join(r.logs, name) }

// write appends to a file of the folder.
func (r *rig) write(name, text string) {
	r.t.Helper()
	f, err := os.OpenFile(r.path(name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		r.t.Fatal(err)
	}
	if _, err := f.WriteString(text); err != nil {
		r.t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		r.t.Fatal(err)
	}
}

// start runs the agent until the returned function, or the test's end.
func (r *rig) start() {
	r.t.Helper()
	r.registry = prometheus.NewRegistry()
	o := r.opts
	o.Dir, o.Registerer = r.dir, r.registry
	o.Logger = slog.New(slog.NewTextHandler(r.output, &slog.HandlerOptions{Level: slog.LevelDebug}))
	kafka := configs.Default().Kafka
	kafka.Brokers = []string{r.bootstrap}
	a, err := agent.New(r.cfg, kafka, o)
	if err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	stopped := false
	r.stop = func() error {
		if stopped {
			return nil
		}
		stopped = true
		cancel()
		return <-done
	}
	r.t.Cleanup(func() {
		if err := r.stop(); err != nil {
			r.t.Errorf("the agent ended with %v", err)
		}
		if r.t.Failed() {
			r.t.Log(r.output.String())
		}
	})
}

// restart stops the agent in order and starts another on the same registry.
func (r *rig) restart() {
	r.t.Helper()
	if err := r.stop(); err != nil {
		r.t.Fatal(err)
	}
	r.start()
}

// metric returns the value of a counter or gauge.
func (r *rig) metric(name string) float64 {
	families, err := r.registry.Gather()
	if err != nil {
		r.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetCounter().GetValue() + f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	return 0
}
