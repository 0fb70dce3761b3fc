package pipelines

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/IBM/sarama"
	"gopkg.in/yaml.v3"

	"github.com/millrace/millrace/configs"
	"github.com/millrace/millrace/internal/event"
)

// configOf loads a configuration whose pipelines are files of their own.
func configOf(t *testing.T, pipelines ...string) *configs.Config {
	t.Helper()
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for i, p := range pipelines {
		write("pipeline-"+string(rune('a'+i))+".yaml", p)
	}
	write("millrace.yaml", "pipeline_files: ['pipeline-*.yaml']\n")
	cfg, err := configs.Load(filepath.Join(dir, "millrace.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func pipelineOf(t *testing.T, text string) configs.Pipeline {
	t.Helper()
	return configOf(t, text).Pipelines[0]
}

func chainFrom(b *testing.B, text string, p *configs.Pipeline) *event.Chain {
	b.Helper()
	if err := yaml.Unmarshal([]byte(text), p); err != nil {
		b.Fatal(err)
	}
	chain, err := event.Compile(p.Process)
	if err != nil {
		b.Fatal(err)
	}
	return chain
}

func agentMessage(line string) *sarama.ConsumerMessage {
	msg := &sarama.ConsumerMessage{Topic: "logs", Value: []byte(line), Timestamp: recordTime()}
	for _, h := range [][2]string{{"host", "web-1"}, {"path", "/var/log/app.log"}, {"file", "agent-1-000001"}, {"offset", "123456"}, {"agent", "agent-1"}} {
		msg.Headers = append(msg.Headers, &sarama.RecordHeader{Key: []byte(h[0]), Value: []byte(h[1])})
	}
	return msg
}
