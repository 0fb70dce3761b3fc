package broker

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/goleak"

	"github.com/millrace/millrace/configs"
)

func TestMain(m *testing.M) {
	// sarama's metrics library has one goroutine for the life of the process.
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/rcrowley/go-metrics.(*meterArbiter).tick"))
}

func testConfig() configs.Broker {
	cfg := configs.Default().Broker
	cfg.Listen = "127.0.0.1:0"
	cfg.OffsetsPartitions = 4
	return cfg
}

// testNode is a node that runs, with what it has logged.
type testNode struct {
	*Node
	log  *logBuffer
	stop func()
}

// startNode runs a node until the test ends or stop is called.
func startNode(t testing.TB, dir string, cfg configs.Broker) *testNode {
	t.Helper()
	return startNodeWith(t, cfg, Options{Dir: dir})
}

// startNodeWith is startNode with other options; the log is the test's.
func startNodeWith(t testing.TB, cfg configs.Broker, o Options) *testNode {
	t.Helper()
	log := &logBuffer{}
	o.Logger = slog.New(slog.NewTextHandler(log, nil))
	n, err := New(cfg, o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- n.Run(ctx) }()
	var once sync.Once
	stop := func() {
		once.Do(func() {
			cancel()
			select {
			case err := <-ended:
				if err != nil {
					t.Errorf("run: %v", err)
				}
			case <-time.After(60 * time.Second):
				t.Error("the node did not stop")
			}
		})
	}
	t.Cleanup(func() {
		stop()
		if t.Failed() {
			t.Log(log.String())
		}
	})
	return &testNode{Node: n, log: log, stop: stop}
}

// logBuffer collects log lines of several goroutines.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *logBuffer) count(s string) int { return strings.Count(l.String(), s) }

func newClient(t testing.TB, n *testNode, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	c, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(n.Addr())}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func newAdmin(t testing.TB, n *testNode) *kadm.Client { return kadm.NewClient(newClient(t, n)) }

func createTopic(t testing.TB, n *testNode, name string, partitions int32, configs map[string]*string) {
	t.Helper()
	resp, err := newAdmin(t, n).CreateTopic(t.Context(), partitions, 1, configs, name)
	if err != nil {
		t.Fatal(err)
	}
	if resp.Err != nil {
		t.Fatalf("create topic %s: %v %s", name, resp.Err, resp.ErrMessage)
	}
}

// request sends a request of a chosen version and returns its response.
func request[Resp kmsg.Response](t testing.TB, c *kgo.Client, version int16, req kmsg.Request) Resp {
	t.Helper()
	req.SetVersion(version)
	resp, err := c.Broker(1).Request(t.Context(), pinnedRequest{req, version})
	if err != nil {
		t.Fatalf("%s v%d: %v", kmsg.NameForKey(req.Key()), version, err)
	}
	return resp.(Resp)
}

// pinnedRequest keeps kgo from choosing another version.
type pinnedRequest struct {
	kmsg.Request
	version int16
}

func (p pinnedRequest) SetVersion(int16)  { p.Request.SetVersion(p.version) }
func (p pinnedRequest) MaxVersion() int16 { return p.version }

// copyDir copies a data directory as a killed process would leave it, also that of a
// node that runs: what it renames or removes meanwhile is not there any more.
func copyDir(t testing.TB, from string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "copy")
	err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return ifThere(err)
		}
		name, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			return os.MkdirAll(filepath.Join(to, name), 0o755)
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return ifThere(err)
		}
		return os.WriteFile(filepath.Join(to, name), content, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
	return to
}

// ifThere is err unless it says that a file is gone.
func ifThere(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// replaceDir puts a copy of one directory in the place of another.
func replaceDir(t testing.TB, from, to string) {
	t.Helper()
	if err := os.RemoveAll(to); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
}
