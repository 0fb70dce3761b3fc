package searchcompat

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// documents is the number of documents in the index "logs-a"; "logs-b" has half of them.
const documents = 500

func words() []string {
	return []string{
		"error", "Timeout", "connection", "refused", "user", "login", "failed", "GET", "/index.html", "200", "blk_-123", "10.0.0.1",
		"foo.bar", "it's", "3.14", "key=value", "WARN", "日本語", "über", "a_b", "x-y", "retry", "node-7", "[main]", "ok,done", "1:2", "straße", "Ελλάδα",
	}
}

// document makes document i of the seed.
func document(random *rand.Rand, i int) map[string]any {
	pick := func() string { return words()[random.IntN(len(words()))] }
	var message []string
	for range 1 + random.IntN(9) {
		message = append(message, pick())
	}
	at := time.Date(2024, 1, 30, 0, 0, 0, 0, time.UTC).Add(time.Duration(random.IntN(6*24*3600*1000)) * time.Millisecond)
	d := map[string]any{
		"seq":        i,
		"@timestamp": at.Format("2006-01-02T15:04:05.000Z"),
		"message":    strings.Join(message, " "),
		"log":        map[string]any{"level": []string{"INFO", "WARN", "ERROR", "debug"}[random.IntN(4)]},
		"bytes":      random.IntN(5000) - 100,
		"ratio":      float64(random.IntN(1000)) / 16,
		"ok":         random.IntN(3) == 0,
		"host.name":  fmt.Sprintf("host-%d", random.IntN(5)),
	}
	if random.IntN(3) == 0 {
		d["client"] = map[string]any{"ip": fmt.Sprintf("10.%d.0.%d", random.IntN(2), random.IntN(30))}
	}
	if random.IntN(4) == 0 {
		d["tags"] = []any{pick(), pick(), "t"}
	}
	if random.IntN(5) == 0 {
		d["code"] = []int{200, 404, 500}[random.IntN(3)]
	}
	if random.IntN(6) == 0 {
		d["note"] = strings.Repeat(pick()+" ", 1+random.IntN(60))
	}
	if random.IntN(10) == 0 {
		delete(d, "message")
	}
	if random.IntN(10) == 0 {
		d["codes"] = []any{random.IntN(5), random.IntN(5), nil}
	}
	return d
}

// bulk makes the body that indexes the documents.
func bulk(index string, seed uint64, n int) string {
	random := rand.New(rand.NewPCG(seed, 1))
	var body strings.Builder
	for i := range n {
		source, err := json.Marshal(document(random, i))
		if err != nil {
			panic(err) // a map of plain values can be written
		}
		fmt.Fprintf(&body, "{\"create\":{\"_index\":%q,\"_id\":\"file-%d:%d\"}}\n%s\n", index, i%3, i*100, source)
	}
	return body.String()
}

// fixedMapping declares what dynamic mapping would not find.
const fixedMapping = `{"index_patterns":["logs-*"],"priority":200,"template":{"settings":{"number_of_shards":1},"mappings":{
 "dynamic_templates":[{"strings":{"match_mapping_type":"string","path_match":"labels.*","mapping":{"type":"keyword"}}}],
 "properties":{"client":{"properties":{"ip":{"type":"ip"}}},"log":{"properties":{"level":{"type":"keyword"}}},"host":{"properties":{"name":{"type":"keyword"}}},
 "tags":{"type":"keyword"},"code":{"type":"integer"},"note":{"type":"keyword","ignore_above":100},"ratio":{"type":"double"},"message":{"type":"text","fields":{"raw":{"type":"keyword","ignore_above":64}}}}}}}`
