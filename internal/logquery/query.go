package logquery

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// Bounds of a query.
const (
	// SizeMax is the largest number of hits of one page.
	SizeMax = 1000
	// textBytesMax is the longest query text.
	textBytesMax = 8 << 10
	// indexBytesMax is the longest index expression.
	indexBytesMax = 1 << 10
)

// Index patterns that Millrace's pipelines write to.
const (
	// IndexLogs are all documents of pipelines without the alerts.
	IndexLogs = "millrace-*,-millrace-alerts-*"
	// IndexAlerts are the raised alerts.
	IndexAlerts = "millrace-alerts-*"
)

// ErrQuery is wrapped by the errors of a query that cannot be asked, or that
// the server found wrong.
var ErrQuery = errors.New("invalid query")

// Query is one question for log lines.
type Query struct {
	// Text is a query in Lucene syntax; empty finds everything.
	Text string
	// Index names indices, with wildcards; empty means [IndexLogs].
	Index string
	// Since and Until bound @timestamp, both included; a zero time is no bound.
	Since, Until time.Time
	// Size is the number of hits wanted; 0 means 100.
	Size int
	// Ascending sorts oldest first.
	Ascending bool
	// After is the cursor of the page before; nil begins at the first.
	After Cursor
	// TimeField is what is sorted and bounded by; empty means @timestamp.
	TimeField string
	// DefaultField is where words without a field are looked for; empty means message.
	DefaultField string
}

// Cursor is the sort values of the last hit of a page.
type Cursor []json.RawMessage

func (q Query) timeField() string { return cmp.Or(q.TimeField, "@timestamp") }

func (q Query) index() string { return cmp.Or(q.Index, IndexLogs) }

// Validate reports what cannot be asked, as an error that wraps [ErrQuery].
func (q Query) Validate() error {
	switch {
	case len(q.Text) > textBytesMax:
		return fmt.Errorf("%w: the query is longer than %d bytes", ErrQuery, textBytesMax)
	case !utf8.ValidString(q.Text):
		return fmt.Errorf("%w: the query is not UTF-8", ErrQuery)
	case q.Size < 0 || q.Size > SizeMax:
		return fmt.Errorf("%w: between 1 and %d hits can be asked for at once", ErrQuery, SizeMax)
	case !q.Since.IsZero() && !q.Until.IsZero() && q.Until.Before(q.Since):
		return fmt.Errorf("%w: the time range ends before it begins", ErrQuery)
	case q.After != nil && len(q.After) != len(q.sort()):
		return fmt.Errorf("%w: the cursor has %d values instead of %d", ErrQuery, len(q.After), len(q.sort()))
	}
	return validateIndex(q.index())
}

// validateIndex keeps an index expression inside of the path of its request.
func validateIndex(index string) error {
	if len(index) > indexBytesMax {
		return fmt.Errorf("%w: the index name is longer than %d bytes", ErrQuery, indexBytesMax)
	}
	for name := range strings.SplitSeq(index, ",") {
		name = strings.TrimPrefix(name, "-")
		if name == "" || strings.HasPrefix(name, "_") || strings.ContainsFunc(name, badInIndex) {
			return fmt.Errorf("%w: %q is not the name of an index", ErrQuery, name)
		}
	}
	return nil
}

// badInIndex lets pass what Elasticsearch allows in the name of an index, and
// the wildcard *. Its date math (<...>) is not needed here.
func badInIndex(r rune) bool {
	return r <= ' ' || r == 0x7f || (r >= 'A' && r <= 'Z') || strings.ContainsRune(`\/?"<>|#:%&+@`, r) || r == utf8.RuneError
}

// filter is the query as a bool filter: nothing is scored.
func (q Query) filter() map[string]any {
	var must []any
	if text := strings.TrimSpace(q.Text); text != "" && text != "*" {
		must = append(must, map[string]any{"query_string": map[string]any{
			"query": Expand(text), "default_field": cmp.Or(q.DefaultField, "message"),
		}})
	}
	bounds := map[string]any{}
	if !q.Since.IsZero() {
		bounds["gte"] = stamp(q.Since)
	}
	if !q.Until.IsZero() {
		bounds["lte"] = stamp(q.Until)
	}
	if len(bounds) > 0 {
		bounds["format"] = "strict_date_optional_time"
		must = append(must, map[string]any{"range": map[string]any{q.timeField(): bounds}})
	}
	if len(must) == 0 {
		return map[string]any{"match_all": map[string]any{}}
	}
	return map[string]any{"bool": map[string]any{"filter": must}}
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// sort is the same order on every page and every kind of server.
func (q Query) sort() []any {
	order := "desc"
	if q.Ascending {
		order = "asc"
	}
	by := func(field, kind string) map[string]any {
		return map[string]any{field: map[string]any{"order": order, "unmapped_type": kind}}
	}
	return []any{by(q.timeField(), "date"), by("log.file.id", "keyword"), by("log.offset", "long")}
}

// body is the search request.
func (q Query) body() map[string]any {
	size := q.Size
	if size == 0 {
		size = 100
	}
	b := map[string]any{"query": q.filter(), "sort": q.sort(), "size": size, "track_total_hits": 10_000}
	if q.After != nil {
		b["search_after"] = q.After
	}
	return b
}
