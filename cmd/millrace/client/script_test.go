package client_test

import (
	"bytes"
	"context"
	"crypto/x509/pkix"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/cobra"

	"github.com/millrace/millrace/cmd/millrace/client"
	"github.com/millrace/millrace/configs"
	"github.com/millrace/millrace/internal/elastic"
	"github.com/millrace/millrace/test/authority"
	"github.com/millrace/millrace/test/nodes"
	"github.com/millrace/millrace/test/peers"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"millrace": millrace})
}

// millrace is the command with the client commands only.
func millrace() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt)
	root := &cobra.Command{Use: "millrace", SilenceErrors: true, SilenceUsage: true}
	g := &client.Globals{}
	g.Register(root.PersistentFlags())
	root.AddCommand(client.Commands(g)...)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &client.UsageError{Msg: err.Error()} })
	err := root.ExecuteContext(ctx)
	cancel()
	if err != nil {
		client.PrintError(os.Stderr, err)
	}
	os.Exit(client.ExitCode(err))
}

// run runs the scripts of a folder. Each gets its own names for topics and
// groups through $T.
func run(t *testing.T, dir string, env ...string) {
	testscript.Run(t, testscript.Params{
		Dir: dir,
		Setup: func(e *testscript.Env) error {
			e.Vars = append(e.Vars, env...)
			name := e.WorkDir[strings.LastIndex(e.WorkDir, "-")+1:]
			e.Setenv("T", name)
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"fails": fails,
		},
	})
}

// fails CODE PROGRAM ARGS... runs a program that must end with that exit code
// and exactly one line on standard error.
func fails(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: fails CODE PROGRAM ARGS...")
	}
	err := ts.Exec(args[1], args[2:]...)
	if err == nil {
		ts.Fatalf("ended with code 0, want %s", args[0])
	}
	if want := "exit status " + args[0]; err.Error() != want {
		ts.Fatalf("ended with %q, want %q", err, want)
	}
	stderr := ts.ReadFile("stderr")
	if strings.Count(stderr, "\n") != 1 || !strings.HasSuffix(stderr, "\n") {
		ts.Fatalf("standard error is not one line: %q", stderr)
	}
}

func TestScriptsAlone(t *testing.T) {
	run(t, "testdata/alone", "CLOSED="+peers.FreeAddr(t))
}

func TestScriptsWithApacheKafka(t *testing.T) {
	kafka := peers.Kafka(t)
	run(t, "testdata/kafka", "BROKERS="+kafka.Bootstrap)
}

// TestScriptsWithTLSAndSASL: a node of our own that lets nobody in without a password.
func TestScriptsWithTLSAndSASL(t *testing.T) {
	ca := authority.New(t, "scripts")
	cert, key := ca.Issue(t.TempDir(), pkix.Name{CommonName: "localhost"})
	clientCert, clientKey := ca.Issue(t.TempDir(), pkix.Name{CommonName: "client"})
	tls := configs.ListenerTLS{CertFile: cert, KeyFile: key, ClientAuth: "none", MinVersion: "1.3"}
	mutual := tls
	mutual.ClientAuth, mutual.ClientCAFile = "required", ca.File
	sasl := nodes.BrokerWith(t, func(cfg *configs.Broker) {
		cfg.Listeners = []configs.Listener{{Name: "SASL", Listen: cfg.Listen, TLS: tls, SASL: configs.ListenerSASL{Mechanisms: configs.SASLMechanisms()}}}
		cfg.Users = []configs.User{{Name: "admin", Password: "admin's secret"}}
	})
	password := nodes.BrokerWith(t, func(cfg *configs.Broker) {
		cfg.Listeners = []configs.Listener{{Name: "PASSWORD", Listen: cfg.Listen, SASL: configs.ListenerSASL{Mechanisms: []string{"PLAIN"}}}}
		cfg.Users = []configs.User{{Name: "admin", Password: "admin's secret"}}
	})
	certificate := nodes.BrokerWith(t, func(cfg *configs.Broker) {
		cfg.Listeners = []configs.Listener{{Name: "MUTUAL", Listen: cfg.Listen, TLS: mutual}}
	})
	run(t, "testdata/secure", "SASL="+sasl, "PASSWORD="+password, "OPEN="+nodes.Broker(t), "MUTUAL="+certificate, "CA="+ca.File, "CERT="+clientCert, "KEY="+clientKey)
}

// TestScriptsWithAnAuthorizer: a node of our own with a super user, and one without an authorizer.
func TestScriptsWithAnAuthorizer(t *testing.T) {
	closed := nodes.BrokerWith(t, func(cfg *configs.Broker) {
		cfg.Authorizer = configs.Authorizer{Enabled: true, SuperUsers: []string{"User:ANONYMOUS"}}
	})
	denying := nodes.BrokerWith(t, func(cfg *configs.Broker) {
		cfg.Authorizer = configs.Authorizer{Enabled: true, SuperUsers: []string{"User:nobody-else"}}
	})
	run(t, "testdata/acl", "CLOSED="+closed, "OPEN="+nodes.Broker(t), "DENYING="+denying)
}

func TestScriptsWithElasticsearch(t *testing.T) {
	runSearches(t, peers.Elasticsearch(t).URL)
}

// runSearches indexes lines as a pipeline does and runs the scripts over them.
func runSearches(t *testing.T, url string) {
	t.Helper()
	es, err := elastic.NewClient(configs.Elasticsearch{Addresses: []string{url}})
	if err != nil {
		t.Fatal(err)
	}
	if err := elastic.EnsureTemplate(t.Context(), es, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	now := time.Now().UTC().Truncate(time.Millisecond)
	stamp := func(ago time.Duration) string { return now.Add(-ago).Format("2006-01-02T15:04:05.000Z") }
	var body bytes.Buffer
	n := 0
	add := func(at, level, host, message string) {
		doc := map[string]any{
			"@timestamp": at, "message": message, "host": map[string]any{"name": host},
			"log": map[string]any{"offset": n, "file": map[string]any{"id": "f1", "path": "/var/log/a.log"}},
		}
		if level != "" {
			doc["log"].(map[string]any)["level"] = level
		}
		enc := json.NewEncoder(&body)
		for _, v := range []any{map[string]any{"create": map[string]any{"_index": "millrace-web-2026.03.01", "_id": fmt.Sprintf("f1:%d", n)}}, doc} {
			if err := enc.Encode(v); err != nil {
				t.Fatal(err)
			}
		}
		n++
	}
	add("2026-01-15T12:00:00.000Z", "INFO", "web-1", "ancient line")
	add(stamp(20*time.Minute), "ERROR", "web-1", "first timeout\nat com.example.A")
	add(stamp(15*time.Minute), "INFO", "web-1", "timeout is set to 5s")
	add(stamp(10*time.Minute), "ERROR", "web-1", "second timeout")
	add(stamp(9*time.Minute), "", "web-2", "no level")
	add(stamp(8*time.Minute), "INFO", "web-2", "hostile \x1b[2J\x1b]0;title\a")
	for i := range 2600 {
		add(stamp(2*time.Hour+time.Duration(i/10)*time.Millisecond), "DEBUG", "web-3", fmt.Sprintf("bulk %d", i))
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/_bulk?refresh=true", &body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-ndjson")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer struct{ Errors bool }
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || answer.Errors || resp.StatusCode != http.StatusOK {
		t.Fatalf("index lines: %d, errors %v, %v", resp.StatusCode, answer.Errors, err)
	}
	run(t, "testdata/elasticsearch", "ELASTICSEARCH="+url, "FIRST="+stamp(20*time.Minute), "SECOND="+stamp(10*time.Minute))
}

// TestScriptsWithOwnNodes runs the same scripts against Millrace's broker and search node.
func TestScriptsWithOwnNodes(t *testing.T) {
	t.Run("broker", func(t *testing.T) { run(t, "testdata/kafka", "BROKERS="+nodes.Broker(t)) })
	t.Run("search", func(t *testing.T) { runSearches(t, nodes.Search(t)) })
}
