package search

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/millrace/millrace/search/apierror"
	"github.com/millrace/millrace/search/mapping"
	"github.com/millrace/millrace/search/storage"
)

// catColumn is a column of a _cat table.
type catColumn struct {
	name    string
	aliases []string
	right   bool
	hidden  bool
}

// catTable is what a _cat API shows.
type catTable struct {
	columns []catColumn
	rows    [][]string
}

// catIndices is GET _cat/indices[/index].
func (n *Node) catIndices(r *request) (answer, error) {
	unit := r.text("bytes")
	r.ignore("health", "pri", "local", "include_unloaded_segments")
	indices, err := n.indicesOf(r)
	if err != nil {
		return answer{}, err
	}
	table := catTable{columns: []catColumn{
		{name: "health", aliases: []string{"h"}},
		{name: "status", aliases: []string{"s"}},
		{name: "index", aliases: []string{"i", "idx"}},
		{name: "uuid", aliases: []string{"id"}},
		{name: "pri", aliases: []string{"p", "shards.primary", "shardsPrimary"}, right: true},
		{name: "rep", aliases: []string{"r", "shards.replica", "shardsReplica"}, right: true},
		{name: "docs.count", aliases: []string{"dc", "docsCount"}, right: true},
		{name: "docs.deleted", aliases: []string{"dd", "docsDeleted"}, right: true},
		{name: "creation.date", aliases: []string{"cd"}, right: true, hidden: true},
		{name: "creation.date.string", aliases: []string{"cds"}, right: true, hidden: true},
		{name: "store.size", aliases: []string{"ss", "storeSize"}, right: true},
		{name: "pri.store.size", right: true},
		{name: "dataset.size", right: true},
	}}
	for _, ix := range indices {
		s := ix.Stats()
		size := sizeText(s.Bytes, unit)
		table.rows = append(table.rows, []string{
			"green", "open", ix.Name, ix.UUID.String(), "1", "0", strconv.FormatInt(s.Documents, 10), strconv.FormatInt(s.Deleted, 10),
			strconv.FormatInt(ix.Created.UnixMilli(), 10), ix.Created.UTC().Format("2006-01-02T15:04:05.000Z"), size, size, size,
		})
	}
	return table.answer(r)
}

// sizeText writes bytes as Elasticsearch does, or in the unit that was asked for.
func sizeText(bytes int64, unit string) string {
	units := []struct {
		name string
		size int64
	}{{"b", 1}, {"kb", 1 << 10}, {"mb", 1 << 20}, {"gb", 1 << 30}, {"tb", 1 << 40}, {"pb", 1 << 50}}
	for _, u := range units {
		if u.name == unit {
			return strconv.FormatInt(bytes/u.size, 10)
		}
	}
	for i := len(units) - 1; i > 0; i-- {
		if bytes >= units[i].size {
			tenths := bytes * 10 / units[i].size
			if tenths%10 == 0 {
				return fmt.Sprintf("%d%s", tenths/10, units[i].name)
			}
			return fmt.Sprintf("%d.%d%s", tenths/10, tenths%10, units[i].name)
		}
	}
	return strconv.FormatInt(bytes, 10) + "b"
}

// catCount is GET _cat/count[/index].
func (n *Node) catCount(r *request) (answer, error) {
	indices, err := n.indicesOf(r)
	if err != nil {
		return answer{}, err
	}
	total := int64(0)
	for _, ix := range indices {
		documents, err := visible(ix)
		if err != nil {
			return answer{}, err
		}
		total += documents
	}
	now := n.clock().UTC()
	table := catTable{
		columns: []catColumn{{name: "epoch", aliases: []string{"t", "time"}}, {name: "timestamp", aliases: []string{"ts", "hms", "hhmmss"}}, {name: "count", aliases: []string{"dc", "docs.count", "docsCount"}}},
		rows:    [][]string{{strconv.FormatInt(now.Unix(), 10), now.Format("15:04:05"), strconv.FormatInt(total, 10)}},
	}
	return table.answer(r)
}

// visible counts the documents that a search finds.
func visible(ix *storage.Index) (int64, error) {
	snap, err := ix.Snapshot()
	if err != nil {
		return 0, err
	}
	defer snap.Release()
	total := int64(0)
	for _, b := range snap.Blocks {
		total += int64(b.Live().Count())
	}
	return total, nil
}

// answer renders the table as text, or as JSON where that was asked for.
func (t *catTable) answer(r *request) (answer, error) {
	verbose, err := r.flag("v", false)
	if err != nil {
		return answer{}, err
	}
	help, err := r.flag("help", false)
	if err != nil {
		return answer{}, err
	}
	shown, err := t.choose(r.text("h"))
	if err != nil {
		return answer{}, err
	}
	if err := t.sort(r.text("s")); err != nil {
		return answer{}, err
	}
	format := r.text("format")
	r.ignore("time")
	if err := r.finish(); err != nil {
		return answer{}, err
	}
	switch {
	case help:
		return answer{status: 200, text: t.help()}, nil
	case format == "json" || format == "" && strings.Contains(r.Header.Get("Accept"), "json"):
		return ok(t.objects(shown))
	case format == "" || format == "text" || format == "txt":
		return answer{status: 200, text: t.text(shown, verbose)}, nil
	default:
		return answer{}, apierror.Unsupported("the format [" + format + "]")
	}
}

func (t *catTable) find(name string) int {
	return slices.IndexFunc(t.columns, func(c catColumn) bool { return c.name == name || slices.Contains(c.aliases, name) })
}

// choose returns the columns that ?h= names, in its order.
func (t *catTable) choose(names string) ([]int, error) {
	var shown []int
	if names == "" {
		for i, c := range t.columns {
			if !c.hidden {
				shown = append(shown, i)
			}
		}
		return shown, nil
	}
	for name := range strings.SplitSeq(names, ",") {
		if strings.Contains(name, "*") {
			for i, c := range t.columns {
				if mapping.MatchSimple(name, c.name) {
					shown = append(shown, i)
				}
			}
		} else if i := t.find(name); i >= 0 {
			shown = append(shown, i)
		}
	}
	return shown, nil
}

func (t *catTable) sort(keys string) error {
	if keys == "" {
		return nil
	}
	type key struct {
		column int
		desc   bool
	}
	var list []key
	for text := range strings.SplitSeq(keys, ",") {
		name, direction, _ := strings.Cut(text, ":")
		i := t.find(name)
		if i < 0 {
			return &apierror.Error{Type: "unsupported_operation_exception", Reason: "Unable to sort by unknown sort key `" + name + "`"}
		}
		list = append(list, key{i, direction == "desc"})
	}
	slices.SortStableFunc(t.rows, func(a, b []string) int {
		for _, k := range list {
			c := compareCells(a[k.column], b[k.column])
			if k.desc {
				c = -c
			}
			if c != 0 {
				return c
			}
		}
		return 0
	})
	return nil
}

func compareCells(a, b string) int {
	x, errX := strconv.ParseInt(a, 10, 64)
	y, errY := strconv.ParseInt(b, 10, 64)
	if errX == nil && errY == nil {
		return int(min(max(x-y, -1), 1))
	}
	return strings.Compare(a, b)
}

func (t *catTable) objects(shown []int) []map[string]string {
	list := []map[string]string{}
	for _, row := range t.rows {
		object := map[string]string{}
		for _, i := range shown {
			object[t.columns[i].name] = row[i]
		}
		list = append(list, object)
	}
	return list
}

func (t *catTable) text(shown []int, verbose bool) string {
	lines := [][]string{}
	if verbose {
		var names []string
		for _, c := range t.columns {
			names = append(names, c.name)
		}
		lines = append(lines, names)
	}
	lines = append(lines, t.rows...)
	var out strings.Builder
	for _, line := range lines {
		for at, i := range shown {
			if at > 0 {
				out.WriteByte(' ')
			}
			width := 0
			for _, other := range lines {
				width = max(width, utf8.RuneCountInString(other[i]))
			}
			pad := strings.Repeat(" ", width-utf8.RuneCountInString(line[i]))
			switch {
			case t.columns[i].right:
				out.WriteString(pad + line[i])
			case at == len(shown)-1:
				out.WriteString(line[i])
			default:
				out.WriteString(line[i] + pad)
			}
		}
		out.WriteByte('\n')
	}
	return out.String()
}

func (t *catTable) help() string {
	var out strings.Builder
	for _, c := range t.columns {
		fmt.Fprintf(&out, "%-22s | %s\n", c.name, strings.Join(c.aliases, ","))
	}
	return out.String()
}
