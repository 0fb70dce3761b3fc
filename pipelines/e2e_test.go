package pipelines

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"

	"github.com/millrace/millrace/configs"
	"github.com/millrace/millrace/internal/record"
	"github.com/millrace/millrace/test/peers"
)

// recordTime is the timestamp of all records; lines are written near it.
func recordTime() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }

// produce sends lines as the agent does, from a file of that name.
func produce(t *testing.T, bootstrap, topic, file string, lines ...string) {
	t.Helper()
	conf := sarama.NewConfig()
	conf.Version = sarama.V2_8_0_0
	conf.Producer.Return.Successes = true
	conf.Producer.RequiredAcks = sarama.WaitForAll
	p, err := sarama.NewSyncProducer([]string{bootstrap}, conf)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	var batch []*sarama.ProducerMessage
	offset := 0
	for _, line := range lines {
		batch = append(batch, &sarama.ProducerMessage{
			Topic: topic, Value: sarama.StringEncoder(line), Timestamp: recordTime(),
			Headers: []sarama.RecordHeader{
				{Key: []byte(record.HeaderHost), Value: []byte("web-1")},
				{Key: []byte(record.HeaderPath), Value: []byte("/var/log/" + file)},
				{Key: []byte(record.HeaderFile), Value: []byte(file)},
				{Key: []byte(record.HeaderOffset), Value: []byte(strconv.Itoa(offset))},
				{Key: []byte(record.HeaderAgent), Value: []byte("agent-1")},
				{Key: []byte("service.name"), Value: []byte("shop")},
			},
		})
		offset += len(line) + 1
	}
	if err := p.SendMessages(batch); err != nil {
		t.Fatal(err)
	}
}

func makeTopic(t *testing.T, bootstrap, topic string, partitions int32) {
	t.Helper()
	conf := sarama.NewConfig()
	conf.Version = sarama.V2_8_0_0
	admin, err := sarama.NewClusterAdmin([]string{bootstrap}, conf)
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	forever := "-1" // the records are older than the default retention
	detail := &sarama.TopicDetail{NumPartitions: partitions, ReplicationFactor: 1, ConfigEntries: map[string]*string{"retention.ms": &forever}}
	if err := admin.CreateTopic(topic, detail, false); err != nil {
		t.Fatal(err)
	}
}

// call makes a request to Elasticsearch and decodes the answer.
func call(t *testing.T, method, url, body string) map[string]any {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	var out map[string]any
	if err := json.Unmarshal(data, &out); err != nil {
		t.Fatalf("%s %s: %s: %s", method, url, resp.Status, data)
	}
	return out
}

// until polls until ok or three minutes have passed.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	ticker := time.NewTicker(200 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(3 * time.Minute)
	for !ok() {
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatalf("not within three minutes: %s", what)
		}
	}
}

func countOf(t *testing.T, es, index, query string) int {
	t.Helper()
	call(t, "POST", es+"/_refresh", "")
	answer := call(t, "GET", es+"/"+index+"/_count?allow_no_indices=true&ignore_unavailable=true", `{"query":`+query+`}`)
	n, _ := answer["count"].(float64)
	return int(n)
}

// hits returns the _source of up to 100 documents.
func hits(t *testing.T, es, index, query string) []map[string]any {
	t.Helper()
	answer := call(t, "GET", es+"/"+index+"/_search", `{"size":100,"sort":["log.offset"],"query":`+query+`}`)
	found, ok := answer["hits"].(map[string]any)
	if !ok {
		t.Fatalf("search of %s: %v", index, answer)
	}
	var out []map[string]any
	for _, h := range found["hits"].([]any) {
		out = append(out, h.(map[string]any)["_source"].(map[string]any))
	}
	return out
}

// dig reads a field by its dotted name.
func dig(doc map[string]any, name string) any {
	var at any = doc
	for part := range strings.SplitSeq(name, ".") {
		object, ok := at.(map[string]any)
		if !ok {
			return nil
		}
		at = object[part]
	}
	return at
}

// start runs pipelines until the test or stop ends them.
func start(t *testing.T, cfg Config) (stop func()) {
	t.Helper()
	p, err := New(cfg, Options{Logger: slog.New(slog.NewTextHandler(t.Output(), nil))})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	}
	t.Cleanup(stop)
	return stop
}

func TestEndToEndKafkaToElasticsearch(t *testing.T) {
	kafka, es := peers.Kafka(t), peers.Elasticsearch(t)
	cfg := Config{
		Kafka:         configs.Kafka{Brokers: []string{kafka.Bootstrap}, ClientID: "test", ReplicationFactor: 1, Partitions: 1},
		Elasticsearch: configs.Elasticsearch{Addresses: []string{es.URL}},
		Pipelines: []configs.Pipeline{pipelineOf(t, `
name: web
input: {topics: [logs.web]}
process:
  - grok: {field: message, pattern: '%{COMBINEDAPACHELOG}'}
  - timestamp: {field: timestamp, layouts: ['dd/MMM/yyyy:HH:mm:ss Z']}
  - convert: {http.response.status_code: integer}
  - drop: {when: 'url.path == "/healthz"'}
output:
  elasticsearch: {}
`)},
		Default: configs.DefaultPipeline{Enabled: true, Topics: []string{`^logs(\..*)?$`}},
	}
	for _, topic := range []string{"logs", "logs.web"} {
		makeTopic(t, kafka.Bootstrap, topic, 3)
	}
	// An index in which nothing of ours fits: the dead-letter topic is left.
	call(t, "PUT", es.URL+"/_index_template/hostile", `{"index_patterns":["millrace-web-older"],"priority":900,
		"template":{"mappings":{"properties":{"host":{"type":"keyword"},"@timestamp":{"type":"date"}}}}}`)

	var lines []string
	for i := range 3000 {
		lines = append(lines, fmt.Sprintf("2026-03-01 11:%02d:%02d,%03d %s [main] shop.Cart: added item %d", i/60%60, i%60, i%1000, []string{"INFO", "WARN", "ERROR"}[i%3], i))
	}
	lines = append(lines,
		`{"time":"2026-03-01T11:59:59Z","level":"warn","host":"other","user":"bob","nested":{"a":{"b":1}},"clash":1}`,
		"no timestamp \xff here", "")
	produce(t, kafka.Bootstrap, "logs", "app.log", lines...)
	access := func(path string, status int, day string) string {
		return fmt.Sprintf(`10.0.0.7 - ann [%s/Mar/2026:11:00:01 +0100] "GET %s HTTP/1.1" %d 123 "-" "curl/8.5"`, day, path, status)
	}
	web := []string{
		access("/a?x=1", 200, "01"), access("/healthz", 200, "01"), access("/b", 503, "01"), "not an access log",
		strings.Replace(access("/old", 200, "01"), "2026", "2019", 1),
	}
	produce(t, kafka.Bootstrap, "logs.web", "access.log", web...)
	stop := start(t, cfg)

	until(t, "the field that the next line clashes with", func() bool {
		return countOf(t, es.URL, "millrace-logs-*", `{"exists":{"field":"clash"}}`) == 1
	})
	clash := `{"time":"2026-03-01T11:59:59Z","level":"warn","clash":{"is":"an object"}}`
	produce(t, kafka.Bootstrap, "logs", "clash.log", clash)
	until(t, "default pipeline's documents", func() bool { return countOf(t, es.URL, "millrace-logs-*", `{"match_all":{}}`) == len(lines)+1 })
	until(t, "web pipeline's documents", func() bool { return countOf(t, es.URL, "millrace-web-*", `{"match_all":{}}`) == 3 })
	if n := countOf(t, es.URL, "millrace-logs-2026.03.01", `{"term":{"log.level":"ERROR"}}`); n != 1000 {
		t.Errorf("log.level error: %d documents, want 1000", n)
	}
	checkDefaultDocuments(t, es.URL)
	checkWebDocuments(t, es.URL)

	// A line of a new topic, and lines that come a second time.
	makeTopic(t, kafka.Bootstrap, "logs.late", 1)
	produce(t, kafka.Bootstrap, "logs.late", "late.log", "INFO a new topic")
	produce(t, kafka.Bootstrap, "logs", "app.log", lines...)
	until(t, "new topic", func() bool {
		return countOf(t, es.URL, "millrace-logs-*", `{"match_all":{}}`) == len(lines)+2
	})
	checkDeadLetter(t, kafka.Bootstrap)
	until(t, "offsets past the repeated lines", func() bool {
		return committed(t, kafka.Bootstrap, GroupPrefix+"default", "logs") == int64(2*len(lines)+1)
	})
	stop()
	if n := countOf(t, es.URL, "millrace-logs-*", `{"match_all":{}}`); n != len(lines)+2 {
		t.Errorf("%d documents after repetition, want %d", n, len(lines)+2)
	}
	if n := committed(t, kafka.Bootstrap, GroupPrefix+"web", "logs.web"); n != int64(len(web)) {
		t.Errorf("web group has committed %d records, want %d", n, len(web))
	}
}

func checkDefaultDocuments(t *testing.T, es string) {
	t.Helper()
	opened := hits(t, es, "millrace-logs-*", `{"term":{"nested.a.b":1}}`)
	if len(opened) != 1 || dig(opened[0], "json.host") != "other" || dig(opened[0], "json.user") != "bob" ||
		dig(opened[0], "host.name") != "web-1" || dig(opened[0], "log.level") != "warn" || dig(opened[0], "service.name") != "shop" {
		t.Errorf("JSON line: %v", opened)
	}
	clash := hits(t, es, "millrace-logs-*", `{"term":{"tags":"mapping_failure"}}`)
	if len(clash) != 1 || !strings.Contains(fmt.Sprint(dig(clash[0], "error.message")), "clash") || !strings.Contains(dig(clash[0], "message").(string), "an object") {
		t.Errorf("refused document: %v", clash)
	}
	bad := hits(t, es, "millrace-logs-*", `{"exists":{"field":"log.offset"}}`)
	if len(bad) == 0 {
		t.Error("log.offset is not indexed")
	}
	utf := hits(t, es, "millrace-logs-*", `{"match_phrase":{"message":"no timestamp"}}`)
	if len(utf) != 1 || dig(utf[0], "message") != "no timestamp \uFFFD here" || dig(utf[0], "event.original_base64") != "bm8gdGltZXN0YW1wIP8gaGVyZQ==" {
		t.Errorf("invalid UTF-8: %v", utf)
	}
}

func checkWebDocuments(t *testing.T, es string) {
	t.Helper()
	ok := hits(t, es, "millrace-web-2026.03.01", `{"term":{"url.path":"/a"}}`)
	if len(ok) != 1 || dig(ok[0], "http.response.status_code") != 200.0 || dig(ok[0], "@timestamp") != "2026-03-01T10:00:01.000Z" ||
		dig(ok[0], "source.address") != "10.0.0.7" || dig(ok[0], "user_agent.original") != "curl/8.5" || dig(ok[0], "url.query") != "x=1" {
		t.Errorf("access line: %v", ok)
	}
	failed := hits(t, es, "millrace-web-*", `{"term":{"tags":"parse_failure"}}`)
	if len(failed) != 1 || dig(failed[0], "message") != "not an access log" || dig(failed[0], "error.message") == nil {
		t.Errorf("line that cannot be parsed: %v", failed)
	}
}

// checkDeadLetter reads the one record that no index takes.
func checkDeadLetter(t *testing.T, bootstrap string) {
	t.Helper()
	consumer, err := sarama.NewConsumer([]string{bootstrap}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer consumer.Close()
	partition, err := consumer.ConsumePartition(record.TopicDeadLetter, 0, sarama.OffsetOldest)
	if err != nil {
		t.Fatal(err)
	}
	defer partition.Close()
	select {
	case msg := <-partition.Messages():
		headers := map[string]string{}
		for _, h := range msg.Headers {
			headers[string(h.Key)] = string(h.Value)
		}
		if !strings.Contains(string(msg.Value), "/old") || headers[HeaderStatus] != "400" || headers[HeaderReason] == "" ||
			headers[HeaderPipeline] != "web" || headers[HeaderIndex] != "millrace-web-older" || headers[record.HeaderFile] != "access.log" {
			t.Errorf("dead letter: %s %v", msg.Value, headers)
		}
	case <-time.After(time.Minute):
		t.Error("no dead letter")
	}
}

// committed sums a group's offsets over the partitions of a topic.
func committed(t *testing.T, bootstrap, group, topic string) int64 {
	t.Helper()
	conf := sarama.NewConfig()
	conf.Version = sarama.V2_8_0_0
	admin, err := sarama.NewClusterAdmin([]string{bootstrap}, conf)
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	resp, err := admin.ListConsumerGroupOffsets(group, nil)
	if err != nil {
		t.Fatal(err)
	}
	var sum int64
	for _, block := range resp.Blocks[topic] {
		sum += max(block.Offset, 0)
	}
	return sum
}
