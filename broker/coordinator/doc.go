// Package coordinator runs state that is kept as records in the partitions of a
// topic of its own, whatever that state is: groups in __consumer_offsets,
// transactions in __transaction_state.
//
// # Shards
//
// A loaded partition is a [Shard]: one goroutine that owns a [Machine], which
// is what the state means. The shard reads the partition's records up to the log
// end and replays them into the machine; then it hands it operations and time. What
// the machine appends with [Shard.Append] and answers with [Shard.WhenDurable] is told to
// nobody before it is flushed, so that no answer speaks of a state that a crash could take back.
// [Shards] holds the shards that this node leads.
//
// # Concurrency
//
// A machine's methods are called on its shard's goroutine alone. [Shard.Submit],
// [Shard.Control] and [Shard.After] may be called from any goroutine and do not block; all
// other methods of a Shard belong to the machine.
//
// # Failure model
//
// While a shard loads, operations are refused with COORDINATOR_LOAD_IN_PROGRESS; when its
// partition is not here, with NOT_COORDINATOR. A refused append (disk full)
// is the machine's to answer. A failed flush ends the life of the state: all that waits is
// answered with COORDINATOR_NOT_AVAILABLE, and the shard loads again.
//
// # Bounds
//
// A shard queues at most operationsQueuedMax operations of clients, beyond which it answers
// COORDINATOR_LOAD_IN_PROGRESS, after which clients wait and try again.
//
// Source: KIP-848's CoordinatorRuntime in Apache Kafka 4.1 (coordinator-common).
package coordinator
