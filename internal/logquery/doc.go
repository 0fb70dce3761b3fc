// Package logquery asks Elasticsearch, or Millrace's search node, for log
// lines the way people ask for them: a query in Lucene syntax, a range of time,
// newest first. The command line and the console share it.
//
//	result, err := logquery.Search(ctx, client, logquery.Query{Text: "level:ERROR AND timeout", Since: hourAgo})
//
// A query is checked before it is sent ([ErrQuery]), every answer is bounded in
// hits and bytes, and only the search API is used. [Expand] gives the short
// names level, host, path, service and agent their ECS fields.
//
// Pages follow each other by [Cursor]: the sort values of the last hit. The
// sort is @timestamp and then the line's file id and offset, so that the order is
// the same on every page.
//
// The package holds no state; a [Transport] is usually go-elasticsearch's client.
package logquery
