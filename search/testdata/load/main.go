package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"time"
)

func main() {
	url, n := os.Args[1], 0
	n, _ = strconv.Atoi(os.Args[2])
	index := os.Args[3]
	r := rand.New(rand.NewPCG(1, 1))
	levels := []string{"INFO", "INFO", "INFO", "INFO", "WARN", "ERROR", "DEBUG"}
	verbs := []string{"Received block blk_%d of size %d from /10.250.%d.%d", "PacketResponder %d for block blk_%d terminating src 10.251.%d.%d", "connection timeout after %d ms to node %d port %d.%d", "user session %d opened for uid %d by pid %d/%d"}
	at := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	var raw int64
	start := time.Now()
	var body bytes.Buffer
	offs := make([]int64, 8)
	for i := 0; i < n; {
		body.Reset()
		for range 5000 {
			f := r.IntN(8)
			at = at.Add(time.Duration(r.IntN(200)) * time.Millisecond)
			lv := levels[r.IntN(len(levels))]
			line := at.Format("2006-01-02 15:04:05.000") + " " + lv + " dfs.DataNode$PacketResponder: " + fmt.Sprintf(verbs[r.IntN(4)], r.Int64N(1e15), r.IntN(70000000), r.IntN(255), r.IntN(255))
			fmt.Fprintf(&body, "{\"create\":{\"_index\":%q,\"_id\":\"3f2a9c1e5b7d-%d:%d\"}}\n", index, f, offs[f])
			msg, _ := json.Marshal(line)
			fmt.Fprintf(&body, `{"@timestamp":%q,"message":%s,"log":{"level":%q,"file":{"path":"/var/log/hadoop/hdfs-%d.log"},"offset":%d},"host":{"name":"node-%d"},"agent":{"id":"3f2a9c1e5b7d"},"event":{"ingested":%q}}`+"\n", at.Format("2006-01-02T15:04:05.000Z"), msg, lv, f, offs[f], f%3, at.Add(time.Second).Format("2006-01-02T15:04:05.000Z"))
			offs[f] += int64(len(line)) + 1
			raw += int64(len(line)) + 1
			i++
		}
		resp, err := http.Post(url+"/_bulk?filter_path=errors", "application/x-ndjson", bytes.NewReader(body.Bytes()))
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		b, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if !bytes.Contains(b, []byte(`"errors":false`)) {
			fmt.Println(string(b[:min(len(b), 300)]))
			os.Exit(1)
		}
	}
	d := time.Since(start)
	fmt.Printf("%d docs, raw %d bytes, %.1fs, %.0f docs/s\n", n, raw, d.Seconds(), float64(n)/d.Seconds())
}
