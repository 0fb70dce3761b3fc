// Package core is the coordinator of consumer groups, of the classic and of the
// new protocol (KIP-848), of one partition
// (shard) of __consumer_offsets, without clock, disk or network.
//
// # Shape
//
// A [Shard] takes one [Input] at a time (a request, the time, a token) in
// [Shard.Step], and the passing of time in [Shard.Tick]. Both return an
// [Output]: records to append to the shard's partition, and replies to send
// once those records, and all that were appended before, are durable. A reply may
// answer a request of an earlier Step: a JoinGroup waits for the other
// members. Every token that went in comes out exactly once, in a reply.
//
// The model is Apache Kafka's CoordinatorRuntime. What a record changes in
// the offsets, and the removal of a group, becomes visible only when the caller
// says that the record was appended ([Shard.Appended]); a refused append
// ([Shard.AppendFailed]) therefore leaves no trace in the offsets, and sends the
// members of a group whose assignment could not be stored into a new rebalance.
// The generation, the members and their assignments change in Step itself;
// being ahead of the log by a lost generation is harmless, because the replies that
// would tell it to the members wait for the log.
//
// Groups of the new protocol (consumerGroup) change by their records alone: Step
// only writes them, and Appended applies them as Replay does. A refused append
// leaves nothing of them behind. A Tick therefore ends at the first timer that
// asks for records.
//
// [Shard.Replay] applies the records of the log at start, [Shard.Loaded] ends
// it and starts the sessions of the members found.
//
// # Ownership
//
// A Shard belongs to one goroutine. Strings and byte slices of a request may be
// kept until the group forgets them; byte slices are copied before.
//
// # Limits
//
// Groups, members of a group, pending member ids, bytes of a member's metadata
// and of an offset's metadata are bounded by [Config]. Each member has at most
// one timer, one of the new protocol four, and each group at most two.
//
// Sources: KIP-62, KIP-211, KIP-345, KIP-394, KIP-389, KIP-496, KIP-559, KIP-800,
// KIP-814, KIP-848, KIP-1043, KIP-1082, KIP-1101, and the behaviour of Apache Kafka 4.1.
package core
