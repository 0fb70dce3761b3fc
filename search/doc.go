// Package search is the embedded search node: the part of Elasticsearch's HTTP API that log
// pipelines, dashboards and curl need, over columnar segments.
//
// [New] opens the data directory and listens; [Node.Run] serves until its context ends. The
// node answers as Elasticsearch 8.19 does, errors included; what it does not
// support it refuses with status 400 and the feature's name, and never answers it wrongly
// in silence. Documents are not scored: every hit has the same score and, without a sort,
// comes in index order.
//
// A write is answered when it is on disk. Documents are found within the refresh
// interval, or at once with ?refresh. The packages below are storage (documents, log,
// segments), mapping (fields), query and agg (what the DSL means), column and
// analysis. docs/search.md lists the API; docs/design/search.md says how it works.
package search
