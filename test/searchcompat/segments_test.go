package searchcompat

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"

	"github.com/millrace/millrace/test/nodes"
)

// TestSegmentsAnswerAsTheBuffer puts the same documents into a node that keeps them in
// its buffer, and into one that has them in many segments, some overwritten, and compares
// every search.
func TestSegmentsAnswerAsTheBuffer(t *testing.T) {
	p := pair{ours: nodes.Search(t), theirs: nodes.Search(t)}
	for _, r := range setup()[:1] {
		p.check(t, r)
	}
	// An older version of every fifth document, which is replaced further on.
	body := bulk("logs-a", 1, documents)
	lines := strings.SplitAfter(strings.ReplaceAll(body, `{"create":`, `{"index":`), "\n")
	const perFlush = 31
	var older strings.Builder
	for i := 0; i < documents; i += 5 {
		fmt.Fprintf(&older, "%s{\"seq\":%d,\"message\":\"older error timeout\",\"bytes\":1,\"ok\":true,\"code\":500}\n", lines[2*i], i)
	}
	send(t, p.ours, request{method: "POST", path: "/_bulk", body: older.String()})
	send(t, p.theirs, request{method: "POST", path: "/_bulk", body: older.String()})
	send(t, p.ours, request{method: "POST", path: "/_flush"})
	for i := 0; i < documents; i += perFlush {
		part := strings.Join(lines[2*i:2*min(i+perFlush, documents)], "")
		send(t, p.theirs, request{method: "POST", path: "/_bulk", body: part})
		send(t, p.ours, request{method: "POST", path: "/_bulk", body: part})
		if got := send(t, p.ours, request{method: "POST", path: "/logs-a/_flush"}); got.status != http.StatusOK {
			t.Fatalf("flush: %s", got.raw)
		}
	}
	send(t, p.ours, request{method: "POST", path: "/_refresh"})
	send(t, p.theirs, request{method: "POST", path: "/_refresh"})
	for _, body := range searches() {
		p.check(t, request{method: "POST", path: "/logs-a/_search", body: body})
	}
	random := rand.New(rand.NewPCG(11, 1))
	for range 300 {
		p.check(t, request{method: "POST", path: "/logs-a/_search", body: fmt.Sprintf(`{"size":30,"sort":["seq"],"_source":["seq"],"query":%s}`, randomQuery(random, 3))})
	}
	for i := range 20 {
		p.check(t, request{method: "GET", path: fmt.Sprintf("/logs-a/_doc/file-%d:%d?_source=seq", i%3, i*100)})
	}
}
