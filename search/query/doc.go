// Package query reads Elasticsearch's query DSL and Lucene's query syntax and finds
// the rows of a block that match.
//
// [Parse] makes a [Query] of the JSON; [Compile] ties it to the mapping of an index and a time for
// "now", and returns a [Filter] that [Filter.Apply] narrows rows with. A filter
// holds no state of a search and may be used by several goroutines. Errors of Parse are
// those of the request; errors of Compile are those that Elasticsearch
// meets on a shard, and are marked so.
//
// Nothing is scored: a query says only which documents match. What is not known is an error that
// names it.
package query

import (
	"time"

	"github.com/millrace/millrace/search/column"
	"github.com/millrace/millrace/search/mapping"
)

// Limits of queries, Elasticsearch's defaults.
const (
	// TermsMax is index.max_terms_count.
	TermsMax = 65536
	// ClausesMax bounds the clauses of one query.
	ClausesMax = 4096
	// DepthMax is indices.query.bool.max_nested_depth.
	DepthMax = 30
)

// Rows is what a filter reads of a block. [search/storage.Block] behind a cache has it.
type Rows interface {
	// RowCount is the number of rows of the block.
	RowCount() int
	// Column returns the values of a field, nil where no row has one.
	Column(f *mapping.Field) (*column.Column, error)
	// Lower returns the bytes of a column in lower case (ASCII only), and whether all are ASCII.
	Lower(f *mapping.Field, c *column.Column) (lower []byte, ascii bool)
	// IDs returns the _ids of the rows.
	IDs() (*column.Column, error)
	// MayHaveID is false only where no row has the _id.
	MayHaveID(id string) (bool, error)
	// Bounds returns the least and the greatest value of a whole-number or date field.
	Bounds(f *mapping.Field) (low, high int64, ok bool, err error)
	// MayHave is false only where no value of the field has the term or, with whole, is it.
	MayHave(f *mapping.Field, term []byte, whole bool) (bool, error)
}

// Filter narrows rows to those that match.
type Filter interface {
	// Apply removes from rows what does not match.
	Apply(b Rows, rows column.Bitmap) error
	// cost orders the filters of a conjunction, the cheap ones first.
	cost() int
}

// Query is a query as it was read.
type Query interface {
	compile(c *compiler) (Filter, error)
}

// compiler is what a query is tied to.
type compiler struct {
	mapping *mapping.Mapping
	index   string
	now     time.Time
	clauses int
}

// Compile ties a query to an index.
func Compile(q Query, m *mapping.Mapping, index string, now time.Time) (Filter, error) {
	c := &compiler{mapping: m, index: index, now: now}
	return q.compile(c)
}
