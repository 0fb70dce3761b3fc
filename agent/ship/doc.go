// Package ship sends record batches to a Kafka cluster exactly once, across
// crashes of this process, without transactions.
//
// # How
//
// Each partition is a lane with a producer id, an epoch and sequences of its own, kept in the registry. A batch is
// planned (registry), made durable, and only then sent, with acks=all; at most [WindowMax] batches of a lane are
// unacknowledged, because a broker remembers the last five batches of a producer and answers each of them, when it comes
// again, with the offset that it already has. So a batch whose answer was lost is simply sent again, by this process or by
// the next one: same producer id, epoch, sequence and records. Before anything new is planned, what was
// planned is resent, in the order of the sequences.
//
// # Failures
//
// After any error a lane waits until every batch that it has sent is answered (or its connection is closed),
// and then looks at the oldest one: classify says what is done about each error code. A batch of which the bytes are gone
// is in doubt: the next batch of the lane decides, because a broker accepts it only if the one before has arrived.
//
// # Concurrency
//
// One goroutine per lane owns the lane's flights. [Shipper.Submit] only
// appends to the lane's queue. Callbacks of sarama only send to a channel that has room for all of them.
package ship
