package pipelines

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/millrace/millrace/configs"
	"github.com/millrace/millrace/internal/event"
)

// example returns the chain of a file under configs/examples.
func example(t *testing.T, name string) *event.Chain {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "configs", "examples", name))
	if err != nil {
		t.Fatal(err)
	}
	cfg := configOf(t, string(text))
	if errs := Check(*cfg); len(errs) > 0 {
		t.Fatal(errs)
	}
	chain, err := event.Compile(cfg.Pipelines[0].Process)
	if err != nil {
		t.Fatal(err)
	}
	return chain
}

func TestExamplesGiveTheDocumentsThatTheyPromise(t *testing.T) {
	for _, tt := range []struct{ file, line, want string }{
		{
			"pipeline-access-log.yaml", `192.0.2.7 - ann [01/Mar/2026:12:55:36 +0100] "GET /cart?id=7 HTTP/1.1" 503 26 "-" "curl/8"`,
			`{"@timestamp":"2026-03-01T11:55:36.000Z","event":{"outcome":"failure"},"http":{"request":{"method":"GET"},"response":{"body":{"bytes":26},"status_code":503},"version":"1.1"},"source":{"address":"192.0.2.7"},"url":{"original":"/cart?id=7","path":"/cart","query":"id=7"},"user":{"name":"ann"},"user_agent":{"original":"curl/8"}}`,
		},
		{"pipeline-access-log.yaml", `192.0.2.7 - - [01/Mar/2026:12:55:36 +0100] "GET /healthz HTTP/1.1" 200 2 "-" "-"`, "dropped"},
		{
			"pipeline-syslog.yaml", `Mar  1 12:30:00 web-1 sshd[811]: Failed password for invalid user admin from 192.0.2.9 port 4711 ssh2`,
			`{"@timestamp":"2026-03-01T11:30:00.000Z","event":{"action":"login-failed"},"host":{"hostname":"web-1"},"process":{"name":"sshd","pid":811},"source":{"ip":"192.0.2.9","port":4711},"user":{"name":"admin"}}`,
		},
		{
			"pipeline-java.yaml", "2026-03-01 11:58:01,978 ERROR [main] shop.Cart: failed\njava.lang.IllegalStateException: full\n\tat shop.Cart.add(Cart.java:41)",
			`{"@timestamp":"2026-03-01T11:58:01.978Z","error":{"type":"java.lang.IllegalStateException"},"log":{"level":"ERROR","logger":"shop.Cart"},"process":{"thread":{"name":"main"}}}`,
		},
		{
			"pipeline-json.yaml", `{"ts":1772366281.5,"level":"warn","msg":"slow","request_id":"r-1","event":{"duration":"12"}}`,
			`{"@timestamp":"2026-03-01T11:58:01.500Z","event":{"duration":12,"reason":"slow"},"http":{"request":{"id":"r-1"}},"log":{"level":"warn"},"service":{"name":"orders"}}`,
		},
		{"pipeline-json.yaml", `level=info msg="listening on :80"`, `{"@timestamp":"2026-03-01T12:00:00.000Z","event":{"reason":"listening on :80"},"log":{"level":"info"},"service":{"name":"orders"}}`},
	} {
		ev := event.FromRecord(event.Record{Topic: "t", Timestamp: recordTime(), Value: []byte(tt.line)}, time.Time{})
		got := "dropped"
		if !example(t, tt.file).Process(ev) {
			ev.Remove(event.FieldIngested)
			ev.Remove(event.FieldOriginal)
			got = string(ev.AppendJSON(nil))
			message := `,"message":` + string(event.String(ev.Text(event.FieldMessage)).AppendJSON(nil))
			got = strings.Replace(got, message, "", 1)
		}
		if got != tt.want {
			t.Errorf("%s: %s\n got %s\nwant %s", tt.file, tt.line, got, tt.want)
		}
	}
}

// TestTheManualsProcessorsCompile: every block of docs/pipelines.md that is a
// list of processors.
func TestTheManualsProcessorsCompile(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "docs", "pipelines.md"))
	if err != nil {
		t.Fatal(err)
	}
	blocks := 0
	var block strings.Builder
	for line := range strings.Lines(string(text) + "\nend") {
		if code, ok := strings.CutPrefix(line, "    "); ok {
			block.WriteString(code)
			continue
		}
		if strings.HasPrefix(block.String(), "- ") {
			blocks++
			var processors []configs.Processor
			if err := yaml.Unmarshal([]byte(block.String()), &processors); err != nil {
				t.Errorf("%v:\n%s", err, block.String())
			} else if _, err := event.Compile(processors); err != nil {
				t.Errorf("%v:\n%s", err, block.String())
			}
		}
		block.Reset()
	}
	if blocks < len(event.ProcessorNames()) {
		t.Errorf("the manual shows %d lists of processors, and there are %d processors", blocks, len(event.ProcessorNames()))
	}
	for _, name := range event.ProcessorNames() {
		if !strings.Contains(string(text), "\n### "+name+"\n") {
			t.Errorf("the manual has no section on %s", name)
		}
	}
}
