package client

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/internal/elastic"
	"github.com/millrace/millrace/internal/logquery"
	"github.com/millrace/millrace/internal/timespec"
)

// searchOptions are the flags of search.
type searchOptions struct {
	since, until string
	index        string
	count        int
	columns      []string
}

func searchCommand(g *Globals) *cobra.Command {
	var o searchOptions
	c := g.command(&cobra.Command{
		Use: "search [QUERY]", Short: "Search log lines with a query in Lucene syntax",
		Long: "Searches the indexed lines and prints the newest, oldest first. QUERY is in Lucene's syntax; words are looked for\n" +
			"in message, and level, host, path, service, agent and status stand for their ECS fields (log.level, host.name, ...).\n" +
			"With -o json each hit is one line.",
		Example: "  millrace search 'level:ERROR AND timeout' --since 1h\n  millrace search 'http.response.status_code:[500 TO 599]' --index 'millrace-web-*' -n 20",
		Args:    Arguments(cobra.MaximumNArgs(1)), ValidArgsFunction: cobra.NoFileCompletions,
	}, func(cmd *cobra.Command, args []string) error {
		q, err := o.query(args, time.Now())
		if err != nil {
			return err
		}
		return g.search(cmd, q, o)
	})
	f := c.Flags()
	f.StringVar(&o.since, "since", "", "from this `time` on: 15m (ago), 2026-02-03 or 2026-02-03T04:05:06Z")
	f.StringVar(&o.until, "until", "", "up to this `time`")
	f.StringVar(&o.index, "index", logquery.IndexLogs, "`indices` to search, with wildcards")
	f.IntVarP(&o.count, "count", "n", 100, "number of lines to print at most")
	f.StringSliceVar(&o.columns, "columns", nil, "`fields` to print instead of time, level, host and message")
	return c
}

func (o searchOptions) query(args []string, now time.Time) (logquery.Query, error) {
	q := logquery.Query{Text: strings.Join(args, " "), Index: o.index}
	if o.count < 1 {
		return q, usagef("--count %d: write a number of at least 1", o.count)
	}
	var err error
	if o.since != "" {
		if q.Since, err = timespec.Parse(o.since, now); err != nil {
			return q, usagef("--since: %v", err)
		}
	}
	if o.until != "" {
		if q.Until, err = timespec.Parse(o.until, now); err != nil {
			return q, usagef("--until: %v", err)
		}
	}
	if err := q.Validate(); err != nil {
		return q, &UsageError{err.Error()}
	}
	return q, nil
}

// search asks for page after page and prints all hits in the order of time.
func (g *Globals) search(cmd *cobra.Command, q logquery.Query, o searchOptions) error {
	cfg, err := g.elasticsearch()
	if err != nil {
		return err
	}
	es, err := elastic.NewClient(cfg)
	if err != nil {
		return err
	}
	var hits []logquery.Hit
	for len(hits) < o.count {
		q.Size = min(o.count-len(hits), logquery.SizeMax)
		page, err := logquery.Search(cmd.Context(), es, q)
		if err != nil {
			return searchError(err, cfg.Addresses)
		}
		hits = append(hits, page.Hits...)
		if len(page.Hits) < q.Size {
			break
		}
		q.After = page.Next()
	}
	slices.Reverse(hits)
	if g.json() {
		return printHitsJSON(cmd.OutOrStdout(), hits)
	}
	return printHits(cmd.OutOrStdout(), hits, o.columns)
}

func searchError(err error, addresses []string) error {
	if errors.Is(err, logquery.ErrUnreachable) {
		return fmt.Errorf("cannot reach Elasticsearch at %s (%w): start a search node with \"millrace up\", or name another with --elasticsearch",
			strings.Join(addresses, ", "), errors.Unwrap(innermost(err)))
	}
	return err
}

// innermost keeps what happened to the connection.
func innermost(err error) error {
	type many interface{ Unwrap() []error }
	if m, ok := err.(many); ok {
		list := m.Unwrap()
		return fmt.Errorf("%w", list[len(list)-1])
	}
	return fmt.Errorf("%w", err)
}

func printHitsJSON(w io.Writer, hits []logquery.Hit) error {
	for _, h := range hits {
		h.Sort = nil
		if err := writeJSONLine(w, h); err != nil {
			return err
		}
	}
	return nil
}

func printHits(w io.Writer, hits []logquery.Hit, columns []string) error {
	if len(columns) == 0 {
		return printLines(w, hits)
	}
	t := newTable(w, columns...)
	for _, h := range hits {
		doc, err := logquery.Fields(h.Source)
		if err != nil {
			return err
		}
		cells := make([]any, len(columns))
		for i, c := range columns {
			cells[i] = doc[c]
		}
		t.row(cells...)
	}
	return t.flush()
}

// printLines prints time, level, host and message of each hit. Further lines
// of a message are indented.
func printLines(w io.Writer, hits []logquery.Hit) error {
	for _, h := range hits {
		doc, err := logquery.Fields(h.Source)
		if err != nil {
			return err
		}
		head := make([]string, 0, 3)
		for _, part := range []string{doc["@timestamp"], doc["log.level"], doc["host.name"]} {
			if part != "" {
				head = append(head, printable(part))
			}
		}
		var text []string
		for line := range strings.Lines(doc["message"]) {
			text = append(text, printable(strings.TrimRight(line, "\r\n")))
		}
		if _, err := fmt.Fprintf(w, "%s %s\n", strings.Join(head, " "), strings.Join(text, "\n    ")); err != nil {
			return err
		}
	}
	return nil
}
