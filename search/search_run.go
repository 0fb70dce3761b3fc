package search

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"

	"github.com/millrace/millrace/search/agg"
	"github.com/millrace/millrace/search/column"
	"github.com/millrace/millrace/search/mapping"
	"github.com/millrace/millrace/search/query"
	"github.com/millrace/millrace/search/storage"
)

// searchRun is a search over snapshots of its indices.
type searchRun struct {
	node    *Node
	req     *searchRequest
	account *account
	parts   []*part
	sorter  *sorter
	top     top
	aggs    *agg.Run
	// total counts the matching documents up to where counting may stop.
	total int64
}

// part is one index of a search.
type part struct {
	number int
	snap   *storage.Snapshot
	filter query.Filter
	fields []*mapping.Field // of the sort
	aggs   *agg.Bound
	// starts is the position of each block's first row.
	starts []int
}

// candidateBytes is about what a kept hit costs.
const candidateBytes = 160

// newSearchRun takes the snapshots and ties the request to them. close must be called.
func (n *Node) newSearchRun(req *searchRequest, indices []*storage.Index) (*searchRun, error) {
	s := &searchRun{node: n, req: req, account: &account{budget: n.memory}, sorter: newSorter(req.sort)}
	s.top = top{sorter: s.sorter, limit: req.from + req.size}
	if err := s.start(indices); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *searchRun) start(indices []*storage.Index) error {
	if err := s.account.Grow(int64(s.top.limit) * candidateBytes); err != nil {
		return err
	}
	now := s.node.clock()
	if s.req.aggs != nil {
		s.aggs = s.req.aggs.Start(s.account, now)
		s.aggs.TypedKeys = s.req.typedKeys
	}
	for _, ix := range indices {
		snap, err := ix.Snapshot()
		if err != nil {
			return err
		}
		p := &part{number: len(s.parts), snap: snap}
		s.parts = append(s.parts, p)
		position := 0
		for _, b := range snap.Blocks {
			p.starts = append(p.starts, position)
			position += b.Rows
		}
		if p.filter, err = query.Compile(s.req.query, snap.Mapping, ix.Name, now); err != nil {
			return err
		}
		if p.fields, err = s.sorter.bind(snap.Mapping, ix.Name); err != nil {
			return err
		}
		if s.aggs != nil {
			if p.aggs, err = s.aggs.Bind(agg.Index{Name: ix.Name, Mapping: snap.Mapping}); err != nil {
				return err
			}
		}
	}
	if s.req.after != nil && len(s.parts) > 0 {
		return s.sorter.setAfter(s.req.after, s.parts[0].fields)
	}
	return nil
}

func (s *searchRun) close() {
	for _, p := range s.parts {
		p.snap.Release()
	}
	s.account.close()
}

// task is one block to be searched.
type task struct {
	part  *part
	block int
}

// collect searches all blocks.
func (s *searchRun) collect(ctx context.Context) error {
	var tasks []task
	for _, p := range s.parts {
		for i := range p.snap.Blocks {
			tasks = append(tasks, task{p, i})
		}
	}
	s.arrange(tasks)
	for _, t := range tasks {
		if err := ctx.Err(); err != nil {
			return err
		}
		if s.done(t) {
			continue
		}
		if err := s.block(t); err != nil {
			return err
		}
	}
	return nil
}

// arrange puts the blocks that may hold the first hits first, where the sort begins
// with a date or a whole number, so that later ones can be passed over.
func (s *searchRun) arrange(tasks []task) {
	if len(s.req.sort) == 0 {
		return
	}
	key := s.req.sort[0]
	if key.desc {
		slices.Reverse(tasks) // within a segment, which has one pair of bounds, later blocks are newer
	}
	slices.SortStableFunc(tasks, func(a, b task) int {
		x, knownX := a.best(key)
		y, knownY := b.best(key)
		switch {
		case !knownX || !knownY:
			return compareBool(knownX, knownY)
		case key.desc:
			return cmp.Compare(y, x)
		default:
			return cmp.Compare(x, y)
		}
	})
}

// compareBool puts what is not known, which is cheap to read, first.
func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	default:
		return -1
	}
}

// best returns the first value of the key that the block can have, by its segment.
func (t task) best(key sortKey) (int64, bool) {
	f := t.part.fields[0]
	if f == nil || f.Type.Kind() != column.Int {
		return 0, false
	}
	low, high, ok := t.part.snap.Blocks[t.block].KnownBounds(f)
	if key.desc {
		return high, ok
	}
	return low, ok
}

// counting reports whether further matches change the answer's total.
func (s *searchRun) counting() bool {
	return s.req.trackTotal == trackAll || s.total <= int64(s.req.trackTotal)
}

// done reports whether the block cannot change the answer any more.
func (s *searchRun) done(t task) bool {
	if s.aggs != nil || s.req.trackTotal != 0 && s.counting() {
		return false
	}
	if s.top.limit == 0 {
		return true
	}
	if !s.top.full() {
		return false
	}
	if len(s.req.sort) == 0 {
		return true
	}
	key := s.req.sort[0]
	best, known := t.best(key)
	// A document without a value may come first whatever the bounds say.
	return known && key.missing == "_last" && s.sorter.compare(0, sortValue{whole: best}, s.top.worst().values[0]) > 0
}

// block searches one block.
func (s *searchRun) block(t task) error {
	b := newBlockReader(t.part.snap.Blocks[t.block], s.account)
	defer b.release()
	rows := b.Live()
	if err := t.part.filter.Apply(b, rows); err != nil {
		return err
	}
	matches := rows.Count()
	s.total += int64(matches)
	if matches == 0 {
		return nil
	}
	if t.part.aggs != nil {
		if err := t.part.aggs.Block(b, rows); err != nil {
			return err
		}
	}
	if s.top.limit == 0 || len(s.req.sort) == 0 && s.top.full() {
		return nil
	}
	return s.gather(t, b, rows)
}

// gather offers the matching rows to the top hits.
func (s *searchRun) gather(t task, b *blockReader, rows column.Bitmap) error {
	start := t.part.starts[t.block]
	readers := make([]func(int) sortValue, len(s.req.sort))
	for i := range readers {
		var err error
		if readers[i], err = s.sorter.reader(i, t.part.fields[i], b, start); err != nil {
			return err
		}
	}
	values := make([]sortValue, len(readers))
	for row := range rows.Rows {
		for i, read := range readers {
			values[i] = read(row)
		}
		c := candidate{values: values, part: t.part.number, position: start + row, block: t.block, row: row}
		if s.sorter.after != nil && !s.isAfter(&c) || s.top.full() && s.top.order(&c, s.top.worst()) >= 0 {
			if len(readers) == 0 {
				return nil
			}
			continue
		}
		c.values = slices.Clone(values)
		s.top.push(c)
	}
	return nil
}

func (s *searchRun) isAfter(c *candidate) bool {
	for i, after := range s.sorter.after {
		if order := s.sorter.compare(i, c.values[i], after); order != 0 {
			return order > 0
		}
	}
	return false
}

// hit is one document of an answer.
type hit struct {
	Index   string          `json:"_index"`
	ID      string          `json:"_id"`
	Version *int64          `json:"_version,omitempty"`
	SeqNo   *int64          `json:"_seq_no,omitempty"`
	Term    *int64          `json:"_primary_term,omitempty"`
	Score   *float64        `json:"_score"`
	Source  json.RawMessage `json:"_source,omitempty"`
	Sort    []any           `json:"sort,omitempty"`
}

// hits reads the documents of the page that was asked for.
func (s *searchRun) hits() ([]hit, error) {
	all := s.top.sorted()
	page := all[min(s.req.from, len(all)):]
	out := make([]hit, len(page))
	// Documents are read block by block, in the order of rows.
	order := make([]int, len(page))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(x, y int) int {
		a, b := page[x], page[y]
		return cmp.Or(cmp.Compare(a.part, b.part), cmp.Compare(a.block, b.block), cmp.Compare(a.row, b.row))
	})
	for from := 0; from < len(order); {
		first := page[order[from]]
		to := from
		var rows []int
		for to < len(order) && page[order[to]].part == first.part && page[order[to]].block == first.block {
			rows = append(rows, page[order[to]].row)
			to++
		}
		p := s.parts[first.part]
		err := p.snap.Blocks[first.block].Fetch(rows, func(i int, d storage.Document) error {
			at := order[from+i]
			var err error
			out[at], err = s.hit(p, page[at], d)
			return err
		})
		if err != nil {
			return nil, err
		}
		from = to
	}
	return out, nil
}

func (s *searchRun) hit(p *part, c candidate, d storage.Document) (hit, error) {
	h := hit{Index: p.snap.Index.Name, ID: d.ID}
	if err := s.account.Grow(int64(len(d.Source))); err != nil {
		return h, err
	}
	if len(s.req.sort) == 0 {
		score := 1.0
		h.Score = &score
	}
	for i, v := range c.values {
		h.Sort = append(h.Sort, s.sorter.show(i, v))
	}
	if s.req.version {
		h.Version = &d.Version
	}
	if s.req.seqNo {
		term := int64(1)
		h.SeqNo, h.Term = &d.SeqNo, &term
	}
	if !s.req.source.none {
		source, err := s.req.source.apply(d.Source)
		if err != nil {
			return h, err
		}
		h.Source = source
	}
	return h, nil
}

// totalOf renders hits.total; nil where it is not tracked.
func (s *searchRun) totalOf() any {
	limit := int64(s.req.trackTotal)
	value, relation := s.total, "eq"
	switch {
	case limit == 0:
		return nil
	case limit != trackAll && value > limit:
		value, relation = limit, "gte"
	}
	if s.req.totalAsInt {
		return value
	}
	return map[string]any{"value": value, "relation": relation}
}

// response runs the search and renders its answer.
func (s *searchRun) response(ctx context.Context) (map[string]any, error) {
	start := s.node.clock()
	if err := s.collect(ctx); err != nil {
		return nil, err
	}
	list, err := s.hits()
	if err != nil {
		return nil, err
	}
	shown := map[string]any{"hits": list, "max_score": nil}
	if total := s.totalOf(); total != nil {
		shown["total"] = total
	}
	if len(s.req.sort) == 0 && len(list) > 0 {
		shown["max_score"] = 1.0
	}
	if len(s.parts) == 0 {
		shown["max_score"] = 0.0
	}
	out := map[string]any{
		"timed_out": false,
		"_shards":   map[string]any{"total": len(s.parts), "successful": len(s.parts), "skipped": 0, "failed": 0},
		"hits":      shown,
	}
	if s.aggs != nil && len(s.parts) > 0 {
		if out["aggregations"], err = s.aggs.Result(); err != nil {
			return nil, err
		}
	}
	out["took"] = s.node.clock().Sub(start).Milliseconds()
	return out, nil
}
