package searchcompat

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/millrace/millrace/test/peers"
)

// elasticsearch starts a real one, or uses the one that MILLRACE_TEST_ELASTICSEARCH names.
func elasticsearch(t *testing.T) string {
	t.Helper()
	if url := os.Getenv("MILLRACE_TEST_ELASTICSEARCH"); url != "" {
		return url
	}
	return peers.Elasticsearch(t).URL
}

// reply is what a server answered.
type reply struct {
	status int
	body   any
	raw    string
}

func send(t *testing.T, base string, r request) reply {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), r.method, base+r.path, strings.NewReader(r.body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if strings.HasSuffix(strings.Split(r.path, "?")[0], "_bulk") || strings.HasSuffix(strings.Split(r.path, "?")[0], "_msearch") {
		req.Header.Set("Content-Type", "application/x-ndjson")
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	content, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if got := resp.Header.Get("X-Elastic-Product"); got != "Elasticsearch" {
		t.Errorf("%s %s: X-Elastic-Product is %q", r.method, r.path, got)
	}
	out := reply{status: resp.StatusCode, raw: string(content)}
	dec := json.NewDecoder(bytes.NewReader(content))
	if dec.Decode(&out.body) != nil {
		out.body = nil
	}
	return out
}

// comparable reduces an answer to what both servers must agree on.
func comparable(r reply, textMatters bool) any {
	body := strip(r.body)
	out := map[string]any{"status": float64(r.status), "body": body}
	if textMatters && r.body == nil {
		out["body"] = r.raw
	}
	return out
}

// errorTypes keeps the types of an error.
func errorTypes(e map[string]any) any {
	types := []any{e["type"]}
	if roots, ok := e["root_cause"].([]any); ok {
		for _, root := range roots {
			if object, ok := root.(map[string]any); ok {
				types = append(types, object["type"])
			}
		}
	}
	return types
}

// strip removes what must differ: times, scores, ids of indices and shards.
func strip(value any) any {
	switch v := value.(type) {
	case map[string]any:
		out := map[string]any{}
		for key, inner := range v {
			switch key {
			case "took", "_score", "max_score", "index_uuid", "_shards", "uuid", "_ignored", "terminated_early":
				continue
			case "error":
				e, isObject := inner.(map[string]any)
				if isObject && v["status"] != nil && v["_id"] != nil {
					out[key] = e["type"]
					continue
				}
				if isObject && v["status"] != nil {
					out[key] = errorTypes(e)
					continue
				}
			}
			out[key] = strip(inner)
		}
		return out
	case []any:
		out := []any{}
		for _, inner := range v {
			out = append(out, strip(inner))
		}
		return out
	default:
		return v
	}
}
