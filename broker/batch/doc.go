// Package batch reads and writes Kafka's record batch, version 2 (magic 2), the unit that
// producers send, brokers store and replicate, and consumers receive.
//
// The package has no state. [Parse] looks at one batch without copying;
// [All] walks over several that follow each other, as they lie in a segment
// or in the records field of a produce request. [Batch.Records] opens a batch,
// decompressing where needed. [Build] makes a batch of records.
//
// A [Batch] and the records that it yields alias the bytes they were parsed
// from (or, when compressed, one buffer per call): they are valid as long as
// the caller leaves those bytes alone.
//
// Nothing that arrives in these bytes panics; lengths and counts are checked
// against what is there before memory is taken.
//
// Source: Apache Kafka 4.1, DefaultRecordBatch and DefaultRecord (KIP-98;
// KIP-534 for the delete horizon).
package batch
