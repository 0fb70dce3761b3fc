// Package broker is one node of the cluster: it speaks Kafka's protocol to
// clients and tools, and keeps topics on disk.
//
// # Use
//
//	n, err := broker.New(cfg, broker.Options{Dir: dir, Logger: log})
//	go n.Run(ctx)
//	client := kgo.NewClient(kgo.SeedBrokers(n.Addr()))
//
// # Parts
//
// broker/wire reads requests and writes responses; broker/metadata holds cluster,
// topics and configs as records in a durable log; broker/storage keeps the
// partitions; broker/groups coordinates consumer groups. This package puts
// them together: one file per API, named by its key, each opening with the
// versions, the behaviour and the KIPs that it follows.
//
// # Ownership and concurrency
//
// A Node owns the data directory. The metadata image is the truth about which
// topics exist; the [topicTable] is its shadow with open logs and follows every
// commit under topicMu. Handlers run on the goroutine of their connection and
// may run at the same time as any other.
//
// # Failure model
//
// The process may be killed at any moment. What was acknowledged with acks=all is
// on disk. A topic exists if its record is in the metadata log: logs without one
// are removed at the next start, logs that are missing are made. New leader
// epochs are taken at every start.
package broker
