package groups

import "time"

const (
	// requestsQueuedMax bounds the requests that wait for one shard.
	requestsQueuedMax = 20_000
	// appendBytesMax is where records that wait for an append are appended.
	appendBytesMax = 512 << 10
	// recordOverheadMax is more than a record takes beside key and value.
	recordOverheadMax = 32
	// loadBytes is how much of the log is read at once while loading.
	loadBytes = 4 << 20
	// reloadBackoff is the time after which a shard that failed is loaded again.
	reloadBackoff = 2 * time.Second
	// countsInterval is the least time between two counts of the groups for the metrics.
	countsIntervalMs = 5_000
)
