package groups

import "unicode/utf16"

// Topic is the topic that the coordinator keeps its state in.
const Topic = "__consumer_offsets"

// PartitionFor returns the partition of __consumer_offsets that a group belongs
// to, as Apache Kafka does: the absolute value of Java's String.hashCode.
func PartitionFor(group string, partitions int32) int32 {
	var h int32
	for _, unit := range utf16.Encode([]rune(group)) {
		h = 31*h + int32(unit)
	}
	if h == -1<<31 {
		h = 0
	}
	return max(h, -h) % partitions
}
