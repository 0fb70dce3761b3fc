package bench

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/millrace/millrace/test/peers"
)

const (
	bulkDocuments = 300_000
	bulkSize      = 5_000
)

// bulkLoad indexes the same documents into the search node and Elasticsearch.
func bulkLoad(t testing.TB, binary string) *table {
	note := fmt.Sprintf("%d log documents, %d a request, op_type create, one client; a request is answered when it is on disk.", bulkDocuments, bulkSize)
	tab := newTable("Search node: bulk indexing", note, "search node", "Elasticsearch")
	bodies := bulkBodies()
	node := run(t, binary, "", "search")
	elasticsearch := peers.Elasticsearch(t)
	for round := range rounds {
		bulk(t, tab, "search node", "http://"+node.Search, round, bodies, node.Pid())
		bulk(t, tab, "Elasticsearch", elasticsearch.URL, round, bodies, elasticsearch.Pid())
	}
	tab.add("resident peak, MiB", "search node", used(t, node.Pid()).peakMiB)
	tab.add("resident peak, MiB", "Elasticsearch", used(t, elasticsearch.Pid()).peakMiB)
	return tab
}

func bulkBodies() [][]byte {
	var bodies [][]byte
	for at := 0; at < bulkDocuments; at += bulkSize {
		var b bytes.Buffer
		for i := at; i < at+bulkSize; i++ {
			fmt.Fprintf(&b, `{"create":{"_id":"host1-%d:%d"}}`+"\n", i%4, i*150)
			fmt.Fprintf(&b, `{"@timestamp":"2026-11-21T10:%02d:%02d.%03dZ","message":"request %d for /api/v1/item/%d took %d ms, status %d","log.level":"info","host.name":"web-%d","log.offset":%d}`+"\n",
				i/60000%60, i/1000%60, i%1000, i, i*7919%100000, i*17%900, 200+i%3*100, i%8, i*150)
		}
		bodies = append(bodies, b.Bytes())
	}
	return bodies
}

func bulk(t testing.TB, tab *table, name, url string, round int, bodies [][]byte, pid int) {
	t.Helper()
	cpu, began := used(t, pid).cpuSeconds, time.Now()
	for _, body := range bodies {
		resp, err := http.Post(fmt.Sprintf("%s/bench-%d/_bulk?filter_path=errors", url, round), "application/x-ndjson", bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		answer, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusOK || bytes.Contains(answer, []byte(`"errors":true`)) {
			t.Fatalf("%s: %s %.500s %v", name, resp.Status, answer, err)
		}
		if err := resp.Body.Close(); err != nil {
			t.Fatal(err)
		}
	}
	tab.add("documents/s", name, bulkDocuments/time.Since(began).Seconds())
	tab.add("CPU s per million documents", name, (used(t, pid).cpuSeconds-cpu)/bulkDocuments*1e6)
}
