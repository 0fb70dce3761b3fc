package groups

import "github.com/millrace/millrace/broker/coordinator"

// Topic is the topic that the coordinator keeps its state in.
const Topic = "__consumer_offsets"

// PartitionFor returns the partition of __consumer_offsets that a group belongs to.
func PartitionFor(group string, partitions int32) int32 {
	return coordinator.PartitionFor(group, partitions)
}
