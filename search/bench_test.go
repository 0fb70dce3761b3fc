package search

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// BenchmarkBulk indexes bulks of 5,000 documents with ECS fields over HTTP, each on disk before it is
// answered. Bytes are those of the log lines.
func BenchmarkBulk(b *testing.B) {
	n := startNode(b, b.TempDir(), nil)
	n.do(b, "PUT", "/_index_template/t", `{"index_patterns":["*"],"template":{"mappings":{"dynamic_templates":[{"s":{"match_mapping_type":"string","mapping":{"type":"keyword","ignore_above":1024}}}],"properties":{"message":{"type":"text"}}}}}`)
	const perBulk = 5000
	line, offset := 0, 0
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		var body strings.Builder
		before := offset
		for range perBulk {
			at := time.UnixMilli(1_790_000_000_000 + int64(line)*13).UTC().Format("2006-01-02T15:04:05.000Z")
			message := fmt.Sprintf("%s INFO dfs.DataNode$PacketResponder: Received block blk_%d of size %d from /10.250.%d.%d", at, line*2654435761, line*31%67108864, line%256, line/7%256)
			fmt.Fprintf(&body, "{\"create\":{\"_index\":\"logs\",\"_id\":\"3f2a9c1e5b7d-1:%d\"}}\n", offset)
			fmt.Fprintf(&body, "{\"@timestamp\":%q,\"message\":%q,\"log\":{\"level\":\"INFO\",\"file\":{\"path\":\"/var/log/hdfs.log\"},\"offset\":%d},\"host\":{\"name\":\"node-1\"}}\n", at, message, offset)
			offset += len(message) + 1
			line++
		}
		b.SetBytes(int64(offset - before))
		b.StartTimer()
		if status, out := n.do(b, http.MethodPost, "/_bulk", body.String()); status != http.StatusOK || out["errors"] != false {
			b.Fatalf("status %d", status)
		}
	}
	b.ReportMetric(float64(b.N)*perBulk/b.Elapsed().Seconds(), "docs/s")
}
