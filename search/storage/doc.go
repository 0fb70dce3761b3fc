// Package storage keeps the documents of the search node on disk.
//
// # Layout
//
//	FORMAT               version of the layout
//	LOCK                 held while a process has the directory open
//	node.json            the node's ids and the index templates
//	wal/NNNN.wal         what is not yet in a segment, of all indices
//	indices/UUID/MANIFEST  name, settings, mapping and the list of segments
//	indices/UUID/N.parquet columns of a segment, a row group per block
//	indices/UUID/N.ids     which _id is in which row
//	indices/UUID/N.tokens  bloom filters of terms, per row group and column
//	indices/UUID/N.G.del   rows of segment N that are deleted, generation G
//
// # Writing
//
// A document is parsed, checked against its _id, appended to the index's memory
// buffer and to the write-ahead log; [Store.Sync] returns when the log is on disk, one
// fdatasync serving all who wait. Only then may a request be answered, a conflict
// too: the document it conflicts with must not vanish. Buffers become
// segments when they are large or old; a segment counts once the manifest that lists it
// has been renamed into place, and log files that hold nothing newer are removed.
//
// # Owners and locks
//
// Store.mu protects the table of indices, Index.mu the buffer, segment list and
// sequence numbers of one index, Index.commitMu (taken first) its manifest. The log has a
// lock of its own, taken last. Searches work on a [Snapshot], which never
// changes and keeps its files open.
//
// # Failures
//
// The tail of the last log file may be torn and is cut. Any other damage is
// a [CorruptionError]. When the log cannot be written, the store refuses all further
// writes with [ErrLogFailed], because what the disk holds is unknown; it serves searches and
// recovers by a new start.
package storage
