package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/test/process"
)

// readTopic reads all records of a topic and fails when two of them are the
// same line of the same file.
func readTopic(t *testing.T, bootstrap, topic string, into *ledger) {
	t.Helper()
	seen := map[string]struct{}{}
	repeated := 0
	eachRecord(t, bootstrap, topic, func(r *kgo.Record) {
		into.add(r.Value)
		id := position(r)
		if _, twice := seen[id]; twice {
			repeated++
		}
		seen[id] = struct{}{}
	})
	if repeated > 0 {
		t.Errorf("%d records of topic %s repeat the file and offset of another", repeated, topic)
	}
}

// eachRecord reads a topic from its start to its present end with a client
// from other hands.
func eachRecord(t *testing.T, bootstrap, topic string, do func(*kgo.Record)) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(bootstrap), kgo.ConsumeTopics(topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxPartitionBytes(4<<20))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ends, err := kadm.NewClient(client).ListEndOffsets(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	left := map[int32]int64{}
	ends.Each(func(o kadm.ListedOffset) {
		if o.Offset > 0 {
			left[o.Partition] = o.Offset
		}
	})
	for len(left) > 0 {
		fetches := client.PollFetches(t.Context())
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			do(r)
			if r.Offset+1 >= left[r.Partition] {
				delete(left, r.Partition)
			}
		})
	}
}

func position(r *kgo.Record) string {
	var file, offset string
	for _, h := range r.Headers {
		switch h.Key {
		case "file":
			file = string(h.Value)
		case "offset":
			offset = string(h.Value)
		}
	}
	return file + ":" + offset
}

// topicEnd returns the number of records that a topic has had.
func topicEnd(t *testing.T, bootstrap, topic string) (int64, error) {
	client, err := kgo.NewClient(kgo.SeedBrokers(bootstrap))
	if err != nil {
		return 0, err
	}
	defer client.Close()
	ends, err := kadm.NewClient(client).ListEndOffsets(t.Context(), topic)
	if err != nil {
		return 0, err
	}
	var sum int64
	ends.Each(func(o kadm.ListedOffset) { sum += max(0, o.Offset) })
	return sum, ends.Error()
}

// count returns the number of documents of an index pattern.
func count(t *testing.T, elasticsearch, index string) (int, error) {
	if _, err := request(t.Context(), http.MethodPost, elasticsearch+"/"+index+"/_refresh", nil); err != nil {
		return 0, err
	}
	body, err := request(t.Context(), http.MethodGet, elasticsearch+"/"+index+"/_count", nil)
	if err != nil {
		return 0, err
	}
	var answer struct{ Count int }
	if err := json.Unmarshal(body, &answer); err != nil {
		return 0, err
	}
	return answer.Count, nil
}

// searchPage is how many documents one search returns.
const searchPage = 10_000

// readIndex reads all documents of an index pattern by _search, file by file
// in the order of their offsets.
func readIndex(t *testing.T, elasticsearch, index string, into *ledger) {
	t.Helper()
	for _, file := range fileIDs(t, elasticsearch, index) {
		readFile(t, elasticsearch, index, file, into)
	}
}

// fileIDs lists the files that an index pattern has lines of.
func fileIDs(t *testing.T, elasticsearch, index string) []string {
	t.Helper()
	var answer struct {
		Aggregations struct {
			Files struct {
				Other   int `json:"sum_other_doc_count"`
				Buckets []struct{ Key string }
			}
		}
	}
	search(t, elasticsearch, index, map[string]any{
		"size": 0, "aggs": map[string]any{"files": map[string]any{"terms": map[string]any{"field": "log.file.id", "size": 10_000}}},
	}, &answer)
	if answer.Aggregations.Files.Other != 0 {
		t.Fatal("there are more files than one aggregation shows")
	}
	var ids []string
	for _, b := range answer.Aggregations.Files.Buckets {
		ids = append(ids, b.Key)
	}
	return ids
}

func readFile(t *testing.T, elasticsearch, index, file string, into *ledger) {
	t.Helper()
	var after []any
	for {
		query := map[string]any{
			"size": searchPage, "track_total_hits": false, "_source": []string{"message"},
			"query": map[string]any{"term": map[string]any{"log.file.id": file}},
			"sort":  []any{map[string]any{"log.offset": "asc"}},
		}
		if after != nil {
			query["search_after"] = after
		}
		var answer struct {
			Hits struct {
				Hits []struct {
					Source struct{ Message string } `json:"_source"`
					Sort   []any
				}
			}
		}
		search(t, elasticsearch, index, query, &answer)
		hits := answer.Hits.Hits
		for _, h := range hits {
			into.add([]byte(h.Source.Message))
		}
		if len(hits) < searchPage {
			return
		}
		after = hits[len(hits)-1].Sort
	}
}

func search(t *testing.T, elasticsearch, index string, query, answer any) {
	t.Helper()
	body, err := request(t.Context(), http.MethodPost, elasticsearch+"/"+index+"/_search", query)
	if err == nil {
		err = json.Unmarshal(body, answer)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// settled waits until topic and index hold as many records as were written.
func settled(t *testing.T, n *process.Process, bootstrap, elasticsearch, topic, index string, want int, limit time.Duration) {
	t.Helper()
	n.Eventually(limit, "every line is in the topic", func() error {
		got, err := topicEnd(t, bootstrap, topic)
		return expect(int(got), want, err)
	})
	n.Eventually(limit, "every line is found by a search", func() error {
		got, err := count(t, elasticsearch, index)
		return expect(got, want, err)
	})
}

func expect(got, want int, err error) error {
	if err != nil {
		return err
	}
	if got != want {
		return fmt.Errorf("%s of %d", strconv.Itoa(got), want)
	}
	return nil
}
