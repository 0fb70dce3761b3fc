// Package quota limits how much clients may do, by the rules of Apache Kafka
// (KIP-13, KIP-55, KIP-124, KIP-599, KIP-612).
//
// # Limits
//
// A limit is set for an [Entity]: a user, a client id, both, or an address; each by
// name or as the default of its kind. The most specific one that is set counts
// (see [Limits.Of]); clients that fall under the same limit by the same names share it.
// [Limits] is immutable and part of the metadata image.
//
// # Measuring
//
// A [Tracker] measures one kind of use. Bytes and time are rates over the last 11 windows of
// one second. A client that goes beyond its limit is not refused: the tracker says for how
// long it has to be silent until its rate is within the limit again. Changes of the
// cluster are paid from a bucket of tokens instead, because single requests may be large.
//
// What is tracked is bounded: who has been idle for all windows is forgotten, which
// changes nothing, and beyond [TrackedMax] clients share one account.
//
// The package is pure: callers pass the time.
package quota
