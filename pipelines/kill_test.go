package pipelines

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/millrace/millrace/configs"
	"github.com/millrace/millrace/test/peers"
)

// childEnv makes the test binary run pipelines until a signal ends it: its
// value is the addresses of Kafka and Elasticsearch.
const childEnv = "MILLRACE_TEST_PIPELINES"

func TestMain(m *testing.M) {
	if addresses := os.Getenv(childEnv); addresses != "" {
		os.Exit(runChild(addresses))
	}
	os.Exit(m.Run())
}

func runChild(addresses string) int {
	kafka, es, _ := strings.Cut(addresses, " ")
	p, err := New(Config{
		Kafka:         configs.Kafka{Brokers: []string{kafka}, ClientID: "child", ReplicationFactor: 1, Partitions: 1},
		Elasticsearch: configs.Elasticsearch{Addresses: []string{es}},
		Pipelines: []configs.Pipeline{{
			Name: "k", Input: configs.PipelineInput{Topics: []string{"kill"}},
			Output: configs.Output{Elasticsearch: &configs.ElasticsearchOutput{BulkCount: 200, BulkInterval: configs.Duration(20 * time.Millisecond)}},
		}},
	}, Options{Logger: slog.New(slog.NewTextHandler(os.Stderr, nil))})
	if err != nil {
		return 1
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if p.Run(ctx) != nil {
		return 1
	}
	return 0
}

// faulty is Elasticsearch with op_type create, faults at random, and a count of
// how often each document was stored.
type faulty struct {
	mu      sync.Mutex
	docs    map[string]string
	calm    atomic.Bool
	written atomic.Int64
}

func (f *faulty) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Elastic-Product", "Elasticsearch")
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	if r.URL.Path != "/_bulk" {
		if r.Method == http.MethodGet {
			_, _ = io.WriteString(w, `{"index_templates":[{"name":"millrace","index_template":{"version":1}}]}`)
			return
		}
		_, _ = io.WriteString(w, `{"acknowledged":true}`)
		return
	}
	fault := rand.IntN(12)
	if f.calm.Load() {
		fault = 100
	}
	switch fault {
	case 0:
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	case 1:
		w.WriteHeader(http.StatusTooManyRequests)
		return
	}
	answer := f.store(body, fault == 2)
	if fault == 3 {
		panic(http.ErrAbortHandler) // stored, and the answer is lost
	}
	_, _ = w.Write(answer)
}

// store creates the documents; with partly every third one is rejected.
func (f *faulty) store(body []byte, partly bool) []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out bytes.Buffer
	out.WriteString(`{"took":1,"errors":true,"items":[`)
	lines := bufio.NewScanner(bytes.NewReader(body))
	lines.Buffer(nil, 1<<20)
	for n := 0; lines.Scan(); n++ {
		var action struct {
			Create struct {
				Index string `json:"_index"`
				ID    string `json:"_id"`
			} `json:"create"`
		}
		if json.Unmarshal(lines.Bytes(), &action) != nil || !lines.Scan() {
			panic("a bulk request that is none")
		}
		if n > 0 {
			out.WriteByte(',')
		}
		status := 201
		switch _, known := f.docs[action.Create.ID]; {
		case partly && n%3 == 0:
			status = 429
		case known:
			status = 409
		default:
			f.docs[action.Create.ID] = lines.Text()
			f.written.Add(1)
		}
		fmt.Fprintf(&out, `{"create":{"status":%d}}`, status)
	}
	out.WriteString("]}")
	return out.Bytes()
}

// TestKilledPipelinesLoseNothing kills the process while requests are under
// way, again and again, with an output that fails at random.
func TestKilledPipelinesLoseNothing(t *testing.T) {
	kafka := peers.Kafka(t)
	es := &faulty{docs: map[string]string{}}
	web := httptest.NewServer(es)
	defer web.Close()
	makeTopic(t, kafka.Bootstrap, "kill", 3)
	const files, linesEach = 6, 10_000
	for f := range files {
		lines := make([]string, linesEach)
		for i := range lines {
			lines[i] = fmt.Sprintf("2026-03-01 11:00:00 INFO file %d line %d", f, i)
		}
		produce(t, kafka.Bootstrap, "kill", fmt.Sprintf("f%d.log", f), lines...)
	}
	const total = files * linesEach
	for kill := range 6 {
		stop := startChild(t, kafka.Bootstrap, web.URL)
		before := es.written.Load()
		until(t, "some documents", func() bool {
			n := es.written.Load()
			return n > before+int64(kill)*300 || n == total
		})
		t.Logf("kill %d after %d documents", kill, es.written.Load())
		stop(syscall.SIGKILL)
	}
	if n := es.written.Load(); n == total {
		t.Log("all was written before the last kill: the kills came too late to test much")
	}
	es.calm.Store(true)
	stop := startChild(t, kafka.Bootstrap, web.URL)
	until(t, "all documents", func() bool { return es.written.Load() == total })
	until(t, "all offsets", func() bool { return committed(t, kafka.Bootstrap, GroupPrefix+"k", "kill") == total })
	stop(syscall.SIGTERM)
	es.mu.Lock()
	defer es.mu.Unlock()
	if len(es.docs) != total {
		t.Errorf("%d documents, want %d", len(es.docs), total)
	}
}

// startChild starts the pipelines in a process of their own; the function ends
// it by a signal.
func startChild(t *testing.T, kafka, es string) func(syscall.Signal) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+kafka+" "+es)
	cmd.Stderr = t.Output()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return func(sig syscall.Signal) {
		if err := cmd.Process.Signal(sig); err != nil {
			t.Error(err)
		}
		if err := cmd.Wait(); sig == syscall.SIGTERM && err != nil {
			t.Errorf("an orderly end: %v", err)
		}
	}
}
