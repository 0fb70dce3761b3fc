package peers

import (
	"io"
	"net/http"
	"os/exec"
	"strings"
	"testing"
)

func TestKafkaStartsAndSurvivesAKill(t *testing.T) {
	s := Kafka(t)
	if _, err := KafkaTool(t, "org.apache.kafka.tools.TopicCommand", "--bootstrap-server", s.Bootstrap, "--create", "--topic", "one"); err != nil {
		t.Fatal(err)
	}
	s.Kill()
	s.Start()
	out, err := KafkaTool(t, "org.apache.kafka.tools.TopicCommand", "--bootstrap-server", s.Bootstrap, "--list")
	if err != nil || !strings.Contains(out, "one") {
		t.Fatalf("topics after the restart: %q, %v", out, err)
	}
}

func TestElasticsearchStarts(t *testing.T) {
	s := Elasticsearch(t)
	resp, err := http.Get(s.URL + "/_cat/nodes")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || !strings.Contains(string(body), "peer") {
		t.Fatalf("nodes: %q, %v", body, err)
	}
}

func TestClientsAreThere(t *testing.T) {
	if out, err := exec.Command(Kcat(t), "-V").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	python := Python(t, "kafka-python", "confluent-kafka")
	if out, err := exec.Command(python, "-c", "import kafka, confluent_kafka").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}
