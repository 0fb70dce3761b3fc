// Package transactions is the broker's transaction coordinator: which producer
// a transactional id has, and which partitions its transaction, kept in the
// partitions of __transaction_state.
//
// # Use
//
//	c := transactions.New(transactions.DefaultConfig(), transactions.Options{...})
//	c.SetPartitions(16)         // when __transaction_state exists
//	c.Load(p, log)              // for each partition that this node leads
//	c.Do(id, request, reply)    // a request of package core
//	c.List(match, reply)        // all transactional ids
//	c.Unload(p)                 // when another node takes it over
//	c.Close()
//
// Do never blocks and starts no goroutine. reply is called exactly once,
// possibly before Do returns, on a goroutine of a shard or of the storage
// engine: it must not block.
//
// # Shards
//
// A transactional id belongs to the partition that [PartitionFor] gives. Each
// loaded partition is a shard: one goroutine that owns a [core.Shard], feeds
// it requests and time, appends its records to the partition's log, and
// answers when they are flushed. A reply that only reads waits for the
// appends before it too, so that nobody is told of a state that a crash could take back.
//
// # Two phases
//
// The record of a decision (PrepareCommit, PrepareAbort) is durable before the
// first marker is written, and all markers are durable before the record
// that completes the transaction. Markers that cannot be written are tried
// again until they are; a crash at any point is followed, after loading, by
// writing all markers of decided transactions again, which does no harm: a
// partition without a transaction of that producer has nothing to decide.
//
// # Failure model
//
// While a shard reads its log, up to the log end, requests are answered with
// COORDINATOR_LOAD_IN_PROGRESS; for partitions that are not loaded, with
// NOT_COORDINATOR. A refused append (disk full) fails the requests that needed
// it and nothing else. A failed flush drops the shard's state, and it is loaded again.
//
// # Bounds
//
// A shard queues at most thousands of requests (package coordinator), beyond which it answers
// COORDINATOR_LOAD_IN_PROGRESS, after which clients wait and try again.
// Transactional ids are bounded by [core.Config]; each has at most one set of
// markers under way.
//
// Sources: KIP-98, KIP-890; docs/decisions/0010.
package transactions
