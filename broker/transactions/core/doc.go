// Package core is the transaction coordinator of one partition (shard) of
// __transaction_state, without clock, disk or network.
//
// # Shape
//
// A [Shard] takes one [Input] at a time (a [Request], the time, a token) in
// [Shard.Step], and the passing of time in [Shard.Tick]. Both return an
// [Output]: records to append to the shard's partition; replies to send once
// those records, and all that were appended before, are durable; and
// endings: decided transactions whose markers are to be written once the
// decision is durable. When all markers of an ending are durable the caller
// steps [MarkersWritten], which writes down that the transaction is complete.
// Every token that went in comes out exactly once, in a reply.
//
// What a record changes becomes visible only when the caller says that the
// record was appended ([Shard.Appended]). A refused append leaves no trace:
// the transaction is what it was, and the client tries again.
//
// # States
//
//	Empty ─ AddPartitions ─▶ Ongoing ─ EndTxn ─▶ PrepareCommit ─ markers ─▶ CompleteCommit
//	                                 └─ EndTxn, timeout, fence ─▶ PrepareAbort ─ markers ─▶ CompleteAbort
//
// Complete states go on as Empty does. The record of a Prepare state is the
// decision: it is never taken back, and a shard that loads one has its
// markers written again. Kafka's PrepareEpochFence (a fence that is about to
// become PrepareAbort) and Dead (an id that is being removed) are single steps
// here and never a state of rest; like in Kafka they are never in the log.
//
// # Transaction versions
//
// A client of transaction version 2 (KIP-890) gets a new epoch at each end of
// a transaction, so that nothing of the last one can be taken for the next.
// Its version travels with each request; epochs that run out are followed by a
// new producer id.
//
// # Ownership and limits
//
// A Shard belongs to one goroutine. Transactional ids are bounded by
// [Config.TransactionsMax]; requests that wait for a transaction to complete by
// waitersMax each.
//
// Sources: KIP-98, KIP-360, KIP-588, KIP-664, KIP-890, KIP-994, KIP-1152, and the
// behaviour of Apache Kafka 4.1.
package core
