package agent_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"go.uber.org/goleak"

	"github.com/millrace/millrace/agent"
	"github.com/millrace/millrace/configs"
)

// scenarioGlobs finds files in folders that come later, and leaves out what is
// excluded.
func scenarioGlobs(t *testing.T, r *rig) {
	r.cfg.Inputs[0].Include = []string{filepath.Join(r.logs, "later/**/*.log")}
	r.cfg.Inputs[0].Exclude = []string{filepath.Join(r.logs, "**/skip*")}
	r.start()
	must(t, os.MkdirAll(filepath.Join(r.logs, "later/a/b"), 0o755))
	r.write("later/a/b/deep.log", "deep\n")
	r.write("later/top.log", "top\n")
	r.write("later/a/skip.log", "skipped\n")
	r.write("later/a/other.txt", "other\n")
	lines := newReader(t, r.bootstrap, r.topic)
	expect(t, lines, "deep", "top")
	must(t, os.MkdirAll(filepath.Join(r.logs, "later/c"), 0o755))
	r.write("later/c/new.log", "new\n")
	expect(t, lines, "new")
	nothingMore(t, lines, 1500*time.Millisecond)
}

// scenarioStartAtEnd leaves out what was there before, and only that.
func scenarioStartAtEnd(t *testing.T, r *rig) {
	r.cfg.Inputs[0].StartAt = "end"
	r.write("x.log", "old\n")
	r.start()
	eventually(t, 60*time.Second, "the file is open", func() bool { return r.metric("millrace_agent_files_open") == 1 })
	r.write("x.log", "new\n")
	r.write("y.log", "first of a new file\n")
	lines := newReader(t, r.bootstrap, r.topic)
	expect(t, lines, "new", "first of a new file")
	must(t, r.stop())
	r.write("x.log", "while away\n")
	r.start()
	expect(t, lines, "while away")
	nothingMore(t, lines, time.Second)
}

// scenarioMultiline joins lines, and ends the last event by time.
func scenarioMultiline(t *testing.T, r *rig) {
	m := &r.cfg.Inputs[0].Multiline
	m.Pattern, m.Match, m.FlushAfter = `^\s`, "after", configs.Duration(300*time.Millisecond)
	r.write("x.log", "one\n  a\n  b\ntwo\r\n  c\r\n")
	r.start()
	lines := newReader(t, r.bootstrap, r.topic)
	expect(t, lines, "one\n  a\n  b", "two\n  c")
	r.write("x.log", "  late\nthree\n")
	expect(t, lines, "  late", "three")
	if lines.have[0].origin.Flags != "multiline" || lines.have[3].origin.Flags != "" {
		t.Fatalf("flags: %q %q", lines.have[0].origin.Flags, lines.have[3].origin.Flags)
	}
}

// scenarioLong cuts lines that are too long, wherever their end comes.
func scenarioLong(t *testing.T, r *rig) {
	r.cfg.Inputs[0].LineMax = 1000
	long := strings.Repeat("0123456789", 100_000)
	r.write("x.log", "short\n"+long+"\nafter\n"+long[:1001]+"\r\n"+long[:1000]+"\nlast\n")
	r.start()
	lines := newReader(t, r.bootstrap, r.topic)
	expect(t, lines, "short", long[:1000], "after", long[:1000], long[:1000], "last")
	if f := []string{lines.have[1].origin.Flags, lines.have[3].origin.Flags, lines.have[4].origin.Flags}; fmt.Sprint(f) != "[cut cut ]" {
		t.Fatalf("flags: %q", f)
	}
	if n := r.metric("millrace_agent_lines_cut_total"); n != 2 {
		t.Fatalf("%v lines are counted as cut", n)
	}
	r.write("x.log", long)
	nothingMore(t, lines, 300*time.Millisecond)
	r.write("x.log", long+"\nend\n")
	expect(t, lines, long[:1000], "end")
}

// scenarioUTF16 turns text of another encoding into UTF-8; offsets stay those
// of the file.
func scenarioUTF16(t *testing.T, r *rig) {
	r.cfg.Inputs[0].Encoding = "utf-16le"
	text := []byte{0xff, 0xfe}
	for _, c := range "añ\r\n\u0a0aĊ\nb\n" {
		text = append(text, byte(c), byte(c>>8))
	}
	r.write("x.log", string(text[:9]))
	r.start()
	r.write("x.log", string(text[9:]))
	lines := newReader(t, r.bootstrap, r.topic)
	expect(t, lines, "añ", "\u0a0aĊ", "b")
	if o := lines.have[1].origin.Offset; o != 10 {
		t.Fatalf("offset %d, want 10", o)
	}
}

// scenarioECS ships documents.
func scenarioECS(t *testing.T, r *rig) {
	r.cfg.Inputs[0].Codec = "ecs"
	r.cfg.Inputs[0].Fields = map[string]string{"env": "prod"}
	r.cfg.Hostname = "web1"
	r.write("x.log", "a \"quoted\" \x01 line\nbad \xff byte\n")
	r.start()
	lines := newReader(t, r.bootstrap, r.topic)
	lines.next(2)
	var doc struct {
		Time    time.Time `json:"@timestamp"`
		Message string
		Base64  []byte            `json:"message_base64"`
		Host    map[string]string `json:"host"`
		Agent   map[string]string `json:"agent"`
		Fields  map[string]string
		Log     struct {
			Offset int64
			File   struct{ Path string }
		}
	}
	must(t, json.Unmarshal([]byte(lines.have[0].value), &doc))
	if doc.Message != "a \"quoted\" \x01 line" || doc.Host["name"] != "web1" || doc.Fields["env"] != "prod" || doc.Log.File.Path != r.path("x.log") || doc.Agent["id"] == "" {
		t.Fatalf("%+v", doc)
	}
	if !doc.Time.Equal(lines.have[0].time) {
		t.Fatalf("document of %v in a record of %v", doc.Time, lines.have[0].time)
	}
	must(t, json.Unmarshal([]byte(lines.have[1].value), &doc))
	if doc.Message != "bad \uFFFD byte" || !bytes.Equal(doc.Base64, []byte("bad \xff byte")) || doc.Log.Offset != 18 {
		t.Fatalf("%+v", doc)
	}
}

// scenarioManyFiles reads more files than may be open at once.
func scenarioManyFiles(t *testing.T, r *rig) {
	r.cfg.OpenFilesMax = 16
	var want []string
	for i := range 100 {
		text := fmt.Sprint("line of ", i)
		r.write(fmt.Sprintf("%d.log", i), text+"\n")
		want = append(want, text)
	}
	r.start()
	lines := newReader(t, r.bootstrap, r.topic)
	expect(t, lines, want...)
	r.write("7.log", "again\n")
	expect(t, lines, "again")
	nothingMore(t, lines, 1500*time.Millisecond)
	if n := r.metric("millrace_agent_files_open"); n > 16 {
		t.Fatalf("%v files are open", n)
	}
}

// scenarioClone starts a copy of the data directory on another machine.
func scenarioClone(t *testing.T, r *rig) {
	r.opts.Machine = "first"
	r.write("x.log", "1\n")
	r.start()
	lines := newReader(t, r.bootstrap, r.topic)
	lines.next(1)
	must(t, r.stop())
	r.opts.Machine = "second"
	r.write("x.log", "2\n")
	r.start()
	expect(t, lines, "2")
	a, b := lines.have[0].origin, lines.have[1].origin
	if a.Agent == b.Agent || a.File == b.File || b.Offset != 2 {
		t.Fatalf("the clone goes on as the original: %+v %+v", a, b)
	}
	nothingMore(t, lines, time.Second)
}

// scenarioBackPressure bounds what is read while nothing is acknowledged.
func scenarioBackPressure(t *testing.T, r *rig) {
	r.cfg.UnackedMax = 2 << 20
	r.write("x.log", strings.Repeat(strings.Repeat("x", 99)+"\n", 200_000))
	r.start()
	most := 0.0
	eventually(t, 5*time.Minute, "all lines are acknowledged", func() bool {
		most = max(most, r.metric("millrace_agent_unacked_bytes"))
		return r.metric("millrace_agent_lines_acked_total") == 200_000
	})
	if most > 4<<20 || most == 0 {
		t.Fatalf("at most %v bytes were unacknowledged, with a limit of %v", most, r.cfg.UnackedMax)
	}
	eventually(t, 60*time.Second, "all is acknowledged", func() bool { return r.metric("millrace_agent_unacked_bytes") == 0 })
}

// scenarioFewerPartitions deletes the topic and creates it with fewer partitions: files move.
func scenarioFewerPartitions(t *testing.T, r *rig) {
	conf := sarama.NewConfig()
	conf.Version = sarama.V2_8_0_0
	admin, err := sarama.NewClusterAdmin([]string{r.bootstrap}, conf)
	must(t, err)
	defer admin.Close()
	must(t, admin.CreateTopic(r.topic, &sarama.TopicDetail{NumPartitions: 3, ReplicationFactor: 1}, false))
	for i := range 3 {
		r.write(fmt.Sprintf("%d.log", i), "before\n")
	}
	r.start()
	lines := newReader(t, r.bootstrap, r.topic)
	lines.next(3)
	used := map[int32]bool{}
	for _, l := range lines.have {
		used[l.partition] = true
	}
	if len(used) != 3 {
		t.Fatalf("three files share %d partitions", len(used))
	}
	eventually(t, 60*time.Second, "all is acknowledged", func() bool { return r.metric("millrace_agent_lines_acked_total") == 3 })
	must(t, admin.DeleteTopic(r.topic))
	eventually(t, 60*time.Second, "the topic is created anew", func() bool {
		return admin.CreateTopic(r.topic, &sarama.TopicDetail{NumPartitions: 1, ReplicationFactor: 1}, false) == nil
	})
	for i := range 3 {
		r.write(fmt.Sprintf("%d.log", i), "after\n")
	}
	again := newReader(t, r.bootstrap, r.topic)
	moved := 0
	for _, l := range again.next(3) {
		if l.value != "after" || l.partition != 0 {
			t.Fatalf("got %+v", l)
		}
		if l.origin.Flags == "moved" {
			moved++
		}
	}
	if moved != 2 {
		t.Fatalf("%d files are marked as moved, want 2: %+v", moved, append(lines.have, again.have...))
	}
	nothingMore(t, again, time.Second)
}

func TestLocked(t *testing.T) {
	r := newRig(t, "127.0.0.1:1")
	r.start()
	kafka := configs.Default().Kafka
	kafka.Brokers = []string{"127.0.0.1:1"}
	if _, err := agent.New(r.cfg, kafka, agent.Options{Dir: r.dir}); !errors.Is(err, agent.ErrLocked) {
		t.Fatalf("a second agent: %v", err)
	}
}

// TestBrokerDown starts without a cluster, says so once, and ends in time.
func TestBrokerDown(t *testing.T) {
	before := goleak.IgnoreCurrent()
	r := newRig(t, "127.0.0.1:1")
	r.cfg.BackoffMax = configs.Duration(50 * time.Millisecond)
	r.write("x.log", "1\n")
	r.start()
	eventually(t, 60*time.Second, "it says that it waits", func() bool { return strings.Contains(r.output.String(), "waiting for the Kafka cluster") })
	began := time.Now()
	must(t, r.stop())
	if d := time.Since(began); d > 30*time.Second {
		t.Fatalf("it took %v to stop", d)
	}
	if n := strings.Count(r.output.String(), "waiting for the Kafka cluster"); n != 1 {
		t.Fatalf("it said %d times that it waits", n)
	}
	goleak.VerifyNone(t, before, goleak.IgnoreTopFunction("github.com/rcrowley/go-metrics.(*meterArbiter).tick"))
}

func TestBadInputs(t *testing.T) {
	kafka := configs.Default().Kafka
	kafka.Brokers = []string{"127.0.0.1:1"}
	for want, change := range map[string]func(*configs.Input){
		"is not a valid glob":     func(in *configs.Input) { in.Include = []string{"[a"} },
		"at least one glob":       func(in *configs.Input) { in.Include = nil },
		"encoding":                func(in *configs.Input) { in.Encoding = "klingon" },
		"multiline.pattern":       func(in *configs.Input) { in.Multiline.Pattern = "(" },
		"multiline.match":         func(in *configs.Input) { in.Multiline.Pattern, in.Multiline.Match = "x", "beside" },
		"used by Millrace itself": func(in *configs.Input) { in.Fields = map[string]string{"offset": "1"} },
		"no valid name":           func(in *configs.Input) { in.Topic = "a b" },
		"codec":                   func(in *configs.Input) { in.Codec = "xml" },
		"start_at":                func(in *configs.Input) { in.StartAt = "middle" },
	} {
		in := configs.DefaultInput()
		in.Include = []string{"/x/*.log"}
		change(&in)
		cfg := configs.Default().Agent
		cfg.Inputs = []configs.Input{in}
		if _, err := agent.New(cfg, kafka, agent.Options{Dir: t.TempDir()}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want something with %q", err, want)
		}
	}
}

// TestNoBrokers is a configuration without a cluster.
func TestNoBrokers(t *testing.T) {
	a, err := agent.New(configs.Default().Agent, configs.Kafka{}, agent.Options{Dir: t.TempDir(), Logger: slog.New(slog.DiscardHandler)})
	if err == nil {
		err = a.Run(context.Background())
	}
	if err == nil || !strings.Contains(err.Error(), "no Kafka brokers are configured") {
		t.Fatalf("got %v", err)
	}
}
