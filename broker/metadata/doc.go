// Package metadata holds what a cluster knows about itself: its id, its brokers,
// the topics with their ids, partitions and configs, and the producer ids that
// have been given out.
//
// # How it works
//
// The truth is a log of records. [Store.Update] lets a decision look at the latest
// [Image] and return records; they are written as one commit, made durable,
// applied to make a new image, and only then published. Images are immutable and
// are read without locks by [Store.Image].
//
// # On disk
//
// A directory with at most one snapshot and the commits after it, both made of
// the same frames (see format.go): metadata-<index>.snapshot holds the image up to
// and including that index, metadata-<index>.log the commits after it. A snapshot is
// written to a temporary file, made durable and renamed; then a new log is begun and
// the older files are removed.
//
// # Failure model
//
// What Update has returned nil for survives the loss of power. A torn commit at
// the end of the log is cut when the store opens; damage before intact commits is never cut
// but refuses the start with a [*CorruptionError]. After a failed write or sync the
// store refuses every further update, because what the disk holds is unknown
// until it is read again.
//
// Update is safe for concurrent use and serialises decisions. A Raft group
// takes the place of the file later: its committed entries are these commits.
package metadata
