package search

import (
	"testing"

	"github.com/millrace/millrace/search/agg"
	"github.com/millrace/millrace/search/apierror"
)

func FuzzBulk(f *testing.F) {
	f.Add([]byte("{\"index\":{\"_index\":\"a\",\"_id\":\"1\"}}\n{}\n{\"delete\":{\"_id\":2}}\n"))
	f.Add([]byte("{\"create\":{}}\r\n\r\n\n"))
	f.Add([]byte("\n\n{\"index\":{\"_id\":null}}\n"))
	f.Fuzz(func(t *testing.T, body []byte) {
		if len(body) == 0 {
			return
		}
		actions, err := parseBulk(body, "i")
		if err != nil {
			if _, known := apierror.From(err); !known {
				t.Fatalf("%q: %v is no error of the request", body, err)
			}
			return
		}
		for _, a := range actions {
			if a.index == "" || a.kind == "" {
				t.Fatalf("%q: %+v", body, a)
			}
		}
	})
}

func FuzzSearchBody(f *testing.F) {
	f.Add([]byte(`{"query":{"match_all":{}},"sort":[{"a":{"order":"desc"}},"b"],"_source":{"includes":["a"]},"aggs":{"x":{"date_histogram":{"field":"d","fixed_interval":"1h","time_zone":"Europe/Berlin"}}}}`))
	f.Add([]byte(`{"size":1,"from":2,"search_after":[1],"track_total_hits":true,"highlight":{}}`))
	f.Fuzz(func(t *testing.T, content []byte) {
		body, err := decodeObject(content)
		if err == nil {
			err = newSearchRequest().parseBody(body)
		}
		if err == nil && body["aggs"] != nil {
			_, err = agg.Parse(body["aggs"])
		}
		if _, known := apierror.From(err); err != nil && !known {
			t.Fatalf("%q: %v is no error of the request", content, err)
		}
	})
}
