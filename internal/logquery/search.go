package logquery

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
)

// answerBytesMax bounds what is read of one answer: a thousand hits of the
// longest lines do not fit, and the error says so.
const answerBytesMax = 64 << 20

// ErrUnreachable is wrapped when no server answers.
var ErrUnreachable = errors.New("cannot reach Elasticsearch")

// Transport sends a request to Elasticsearch; go-elasticsearch's client is one.
// The URL of the request has a path only.
type Transport interface {
	Perform(*http.Request) (*http.Response, error)
}

// Result is one page.
type Result struct {
	Hits []Hit `json:"hits"`
	// Total is the number of all hits; at least that many if !TotalExact.
	Total      int64 `json:"total"`
	TotalExact bool  `json:"total_exact"`
	// TookMs is how long the server worked.
	TookMs int64 `json:"took_ms"`
}

// Next is the cursor of the page after; nil when there is no hit.
func (r Result) Next() Cursor {
	if len(r.Hits) == 0 {
		return nil
	}
	return r.Hits[len(r.Hits)-1].Sort
}

// Hit is one document.
type Hit struct {
	Index  string          `json:"_index"`
	ID     string          `json:"_id"`
	Source json.RawMessage `json:"_source"`
	Sort   Cursor          `json:"sort,omitempty"`
}

// answer is the part of Elasticsearch's answer that is used.
type answer struct {
	Took     int64 `json:"took"`
	TimedOut bool  `json:"timed_out"`
	Shards   struct {
		Failed   int `json:"failed"`
		Failures []struct {
			Reason cause `json:"reason"`
		} `json:"failures"`
	} `json:"_shards"`
	Hits struct {
		Total struct {
			Value    int64  `json:"value"`
			Relation string `json:"relation"`
		} `json:"total"`
		Hits []Hit `json:"hits"`
	} `json:"hits"`
	Aggregations json.RawMessage `json:"aggregations"`
}

// Search returns one page of hits.
func Search(ctx context.Context, t Transport, q Query) (Result, error) {
	if err := q.Validate(); err != nil {
		return Result{}, err
	}
	a, err := ask(ctx, t, q.index(), q.body())
	if err != nil {
		return Result{}, err
	}
	hits := a.Hits.Hits
	if hits == nil {
		hits = []Hit{}
	}
	return Result{Hits: hits, Total: a.Hits.Total.Value, TotalExact: a.Hits.Total.Relation != "gte", TookMs: a.Took}, nil
}

// ask sends a search request. Indices that do not exist hold nothing.
func ask(ctx context.Context, t Transport, index string, body any) (*answer, error) {
	raw, err := json.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("encode search: %w", err)
	}
	path := "/" + url.PathEscape(index) + "/_search?ignore_unavailable=true&allow_no_indices=true"
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, path, bytes.NewReader(raw))
	if err != nil {
		return nil, fmt.Errorf("make search request: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := t.Perform(req)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	defer resp.Body.Close() //nolint:errcheck // nothing was written
	text, err := io.ReadAll(io.LimitReader(resp.Body, answerBytesMax+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read search answer: %w", err)
	case len(text) > answerBytesMax:
		return nil, fmt.Errorf("%w: the answer is larger than %d MiB: ask for fewer hits", ErrQuery, answerBytesMax>>20)
	case resp.StatusCode != http.StatusOK:
		return nil, refusal(resp.StatusCode, text)
	}
	var a answer
	if err := json.Unmarshal(text, &a); err != nil {
		return nil, fmt.Errorf("decode search answer: %w", err)
	}
	if a.TimedOut {
		return nil, errors.New("the search timed out on the server: narrow the time range")
	}
	if a.Shards.Failed > 0 && len(a.Shards.Failures) > 0 {
		return nil, fmt.Errorf("%d shards failed: %s", a.Shards.Failed, a.Shards.Failures[0].Reason.text())
	}
	return &a, nil
}

// cause is Elasticsearch's description of an error.
type cause struct {
	Type     string  `json:"type"`
	Reason   string  `json:"reason"`
	CausedBy *cause  `json:"caused_by"`
	Root     []cause `json:"root_cause"`
}

// text is the innermost reason, which names what is wrong in a query.
func (c cause) text() string {
	for c.CausedBy != nil && c.CausedBy.Reason != "" {
		c = *c.CausedBy
	}
	if c.Reason == "" {
		return c.Type
	}
	return c.Reason
}

// refusal makes an error of an answer that is not 200.
func refusal(status int, body []byte) error {
	var shape struct {
		Error json.RawMessage `json:"error"`
	}
	var c cause
	reason := http.StatusText(status)
	if json.Unmarshal(body, &shape) == nil && json.Unmarshal(shape.Error, &c) == nil {
		reason = c.text()
		if len(c.Root) > 0 && c.CausedBy == nil {
			reason = c.Root[0].text()
		}
	}
	switch status {
	case http.StatusBadRequest:
		return fmt.Errorf("%w: %s", ErrQuery, reason)
	case http.StatusUnauthorized, http.StatusForbidden:
		return fmt.Errorf("access to Elasticsearch is refused (%d): set elasticsearch.username and password, or api_key", status)
	default:
		return fmt.Errorf("answer %d of Elasticsearch: %s", status, reason)
	}
}
