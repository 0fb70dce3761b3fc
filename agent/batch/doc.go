// Package batch turns bytes of files into record batches (Kafka's RecordBatch
// v2) in a way that can be repeated: from a [Plan] and the files that it names
// the same records are made again, after a crash, by another process.
//
// # How it works
//
// A [Framer] cuts a block of bytes into events, [Scanner] feeds it from a file
// and deals with lines longer than a block, a [Batch] collects events as
// records of one partition, and [Rebuild] does all of it again for the
// segments of a plan.
//
// # The invariant
//
// The events of a segment are a pure function of (settings, bytes in
// [Start, End)). All that is decided by time (a multiline event that is ended by
// a timeout, a last line that is shipped without its newline) therefore ends its
// segment: framing the range again with its end taken for the end of the file
// gives the same events. A [Segment] carries a checksum of its records, so bytes
// that are not those of then are never sent under the old sequence.
//
// Nothing here is safe for concurrent use except [Framer] by several Scanners,
// as long as they do not run at the same time. There is no clock, and no state
// outlives its value.
package batch
