package coordinator

import "time"

const (
	// AppendBytesMax is the size of a batch of records where there are many.
	AppendBytesMax = 512 << 10
	// RecordOverheadMax is more than a record takes beside key and value.
	RecordOverheadMax = 32
	// loadBytes is how much of the log is read at once while loading.
	loadBytes = 4 << 20
	// operationsQueuedMax bounds the operations of clients that wait for one shard.
	operationsQueuedMax = 20_000
	// ReloadBackoff is the time after which a shard that failed is loaded again.
	ReloadBackoff = 2 * time.Second
	// sleepMaxMs is the longest time a shard sleeps without anything to do.
	sleepMaxMs = 3_600_000
	// countsIntervalMs is the least time between two counts for the metrics.
	countsIntervalMs = 5_000
)
