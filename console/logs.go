package console

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/millrace/millrace/internal/logquery"
	"github.com/millrace/millrace/internal/timespec"
)

// page is an answer with lines or alerts.
type page struct {
	logquery.Result
	// Next is the cursor of the following page, null at the end.
	Next logquery.Cursor `json:"next"`
}

// search answers /api/logs/search?q=&since=&until=&size=&after=&index=&order=.
func (c *Console) search(r *http.Request) (any, error) {
	q, err := parseQuery(r.URL.Query(), time.Now())
	if err != nil {
		return nil, err
	}
	return c.page(r, q)
}

// alerts answers /api/alerts with the same parameters.
func (c *Console) alerts(r *http.Request) (any, error) {
	q, err := parseQuery(r.URL.Query(), time.Now())
	if err != nil {
		return nil, err
	}
	q.Index, q.DefaultField = logquery.IndexAlerts, "summary"
	return c.page(r, q)
}

func (c *Console) page(r *http.Request, q logquery.Query) (any, error) {
	if c.logsErr != nil {
		return nil, c.logsErr
	}
	result, err := logquery.Search(r.Context(), c.logs, q)
	if err != nil {
		return nil, err
	}
	p := page{Result: result}
	if len(result.Hits) == q.Size {
		p.Next = result.Next()
	}
	for i := range p.Hits {
		p.Hits[i].Sort = nil
	}
	return p, nil
}

// histogram answers /api/logs/histogram?q=&since=&until=&bars=&index=.
func (c *Console) histogram(r *http.Request) (any, error) {
	if c.logsErr != nil {
		return nil, c.logsErr
	}
	values := r.URL.Query()
	q, err := parseQuery(values, time.Now())
	if err != nil {
		return nil, err
	}
	bars := 80
	if text := values.Get("bars"); text != "" {
		if bars, err = strconv.Atoi(text); err != nil || bars < 1 || bars > 200 {
			return nil, badRequest(fmt.Sprintf("bars=%q is not a number between 1 and 200", text), "leave it out for 80")
		}
	}
	return logquery.Histogram(r.Context(), c.logs, q, bars)
}

// parseQuery reads the parameters that searches share.
func parseQuery(values url.Values, now time.Time) (logquery.Query, error) {
	q := logquery.Query{Text: values.Get("q"), Index: values.Get("index"), Size: 100}
	var err error
	if q.Since, err = parseTime(values.Get("since"), now); err != nil {
		return q, badRequest("since: "+err.Error(), "a number is milliseconds since 1970")
	}
	if q.Until, err = parseTime(values.Get("until"), now); err != nil {
		return q, badRequest("until: "+err.Error(), "a number is milliseconds since 1970")
	}
	if text := values.Get("size"); text != "" {
		if q.Size, err = strconv.Atoi(text); err != nil || q.Size < 1 || q.Size > pageSizeMax {
			return q, badRequest(fmt.Sprintf("size=%q is not a number between 1 and %d", text, pageSizeMax), "leave it out for 100")
		}
	}
	switch order := values.Get("order"); order {
	case "", "desc":
	case "asc":
		q.Ascending = true
	default:
		return q, badRequest(fmt.Sprintf("order=%q is neither asc nor desc", order), "leave it out for the newest first")
	}
	if text := values.Get("after"); text != "" {
		if err := json.Unmarshal([]byte(text), &q.After); err != nil || !scalars(q.After) {
			return q, badRequest("after is not a cursor", "take next of the page before")
		}
	}
	return q, q.Validate()
}

// scalars reports whether a cursor holds numbers, texts and nulls only.
func scalars(c logquery.Cursor) bool {
	for _, v := range c {
		if len(v) == 0 || v[0] == '{' || v[0] == '[' {
			return false
		}
	}
	return c != nil
}

// parseTime reads milliseconds since 1970 or what [timespec.Parse] reads.
func parseTime(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if ms, err := strconv.ParseInt(text, 10, 64); err == nil {
		if ms < -62135596800000 || ms > 253402300799999 {
			return time.Time{}, fmt.Errorf("%q is not a time between the years 1 and 9999", text)
		}
		return time.UnixMilli(ms), nil
	}
	return timespec.Parse(text, now)
}
