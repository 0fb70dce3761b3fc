// Package groups is the broker's group coordinator: consumer group membership
// and committed offsets, kept in the partitions of __consumer_offsets.
//
// # Use
//
//	c := groups.New(groups.DefaultConfig(), groups.Options{Topics: image.Topic})
//	c.SetPartitions(16)                   // when __consumer_offsets exists
//	c.Load(p, log)                        // for each partition that this node leads
//	ok := c.Handle(client, request, reply) // false: not an API of groups
//	c.Unload(p)                           // when another node takes it over
//	c.DeleteTopics(gone)                  // when topics were deleted
//	c.Close()
//
// Handle never blocks and starts no goroutine. reply is called exactly once,
// possibly before Handle returns, possibly minutes later (a JoinGroup waits for
// the other members), on a goroutine of a shard or of the storage engine: it
// must not block. Requests must not alias memory that is used again: strings
// of them are kept.
//
// # Shards
//
// A group belongs to the partition that [PartitionFor] gives. Each loaded
// partition is a shard: one goroutine that owns a [core.Shard], feeds it requests
// and time, appends its records to the partition's log, and answers when they
// are flushed. OffsetCommits that arrive together are appended together. A
// reply that reads waits for the appends before it, so that nobody is told
// of a state that a crash could take back.
//
// # Failure model
//
// While a shard reads its log, up to the log end, requests are answered with
// COORDINATOR_LOAD_IN_PROGRESS (heartbeats succeed, as in Kafka); for partitions
// that are not loaded, with NOT_COORDINATOR. A refused append (disk full) fails
// the requests that needed it and nothing else. A failed flush drops the shard's state, and it
// is loaded again. Committed offsets of topics that were deleted while the node was
// down are removed after loading: Options.Topics must know all topics before Load.
//
// # Bounds
//
// A shard queues at most thousands of requests (package coordinator), beyond which it answers
// COORDINATOR_LOAD_IN_PROGRESS, after which clients wait and try again. Groups, members and their metadata are bounded by [core.Config].
//
// Source: KIP-848's CoordinatorRuntime in Apache Kafka 4.1 (coordinator-common).
package groups
